"""Pictures with nothing wrong with them that a restoration might take for damaged: dark, bright and foggy photos,
lettering, and things of the scene that look like scratches. Drawn with NumPy, OpenCV and Pillow, by no code that
training uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""(H, W, 3) sRGB."""

KEYS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "low-key": lambda v: 0.6 * v**1.5,
    "high-key": lambda v: 1 - 0.6 * (1 - v) ** 1.5,
    "fog": lambda v: 0.42 + 0.42 * v,
}
"""Curves on sRGB values in [0, 1]: a night, a white room, and a thick fog. None of them clips."""

_SENTENCE = (
    "the quick brown fox jumps over a lazy dog while seven wizards pack my box with five dozen liquor jugs "
    "grandmother and uncle before the house in Lisbon summer 1926 with love to all at home from your brother"
)
WORDS = tuple(_SENTENCE.split())
_PRINT = ("DejaVuSerif", "DejaVuSans", "DejaVuSansMono")


def keyed(photo: Picture, key: str) -> Picture:
    """Gives a photo as it would be in another light, by one of `KEYS`."""
    return np.rint(KEYS[key](photo / 255.0) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Lettering:
    """A picture with words on it, and the words.

    Attributes:
        picture: what is restored.
        lines: of words, from the top.
        place: top, left, bottom, right of the words in the picture.
    """

    picture: Picture
    lines: tuple[str, ...]
    place: tuple[int, int, int, int]


def lettered(ground: Picture, seed: int, *, hand: bool = False, lines: int = 4) -> Lettering:
    """Gives a ground with lines of words where it is calmest, in ink or in white, whichever is easier to see there.

    Args:
        ground: (H, W, 3), a photo or paper.
        seed: of words, place, size and type face.
        hand: written by a pen (an italic, its strokes bent by an unsteady hand) in place of print (DejaVu's faces).
        lines: of words.
    """
    rng = np.random.default_rng(seed)
    height, width = ground.shape[:2]
    picture = ground.copy()
    size_px = int(rng.integers(20, 27))
    step, left = round(size_px * 1.5), 12
    top = _calmest(ground, step * lines)
    place = (max(top - 6, 0), 0, min(top + step * lines + 6, height), width)
    is_dark = float(ground[place[0] : place[2]].mean()) < 115
    ink = rng.integers(225, 250, 3) if is_dark else rng.integers(15, 50, 3)
    font = _font("STIXGeneralItalic" if hand else _PRINT[int(rng.integers(len(_PRINT)))], size_px)
    said = []
    for _ in range(lines):
        words: list[str] = []
        while font.getlength(" ".join([*words, "grandmother"])) < width - 2 * left and len(words) < 9:
            words.append(WORDS[int(rng.integers(len(WORDS)))])
        said.append(" ".join(words))
    cover = _written(said, font, (height, width), (left, top), step)
    if hand:
        cover = _unsteady(cover, rng)
    picture = _levels(ground + (ink - ground.astype(np.float32)) * cover[:, :, None])
    return Lettering(picture, tuple(said), place)


def _calmest(ground: Picture, high: int) -> int:
    """Gives the first row of a strip of this height in which the photo varies least."""
    luma = cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY).astype(np.float32)
    tops = range(6, max(7, len(ground) - high - 8), 4)
    return min(tops, key=lambda top: float(luma[top : top + high].std()))


def _written(
    lines: list[str], font: ImageFont.FreeTypeFont, size: tuple[int, int], at: tuple[int, int], step: int
) -> NDArray[np.float32]:
    """Gives how much of each pixel the letters cover, (H, W) in [0, 1]."""
    page = Image.new("L", (size[1], size[0]), 0)
    draw = ImageDraw.Draw(page)
    for k, line in enumerate(lines):
        draw.text((at[0], at[1] + k * step), line, fill=255, font=font)
    return np.asarray(page, np.float32) / 255


def _unsteady(cover: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gives the letters moved by up to about two pixels along a smooth field."""
    height, width = cover.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = [
        cv2.resize(rng.normal(0, 1.1, (height // 9, width // 9)).astype(np.float32), (width, height)) for _ in range(2)
    ]
    return cv2.remap(cover, x + moved[0], y + moved[1], cv2.INTER_LINEAR)


@cache
def _font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{face}.ttf"), size_px)


def with_hair(photo: Picture, rng: np.random.Generator) -> Picture:
    """Gives the photo with a head of hair in front: hundreds of fine, nearly parallel, shining strands."""
    height, width = photo.shape[:2]
    picture = photo.astype(np.float32)
    base = np.array([20, 14, 8]) + rng.random() * np.array([150, 115, 75])  # from black to blond
    root = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(-0.2, 0.3) * height])
    strands = np.zeros((height, width), np.float32)
    light = np.zeros_like(strands)
    for _ in range(int(rng.integers(250, 500))):
        start = root + rng.normal(0, 0.16, 2) * [width, height]
        lean, curl = rng.normal(0.1, 0.25), rng.normal(0, 0.4)
        t = np.linspace(0, 1, 24)
        path = start + np.stack([(lean + curl * t) * t, t], 1) * rng.uniform(0.5, 0.9) * height
        line = [np.round(path * 8).astype(np.int32)]
        cv2.polylines(strands, line, False, 1.0, 1, cv2.LINE_AA, 3)
        cv2.polylines(light, line, False, float(rng.uniform(0.4, 1.7)), 1, cv2.LINE_AA, 3)
    strands, light = (cv2.GaussianBlur(a, (0, 0), 0.6) for a in (strands, light))
    colour = np.clip(base * light[:, :, None] / np.maximum(strands, 1e-3)[:, :, None], 0, 255)
    cover = np.clip(strands * 1.3, 0, 1)[:, :, None]
    return _levels(picture + (colour - picture) * cover)


def with_wires(photo: Picture, rng: np.random.Generator) -> Picture:
    """Gives the photo with wires that hang across all of it, dark or lit by the sun."""
    height, width = photo.shape[:2]
    cover = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(2, 7))):
        left, right = rng.uniform(0, 0.9, 2) * height
        sag = rng.uniform(0, 0.12) * height
        t = np.linspace(0, 1, 60)
        path = np.stack([t * width, left + (right - left) * t + 4 * sag * t * (1 - t)], 1)
        cv2.polylines(
            cover, [np.round(path * 8).astype(np.int32)], False, 1.0, int(rng.integers(1, 3)), cv2.LINE_AA, 3
        )
    cover = cv2.GaussianBlur(cover, (0, 0), 0.5)[:, :, None]
    colour = rng.uniform(15, 70) if rng.random() < 0.75 else rng.uniform(190, 235)
    return _levels(photo + (colour - photo.astype(np.float32)) * np.clip(cover * 1.2, 0, 1))


def with_lace(photo: Picture, rng: np.random.Generator) -> Picture:
    """Gives the photo with a lace collar: a net of white thread with loops and flowers, in front of its lower half."""
    height, width = photo.shape[:2]
    cover = np.zeros((height, width), np.float32)
    cell = int(rng.integers(9, 16))
    top = int(height * rng.uniform(0.3, 0.5))
    for y in range(top, height + cell, cell):
        for x in range(-cell, width + cell, cell):
            centre = (x + (cell // 2) * ((y - top) // cell % 2), y)
            cv2.circle(cover, centre, round(cell * 0.55), 1.0, 1, cv2.LINE_AA)
            if ((x // cell) + (y - top) // cell) % 5 == 0:
                for turn in range(0, 360, 60):
                    ends = cv2.ellipse2Poly(centre, (cell // 2, max(1, cell // 5)), turn, 0, 360, 20)
                    cv2.polylines(cover, [ends], True, 1.0, 1, cv2.LINE_AA)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.6)[:, :, None]
    return _levels(photo + (rng.uniform(205, 245) - photo.astype(np.float32)) * np.clip(cover * 1.1, 0, 1))


def with_print(photo: Picture, rng: np.random.Generator) -> Picture:
    """Gives the photo with a page of small print over a good part of it."""
    rows = max(3, min(8, photo.shape[0] // 45))
    return lettered(photo, int(rng.integers(1 << 30)), lines=rows).picture


def with_border(photo: Picture, rng: np.random.Generator) -> Picture:
    """Gives the photo in a print's white border, with a thin black line or a deckled edge on a dark album page."""
    height, width = photo.shape[:2]
    picture = photo.copy()
    wide = int(rng.integers(9, 22))
    paper = np.array([225, 220, 205]) + rng.random() * np.array([26, 27, 36])
    inside = np.zeros((height, width), bool)
    inside[wide:-wide, wide:-wide] = True
    picture[~inside] = np.rint(paper + rng.normal(0, 1.2, (height, width, 1)))[~inside].clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        cv2.rectangle(picture, (wide, wide), (width - wide - 1, height - wide - 1), (30, 28, 26), 1)
    if rng.random() < 0.5:  # a deckled edge
        page = np.array([45, 40, 36], np.uint8)
        y, x = np.mgrid[:height, :width]
        wave = 2.5 + 1.5 * np.sin(x / 3.1) + 0.7 * np.sin(x / 1.3)
        wave_y = 2.5 + 1.5 * np.sin(y / 3.1) + 0.7 * np.sin(y / 1.3)
        outside = (y < wave) | (height - 1 - y < wave) | (x < wave_y) | (width - 1 - x < wave_y)
        picture[outside] = page
    return picture


LOOKALIKES: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "hair": with_hair,
    "wires": with_wires,
    "lace": with_lace,
    "print": with_print,
    "borders": with_border,
}
"""Sorts of things that are no damage, each drawn into a photo."""


def _levels(values: NDArray[np.floating]) -> Picture:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
