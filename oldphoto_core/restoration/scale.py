"""How far above snapshot scale a scan is: the whole factor it is averaged down by before networks see it.

Each octave's energy is the standard deviation of what a reduction by two loses. In a photo at its own scale an octave
holds 0.3 to 1.2 times the energy of the next but one (12 photos, modern and old); where a scan is finer than its print,
0.1 to 0.25 times (8 of them enlarged 2 to 8 times, with grain), but for the finest octaves, in which the scanner's own
noise may stand. So the coarsest octave that holds little tells.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_core.restoration.blending import LUMA
from oldphoto_core.restoration.working import as_float
from oldphoto_core.scan import Scan

LONGEST_SNAPSHOT_PX = 2_048
"""A photo up to this is taken as it is; a scan is not averaged down below half of it."""
LARGEST_SCALE = 16
EMPTY_BELOW = 0.27
"""An octave holds little where its energy is below this share of the next but one's."""
FULL_ABOVE = 1.3
"""Finer octaves with more than this share are no scanner's noise: halftone, or a weave."""

_WINDOW_PX = 512
_OCTAVES = 6


def snapshot_scale(scan: Scan) -> int:
    """Gives 1, 2, 4, 8 or 16: scan pixels a side for one working pixel."""
    longest = max(scan.shape[:2])
    if longest <= LONGEST_SNAPSHOT_PX:
        return 1
    energies = octave_energies(scan)
    shares = energies[:-2] / np.maximum(energies[2:], 1e-6)
    octaves = 0
    for octave, share in enumerate(shares):
        if share > FULL_ABOVE:
            break
        if share < EMPTY_BELOW:
            octaves = octave + 1
    scale = min(2**octaves, LARGEST_SCALE)
    while longest // scale < LONGEST_SNAPSHOT_PX // 2:
        scale //= 2
    return scale


def octave_energies(scan: Scan) -> np.ndarray:
    """Gives the energy of each octave, (6,) float, finest first, over nine windows spread over the scan."""
    height, width = scan.shape[:2]
    squares = np.zeros(_OCTAVES)
    for top in _starts(height):
        band = scan.rows(top, min(top + _WINDOW_PX, height))
        for left in _starts(width):
            luma = _luma(band[:, left : left + _WINDOW_PX])
            for octave in range(_OCTAVES):
                smaller = cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA)
                back = cv2.resize(smaller, (luma.shape[1], luma.shape[0]), interpolation=cv2.INTER_CUBIC)
                squares[octave] += float(np.mean((luma - back) ** 2))
                luma = smaller
    return np.sqrt(squares / 9)


def _starts(extent: int) -> list[int]:
    room = max(0, extent - _WINDOW_PX)
    return [room // 6, room // 2, room - room // 6]


def _luma(window: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1], both sides even multiples of all octaves."""
    side = 2**_OCTAVES
    height, width = (extent // side * side for extent in window.shape[:2])
    window = window[:height, :width]
    values = as_float(window) if window.dtype == np.uint16 else window.astype(np.float32) / 255
    return values if values.ndim == 2 else values @ LUMA
