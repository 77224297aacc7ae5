"""Fine scratches are mended on the scan itself, before it is repaired at its working scale.

A line of a few pixels is filled from beside it: so far below the print's resolution a scan has no detail that could be
lost, and measured, this comes nearer to what was there than the network does (ARCHITECTURE.md). What is mended depends
on nothing farther away than `FILL_REACH_PX`, so it is made anew wherever rows are read, and nothing is kept but marks.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.restoration.fine_scratches import FineMarks
from oldphoto_core.restoration.working import ReducedPhoto, as_sixteen_bits, reduce_by, seen_by_networks
from oldphoto_core.scan import Scan

_SIGMAS_PX = (1.0, 2.0, 4.0, 8.0)
_RIM_PX = 1
FILL_REACH_PX = round(3 * _SIGMAS_PX[-1]) + _RIM_PX
"""How far away a pixel may change what another is filled with."""
_CHUNK_PX = 512
_BLOCK_PIXELS = 2_000_000


def filled(image: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Gives the image with holes filled by what lies around them, the nearest first.

    Args:
        image: (h, w, 3) float32.
        holes: (h, w) bool.
    """
    intact = (~holes).astype(np.float32)
    known_colour = image * intact[:, :, None]
    colour, trusted = np.zeros_like(image), np.zeros_like(intact)
    for sigma in _SIGMAS_PX:
        side = 2 * round(3 * sigma) + 1
        share = cv2.GaussianBlur(intact, (side, side), sigma)
        mean = cv2.GaussianBlur(known_colour, (side, side), sigma) / np.maximum(share, 1e-6)[:, :, None]
        trust = np.clip(share * 4, 0, 1) * (1 - trusted)
        colour += mean * trust[:, :, None]
        trusted += trust
    return np.where(holes[:, :, None], colour / np.maximum(trusted, 1e-6)[:, :, None], image)


class FineMender:
    """Rows of a scan as the networks see them, its fine scratches mended."""

    def __init__(self, scan: Scan, colour: WorkingColour, marks: FineMarks) -> None:
        self._scan, self._colour, self._marks = scan, colour, marks

    def put(self, top: int, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Puts what is mended into rows.

        Args:
            top: the first row.
            seen: (h, W, 3) float32 in [0, 1], sRGB; written to.

        Returns:
            (h, W) bool, where it was written, rims included; and (h, W) float32, 1 on the marks themselves.
        """
        bottom, (height, width) = top + len(seen), self._scan.shape[:2]
        first, last = max(top - FILL_REACH_PX, 0), min(bottom + FILL_REACH_PX, height)
        marks = self._marks.rows.rows(first, last)
        own = slice(top - first, bottom - first)
        changed = np.zeros(seen.shape[:2], bool)
        if marks.any():
            side = 2 * _RIM_PX + 1
            holes = cv2.dilate(marks, np.ones((side, side), np.uint8)) > 0
            codes = self._scan.rows(first, last)
            for left in range(0, width, _CHUNK_PX):
                right = min(left + _CHUNK_PX, width)
                if not holes[own, left:right].any():
                    continue
                start, end = max(left - FILL_REACH_PX, 0), min(right + FILL_REACH_PX, width)
                around = filled(seen_by_networks(codes[:, start:end], self._colour), holes[:, start:end])
                seen[:, left:right] = around[own, left - start : right - start]
            changed = holes[own]
        return changed, marks[own].astype(np.float32) / 255

    def put_into_working(self, photo: ReducedPhoto, scale: int) -> None:
        """Averages the working photo again where something was mended."""
        height, width = self._scan.shape[:2]
        step = max(1, _BLOCK_PIXELS // (width * scale))
        for first in range(0, photo.height, step):
            top, bottom = first * scale, min((first + step) * scale, height)
            if self._marks.rows.rows(top, bottom).any():
                seen = seen_by_networks(self._scan.rows(top, bottom), self._colour)
                self.put(top, seen)
                photo.pixels[first : first + step] = as_sixteen_bits(reduce_by(seen, scale))
