"""Several pages as one picture, below each other, so that they can be looked at, compared and hashed as one.

Pages keep their order. A narrower one is filled up on its right with mid-grey, which is neither paper nor shadow; so
the stack is as wide as the widest. Where all pages share depth, channels and profile, the stack has their own values;
else it is 8-bit sRGB colour, colours outside sRGB at its edge. Nothing is restored of a stack: each page is by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np

from oldphoto_core.color import srgb_profile
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.scan import DerivedScan, Scan


@dataclass(frozen=True)
class StackedScan:
    """Pages below each other: a `Scan`.

    Attributes:
        parts: pages of one dtype and as many channels, in order; at least one.
        padding: value to the right of the narrower ones, in all channels.
    """

    parts: tuple[Scan, ...]
    padding: int

    @property
    def shape(self) -> tuple[int, ...]:
        height = sum(part.shape[0] for part in self.parts)
        return (height, max(part.shape[1] for part in self.parts), *self.parts[0].shape[2:])

    @property
    def dtype(self) -> np.dtype:
        return self.parts[0].dtype

    def rows(self, top: int, bottom: int) -> np.ndarray:
        bottom = min(bottom, self.shape[0])
        pieces = [
            self._widened(part.rows(max(top - start, 0), min(bottom - start, part.shape[0])))
            for start, part in zip(_tops(self.parts), self.parts, strict=True)
            if start < bottom and top < start + part.shape[0]
        ]
        if not pieces:
            return np.empty((0, *self.shape[1:]), self.dtype)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _widened(self, rows: np.ndarray) -> np.ndarray:
        if rows.shape[1] == self.shape[1]:
            return rows
        out = np.full((len(rows), *self.shape[1:]), self.padding, self.dtype)
        out[:, : rows.shape[1]] = rows
        return out


@dataclass(frozen=True)
class PartScan:
    """A page's place in a picture of the whole stack: a `Scan`.

    Attributes:
        whole: the picture.
        top: its row that the page begins with.
        size: (height, width) of the page.
    """

    whole: Scan
    top: int
    size: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, *self.whole.shape[2:])

    @property
    def dtype(self) -> np.dtype:
        return self.whole.dtype

    def rows(self, top: int, bottom: int) -> np.ndarray:
        height, width = self.size
        return np.ascontiguousarray(self.whole.rows(self.top + top, self.top + min(bottom, height))[:, :width])


def stack_pictures(
    pictures: Sequence[Scan], icc_profiles: Sequence[bytes | None]
) -> tuple[StackedScan, bytes | None]:
    """Gives pages as one picture, and the profile that describes it.

    Args:
        pictures: (H, W) or (H, W, 3), uint8 or uint16, of any sizes.
        icc_profiles: what describes each.
    """
    kinds = {(len(one.shape), one.dtype, icc) for one, icc in zip(pictures, icc_profiles, strict=True)}
    if len(kinds) == 1:
        half = int(np.iinfo(pictures[0].dtype).max) // 2 + 1
        return StackedScan(tuple(pictures), half), icc_profiles[0]
    shown = tuple(_as_srgb(one, icc) for one, icc in zip(pictures, icc_profiles, strict=True))
    return StackedScan(shown, 128), srgb_profile()


def stack_masks(masks: Sequence[Scan]) -> StackedScan:
    """Gives masks (H, W) uint8 of pages as one; beside the narrower pages nothing is damaged."""
    return StackedScan(tuple(masks), 0)


def cut_by_page(whole: Scan, pages: Sequence[Scan]) -> tuple[PartScan, ...]:
    """Gives a picture of a stack's height and width, such as a mask painted on it, page by page."""
    tops = _tops(pages)
    return tuple(PartScan(whole, top, page.shape[:2]) for top, page in zip(tops, pages, strict=True))


def _tops(pages: Sequence[Scan]) -> list[int]:
    """The stack's row that each page begins with."""
    return list(accumulate((page.shape[0] for page in pages[:-1]), initial=0))


def _as_srgb(picture: Scan, icc_profile: bytes | None) -> Scan:
    colour = WorkingColour.of(icc_profile, channels=1 if len(picture.shape) == 2 else 3)
    shape = (*picture.shape[:2], 3)
    return DerivedScan((picture,), shape, np.dtype(np.uint8), partial(_srgb_rows, colour))


def _srgb_rows(colour: WorkingColour, rows: np.ndarray) -> np.ndarray:
    codes = np.rint(np.clip(colour.to_srgb(rows), 0, 1) * 255).astype(np.uint8)
    return codes if codes.ndim == 3 else np.repeat(codes[..., None], 3, axis=2)
