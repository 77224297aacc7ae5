"""Pairs of old and damaged photos that are alike in what is no matter of age: greyness and sharpness.

Most old photos are grey and soft. Whatever is to tell them from damaged ones, a probe or a discriminator, tells them by
that first, and has nothing to say of damage; and an encoder that is to fool it must hide colour and detail.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

GREY_CHROMA = 0.04
"""Mean range over the channels, of [0, 1], below which a photo is grey."""
CALIPER = 0.35
"""How much two matched photos' sharpness may differ, as a logarithm: 40 %."""


def traits(images: torch.Tensor) -> NDArray[np.float64]:
    """Gives (N, 2) of images (N, 3, H, W) in [-1, 1]: grey (0 or 1), and the logarithm of how sharp they are.

    Sharpness is the mean absolute Laplacian of the luma.
    """
    shown = ((images.float() + 1) / 2).clamp(0, 1)
    grey = (shown.amax(1) - shown.amin(1)).mean((1, 2)) < GREY_CHROMA
    luma = (shown * shown.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    bend = luma[:, 1:-1, 1:-1] * 4 - luma[:, :-2, 1:-1] - luma[:, 2:, 1:-1] - luma[:, 1:-1, :-2] - luma[:, 1:-1, 2:]
    sharp = bend.abs().mean((1, 2)).clamp_min(1e-5).log()
    return torch.stack([grey.float(), sharp], dim=1).double().cpu().numpy()


def nearest_partners(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Gives, for each row of `one`, the row of `other` that it is paired with, and whether the two are alike.

    Each row is in one pair at most, and the pairs are together as alike as can be.

    Args:
        one: (N, 2) traits.
        other: (M, 2) traits, M at least N.
    """
    from scipy.optimize import linear_sum_assignment

    apart = np.abs(one[:, None, 1] - other[None, :, 1]) + 100 * (one[:, None, 0] != other[None, :, 0])
    far = np.minimum(apart, 4 * CALIPER + (apart > 50))
    rows, columns = linear_sum_assignment(far)
    return columns, apart[rows, columns] <= CALIPER
