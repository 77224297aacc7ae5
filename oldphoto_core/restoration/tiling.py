"""Cutting a photo into tiles whose results join without a seam.

Each tile is read with a halo at least as wide as the network's reach, starts and ends at multiples of its total
stride, and only its core is kept. Convolution padding then falls on true photo edges alone, and tiled equals whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.errors import ConfigError
from oldphoto_core.restoration.working import WorkingPhoto

Box = tuple[int, int, int, int]
"""Top, left, bottom, right, in pixels; half-open."""


@dataclass(frozen=True)
class Tile:
    """One tile of a photo.

    Attributes:
        read: what the network is shown, halo included; may go beyond the photo to the next multiple of the stride.
        core: what is kept.
    """

    read: Box
    core: Box

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Gives `read` as fractions of a photo of this height and width."""
        top, left, bottom, right = self.read
        return top / height, left / width, bottom / height, right / width

    def core_of(self, answer: np.ndarray) -> np.ndarray:
        """Gives the core's part of an answer over what was read."""
        top, left, bottom, right = self.core
        return answer[top - self.read[0] : bottom - self.read[0], left - self.read[1] : right - self.read[1]]

    @property
    def columns(self) -> slice:
        """The photo's columns in the core."""
        return slice(self.core[1], self.core[3])


def round_up(value: int, multiple: int) -> int:
    """Gives the smallest multiple that is not below the value."""
    return -(-value // multiple) * multiple


def plan_tiles(height: int, width: int, *, core_px: int | None, halo_px: int, stride: int) -> list[list[Tile]]:
    """Plans the tiles of a photo.

    Args:
        height, width: of the photo.
        core_px: side of a tile's core at most; the photo is shared out evenly. None: one tile.
        halo_px: pixels read around the core, rounded up to the stride.
        stride: the network's total stride.

    Returns:
        Rows of tiles, whose cores cover the photo once. What is read ends at a multiple of the stride.

    Raises:
        ConfigError: `core_px` is less than 1.
    """
    if core_px is not None and core_px < 1:
        raise ConfigError(f"a tile must be at least one pixel: expected tile_px >= 1, found {core_px}")
    halo = round_up(halo_px, stride)
    across = list(_spans(width, core_px, halo, stride))
    return [
        [
            Tile((top_read, left_read, bottom_read, right_read), (top, left, bottom, right))
            for (left, right), (left_read, right_read) in across
        ]
        for (top, bottom), (top_read, bottom_read) in _spans(height, core_px, halo, stride)
    ]


def _spans(
    extent: int, core_px: int | None, halo: int, stride: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Core and read ranges along one side."""
    padded = round_up(extent, stride)
    most = round_up(core_px, stride) if core_px else padded
    core = round_up(-(-padded // -(-padded // most)), stride)
    for start in range(0, extent, core):
        end = min(start + core, extent)
        yield (start, end), (max(start - halo, 0), min(round_up(end, stride) + halo, padded))


def tiles_with_pieces(photo: WorkingPhoto, row: list[Tile]) -> Iterator[tuple[Tile, np.ndarray]]:
    """Gives each tile of a row with what it reads, (h, w, 3) float32, the photo's last pixels repeated.

    Of the photo's whole width only stored codes are held; floats are made a tile at a time.
    """
    top, bottom = row[0].read[0], row[0].read[2]
    codes = photo.codes(top, min(bottom, photo.height))
    for tile in row:
        left, right = tile.read[1], tile.read[3]
        yield tile, fill_up(photo.seen(codes[:, left:right], top, left), bottom - top, right - left)


def fill_up(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Gives the image with its last row and column repeated up to this height and width."""
    below, right = height - image.shape[0], width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else image
