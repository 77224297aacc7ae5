"""Density, grain and halftone. Density is minus the base-10 logarithm of linear light."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import coordinates
from oldphoto_core.degradation.optics import gaussian_blur

_GAMMA = 2.2
_FLOOR = 0.02
"""Keeps black's density finite (3.7)."""


def to_density(image: Tensor) -> Tensor:
    """Gives the density of (B, 3, H, W) sRGB in [0, 1]: 0 for white."""
    return torch.log10(image * (1 - _FLOOR) + _FLOOR) * -_GAMMA


def from_density(density: Tensor) -> Tensor:
    """Gives sRGB in [0, 1] of a density; exact inverse of `to_density`."""
    return ((torch.exp(density * (-math.log(10) / _GAMMA)) - _FLOOR) / (1 - _FLOOR)).clamp(0, 1)


def add_grain(dice: Dice, density: Tensor, severity: Tensor, *, grey: Tensor) -> Tensor:
    """Adds correlated film grain to the density.

    Its size is sigma 0.5-1.5 pixels; it is strongest in the middle tones. Grey photos have one channel of it,
    colour photos three layers that share a part.

    Args:
        dice: randomness.
        density: (B, 3, H, W).
        severity: (B,) on the CPU.
        grey: (B,) bool on the CPU.
    """
    count, _, height, width = density.shape
    sigma = dice.uniform(0.5, 1.5, count)
    noise = gaussian_blur(dice.field(count, 1, height, width), sigma, reach=4)
    gain = 2 * math.sqrt(math.pi) * sigma  # gives unit variance back after the blur
    strength = dice.log_uniform(0.015, 0.07, count) * (0.5 + 2.5 * dice.send(severity))
    lean = each(dice.uniform(0.25, 1.0, count))
    mean = density.mean(1, keepdim=True).clamp_min(0)
    tone = (mean + 0.04).pow(0.5) * torch.exp(-0.45 * lean * mean)
    amount = tone * each(strength * gain)
    density = density + noise * amount
    coloured = ~grey & dice.chance(0.6, count)
    if coloured.any():
        index = dice.indices(coloured)
        layers = gaussian_blur(dice.field(len(index), 3, height, width), sigma[index], reach=4)
        share = each(dice.uniform(0.1, 0.5, len(index)))
        density = density.index_add(0, index, layers * amount[index] * share)
    return density


def halftone(dice: Dice, image: Tensor) -> Tensor:
    """Prints through a dot screen, as in a newspaper or a book."""
    count, _, height, width = image.shape
    y, x = coordinates((height, width), dice.device)
    y, x = y * height / 2, x * width / 2
    turn = each(dice.uniform(0, math.pi / 2, count))
    pitch = each(2 * math.pi / dice.uniform(3, 6, count))
    screen = (
        0.5
        + 0.25 * ((x * turn.cos() + y * turn.sin()) * pitch).cos()
        + 0.25 * ((y * turn.cos() - x * turn.sin()) * pitch).cos()
    )
    hardness = each(dice.uniform(2, 6, count))
    dots = torch.sigmoid((image - screen) * hardness * 1.5)
    return image + (dots - image) * each(dice.uniform(0.25, 0.8, count))
