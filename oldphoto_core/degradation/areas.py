"""Drawn areas of damage: cracks, holes, flakes, lost pieces, worn borders, tape, stains, fingerprints, by fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates, edge_distance, fractal_noise, smooth_noise, smoothstep


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
        inside[index] = (
            (radius[index] * 1.5 - far[index]) * each(dice.uniform(0.5, 1.5, len(index))) - 0.25 + crumbs * 0.6
        )
    feather = each(dice.log_uniform(0.6, 6, count)) * 2 / min(size)
    return smoothstep(inside, -feather / 2, feather / 2)


def flakes(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): emulsion that has come off in flakes, from specks to patches, in clusters all over the photo.

    What is lost lies where noise of every scale is above a level, which varies slowly over the photo.
    """
    count = len(severity)
    fine = fractal_noise(dice, count, size, cells=24, octaves=3, gain=0.7)
    coarse = fractal_noise(dice, count, size, cells=7, octaves=5, gain=0.65)
    share = each(dice.uniform(0, 1, count))
    field = fine * share.sqrt() + coarse * (1 - share).sqrt()
    clusters = fractal_noise(dice, count, size, cells=2, octaves=3) * each(dice.uniform(0.4, 1.2, count))
    level = each(2.9 - 1.6 * dice.send(severity) * dice.uniform(0.2, 1, count))
    feather = each(dice.log_uniform(0.08, 0.5, count))
    return smoothstep(field + clusters, level, level + feather)


def lost_pieces(dice: Dice, count: int, size: Size) -> tuple[Tensor, Tensor]:
    """Gives twice (B, 1, H, W): what is torn off, and that with the white band of torn paper along it.

    A torn line, straight or around a corner, beyond which the piece is gone; or the gap between two pieces.
    """
    y, x = coordinates(size, dice.device)
    y, x = y[None, None], x[None, None]
    turn = each(dice.uniform(0, 2 * math.pi, count))
    square = each(dice.send(dice.integers(0, 3, count)) * math.pi / 2 + dice.normal(count) * 0.06)
    turn = torch.where(each(dice.send(dice.chance(0.4, count))), square, turn)
    line = x * turn.cos() + y * turn.sin()
    kind = each(dice.send(dice.choice([0.5, 0.3, 0.2], count)))  # an edge, a corner, a gap
    edge = each(dice.uniform(0.15, 0.9, count)) - line
    corner_y, corner_x = (each(dice.send(dice.integers(0, 1, count)).float() * 2 - 1) for _ in range(2))
    power = each(dice.uniform(0.8, 2.5, count))
    far = ((y - corner_y).abs() ** power + (x - corner_x).abs() ** power) ** (1 / power)
    corner = far - each(dice.uniform(0.2, 0.9, count))
    gap = (line - each(dice.normal(count) * 0.4)).abs() - each(dice.log_uniform(0.006, 0.05, count))
    rough = fractal_noise(dice, count, size, cells=4, octaves=6, gain=0.6) * each(dice.log_uniform(0.004, 0.05, count))
    apart = torch.where(kind == 0, edge, torch.where(kind == 1, corner, gap)) + rough
    apart_px = apart * min(size) / 2
    band_px = fractal_noise(dice, count, size, cells=6, octaves=3).abs() * each(dice.uniform(0, 7, count))
    return (0.5 - apart_px).clamp(0, 1), (0.5 + band_px.clamp_max(14) - apart_px).clamp(0, 1)


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


def tape(dice: Dice, severity: Tensor, size: Size) -> Tensor:
    """Gives (B, 1, H, W): strips of adhesive tape, cut off with a serrated blade, lifting in places."""
    count = len(severity)
    y, x = coordinates(size, dice.device)
    covered = torch.zeros(count, 1, *size, device=dice.device)
    for strip in range(2):
        centre = dice.uniform(-0.95, 0.95, count, 2)
        square = dice.send(dice.chance(0.5, count))
        turn = torch.where(
            square,
            dice.send(dice.integers(0, 1, count)) * math.pi / 2 + dice.normal(count) * 0.05,
            dice.uniform(0, math.pi, count),
        )
        turn = turn[:, None, None, None]
        dy, dx = y - centre[:, 0, None, None, None], x - centre[:, 1, None, None, None]
        along, across = dy * turn.sin() + dx * turn.cos(), (dy * turn.cos() - dx * turn.sin()).abs()
        teeth = 0.012 * torch.sin(across * each(dice.uniform(90, 220, count)))
        half_width = each(dice.log_uniform(0.04, 0.14, count))
        half_length = each(dice.log_uniform(0.15, 1.2, count) * (0.6 + 0.6 * dice.send(severity)))
        inside = torch.minimum(half_length - along.abs() + teeth, half_width - across)
        lies = smoothstep(inside, 0.0, 2.5 / min(size))
        there = dice.chance(1.0 if strip == 0 else 0.3, count)
        covered = torch.maximum(covered, lies * each(dice.send(there).float()))
    lifting = 0.75 + 0.25 * fractal_noise(dice, count, size, cells=6, octaves=3)
    return covered * lifting.clamp(0, 1) * each(dice.uniform(0.25, 0.85, count))


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
