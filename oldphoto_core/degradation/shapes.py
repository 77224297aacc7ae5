"""Drawn lines and specks of damage: scratches, dust, hair, foxing and creases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, fractal_noise, smoothstep
from oldphoto_core.degradation.strokes import draw_paths, splat_specks, splat_strokes, wander


def _centres(dice: Dice, count: int, size: Size) -> Tensor:
    return dice.uniform(-0.05, 1.05, count, 2) * dice.send(torch.tensor(size, dtype=torch.float32))


def _owners(dice: Dice, numbers: Tensor) -> Tensor:
    """Gives which picture each of `numbers` (CPU) things belongs to, on the device."""
    return dice.send(torch.repeat_interleave(torch.arange(len(numbers)), numbers))


def _points(size: Size, share: float = 1.5) -> int:
    return max(int(max(size) * share), 16)


def scratches(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): scratches of one photo share a habit: handling, film transport, nicks or loose curves.

    Args:
        dice: randomness.
        severity: (B,) on the CPU, in [0, 1].
        size: (height, width).
    """
    count = len(severity)
    habit = dice.choice([0.3, 0.25, 0.25, 0.2], count)  # 0 bundle, 1 film transport, 2 nicks, 3 loose
    numbers = (1 + severity * 22 * dice.shares(count) ** 1.5).long()
    numbers = torch.where(habit == 2, numbers * 2, numbers)
    owner = _owners(dice, numbers)
    total = len(owner)
    kind = dice.send(habit)[owner]
    main = dice.uniform(0, math.pi, count)[owner]
    upright = dice.send(dice.chance(0.75, count)).float()[owner] * math.pi / 2
    free = dice.uniform(0, math.pi, total)
    angle = torch.where(kind == 0, main + dice.normal(total) * 0.2, free)
    angle = torch.where(kind == 1, upright + dice.normal(total) * 0.015, angle)
    longest, short = max(size), min(size)
    length = dice.log_uniform(0.08, 0.9, total) * short
    length = torch.where(kind == 1, dice.uniform(0.3, 1.6, total) * longest, length)
    length = torch.where(kind == 2, dice.log_uniform(0.015, 0.12, total) * short, length)
    straight = (kind == 1).float()
    bend = dice.normal(total) * 0.25 * (1 - straight)
    jitter = dice.uniform(0, 0.12, total) * (1 - 0.9 * straight) + (kind == 3) * 0.25
    points = _points(size)
    path = draw_paths(dice, _centres(dice, total, size), angle, length, points=points, bend=bend, jitter=jitter)
    widest = dice.log_uniform(0.5, 6, count)[owner] * dice.log_uniform(0.4, 1.3, total)
    half_width = (widest.clamp(0.4, 6) / 2)[:, None] * (1 + 0.25 * wander(dice, total, points, knots=12)).clamp(
        0.3, 1.6
    )
    ends = torch.linspace(0, 1, points, device=dice.device)
    taper = smoothstep((0.5 - (ends - 0.5).abs())[None], 0.0, dice.uniform(0.01, 0.3, total)[:, None])
    gaps = dice.uniform(-1.8, 0.4, total)[:, None]
    breaks = smoothstep(wander(dice, total, points, knots=24), gaps - 0.4, gaps + 0.3)
    opacity = dice.uniform(0.2, 1, count)[owner] * dice.uniform(0.6, 1.4, total)
    strength = opacity.clamp(0.12, 1)[:, None] * taper * breaks
    return splat_strokes(path, half_width, strength, sample=owner, count=count, size=size)


def dust(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): specks of many sizes, more small than large, thicker in places."""
    count = len(severity)
    area = size[0] * size[1] / 65536
    numbers = (3 + (20 + severity * 200 * area) * dice.shares(count) ** 2).long()
    owner = _owners(dice, numbers)
    total = len(owner)
    focus, spread = _centres(dice, count, size)[owner], dice.uniform(0.15, 1.5, count)[owner, None] * min(size)
    clustered = dice.send(dice.chance(0.4, total))[:, None]
    centre = torch.where(clustered, focus + dice.normal(total, 2) * spread * 0.4, _centres(dice, total, size))
    largest = dice.log_uniform(1.0, 4.5, count)[owner]
    radius = (dice.log_uniform(0.25, 1, total) * largest).clamp_min(0.4)
    strength = (dice.uniform(0.4, 1.1, count)[owner] * dice.uniform(0.6, 1.4, total)).clamp(0.15, 1)
    return splat_specks(centre, radius, strength, dice=dice, sample=owner, count=count, size=size)


def hairs(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): a few strongly curved threads of even width."""
    count = len(severity)
    numbers = (1 + severity * 4 * dice.shares(count)).long()
    owner = _owners(dice, numbers)
    total = len(owner)
    length = dice.log_uniform(0.08, 0.9, total) * min(size)
    points = _points(size, 1.0)
    path = draw_paths(
        dice, _centres(dice, total, size), dice.uniform(0, 2 * math.pi, total), length, points=points,
        bend=dice.normal(total) * 2.2, jitter=dice.uniform(0.1, 0.7, total), knots=7,
    )  # fmt: skip
    half_width = dice.log_uniform(0.35, 1.2, total)[:, None].expand(-1, points)
    strength = dice.uniform(0.4, 1, total)[:, None] * (0.85 + 0.12 * wander(dice, total, points, knots=9)).clamp(0.4, 1)
    return splat_strokes(path, half_width, strength, sample=owner, count=count, size=size)


def creases(dice: Dice, severity: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """Gives the bright core with its flakes, the dark shoulder and a light flank of folds, (B, 1, H, W) each."""
    count = len(severity)
    numbers = (1 + severity * 3.5 * dice.shares(count)).long()
    owner = _owners(dice, numbers)
    total = len(owner)
    points = _points(size, 1.8)
    length = torch.where(
        dice.send(dice.chance(0.5, total)),
        dice.uniform(1.0, 1.7, total) * max(size),
        dice.log_uniform(0.12, 0.8, total) * min(size),
    )
    square = dice.send(dice.chance(0.35, total))
    angle = torch.where(
        square,
        dice.send(dice.integers(0, 1, total)) * math.pi / 2 + dice.normal(total) * 0.04,
        dice.uniform(0, math.pi, total),
    )
    path = draw_paths(
        dice, _centres(dice, total, size), angle, length, points=points,
        bend=dice.normal(total) * 0.15, jitter=dice.uniform(0.01, 0.12, total), knots=24,
    )  # fmt: skip
    width = dice.log_uniform(0.5, 2.4, total)[:, None]
    half_width = width * (0.7 + 0.25 * wander(dice, total, points, knots=60)).clamp(0.2, 1.5)
    gaps = dice.uniform(-2.2, 0.5, total)[:, None]
    broken = smoothstep(wander(dice, total, points, knots=30), gaps - 0.6, gaps + 0.4)
    opacity = dice.uniform(0.45, 1.2, total).clamp_max(1)[:, None]
    core = splat_strokes(path, half_width / 1.4, opacity * broken, sample=owner, count=count, size=size)
    brittle = dice.send(dice.chance(0.4, count)).float() * dice.uniform(0.3, 1, count)
    around = (width * dice.uniform(2, 7, total)[:, None]).clamp(2, 9).expand(-1, points)
    belt = splat_strokes(path, around, broken * 0.6 + 0.4, sample=owner, count=count, size=size, soft=True)
    chips = fractal_noise(dice, count, size, cells=40, octaves=2)
    flakes = smoothstep(chips + 2.2 * belt, 1.7, 2.1) * each(brittle) * smoothstep(belt, 0.02, 0.1)
    core = torch.maximum(core, flakes)
    side = (dice.send(dice.chance(0.5, total)).float() * 2 - 1)[:, None, None]
    direction = path[:, -1:] - path[:, :1]
    across = torch.stack([-direction[..., 1], direction[..., 0]], -1) / direction.norm(dim=-1, keepdim=True).clamp_min(
        1e-3
    )
    reach = dice.uniform(1.5, 5, total)[:, None]
    steady = (0.7 + 0.3 * wander(dice, total, points, knots=12)).clamp(0, 1)
    shade = dice.uniform(0.08, 0.5, total)[:, None] * steady
    offset = across * side * (0.6 * reach + width)[..., None]
    dark = splat_strokes(
        path + offset, reach.expand(-1, points), shade, sample=owner, count=count, size=size, soft=True
    )
    light = splat_strokes(
        path - offset, reach.expand(-1, points), shade * 0.4, sample=owner, count=count, size=size, soft=True
    )
    return core, dark, light


def foxing(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): soft brown spots of mould or rust, in drifts."""
    count = len(severity)
    numbers = (8 + severity * 90 * dice.shares(count)).long()
    owner = _owners(dice, numbers)
    total = len(owner)
    centre = torch.where(
        dice.send(dice.chance(0.6, total))[:, None],
        _centres(dice, count, size)[owner] + dice.normal(total, 2) * 0.2 * min(size),
        _centres(dice, total, size),
    )
    radius = dice.log_uniform(1.2, 8, total)
    strength = (dice.uniform(0.35, 1, count)[owner] * dice.uniform(0.5, 1.5, total)).clamp(0.1, 1)
    return splat_specks(centre, radius, strength, dice=dice, sample=owner, count=count, size=size, soft=True)
