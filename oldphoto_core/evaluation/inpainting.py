"""Pure inpainting: a clean photo loses what lies in a mask, and the mask is told.

The mask is of the second generator, which nothing is trained on: its scratches, and one of its folds, cracks, tears or
flaked places. It is grown by a pixel or two, and what lies in it is replaced as a whole, so that nothing of the photo
is left there to be guessed from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import metrics, second_marks, second_wear
from oldphoto_core.evaluation.baselines import Algorithm
from oldphoto_core.evaluation.second_generator import MASK_OPACITY, Draw

RADIUS_PX = 5
"""Of OpenCV's inpainting here."""
GRAIN = 8.0
"""Standard deviation of the grain, in levels of 255."""
VERSION = 1
"""Raised whenever other pixels are lost."""

Surface = Literal["clean", "grain"]
SURFACES: tuple[Surface, ...] = ("clean", "grain")
"""The photo as it is, or with grain laid on it; the truth is the photo without grain all the same."""

WIDTHS_PX = (6, 16)
"""Places up to the first, up to the second, and wider are told apart; even, so that the discs have a middle."""
WIDTHS = ("narrow", "middle", "wide")

_SEVERITY = 0.5
_WEAR: tuple[Draw, ...] = (second_wear.cracks, second_wear.tear, second_wear.flaking, second_wear.fold)
_LEAST, _MOST = 0.01, 0.25
"""Share of a photo that is lost."""
_PAPER = (222, 208, 180)

Photo = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Lost:
    """A photo that lost some places."""

    image: Photo
    """(H, W, 3): white, paper or noise lies in the mask."""
    mask: Mask
    """(H, W), True where it is lost."""
    truth: Photo
    """(H, W, 3), the clean photo."""


def lose(clean: Photo, seed: int, surface: Surface) -> Lost:
    """Gives a photo (H, W, 3) that lost some places; the same photo and seed lose the same ones on either surface."""
    rng = np.random.default_rng([seed, VERSION])
    mask = _lost_places(rng, clean.shape[:2], _WEAR[seed % len(_WEAR)])
    image = clean
    if surface == "grain":
        grain = rng.normal(0, GRAIN, (*clean.shape[:2], 1))
        image = np.clip(np.round(clean + grain), 0, 255).astype(np.uint8)
    below = (np.full(3, 255), _PAPER + rng.normal(0, 6, (*mask.shape, 1)), rng.uniform(0, 255, (*mask.shape, 3)))
    chosen = np.clip(below[seed // len(_WEAR) % len(below)], 0, 255)
    return Lost(np.where(mask[..., None], chosen, image).astype(np.uint8), mask, clean)


def inpainted(lost: Lost, algorithm: Algorithm) -> Photo:
    """Gives the photo filled by OpenCV, with the mask as it is."""
    flag = cv2.INPAINT_TELEA if algorithm == "telea" else cv2.INPAINT_NS
    return np.asarray(cv2.inpaint(lost.image, lost.mask.astype(np.uint8), RADIUS_PX, flag), np.uint8)


def by_width(mask: Mask) -> dict[str, Mask]:
    """Gives the parts of a mask (H, W) by how wide it is there: the largest disc that fits into it and covers a pixel.

    Beyond the edges of the photo it is taken to go on.
    """
    wider, wide = (_opened(mask, width_px + 1) for width_px in WIDTHS_PX)
    return {"narrow": mask & ~wider, "middle": wider & ~wide, "wide": wider & wide}


def figures_in_mask(result: Photo, lost: Lost) -> dict[str, float]:
    """Gives PSNR in dB in the whole mask (`mask`), and in each of its `WIDTHS`; NaN where none is so wide."""
    parts = {"mask": lost.mask} | by_width(lost.mask)
    return {name: metrics.psnr(result, lost.truth, where=where) for name, where in parts.items()}


def _lost_places(rng: np.random.Generator, size: tuple[int, int], wear: Draw) -> Mask:
    while True:
        mask = np.zeros(size, bool)
        for draw in (second_marks.scratches, wear):
            drawn = draw(rng, size, _SEVERITY, grey=True)
            layer = drawn.layer if isinstance(drawn, second_wear.Wear) else drawn
            mask |= layer.opacity > MASK_OPACITY
        growth = 2 * int(rng.integers(1, 3)) + 1
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((growth, growth), np.uint8)) > 0
        if _LEAST <= mask.mean() <= _MOST:
            return mask


def _opened(mask: Mask, diameter_px: int) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter_px, diameter_px))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
