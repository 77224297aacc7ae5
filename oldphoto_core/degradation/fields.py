"""Smooth random fields over a photo, and distances to its edges."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice

Size = tuple[int, int]


def smooth_noise(dice: Dice, count: int, size: Size, *, cells: int = 4, channels: int = 1) -> Tensor:
    """Gives (count, channels, H, W) of about unit variance, varying over `cells` cells along a side."""
    height, width = size
    grid = dice.field(count, channels, cells + 3, cells + 3)
    return _spread(height, cells, dice.device) @ grid @ _spread(width, cells, dice.device).T * 1.4


@cache
def _spread(length: int, cells: int, device: torch.device) -> Tensor:
    """Gives the (length, cells + 3) weights of cubic interpolation; its product is quicker than interpolating."""
    margin = length // cells + 1
    knots = torch.eye(cells + 3)[None, None]
    weights = F.interpolate(knots, size=(length + 2 * margin, cells + 3), mode="bicubic", align_corners=False)
    return weights[0, 0, margin : margin + length].to(device)


def fractal_noise(
    dice: Dice, count: int, size: Size, *, cells: int = 3, octaves: int = 4, gain: float = 0.55
) -> Tensor:
    """Gives (count, 1, H, W) of about unit variance with detail at every scale, as torn edges and stains have."""
    half = (max(size[0] // 2, 8), max(size[1] // 2, 8))
    total = torch.zeros(count, 1, *half, device=dice.device)
    weight, power = 1.0, 0.0
    for octave in range(octaves):
        total += weight * smooth_noise(dice, count, half, cells=min(cells * 2**octave, min(half)))
        power += weight**2
        weight *= gain
    return F.interpolate(total / power**0.5, size=size, mode="bilinear", align_corners=False)


def coordinates(size: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """Gives y (H, 1) and x (1, W) of pixel centres in [-1, 1]."""
    height, width = size
    y = (torch.arange(height, device=device) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=device) + 0.5) / width * 2 - 1
    return y[:, None], x[None, :]


def edge_distance(size: Size, device: torch.device) -> Tensor:
    """Gives (1, 1, H, W): 0 at the photo's edge, 1 in its middle."""
    y, x = coordinates(size, device)
    return torch.minimum(1 - y.abs(), 1 - x.abs())[None, None]


def smoothstep(values: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Gives 0 below `low`, 1 above `high`, and a smooth rise between."""
    t = ((values - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
