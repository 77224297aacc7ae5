"""How far above snapshot scale a scan is: the whole factor it is averaged down by before networks see it.

An octave's energy is the standard deviation of what a reduction by two loses. In the sharpest tenth of a photo at its
own scale, an octave holds 0.35 to 1.1 times the energy of the next but one; where a scan is finer than its print, less.
Grain and the scanner's noise fill the empty octaves, but evenly, all over the scan: the energy of the quietest places
is taken off. A photo is judged by its sharpest part, so that a blurred background does not count. Halftone, weave and
print are sharp, and are taken as they are.
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
FULL_ABOVE = 0.33
"""An octave holds detail where its energy is above this share of the next but one's..."""
FAINT_BELOW = 0.1
"""...and not below this share of the sixth's: among empty octaves, one remainder may be a large share of another."""
FAINTEST = 8 / 255
"""The sixth's energy counts as at least so much."""
SHARPEST_PERCENTILE = 90

_WINDOW_PX = 256
_PLACES = (0.06, 0.28, 0.5, 0.72, 0.94)
_OCTAVES = 6
_NOISY_OCTAVES = 4
_CELL_PX = 16
_QUIET_PERCENTILE = 10
_QUIET_TO_MEAN = 1.2
"""The quietest tenth of many places that hold noise alone has about this many times less than their mean."""
_UNCLIPPED = (0.04, 0.96)
_LEAST_CELLS = 20
_ONE_LEVEL = 1 / 255


def snapshot_scale(scan: Scan) -> int:
    """Gives 1, 2, 4, 8 or 16: scan pixels a side for one working pixel."""
    longest = max(scan.shape[:2])
    if longest <= LONGEST_SNAPSHOT_PX or min(scan.shape[:2]) < _WINDOW_PX:
        return 1
    scale = min(2 ** empty_octaves(scan), LARGEST_SCALE)
    while longest // scale < LONGEST_SNAPSHOT_PX // 2:
        scale //= 2
    return scale


def empty_octaves(scan: Scan) -> int:
    """Gives how many of a scan's finest octaves hold no detail of the picture, 0 to 4; both sides at least 256 px."""
    energies = octave_energies(scan)  # (windows, octaves)
    for octave in range(_NOISY_OCTAVES):
        finer, coarser = energies[:, octave], energies[:, octave + 2]
        some = coarser > _ONE_LEVEL
        if not some.any():
            continue
        share = np.percentile(finer[some] / coarser[some], SHARPEST_PERCENTILE)
        strength = np.percentile(finer[some] / np.maximum(energies[some, -1], FAINTEST), SHARPEST_PERCENTILE)
        if share > FULL_ABOVE and strength > FAINT_BELOW:
            return octave
    return _NOISY_OCTAVES


def octave_energies(scan: Scan) -> np.ndarray:
    """Gives the energy of each octave less its noise, (25, 6) float, finest first, in windows spread over the scan."""
    height, width = scan.shape[:2]
    squares: list[list[float]] = []
    cells: list[list[np.ndarray]] = [[] for _ in range(_NOISY_OCTAVES)]
    for top in _starts(height):
        band = scan.rows(top, min(top + _WINDOW_PX, height))
        for left in _starts(width):
            luma = _luma(band[:, left : left + _WINDOW_PX])
            squares.append([])
            for octave in range(_OCTAVES):
                smaller = cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA)
                back = cv2.resize(smaller, (luma.shape[1], luma.shape[0]), interpolation=cv2.INTER_CUBIC)
                lost = (luma - back) ** 2
                squares[-1].append(float(lost.mean()))
                if octave < _NOISY_OCTAVES:
                    cells[octave].append(_unclipped_cells(lost, luma))
                luma = smaller
    energies = np.array(squares)
    for octave in range(_NOISY_OCTAVES):
        found = np.concatenate(cells[octave])
        if len(found) >= _LEAST_CELLS:
            energies[:, octave] -= _QUIET_TO_MEAN * np.percentile(found, _QUIET_PERCENTILE)
    return np.sqrt(np.maximum(energies, 0))


def _starts(extent: int) -> list[int]:
    room = max(0, extent - _WINDOW_PX)
    return [int(room * place) for place in _PLACES]


def _unclipped_cells(lost: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Gives the mean square of each small cell in which noise could show, (N,)."""
    rows, columns = (extent // _CELL_PX for extent in lost.shape)
    size = (columns, rows)
    part = np.s_[: rows * _CELL_PX, : columns * _CELL_PX]
    means = cv2.resize(luma[part], size, interpolation=cv2.INTER_AREA)
    return cv2.resize(lost[part], size, interpolation=cv2.INTER_AREA)[(means > _UNCLIPPED[0]) & (means < _UNCLIPPED[1])]


def _luma(window: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1], both sides even multiples of all octaves."""
    side = 2**_OCTAVES
    height, width = (extent // side * side for extent in window.shape[:2])
    window = window[:height, :width]
    values = as_float(window) if window.dtype == np.uint16 else window.astype(np.float32) / 255
    return values if values.ndim == 2 else values @ LUMA
