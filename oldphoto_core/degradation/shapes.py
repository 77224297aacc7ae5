"""Procedural damage shapes: alphas of scratches, dust, hair, creases, cracks, holes and fingerprints."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates, edge_distance, fractal_noise, smooth_noise, smoothstep
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
    half_width = (widest.clamp(0.4, 6) / 2)[:, None] * (1 + 0.25 * wander(dice, total, points, knots=12)).clamp(0.3, 1.6)
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
        dice.send(dice.chance(0.5, total)), dice.uniform(1.0, 1.7, total) * max(size), dice.log_uniform(0.12, 0.8, total) * min(size)
    )
    square = dice.send(dice.chance(0.35, total))
    angle = torch.where(square, dice.send(dice.integers(0, 1, total)) * math.pi / 2 + dice.normal(total) * 0.04, dice.uniform(0, math.pi, total))
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
    across = torch.stack([-direction[..., 1], direction[..., 0]], -1) / direction.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    reach = dice.uniform(1.5, 5, total)[:, None]
    steady = (0.7 + 0.3 * wander(dice, total, points, knots=12)).clamp(0, 1)
    shade = dice.uniform(0.08, 0.5, total)[:, None] * steady
    offset = across * side * (0.6 * reach + width)[..., None]
    dark = splat_strokes(path + offset, reach.expand(-1, points), shade, sample=owner, count=count, size=size, soft=True)
    light = splat_strokes(path - offset, reach.expand(-1, points), shade * 0.4, sample=owner, count=count, size=size, soft=True)
    return core, dark, light


def crack_network(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): cracked emulsion, the borders between cells around random seeds, in patches of the photo."""
    count = len(severity)
    cells = 26
    y, x = coordinates(size, dice.device)
    warp = smooth_noise(dice, count, size, cells=12, channels=2) * 0.04
    y = y * (size[0] / min(size)) + warp[:, :1]
    x = x * (size[1] / min(size)) + warp[:, 1:]
    spread = dice.log_uniform(0.35, 1.3, count)[:, None]
    seeds = dice.uniform(-1, 1, count, cells, 2) * spread[..., None] + dice.uniform(-0.6, 0.6, count, 1, 2)
    distance = (y - seeds[..., 0, None, None]).square() + (x - seeds[..., 1, None, None]).square()
    nearest, which = distance.topk(2, dim=1, largest=False)
    pair = seeds.gather(1, which.flatten(1)[..., None].expand(-1, -1, 2)).reshape(count, 2, -1, 2)
    apart = (pair[:, 0] - pair[:, 1]).norm(dim=-1).reshape(count, 1, *size).clamp_min(1e-3)
    gap = (nearest[:, 1:] - nearest[:, :1]) / (2 * apart) * min(size) / 2  # pixels to the border between two cells
    width = each(dice.log_uniform(0.35, 1.3, count))
    line = (width * (0.9 + 0.5 * smooth_noise(dice, count, size, cells=16)) + 0.5 - gap).clamp(0, 1)
    where = fractal_noise(dice, count, size, cells=2, octaves=3)
    low = each(0.6 - 1.4 * dice.send(severity))
    within = smoothstep(where, low - 0.2, low + 0.5) * (nearest[:, :1].sqrt() < 0.6 * each(spread[:, 0]))
    return line * within * each(dice.uniform(0.4, 1, count))


def holes(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): lost emulsion, lost corners and torn edges, with rough, feathered outlines.

    Some are not one hole but a patch that flakes off in crumbs.
    """
    count = len(severity)
    place = dice.choice([0.5, 0.25, 0.25], count)  # within, at a corner, along an edge
    y, x = coordinates(size, dice.device)
    corner = (dice.send(dice.integers(0, 1, 2 * count)).float() * 2 - 1).reshape(count, 2)
    middle = dice.uniform(-0.95, 0.95, count, 2)
    on_edge = torch.stack([corner[:, 0], middle[:, 1]], -1)
    swap = dice.send(dice.chance(0.5, count))[:, None]
    on_edge = torch.where(swap, on_edge.flip(1), on_edge)
    kind = dice.send(place)[:, None]
    centre = torch.where(kind == 0, middle, torch.where(kind == 1, corner, on_edge))
    turn = dice.uniform(0, math.pi, count)[:, None, None, None]
    stretch = dice.log_uniform(0.4, 2.5, count)[:, None, None, None].sqrt()
    dy, dx = y - centre[:, 0, None, None, None], x - centre[:, 1, None, None, None]
    u, v = (dy * turn.cos() + dx * turn.sin()) * stretch, (dx * turn.cos() - dy * turn.sin()) / stretch
    radius = each(dice.log_uniform(0.04, 0.1, count) + 0.4 * dice.send(severity) * dice.uniform(0, 1, count).square())
    rough = fractal_noise(dice, count, size, cells=5, octaves=5, gain=0.6) * each(dice.uniform(0.08, 0.35, count))
    far = (u.square() + v.square()).sqrt()
    inside = radius - far - rough * radius.clamp_max(0.3)
    flaking = dice.chance(0.35, count)
    if flaking.any():
        index = dice.indices(flaking)
        crumbs = fractal_noise(dice, len(index), size, cells=14, octaves=4, gain=0.75) * 0.4
        inside[index] = (radius[index] * 1.5 - far[index]) * each(dice.uniform(0.5, 1.5, len(index))) - 0.25 + crumbs * 0.6
    feather = each(dice.log_uniform(0.6, 6, count)) * 2 / min(size)
    return smoothstep(inside, -feather / 2, feather / 2)


def worn_border(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): edges rubbed or torn away irregularly."""
    count = len(severity)
    width = each(0.01 + 0.12 * dice.send(severity) * dice.uniform(0.2, 1, count))
    rough = fractal_noise(dice, count, size, cells=6, octaves=5, gain=0.65)
    patches = smooth_noise(dice, count, size, cells=3)
    edge = edge_distance(size, dice.device)
    inside = width * (0.7 + 0.6 * patches) - edge - rough * width * 0.4
    feather = each(dice.log_uniform(0.8, 5, count)) * 2 / min(size)
    return smoothstep(inside, -feather / 2, feather / 2)


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


def fingerprints(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W): ridges around a whorl, within an oval."""
    y, x = coordinates(size, dice.device)
    centre = dice.uniform(-0.9, 0.9, count, 2)
    dy, dx = y - centre[:, 0, None, None, None], x - centre[:, 1, None, None, None]
    turn = each(dice.uniform(0, math.pi, count))
    u, v = dy * turn.cos() + dx * turn.sin(), (dx * turn.cos() - dy * turn.sin()) * 1.5
    far = (u.square() + v.square()).sqrt() + smooth_noise(dice, count, size, cells=5) * 0.05
    size_share = each(dice.uniform(0.15, 0.35, count))
    ridges = 0.5 + 0.5 * (far / size_share * each(dice.uniform(45, 75, count)) + 2 * torch.atan2(u, v)).sin()
    oval = smoothstep(size_share - far, 0.0, 0.08) * (0.6 + 0.4 * smooth_noise(dice, count, size, cells=16)).clamp(0, 1)
    return ridges * oval * each(dice.uniform(0.08, 0.4, count))


def blotches(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): a stain's body with the darker tide line where it dried."""
    count = len(severity)
    centre = dice.uniform(-1, 1, count, 2)
    y, x = coordinates(size, dice.device)
    far = ((y - centre[:, 0, None, None, None]).square() + (x - centre[:, 1, None, None, None]).square()).sqrt()
    inside = each(dice.uniform(0.15, 0.7, count)) - far + 0.22 * fractal_noise(dice, count, size, cells=3, octaves=4)
    body = smoothstep(inside, 0.0, each(dice.log_uniform(0.02, 0.25, count)))
    tide = torch.exp(-(inside / each(dice.uniform(0.01, 0.03, count))).square()) * each(dice.uniform(0, 0.8, count))
    return (body * each(dice.uniform(0.3, 0.8, count)) + tide).clamp(0, 1)
