"""A photo as rows: it is read and restored a strip at a time, whether it lies in an array or in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Scan(Protocol):
    """A photo whose rows can be had, in order or again."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""

    @property
    def dtype(self) -> np.dtype:
        """uint8 or uint16."""

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows `top` to `bottom` (not included), (h, W) or (h, W, 3); the caller does not write to them."""


@dataclass(frozen=True)
class ArrayScan:
    """A photo that lies in memory.

    Attributes:
        pixels: (H, W) or (H, W, 3), uint8 or uint16.
    """

    pixels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype:
        return self.pixels.dtype

    def rows(self, top: int, bottom: int) -> np.ndarray:
        return self.pixels[top:bottom]


def blocks_of(scan: Scan, pixels: int) -> Iterator[tuple[int, np.ndarray]]:
    """Gives a scan from its top in blocks of whole rows: the first row, and (h, W, ...) of about so many pixels."""
    height, width = scan.shape[:2]
    step = max(1, pixels // width)
    for top in range(0, height, step):
        yield top, scan.rows(top, min(top + step, height))


@dataclass(frozen=True)
class DerivedScan:
    """A picture whose rows are computed, when they are asked for, from the same rows of others.

    Attributes:
        sources: pictures of the same height.
        shape, dtype: of what is computed.
        compute: gives rows (h, W, ...) for the rows (h, ...) of each source.
    """

    sources: tuple[Scan, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    compute: Callable[..., np.ndarray]

    def rows(self, top: int, bottom: int) -> np.ndarray:
        return self.compute(*(source.rows(top, bottom) for source in self.sources))


def pixels_sha256(scan: Scan) -> str:
    """Gives the SHA-256 of the pixels, row after row, as they lie in memory: hexadecimal digits."""
    digest = hashlib.sha256()
    for _, rows in blocks_of(scan, 1 << 20):
        digest.update(np.ascontiguousarray(rows))
    return digest.hexdigest()


class RollingRows:
    """The rows around a place that moves down a photo; each row is read once, and let go when the place has passed."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._top = 0
        self._held = scan.rows(0, 0)

    def between(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows `top` to `bottom`; a later call may not ask for rows above an earlier call's `top`.

        Raises:
            ValueError: rows that were let go are asked for.
        """
        if top < self._top:
            raise ValueError(f"rows from {top} are asked for, those before {self._top} are let go: begin again")
        held = self._held[top - self._top :]
        have = top + len(held)
        if bottom > have:
            fresh = self._scan.rows(have, bottom)
            held = np.concatenate([held, fresh]) if len(held) else fresh
        self._top, self._held = top, held
        return held[: bottom - top]

    def held(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows that are held, and lets none go."""
        assert self._top <= top <= bottom <= self._top + len(self._held), (top, bottom, self._top, len(self._held))
        return self._held[top - self._top : bottom - self._top]
