"""The hue of a toned monochrome print: told from colour, and kept when its tones are restored.

In a monochrome print the colour of a pixel follows from its lightness alone: brown in the shadows and cream in the
lights, or blue, or no colour at all. So chroma is fitted as one smooth curve of lightness for the whole photo. What the
curve leaves over tells a print from a colour photo. The curve itself, put over restored tones, is the print's own hue
without its stains.

Lightness and chroma are those of OKLab (Ottosson 2020), seen with 1 % of stray light: black has no colour that anybody
could see, and the noise of its last levels does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from oldphoto_core.color import LUMA_WEIGHTS

Monochrome = Literal["no", "neutral", "toned"]

_NEUTRAL_CHROMA, _NEUTRAL_BUT = 0.005, 0.02
"""Chroma that nobody sees: 3 levels of 255 between the channels of a mid-grey, and the share that may have more.

JPEG leaves as much.
"""
_COLOUR_LEFT = ((0.02, 0.017), (0.005, 0.045))
"""A photo is colour where so large a share of it has more than so much chroma that its tone does not explain.

The second is for small things of strong colour, as lips that were painted by hand.
"""

_JUDGED_SIDE_PX = 96
"""Of the copy that chroma is judged by: finer chroma is noise, and channels that do not lie on each other."""
_MARGIN = 0.08
"""Of each side: there lie mounts, album pages and the lid of the scanner."""
_DAMAGED_FROM = 0.25
_LEAST_PIXELS = 64

_BINS = 64
_SCARCE = 0.003
"""Share of the pixels from which the median of a bin has half its weight."""
_FLAT, _SMOOTH = 0.003, 0.5
"""How much first and second differences of the chroma curve count: flat beyond the photo's tones, and no step."""

_EASE = 8
"""How sharply chroma bends from what is wanted to what fits; 8 keeps 92 % where both are equal."""

_KNOTS = 1025
_TABLE = 65_536
_STRAY_LIGHT = 0.01
_LUMA = np.array(LUMA_WEIGHTS, dtype=np.float32)
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def tell_monochrome(small: np.ndarray, mask: np.ndarray) -> Monochrome:
    """Tells what a photo is: `neutral` grey, a `toned` monochrome print, or neither (`no`).

    Args:
        small: (h, w, 3) float32 in [0, 1], sRGB, a few hundred pixels a side.
        mask: (h, w) float32 in [0, 1], 1 where damaged; what lies there does not decide.
    """
    seen = to_oklab(_averaged(small, _judged(mask)))
    lightness, chroma = seen[:, 0], seen[:, 1:]
    left = np.hypot(*(chroma - _ChromaCurve.fit(lightness, chroma).at(lightness)).T)
    if any(np.quantile(left, 1 - share) > most for share, most in _COLOUR_LEFT):
        return "no"
    seen_at_all = np.quantile(np.hypot(*chroma.T), 1 - _NEUTRAL_BUT)
    return "toned" if seen_at_all > _NEUTRAL_CHROMA else "neutral"


@dataclass(frozen=True)
class PrintTone:
    """The hue of a print: a colour for each luma.

    Attributes:
        table: (65536, 3) float32 in [0, 1], sRGB, the colour of each 16-bit luma; its own luma is that luma.
    """

    table: np.ndarray

    def apply(self, restored: np.ndarray) -> np.ndarray:
        """Gives the restoration (h, w, 3) in [0, 1] in the print's hue: its luma stays, each pixel by itself."""
        level = restored @ _LUMA
        np.clip(level, 0, 1, out=level)
        level *= _TABLE - 1
        level += 0.5
        return self.table.take(level.astype(np.int32), axis=0)


def fit_print_tone(original: np.ndarray, restored: np.ndarray, mask: np.ndarray) -> PrintTone:
    """Gives the hue of a toned print, carried along from its tones to the restored ones.

    Each intact pixel says which chroma belongs to its restored luma, so that the darkest tone keeps the darkest tone's
    hue however far it is taken down. Where a tone becomes darker its chroma is taken down with it, as much as the
    lightness: the brown of a faded shadow is that of deep shadow under a veil. At black and white there is only what
    fits between 0 and 1.

    Args:
        original, restored: (h, w, 3) float32 in [0, 1], sRGB, small copies; of the restored one luma alone counts.
        mask: (h, w) float32 in [0, 1], 1 where damaged.
    """
    intact = _judged(mask)
    seen = to_oklab(original[intact])
    lightness = _lightness_of(np.clip(restored[intact] @ _LUMA, 0, 1))
    chroma = seen[:, 1:] * np.minimum(1, lightness / seen[:, 0])[:, None]
    return PrintTone(_table_of(_ChromaCurve.fit(lightness, chroma)))


@dataclass(frozen=True)
class _ChromaCurve:
    """Chroma as a smooth curve of lightness: (64, 2) of a and b at the middles of equal bins of lightness."""

    knots: np.ndarray

    @classmethod
    def fit(cls, lightness: np.ndarray, chroma: np.ndarray) -> _ChromaCurve:
        """Fits medians of bins, so that stains do not decide, and smooths them (Whittaker 1923).

        Args:
            lightness: (N,) in [0, 1].
            chroma: (N, 2).
        """
        which = np.minimum((lightness * _BINS).astype(int), _BINS - 1)
        count = np.bincount(which, minlength=_BINS)
        ends = np.cumsum(count)
        middles = np.minimum(ends - (count + 1) // 2, len(which) - 1)
        medians = np.stack([values[np.lexsort((values, which))][middles] for values in chroma.T], axis=1)
        weight = count / (count + _SCARCE * len(which))
        first, second = (np.diff(np.eye(_BINS), order, axis=0) for order in (1, 2))
        system = np.diag(weight) + _FLAT * first.T @ first + _SMOOTH * second.T @ second
        return cls(np.linalg.solve(system, weight[:, None] * medians))

    def at(self, lightness: np.ndarray) -> np.ndarray:
        """Gives chroma (N, 2) at lightness (N,)."""
        places = (np.arange(_BINS) + 0.5) / _BINS
        return np.stack([np.interp(lightness, places, values) for values in self.knots.T], axis=1)


def _table_of(curve: _ChromaCurve) -> np.ndarray:
    luma = np.linspace(0, 1, _KNOTS)
    wanted = lightness = _lightness_of(luma)
    chroma = curve.at(wanted)
    for _ in range(3):  # luma weighs channels otherwise than lightness does
        colour = from_oklab(np.column_stack([lightness, chroma]))
        lightness = lightness + wanted - _lightness_of(np.clip(colour @ _LUMA, 0, 1))
    beside = colour - (colour @ _LUMA)[:, None]
    room = np.where(beside > 0, 1 - luma[:, None], luma[:, None])
    share = np.min(room / np.maximum(np.abs(beside), 1e-9), axis=1)
    share = (1 + np.maximum(share, 1e-9) ** -_EASE) ** (-1 / _EASE)  # the lesser of it and 1, without a kink
    colours = luma[:, None] + share[:, None] * beside
    levels = np.linspace(0, 1, _TABLE)
    table = np.stack([np.interp(levels, luma, channel) for channel in colours.T], axis=1)
    return table.clip(0, 1).astype(np.float32)


def _judged(mask: np.ndarray) -> np.ndarray:
    """Gives (h, w) bool of the pixels that are asked: neither near damage nor in the margin, where there are such."""
    height, width = mask.shape
    down, across = round(height * _MARGIN), round(width * _MARGIN)
    inner = np.zeros(mask.shape, bool)
    inner[down : height - down, across : width - across] = True
    intact = inner & (cv2.dilate(mask, np.ones((5, 5), np.uint8)) < _DAMAGED_FROM)
    return intact if intact.sum() >= _LEAST_PIXELS else inner


def _averaged(small: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Gives (N, 3) means, over squares, of those pixels that are asked."""
    height, width = judged.shape
    scale = min(1.0, _JUDGED_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    weight = judged.astype(np.float32)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(small * weight[:, :, None], size, interpolation=cv2.INTER_AREA)
    enough = share >= min(0.5, float(share.max()))
    return sums[enough] / share[enough][:, None]


def to_oklab(colours: np.ndarray) -> np.ndarray:
    """Gives OKLab lightness, a and b (N, 3) float64, under stray light, of sRGB (N, 3) in [0, 1]."""
    values = colours.astype(np.float64)
    light = np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4)
    light = (light + _STRAY_LIGHT) / (1 + _STRAY_LIGHT)
    return np.cbrt(light @ _TO_CONES.T) @ _TO_LAB.T


def from_oklab(seen: np.ndarray) -> np.ndarray:
    """Gives sRGB (N, 3) float64 of what `to_oklab` gives; beyond [0, 1] where there is no such colour."""
    light = (seen @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    light = light * (1 + _STRAY_LIGHT) - _STRAY_LIGHT
    bright = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, bright)


def _lightness_of(luma: np.ndarray) -> np.ndarray:
    """Gives the lightness (N,) of greys of such luma (N,)."""
    return to_oklab(np.repeat(luma[:, None], 3, axis=1))[:, 0]
