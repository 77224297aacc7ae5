"""JPEG in batched tensors: 8x8 cosine transform, real quantisation tables, chroma at half size."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice, each

_LUMA = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]  # fmt: skip
_CHROMA = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
]  # fmt: skip
"""Tables K.1 and K.2 of ITU-T T.81."""


@cache
def _cosines(device: torch.device) -> Tensor:
    """Gives the (8, 8) orthonormal DCT-II matrix, a frequency a row."""
    k = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / 8)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, torch.float32)


def jpeg(image: Tensor, quality: Tensor, *, halve_chroma: bool = True, offset: tuple[int, int] = (0, 0)) -> Tensor:
    """Compresses and decompresses, without the lossless part of a file.

    Args:
        image: (B, 3, H, W) in [0, 1].
        quality: (B,) in 1..100, libjpeg's scale.
        halve_chroma: 4:2:0 rather than 4:4:4.
        offset: rows and columns by which the 8-pixel grid is off the corner, as after a crop.

    Returns:
        (B, 3, H, W) in [0, 1], whole 255ths.
    """
    height, width = image.shape[-2:]
    top, left = offset
    padding = (left, -(left + width) % 16, top, -(top + height) % 16)
    r, g, b = (F.pad(image, padding, mode="replicate").mul(255).round_()).unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    chroma = torch.stack([(b - luma) * 0.564, (r - luma) * 0.713], 1)
    scale = each(torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)) / 100
    luma = _quantise(luma[:, None] - 128, _LUMA, scale)[:, 0] + 128
    if halve_chroma:
        chroma = F.avg_pool2d(chroma, 2)
    chroma = _quantise(chroma, _CHROMA, scale)
    if halve_chroma:
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    blue, red = chroma.unbind(1)
    decoded = torch.stack([luma + 1.403 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.773 * blue], 1)
    decoded = decoded[..., top : top + height, left : left + width]
    return decoded.round_().clamp_(0, 255) / 255


def _quantise(plane: Tensor, table: list[int], scale: Tensor) -> Tensor:
    """Rounds the cosine coefficients of (B, C, H, W) in whole blocks."""
    batch, channels, height, width = plane.shape
    cosines = _cosines(plane.device)
    steps = torch.tensor(table, dtype=torch.float32, device=plane.device).reshape(8, 8)
    steps = (steps * scale).round().clamp(1, 255)[:, :, None, None]  # (B, 1, 1, 1, 8, 8) beside the blocks
    blocks = plane.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coefficients = cosines @ blocks @ cosines.T
    coefficients = (coefficients / steps).round() * steps
    return (cosines.T @ coefficients @ cosines).transpose(3, 4).reshape(batch, channels, height, width)


def compress(dice: Dice, image: Tensor, *, again: bool = False) -> Tensor:
    """Compresses each picture at its own quality; `again` puts the grid off the first one's."""
    quality = dice.uniform(40, 100, len(image)).round()
    offset = (0, 0)
    if again:
        offset = (int(dice.integers(0, 7, 1)), int(dice.integers(1, 7, 1)))
    return jpeg(image, quality, halve_chroma=bool(dice.chance(0.7, 1)), offset=offset)
