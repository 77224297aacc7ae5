"""The second damage generator: for measuring only, nothing is ever trained on it.

A network learns its own generator's habits, so it must be judged on damage of another hand. This one shares no code
with `oldphoto_core.degradation`: numpy and OpenCV on one picture at a time, colour moved in Lab and by look-up tables,
marks drawn as vector shapes, JPEG by libjpeg. Its parameters are not to be tuned to a network's weaknesses, nor a
network's training to it; only checkpoints are chosen by it.

Order: (grey) clean -> lens -> tone -> relief and grain -> shading and marks in their own colours -> scanner blur (of
picture and opacity alike), sharpening, noise -> JPEG once or twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import second_marks, second_tone, second_wear
from oldphoto_core.evaluation.second_fields import Field, Picture
from oldphoto_core.evaluation.second_marks import Layer
from oldphoto_core.evaluation.second_wear import Wear

Kind = Literal["mixed", "tone", "marks"]
"""What was done: both, tone and texture alone, or structured marks alone."""

MASK_OPACITY = 0.25
"""A pixel is damaged where structured damage is more opaque than this after all warps."""

IGNORED_OPACITY = 0.1
"""Between this and MASK_OPACITY a pixel is neither damaged nor sound."""

LEAST_CHANGE = 4 / 255
"""Structured damage that changes a pixel by less than this (largest channel) is neither."""

_KIND_SHARES = (0.82, 0.10, 0.08)
_GREY_SHARE = 0.4

Draw = Callable[..., Layer | Wear]
"""Draws one kind of mark: (rng, (H, W), severity, grey=...)."""

_MARKS: tuple[tuple[float, Draw], ...] = (
    (0.70, second_marks.scratches),
    (0.60, second_marks.dust),
    (0.30, second_marks.fibres),
    (0.16, second_marks.foxing),
    (0.05, second_marks.ink),
    (0.06, second_marks.fingerprint),
    (0.35, second_wear.fold),
    (0.24, second_wear.cracks),
    (0.22, second_wear.tear),
    (0.22, second_wear.flaking),
    (0.16, second_wear.tide_line),
    (0.04, second_wear.tape),
)


@dataclass(frozen=True)
class Damaged:
    """A picture damaged on purpose, with what is known about the damage."""

    image: NDArray[np.uint8]
    """(H, W, 3) sRGB, damaged."""

    mask: NDArray[np.bool_]
    """(H, W), True where structured damage is to be found."""

    ignore: NDArray[np.bool_]
    """(H, W), True where a detector is neither right nor wrong; never True where `mask` is."""

    target: NDArray[np.uint8]
    """(H, W, 3) sRGB, what a perfect restoration gives: the clean picture, or its neutral grey."""

    kind: Kind
    """Which damage was laid on."""

    grey: bool
    """The target is neutral grey."""


def damage(
    clean: NDArray[np.uint8], seed: int, *, kind: Kind | None = None, severity: float | None = None
) -> Damaged:
    """Gives the picture as an old print of it might look; the same picture and seed give the same bytes.

    Args:
        clean: (H, W, 3) uint8 sRGB, at least 32 pixels each way.
        seed: any integer >= 0.
        kind: what to lay on; drawn from the seed when None.
        severity: in [0, 1]; drawn from the seed when None.

    Raises:
        ValueError: the picture is not (H, W, 3) uint8, or is too small.
    """
    if clean.dtype != np.uint8 or clean.ndim != 3 or clean.shape[2] != 3 or min(clean.shape[:2]) < 32:
        raise ValueError(f"damage() wants (H, W, 3) uint8 of at least 32 x 32, got {clean.dtype} {clean.shape}")
    rng = np.random.default_rng(seed)
    drawn: Kind = get_args(Kind)[rng.choice(3, p=_KIND_SHARES)]
    kind = kind or drawn
    target, grey = drawn_target(rng, clean)
    drawn_severity = float(rng.beta(2.1, 1.3))
    severity = drawn_severity if severity is None else severity
    image: Picture = target.astype(np.float32) / 255
    if kind != "marks":
        image = _age(rng, image, severity, grey=grey)
    before: Picture = image
    opacity: Field = np.zeros(clean.shape[:2], np.float32)
    if kind != "tone":
        image, before, opacity = _mark(rng, image, severity, grey=grey)
    if kind != "marks" or rng.random() < 0.5:
        image, before, opacity = _scan(rng, image, before, opacity, severity=severity)
    mask, ignore = masks(image, before, opacity)
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if kind != "marks" or rng.random() < 0.5:
        levels = _compress(rng, levels, severity)
    return Damaged(levels, mask, ignore, target, kind, grey)


def drawn_target(rng: np.random.Generator, clean: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Gives the clean picture, or its neutral grey, and which of them."""
    grey = bool(rng.random() < _GREY_SHARE)
    if not grey:
        return clean.copy(), grey
    return np.repeat(np.asarray(cv2.cvtColor(clean, cv2.COLOR_RGB2GRAY), np.uint8)[..., None], 3, 2), grey


def masks(image: Picture, before: Picture, opacity: Field) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Gives what is damaged, and what is neither damaged nor sound, from marked, unmarked and joint opacity."""
    change = np.abs(image - before).max(axis=2)
    seen = (opacity > MASK_OPACITY) & (change >= LEAST_CHANGE)
    return seen, (opacity > IGNORED_OPACITY) & ~seen


def _age(rng: np.random.Generator, image: Picture, severity: float, *, grey: bool) -> Picture:
    if rng.random() < 0.6:
        image = second_tone.blur_lens(rng, image, severity * rng.random())
    image = second_tone.damage_tone(rng, image, severity * rng.uniform(0.9, 1.7), grey=grey)
    if rng.random() < 0.12:
        image = second_tone.paper_relief(rng, image, severity)
    if rng.random() < 0.75:
        image = second_tone.add_grain(rng, image, severity * rng.uniform(0.2, 1.0), grey=grey)
    return image


def _mark(rng: np.random.Generator, image: Picture, severity: float, *, grey: bool) -> tuple[Picture, Picture, Field]:
    """Gives the marked picture, the same without marks but with their shading, and the joint opacity."""
    chances = np.array([chance for chance, _ in _MARKS])
    chosen = np.flatnonzero(rng.random(len(_MARKS)) < chances * (0.45 + 0.75 * severity))
    if len(chosen) == 0:
        chosen = rng.choice(len(_MARKS), 1, p=chances / chances.sum())
    return lay_marks(rng, image, [_MARKS[index][1] for index in rng.permutation(chosen)], severity, grey=grey)


def lay_marks(
    rng: np.random.Generator, image: Picture, draws: Sequence[Draw], severity: float, *, grey: bool
) -> tuple[Picture, Picture, Field]:
    """Gives the same as `_mark`, with marks that are named, in their order."""
    size = image.shape[:2]
    before, clear = image, np.ones(size, np.float32)
    for draw in draws:
        drawn = draw(rng, size, severity, grey=grey)
        layer = drawn.layer if isinstance(drawn, Wear) else drawn
        if isinstance(drawn, Wear):
            image, before = np.clip(image * drawn.shading, 0, 1), np.clip(before * drawn.shading, 0, 1)
        cover = layer.opacity[..., None]
        image = image * (1 - cover) + layer.colour * cover
        clear = clear * (1 - layer.opacity)
    return image, before, 1 - clear


def _scan(
    rng: np.random.Generator, image: Picture, before: Picture, opacity: Field, *, severity: float
) -> tuple[Picture, Picture, Field]:
    """Gives picture, unmarked picture and opacity through the same scanner optics; noise goes to both pictures."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0.3, 0.5 + 0.5 * severity)
        image, before, opacity = (
            np.asarray(cv2.GaussianBlur(a, (0, 0), sigma), np.float32) for a in (image, before, opacity)
        )
    if rng.random() < 0.3:
        amount, sigma = rng.uniform(0.2, 1.0), rng.uniform(0.7, 1.6)
        image, before = (np.clip(a + amount * (a - cv2.GaussianBlur(a, (0, 0), sigma)), 0, 1) for a in (image, before))
    noise = rng.normal(0, rng.uniform(0.001, 0.012), image.shape).astype(np.float32)
    return image + noise, before + noise, opacity


def _compress(rng: np.random.Generator, levels: NDArray[np.uint8], severity: float) -> NDArray[np.uint8]:
    quality = int(rng.integers(95 - round(50 * severity), 98))
    image = second_tone.jpeg(levels.astype(np.float32) / 255, quality)
    if rng.random() < 0.25:
        shift = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
        image = second_tone.jpeg(image, int(rng.integers(60, 96)), shift=shift)
    return np.round(image * 255).astype(np.uint8)
