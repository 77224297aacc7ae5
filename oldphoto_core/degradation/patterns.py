"""Ornament and print in a scene, which a detector might take for damage: lace and nets, strings of beads, pages of
small print, and a print's own white border with ruled line, deckled edge or oval mat.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates, fractal_noise, smooth_noise, smoothstep
from oldphoto_core.degradation.strokes import draw_paths, splat_strokes


def nets(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W): lace of rings and flowers, square mesh or zigzag, draped over a part of the scene."""
    cell = each(dice.log_uniform(6, 22, count))
    y, x = _turned(dice, count, size)
    drape = smooth_noise(dice, count, size, cells=4, channels=2) * each(dice.uniform(0, 0.6, count))
    v, u = y / cell + drape[:, :1], x / cell + drape[:, 1:]
    width = torch.minimum(each(dice.log_uniform(0.35, 1.1, count)), 0.09 * cell)
    u_ring = u + 0.5 * (v.floor() % 2)
    du, dv = u_ring.remainder(1) - 0.5, v.remainder(1) - 0.5
    far, bearing = (du.square() + dv.square()).sqrt(), torch.atan2(dv, du)
    ring = (far - each(dice.uniform(0.35, 0.55, count))).abs()
    petals = (far - 0.25 * (1 + (each(dice.uniform(4, 7, count).floor()) * bearing).cos())).abs()
    every = each(dice.uniform(2, 6, count).floor())
    flowers = (u_ring.floor() + 2 * v.floor()).remainder(every) == 0
    ring = torch.where(flowers, torch.minimum(ring, petals), ring)
    mesh = torch.minimum((u.remainder(1) - 0.5).abs(), (v.remainder(1) - 0.5).abs())
    zigzag = ((v + (u.remainder(1) - 0.5).abs()).remainder(1) - 0.5).abs() * 0.7
    sort = each(dice.send(dice.choice([0.5, 0.3, 0.2], count)))
    gap = torch.where(sort == 0, ring, torch.where(sort == 1, mesh, zigzag)) * cell  # pixels to the thread
    thread = (width + 0.5 - gap).clamp(0, 1)
    return thread * _part(dice, count, size)


def beads(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W): pearls, buttons or rivets, one beside the other on a curve."""
    owner = dice.send(torch.repeat_interleave(torch.arange(count), dice.integers(1, 3, count)))
    strings, number = len(owner), 24
    radius = dice.log_uniform(1.2, 5, strings)
    spacing = radius * dice.uniform(2.1, 4, strings)
    points = 24 * 20  # at most a pixel apart
    path = draw_paths(
        dice, dice.uniform(0.1, 0.9, strings, 2) * dice.send(torch.tensor(size, dtype=torch.float32)),
        dice.uniform(0, 2 * math.pi, strings), spacing * number, points=points,
        bend=dice.normal(strings) * 1.5, jitter=torch.full_like(radius, 0.15), knots=3,
    )  # fmt: skip
    along = torch.arange(points, device=dice.device) * (number / points)  # in beads
    from_middle = (along.remainder(1) - 0.5) * spacing[:, None]
    half_width = (radius[:, None].square() - from_middle.square()).clamp_min(0).sqrt()
    bead = (half_width > 0).float()
    return splat_strokes(path, half_width, bead, sample=owner, count=count, size=size)


def pages(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W): lines of small print, as of a newspaper, a caption or a letter."""
    bank = _printed().to(dice.device)
    picked = bank[dice.send(dice.integers(0, len(bank) - 1, count))].float()[:, None] / 255
    scale = each(dice.log_uniform(0.6, 1.3, count))  # pixels of the scene a pixel of the page
    y, x = _turned(dice, count, size, spread=0.02)
    page = dice.send(torch.tensor([_PAGE_HEIGHT, _PAGE_WIDTH], dtype=torch.float32))
    shift = dice.uniform(-0.25, 0.25, count, 2) * page
    grid = torch.cat([(x / scale + each(shift[:, 1])) / page[1], (y / scale + each(shift[:, 0])) / page[0]], 1)
    return F.grid_sample(picked, grid.permute(0, 2, 3, 1) * 2, padding_mode="zeros", align_corners=False)


def print_borders(dice: Dice, count: int, size: Size) -> tuple[Tensor, Tensor]:
    """Gives the borders of prints as colour (B, 3, H, W) and opacity (B, 1, H, W).

    White or cream paper around the picture, straight, with round corners or as an oval mat; some with a ruled line,
    some with a deckled edge or lying on an album's page.
    """
    y, x = _turned(dice, count, size, spread=0.006)
    half_y, half_x, short = size[0] / 2, size[1] / 2, min(size)
    wide = each(dice.log_uniform(0.02, 0.12, count) * short)
    round_px = each(dice.uniform(0, 0.1, count) * short * dice.send(dice.chance(0.3, count)))
    inside = _within(y, x, half_y - wide, half_x - wide, round_px)
    oval_wide = wide + 0.02 * short
    oval = (1 - ((y / (half_y - oval_wide)).square() + (x / (half_x - oval_wide)).square()).sqrt()) * (
        short / 2 - oval_wide
    )
    inside = torch.where(each(dice.send(dice.chance(0.15, count))), oval, inside)
    opacity = (0.5 - inside).clamp(0, 1)

    warm = dice.send(torch.tensor([0.0, -0.02, -0.1])) * dice.uniform(0, 1, count)[:, None]
    paper = each(dice.uniform(0.82, 1, count)[:, None] + warm) + dice.field(count, 1, *size) * 0.004
    ruled = dice.send(dice.chance(0.4, count))
    at = each(torch.where(dice.send(dice.chance(0.6, count)), 0.0, -dice.uniform(2, 6, count)))
    line = (each(dice.uniform(0.3, 1, count)) + 0.5 - (inside - at).abs()).clamp(0, 1) * each(ruled)
    colour = paper * (1 - line) + each(dice.uniform(0.05, 0.4, count)) * line
    opacity = torch.maximum(opacity, line)

    period, depth = each(dice.log_uniform(5, 18, count)), each(dice.uniform(0.5, 2, count))
    along = torch.where(half_y - y.abs() < half_x - x.abs(), x, y)
    wave = depth * (1.3 + (along * (2 * math.pi / period)).sin() + 0.4 * (along * (5.3 * math.pi / period)).sin())
    wave = wave * each(dice.send(dice.chance(0.6, count)))
    lying = each(dice.send(dice.chance(0.45, count)))
    off = _within(y, x, half_y - 0.15 * wide, half_x - 0.15 * wide, torch.zeros_like(wide)) - wave
    album = (0.5 - off).clamp(0, 1) * lying
    dark = dice.send(dice.chance(0.7, count))
    page = each(torch.where(dark, dice.uniform(0, 0.4, count), dice.uniform(0.5, 1, count))[:, None] * (1 + warm))
    return (colour + (page - colour) * album).clamp(0, 1), torch.maximum(opacity, album)


def _turned(dice: Dice, count: int, size: Size, *, spread: float = math.pi) -> tuple[Tensor, Tensor]:
    """Gives y and x (B, 1, H, W) in pixels from the middle, turned by about `spread` radians."""
    y, x = coordinates(size, dice.device)
    y, x = y * (size[0] / 2), x * (size[1] / 2)
    turn = each(dice.normal(count) * spread)
    return y * turn.cos() + x * turn.sin(), x * turn.cos() - y * turn.sin()


def _within(y: Tensor, x: Tensor, half_y: Tensor, half_x: Tensor, radius: Tensor) -> Tensor:
    """Gives the distance in pixels to a rectangle's outline with round corners, positive inside."""
    dy, dx = y.abs() - half_y + radius, x.abs() - half_x + radius
    outside = (dy.clamp_min(0).square() + dx.clamp_min(0).square()).sqrt()
    return radius - outside - torch.maximum(dy, dx).clamp_max(0)


def _part(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W): a part of the scene, a cloth's outline, seldom all of it."""
    y, _ = _turned(dice, count, size)
    slope = y / (max(size) / 2) + 0.25 * fractal_noise(dice, count, size, cells=2, octaves=3)
    edge = each(dice.uniform(-1.2, 0.6, count))
    return smoothstep(slope, edge, edge + 0.04)


_PAGE_HEIGHT, _PAGE_WIDTH = 288, 480


@cache
def _printed(number: int = 24) -> Tensor:
    """Gives (N, 288, 480) uint8: lines of made-up words in Pillow's own face, from caption to newspaper column."""
    from PIL import Image, ImageDraw, ImageFont

    random = np.random.default_rng(1884)
    letters = np.array(list("aaabcdeeeefghiiiklmnnooprrsssttuvwyABCDEGHLMNPRST0123456789.,"))
    sheets = []
    for _ in range(number):
        sheet = Image.new("L", (_PAGE_WIDTH, _PAGE_HEIGHT))
        draw, size_px = ImageDraw.Draw(sheet), float(random.uniform(9, 30))
        face = ImageFont.load_default(size_px)
        rows = min(int(random.integers(2, 14)), int(_PAGE_HEIGHT / (1.4 * size_px)))
        top, left = (_PAGE_HEIGHT - rows * 1.4 * size_px) / 2, float(random.uniform(0, 80))
        for row in range(rows):
            words = ("".join(random.choice(letters, int(random.integers(1, 10)))) for _ in range(40))
            line = " ".join(words)
            while face.getlength(line) > _PAGE_WIDTH - 2 * left:
                line = line[:-1]
            draw.text((left, top + row * 1.4 * size_px), line, fill=255, font=face)
        sheets.append(np.asarray(sheet))
    return torch.from_numpy(np.stack(sheets))


def studio_grounds(dice: Dice, count: int, size: Size) -> tuple[Tensor, Tensor]:
    """Gives twice (B, 1, H, W): the lightness and the opacity of a plain ground behind a head and shoulders.

    Some heads are cut out and laid on card: their outline is as sharp as a tear's, and nothing is lost.
    """
    y, x = coordinates(size, dice.device)
    y, x = y[None, None], x[None, None]
    middle, top = each(dice.uniform(-0.5, 0.5, count)), each(dice.uniform(-0.6, 0.2, count))
    head, shoulders = each(dice.uniform(0.2, 0.5, count)), each(dice.uniform(0.5, 1.1, count))
    skull = (((x - middle) / (0.75 * head)).square() + ((y - top) / head).square()).sqrt()
    chest = (((x - middle) / shoulders).square() + ((y - top - 2.2 * head) / (1.1 * head)).square()).sqrt()
    below = ((x - middle).abs() / shoulders).maximum((top + 2.2 * head - y + head) / head)
    far = torch.minimum(torch.minimum(skull, chest), below)
    far = far + fractal_noise(dice, count, size, cells=5, octaves=4) * each(dice.log_uniform(0.01, 0.12, count))
    feather = each(dice.log_uniform(0.01, 0.15, count))
    value = torch.where(dice.send(dice.chance(0.75, count)), dice.uniform(0.5, 1, count), dice.uniform(0, 0.5, count))
    lit = 1 + (x * each(dice.normal(count)) + y * each(dice.normal(count))) * each(dice.uniform(0, 0.12, count))
    cloud = 1 + fractal_noise(dice, count, size, cells=2, octaves=2) * each(dice.log_uniform(0.001, 0.08, count))
    return (each(value) * lit * cloud).clamp(0, 1), smoothstep(far, 1.0, 1.0 + feather)
