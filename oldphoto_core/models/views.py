"""A detector asked about a picture from several sides: mirrored, upside down, lying, and their answers' mean taken.

Damage has no up and down, and a detector that has seen a few hundred thousand crops gives eight answers to the eight
ways in which a square can be laid. Their mean is right more often than any of them (docs/training.md has the figures),
for as many times the work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

VIEWS = (1, 2, 4, 8)
"""In how many ways a picture can be laid: as it is; mirrored; and upside down; and lying on its side."""


def seen_from(detect: Callable[[Tensor], Tensor], image: Tensor, views: int) -> Tensor:
    """Gives the mean of a detector's logits over several views of a picture, each laid back: (B, 1, H, W).

    Args:
        detect: gives (B, 1, H, W) for (B, 3, H, W).
        image: (B, 3, H, W); H and W multiples of the detector's stride, so that a view's tiles are the picture's.
        views: one of `VIEWS`.
    """
    if views not in VIEWS:
        raise ValueError(f"{views} views: expected one of {', '.join(map(str, VIEWS))}")
    if views == 1:
        return detect(image)
    total: Tensor | None = None
    for flipped in ((), (3,), (2,), (2, 3))[: min(views, 4)]:
        for lying in (False, True) if views == 8 else (False,):
            view = image.flip(flipped) if flipped else image
            view = view.transpose(2, 3) if lying else view
            logits = detect(view.contiguous(memory_format=torch.channels_last)).float()
            logits = logits.transpose(2, 3) if lying else logits
            logits = logits.flip(flipped) if flipped else logits
            total = logits if total is None else total + logits
    assert total is not None
    return total / views
