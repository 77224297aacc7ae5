"""Draws lines and specks by splatting: each point of a line writes its coverage to the pixels around it.

The largest coverage wins at a pixel. A maximum does not depend on order, so bytes repeat on a GPU too, and a thousand
strokes cost no more than the pixels that they touch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice
from oldphoto_core.degradation.fields import Size


def wander(dice: Dice, count: int, points: int, *, knots: int) -> Tensor:
    """Gives (count, points) of smooth 1-D noise of about unit variance, with `knots` bends along it."""
    return F.interpolate(dice.normal(count, 1, knots), size=points, mode="linear", align_corners=True)[:, 0] * 1.2


def draw_paths(
    dice: Dice,
    centre: Tensor,
    angle: Tensor,
    length: Tensor,
    *,
    points: int,
    bend: Tensor,
    jitter: Tensor,
    knots: int = 6,
) -> Tensor:
    """Gives curved lines through their centres.

    Args:
        dice: randomness.
        centre: (N, 2) y, x in pixels.
        angle: (N,) direction in radians.
        length: (N,) in pixels.
        points: points along each line.
        bend: (N,) how far the direction turns from end to end, in radians.
        jitter: (N,) how far the direction wanders, in radians.
        knots: wanderings along a line.

    Returns:
        (N, points, 2) y, x in pixels.
    """
    t = torch.linspace(-0.5, 0.5, points, device=dice.device)
    heading = angle[:, None] + bend[:, None] * t + jitter[:, None] * wander(dice, len(angle), points, knots=knots)
    step = (length / points)[:, None]
    path = torch.stack([(heading.sin() * step).cumsum(1), (heading.cos() * step).cumsum(1)], -1)
    return path - path[:, points // 2 : points // 2 + 1] + centre[:, None]


def splat_strokes(
    path: Tensor, half_width: Tensor, strength: Tensor, *, sample: Tensor, count: int, size: Size, soft: bool = False
) -> Tensor:
    """Draws lines with smooth edges.

    Args:
        path: (N, P, 2) y, x in pixels, points at most about a pixel apart.
        half_width: (N, P) in pixels.
        strength: (N, P) value in the middle of the line.
        sample: (N,) which picture each line belongs to.
        count: number of pictures B.
        size: (height, width).
        soft: fall off over the whole half width rather than over the last pixel.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    height, width = size
    tangent = F.normalize(torch.cat([path[:, 1:] - path[:, :-1], path[:, -1:] - path[:, -2:-1]], 1), dim=-1)
    normal = torch.stack([-tangent[..., 1], tangent[..., 0]], -1)
    reach = half_width + 1
    across = max(3, math.ceil(float(2 * reach.max()) / 0.8) + 1) if len(path) else 3
    offsets = torch.linspace(-1, 1, across, device=path.device)
    spread = reach[..., None, None] * offsets[:, None] * normal[:, :, None]  # (N, P, M, 2)
    pixel = (path[:, :, None] + spread).round()
    distance = ((pixel - path[:, :, None]) * normal[:, :, None]).sum(-1).abs()
    if soft:
        coverage = (1 - distance / (half_width[..., None] + 0.5)).clamp(0, 1).square()
    else:
        coverage = (half_width[..., None] + 0.5 - distance).clamp(0, 1)
    return _write_largest(pixel, coverage * strength[..., None], sample=sample, count=count, size=(height, width))


def splat_specks(
    centre: Tensor,
    radius: Tensor,
    strength: Tensor,
    *,
    dice: Dice,
    sample: Tensor,
    count: int,
    size: Size,
    soft: bool = False,
) -> Tensor:
    """Draws irregular specks.

    Args:
        centre: (N, 2) y, x in pixels.
        radius: (N,) in pixels, at most about 8.
        strength: (N,) value in the middle.
        dice: randomness of their outlines.
        sample: (N,) which picture each belongs to.
        count: number of pictures B.
        size: (height, width).
        soft: fall off from the middle outwards.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    number = len(centre)
    reach = math.ceil(float(radius.max()) * 1.7) + 1 if number else 1
    around = torch.arange(-reach, reach + 1, device=centre.device, dtype=torch.float32)
    offset = torch.stack(torch.meshgrid(around, around, indexing="ij"), -1).reshape(1, -1, 2)
    pixel = centre.round()[:, None] + offset
    delta = pixel - centre[:, None]
    turn, stretch = dice.uniform(0, math.pi, number), dice.uniform(1, 1.5 if soft else 2.2, number).sqrt()
    u = (delta[..., 0] * turn.cos()[:, None] + delta[..., 1] * turn.sin()[:, None]) * stretch[:, None]
    v = (delta[..., 1] * turn.cos()[:, None] - delta[..., 0] * turn.sin()[:, None]) / stretch[:, None]
    bearing = torch.atan2(u, v)
    lobes = dice.uniform(0, 0.3, number, 2)
    phase = dice.uniform(0, 2 * math.pi, number, 2)
    outline = radius[:, None] * (
        1 + lobes[:, :1] * (2 * bearing + phase[:, :1]).cos() + lobes[:, 1:] * (3 * bearing + phase[:, 1:]).cos()
    )
    distance = (u.square() + v.square()).sqrt()
    if soft:
        coverage = (1 - distance / (outline + 0.5)).clamp(0, 1)
    else:
        coverage = (outline + 0.5 - distance).clamp(0, 1)
    return _write_largest(pixel, coverage * strength[:, None], sample=sample, count=count, size=size)


def _write_largest(pixel: Tensor, value: Tensor, *, sample: Tensor, count: int, size: Size) -> Tensor:
    height, width = size
    y, x = pixel[..., 0], pixel[..., 1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    owner = sample.reshape(-1, *[1] * (y.ndim - 1)).expand_as(y)
    index = owner * (height * width) + y.clamp(0, height - 1).long() * width + x.clamp(0, width - 1).long()
    canvas = torch.zeros(count * height * width, device=pixel.device)
    canvas.scatter_reduce_(0, index.reshape(-1), (value * inside).reshape(-1), "amax")
    return canvas.clamp_max_(1).reshape(count, 1, height, width)
