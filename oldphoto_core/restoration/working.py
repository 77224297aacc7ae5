"""The working photo: the scan at the scale of a snapshot, in the colours that the networks know.

Networks learn grain and scratches at snapshot scale. A scan far above it is averaged down by a whole factor, repaired
there, and the repair is carried up (`oldphoto_core.restoration.finishing`).
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.scan import RollingRows, Scan

_BLOCK_PIXELS = 4_000_000
"""Pixels of a scan that are averaged at once."""
FULL = 65_535
"""The working photo is held in 16 bits."""


class WorkingPhoto(Protocol):
    """What detection and repair read.

    Attributes:
        height, width: in working pixels.
    """

    height: int
    width: int

    def codes(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows (h, W, ...) as they are stored; never from above an earlier call's `top`."""

    def seen(self, codes: np.ndarray, top: int, left: int = 0) -> np.ndarray:
        """Gives (h, w, 3) float32 in [0, 1], sRGB, of stored pixels (h, w, ...) whose first is at (top, left)."""

    def again(self) -> WorkingPhoto:
        """Gives the same photo, to be read from its top."""


class DirectPhoto:
    """The working photo of a scan that is taken as it is."""

    def __init__(self, scan: Scan, colour: WorkingColour) -> None:
        self.height, self.width = scan.shape[:2]
        self._scan, self._colour = scan, colour
        self._rows = RollingRows(scan)

    def codes(self, top: int, bottom: int) -> np.ndarray:
        return self._rows.between(top, bottom)

    def held(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows of the last `codes` again, and lets none go."""
        return self._rows.held(top, bottom)

    def seen(self, codes: np.ndarray, top: int, left: int = 0) -> np.ndarray:
        return seen_by_networks(codes, self._colour)

    def again(self) -> DirectPhoto:
        return DirectPhoto(self._scan, self._colour)


class ReducedPhoto:
    """The working photo of a scan that was averaged down.

    Attributes:
        pixels: (H, W, 3) uint16 of full range, sRGB.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def codes(self, top: int, bottom: int) -> np.ndarray:
        return self.pixels[top:bottom]

    def seen(self, codes: np.ndarray, top: int, left: int = 0) -> np.ndarray:
        return as_float(codes)

    def again(self) -> ReducedPhoto:
        return self


def working_photo(scan: Scan, colour: WorkingColour, scale: int) -> DirectPhoto | ReducedPhoto:
    """Gives the working photo of a scan.

    Args:
        scan: of any size.
        colour: how its values become sRGB.
        scale: scan pixels a side for one working pixel; those left over at the lower and right edge make one more.
    """
    if scale == 1:
        return DirectPhoto(scan, colour)
    height, width = scan.shape[:2]
    reduced = np.empty((-(-height // scale), -(-width // scale), 3), np.uint16)
    step = max(1, _BLOCK_PIXELS // (width * scale)) * scale
    for top in range(0, height, step):
        bottom = min(top + step, height)
        block = reduce_by(seen_by_networks(scan.rows(top, bottom), colour), scale)
        reduced[top // scale : top // scale + len(block)] = as_sixteen_bits(block)
    return ReducedPhoto(reduced)


def seen_by_networks(rows: np.ndarray, colour: WorkingColour) -> np.ndarray:
    """Gives (h, W, 3) float32 in [0, 1], sRGB, of stored rows; grey goes to all three channels."""
    values = colour.to_srgb(rows)
    if not colour.is_srgb:  # whose values may lie outside
        values = np.clip(values, 0, 1)
    return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values


def reduce_by(rows: np.ndarray, scale: int) -> np.ndarray:
    """Gives means over squares of `scale` pixels a side; the last row and column are repeated to fill their squares."""
    below, right = -rows.shape[0] % scale, -rows.shape[1] % scale
    if below or right:
        rows = cv2.copyMakeBorder(rows, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (rows.shape[1] // scale, rows.shape[0] // scale)
    return cv2.resize(rows, size, interpolation=cv2.INTER_AREA)


def as_float(codes: np.ndarray) -> np.ndarray:
    """Gives float32 in [0, 1] of uint16 of full range."""
    return codes.astype(np.float32) * np.float32(1 / FULL)


def as_sixteen_bits(values: np.ndarray) -> np.ndarray:
    """Gives uint16 of full range of float32, clipped to [0, 1]."""
    return np.rint(np.clip(values, 0, 1) * FULL).astype(np.uint16)
