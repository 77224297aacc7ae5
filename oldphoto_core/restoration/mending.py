"""Damaged places of a photo are mended before anything else is done to it.

They are filled by a spline from what lies around them, the mender adds what a spline lacks, and the grain of the
surroundings is laid over it (`filling`, `oldphoto_core.models.mender`, `grain`). All of it is decided on the whole
photo, piece by piece and square by square of a fixed grid, so that the tiles in which a photo is restored later have no
part in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from oldphoto_core.restoration.blending import as_grey
from oldphoto_core.restoration.filling import Filling, fill
from oldphoto_core.restoration.grain import grained, measure_grain
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.working import WorkingPhoto

SQUARE_PX = 128
"""Side of the squares that the mender is shown, without what it sees around them."""
MOST_SQUARES = 8
"""Squares beside each other that it is shown at once: what lies around them is then shown once."""
AROUND_PX = 48
"""What it is shown around a square. It could see farther (`Mender.reach_px`), and hardly does: shown the whole photo it
fills no pixel otherwise by more than a level of 255."""


def mend(photo: WorkingPhoto, mask: np.ndarray, networks: Networks, *, grey: bool = False) -> Filling:
    """Gives what damaged pixels are mended with.

    Args:
        photo: at working scale; read anew.
        mask: (H, W) bool.
        networks: of the release.
        grey: whether the photo is neutral grey, and stays so.
    """
    filling = fill(_rows_of(photo), mask)
    if not len(filling.values):
        return filling
    filling = _with_detail(photo, filling, networks)
    filling = grained(filling, measure_grain(_rows_of(photo), mask), seed=mask_seed(mask))
    return Filling(mask, as_grey(filling.values)) if grey else filling


def mask_seed(mask: np.ndarray) -> int:
    """Gives what grain is drawn by: of the work, not of the clock, so that the same mask gives the same grain."""
    return zlib.crc32(np.packbits(mask).tobytes())


@dataclass(frozen=True)
class MendedPhoto:
    """The working photo with its damaged places mended; stored pixels are as they were."""

    photo: WorkingPhoto
    filling: Filling

    @property
    def height(self) -> int:
        return self.photo.height

    @property
    def width(self) -> int:
        return self.photo.width

    def codes(self, top: int, bottom: int) -> np.ndarray:
        return self.photo.codes(top, bottom)

    def seen(self, codes: np.ndarray, top: int, left: int = 0) -> np.ndarray:
        rows = self.photo.seen(codes, top, left)
        if rows.base is not None or not rows.flags.writeable:
            rows = rows.copy()
        self.filling.put(top, rows, left)
        return rows

    def again(self) -> MendedPhoto:
        return MendedPhoto(self.photo.again(), self.filling)


def _rows_of(photo: WorkingPhoto) -> Callable[[int, int], np.ndarray]:
    fresh = photo.again()
    return lambda top, bottom: fresh.seen(fresh.codes(top, bottom), top)


def _with_detail(photo: WorkingPhoto, filling: Filling, networks: Networks) -> Filling:
    """Gives the filling with what the mender adds, some squares beside each other at a time."""
    values = filling.values.copy()
    mask, (height, width) = filling.mask, filling.mask.shape
    filled = MendedPhoto(photo.again(), filling)
    for top in range(0, height, SQUARE_PX):
        bottom = min(top + SQUARE_PX, height)
        if not mask[top:bottom].any():
            continue
        first, last = max(0, top - AROUND_PX), min(height, bottom + AROUND_PX)
        codes = filled.codes(first, last)
        columns = filling.columns[filling.starts[top] : filling.starts[bottom]]
        for left, right in _runs(mask[top:bottom].any(axis=0)):
            start, end = max(0, left - AROUND_PX), min(width, right + AROUND_PX)
            piece = filled.seen(codes[:, start:end], first, start)
            mended = networks.mend(piece, mask[first:last, start:end])
            mended = mended[top - first : bottom - first, left - start : right - start]
            here = np.flatnonzero((columns >= left) & (columns < right))
            values[filling.starts[top] + here] = mended[mask[top:bottom, left:right]]
    return Filling(mask, values)


def _runs(marked: np.ndarray) -> Iterator[tuple[int, int]]:
    """Gives first and end of columns (W,) to mend together: squares with something marked, up to `MOST_SQUARES`."""
    width = len(marked)
    some = np.logical_or.reduceat(marked, np.arange(0, width, SQUARE_PX))
    first = 0
    while first < len(some):
        end = first + 1
        if some[first]:
            while end < len(some) and some[end] and end - first < MOST_SQUARES:
                end += 1
            yield first * SQUARE_PX, min(end * SQUARE_PX, width)
        first = end
