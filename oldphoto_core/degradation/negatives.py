"""Things in the scene that look like damage and are not: wires, twigs, hair, rain, lettering, frames, and patterns.

They are drawn into the target, before the lens, so that a detector learns to leave them alone.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from oldphoto_core.degradation import patterns
from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates
from oldphoto_core.degradation.optics import gaussian_blur
from oldphoto_core.degradation.strokes import draw_paths, splat_strokes, wander
from oldphoto_core.degradation.textures import TextureLibrary

_SORTS: dict[str, tuple[float, float]] = {
    "wires": (3, 0.8),
    "twigs": (2, 0.8),
    "hair": (2, 0.8),
    "rain": (1, 0.0),
    "text": (1.5, 0.7),
    "frame": (1.5, 0.8),
    "nets": (2.5, 0.25),
    "beads": (1, 0.2),
    "pages": (2, 0.6),
    "border": (3, 0.0),
    "ground": (4, 0.0),
}
"""Each sort's weight, and how often it is dark rather than light."""
_SHARP = ("frame", "border", "ground")
"""Sorts that no lens blurs and that hide what lies below."""


def add_negatives(dice: Dice, textures: TextureLibrary, scene: Tensor) -> Tensor:
    """Draws one sort of harmless thing into each scene.

    Args:
        dice: randomness.
        textures: its hairs serve as hair of the scene.
        scene: (B, 3, H, W) in [0, 1].
    """
    count = len(scene)
    size: Size = (scene.shape[-2], scene.shape[-1])
    names = list(_SORTS)
    sort = dice.choice([weight for weight, _ in _SORTS.values()], count)
    alpha = torch.zeros(count, 1, *size, device=scene.device)
    dark = dice.chance(torch.tensor([share for _, share in _SORTS.values()])[sort], count)
    value = torch.where(dice.send(dark), dice.uniform(0, 0.35, count), dice.uniform(0.5, 0.97, count))
    own = scene.mean((2, 3)) / scene.mean((1, 2, 3), keepdim=False)[:, None].clamp_min(0.05)
    colour = each((value[:, None] * own).clamp(0, 1)).expand(-1, -1, *size).clone()
    for number, name in enumerate(names):
        chosen = sort == number
        if not chosen.any():
            continue
        index = dice.indices(chosen)
        if name == "border":
            colour[index], alpha[index] = patterns.print_borders(dice, len(index), size)
        elif name == "ground":
            light, alpha[index] = patterns.studio_grounds(dice, len(index), size)
            colour[index] = (light * each(own[index])).clamp(0, 1)
        else:
            alpha[index] = _draw(name, dice, textures, len(index), size)
    sharp = dice.send(torch.isin(sort, torch.tensor([names.index(name) for name in _SHARP])))
    focus = dice.uniform(0.4, 1.3, count)
    soft = gaussian_blur(alpha, focus, reach=3)
    alpha = torch.where(each(sharp), alpha, (soft * each(1 + focus)).clamp_max(1))
    amount = alpha * each(torch.where(sharp, 1.0, dice.uniform(0.6, 1, count)))
    drawn = (scene + (colour - scene) * amount).clamp(0, 1)
    return torch.where(amount > 0, (drawn * 255).round() / 255, scene)


def _draw(name: str, dice: Dice, textures: TextureLibrary, count: int, size: Size) -> Tensor:
    if name == "wires":
        return _lines(
            dice, count, size, number=(1, 5), length=(1.2, 1.8), bend=0.25, jitter=0.0, width=(0.5, 1.6), parallel=True
        )
    if name == "twigs":
        return _lines(
            dice,
            count,
            size,
            number=(4, 14),
            length=(0.15, 0.7),
            bend=0.5,
            jitter=0.3,
            width=(0.5, 2.2),
            parallel=False,
        )
    if name == "rain":
        return (
            _lines(
                dice,
                count,
                size,
                number=(20, 60),
                length=(0.03, 0.1),
                bend=0.0,
                jitter=0.0,
                width=(0.4, 0.8),
                parallel=True,
            )
            * 0.5
        )
    if name == "hair":
        if textures.has("hair") and bool(dice.chance(0.5, 1)):
            return textures.draw("hair", dice, count, size=size, zoom=(0.4, 1.2))
        return _lines(
            dice, count, size, number=(8, 40), length=(0.1, 0.4), bend=1.0, jitter=0.2, width=(0.4, 0.8), parallel=True
        )
    if name == "text":
        return _lettering(dice, count, size)
    if name == "nets":
        return patterns.nets(dice, count, size)
    if name == "beads":
        return patterns.beads(dice, count, size)
    if name == "pages":
        return patterns.pages(dice, count, size)
    return _frame(dice, count, size)


def _lines(
    dice: Dice,
    count: int,
    size: Size,
    *,
    number: tuple[int, int],
    length: tuple[float, float],
    bend: float,
    jitter: float,
    width: tuple[float, float],
    parallel: bool,
) -> Tensor:
    owner = dice.send(torch.repeat_interleave(torch.arange(count), dice.integers(*number, count)))
    total = len(owner)
    spread = 1.0 if length[0] > 1 or not parallel else 0.3
    focus = dice.uniform(0.15, 0.85, count, 2)[owner]
    shape = dice.send(torch.tensor(size, dtype=torch.float32))
    centre = (focus + dice.uniform(-0.5, 0.5, total, 2) * spread) * shape
    main = dice.uniform(0, math.pi, count)[owner]
    angle = main + dice.normal(total) * 0.08 if parallel else dice.uniform(0, 2 * math.pi, total)
    turn = dice.normal(count)[owner] * bend + dice.normal(total) * bend * 0.2
    points = max(int(max(size) * min(length[1], 1.8)), 12)
    reach = dice.uniform(*length, total) * max(size)
    path = draw_paths(dice, centre, angle, reach, points=points, bend=turn, jitter=torch.full_like(turn, jitter))
    half_width = dice.log_uniform(*width, count)[owner, None] * (1 + 0.15 * wander(dice, total, points, knots=4)).clamp(
        0.5, 1.5
    )
    return splat_strokes(path, half_width / 1.5, torch.ones_like(half_width), sample=owner, count=count, size=size)


def _lettering(dice: Dice, count: int, size: Size) -> Tensor:
    bank = _glyphs().to(dice.device)
    picked = bank[dice.send(dice.integers(0, len(bank) - 1, count))].float()[:, None] / 255
    short = min(size)
    scale = dice.log_uniform(0.3, 0.9, count)
    turn = dice.normal(count) * 0.06
    y, x = coordinates(size, dice.device)
    shift = dice.uniform(-0.8, 0.8, count, 2)
    y = (y[None] - shift[:, :1, None]) * (size[0] / short)
    x = (x[None] - shift[:, 1:, None]) * (size[1] / short)
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    grid = (
        torch.stack([cos * x + sin * y, (cos * y - sin * x) * (_GLYPH_WIDTH / _GLYPH_HEIGHT)], -1)
        / scale[:, None, None, None]
    )
    return torch.nn.functional.grid_sample(picked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


_GLYPH_HEIGHT, _GLYPH_WIDTH = 80, 320


@cache
def _glyphs(number: int = 96) -> Tensor:
    """Gives (N, 80, 320) uint8: words and dates in print and in script, as on shop signs and negatives."""
    import cv2

    random = np.random.default_rng(1839)
    letters = np.array(list("ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvw0123456789.&-"))
    sheets = np.zeros((number, _GLYPH_HEIGHT, _GLYPH_WIDTH), np.uint8)
    for sheet in sheets:
        font = int(random.choice([0, 2, 3, 4, 6, 7])) | (16 if random.random() < 0.3 else 0)
        size = float(random.uniform(0.6, 1.6))
        thick = int(random.integers(1, 4))
        for row in range(int(random.integers(1, 4))):
            word = "".join(random.choice(letters, int(random.integers(3, 14))))
            cv2.putText(
                sheet, word, (4, 24 + row * 25), font, size if row == 0 else size * 0.6, 255, thick, cv2.LINE_AA
            )
    return torch.from_numpy(sheets)


def _frame(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives a clean printed border or a thin ruled frame, slightly turned."""
    y, x = coordinates(size, dice.device)
    turn = dice.normal(count)[:, None, None, None] * 0.01
    y, x = (y + turn * x) * (size[0] / min(size)), (x - turn * y) * (size[1] / min(size))
    half_y, half_x = size[0] / min(size), size[1] / min(size)
    inset = each(dice.log_uniform(0.02, 0.15, count))
    inside = (
        torch.minimum(half_y - inset - y.abs(), half_x - inset - x.abs()) * min(size) / 2
    )  # pixels within the frame
    border = (0.5 - inside).clamp(0, 1)
    ruled = (each(dice.uniform(0.6, 2, count)) - inside.abs()).clamp(0, 1)
    return torch.where(each(dice.send(dice.chance(0.35, count))), ruled, border)
