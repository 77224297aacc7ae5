"""Run lengths: a mask told by how many pixels are intact, then damaged, then intact, and so on.

Rows first as CVAT has it, columns first as COCO has it; COCO also packs the counts into text. The library for COCO,
pycocotools 2.0.11, trusts what it reads: counts that end early give what lay in memory, a size of 2^20 a side ends the
process, and a point that is not a number never ends. So labels from elsewhere are decoded here, every count checked,
and tests hold the result equal to that library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Size

_LOW_BITS, _MORE, _SIGN, _FIRST = 0x1F, 0x20, 0x10, 48
_LONGEST = 13
"""Characters of one packed count, at most: 64 bits."""


@dataclass(frozen=True)
class Runs:
    """A rectangle of pixels told by run lengths, the first of intact ones.

    Attributes:
        counts: (N,) int64, none below 0; together as many as the rectangle has pixels.
        size: (height, width) of the rectangle.
        columns_first: whether it goes down columns, or along rows.
        left, top: of the rectangle, in pixels of the photo.
    """

    counts: np.ndarray
    size: Size
    columns_first: bool
    left: int = 0
    top: int = 0

    def paint(self, mask: np.ndarray) -> None:
        """See `Shape.paint`."""
        (height, width), (top, left) = self.size, (self.top, self.left)
        if min(top, left) < 0 or min(height, width) < 1 or top + height > mask.shape[0] or left + width > mask.shape[1]:
            raise LabelRefused(
                f"is corrupt: a mask of {height} x {width} at row {top}, column {left} does not lie in "
                f"{mask.shape[0]} x {mask.shape[1]} pixels"
            )
        part = mask[top : top + height, left : left + width]
        part[decode_runs(self.counts, self.size, columns_first=self.columns_first)] = 255


def counts_of(numbers: Sequence[Any]) -> np.ndarray:
    """Gives (N,) int64 of counts from a file.

    Raises:
        LabelRefused: they are no whole numbers of 0 and above.
    """
    try:
        counts = np.array(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise LabelRefused(f"is corrupt: run lengths with other things than numbers ({error})") from error
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any() or (counts > 2**40).any():
        raise LabelRefused("is corrupt: run lengths must be whole numbers of 0 and above")
    if (counts != np.floor(counts)).any():
        raise LabelRefused("is corrupt: run lengths must be whole numbers of 0 and above")
    return counts.astype(np.int64)


def decode_runs(counts: np.ndarray, size: Size, *, columns_first: bool) -> np.ndarray:
    """Gives (H, W) bool, True where damaged.

    Raises:
        LabelRefused: the counts are not those of as many pixels.
    """
    height, width = size
    total = int(counts.sum())
    if total != height * width:
        raise LabelRefused(f"is corrupt: run lengths of {total} pixels, expected {height} x {width} = {height * width}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T if columns_first else flat.reshape(height, width)


def encode_runs(mask: np.ndarray, *, columns_first: bool) -> np.ndarray:
    """Gives the counts (N,) int64 of a mask (H, W) bool, the first of intact pixels, and so perhaps 0."""
    flat = (mask.T if columns_first else mask).ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(np.concatenate([[0], changes, [flat.size]])).astype(np.int64)


def unpack_counts(text: str | bytes) -> np.ndarray:
    """Gives the counts (N,) int64 of COCO's packed text.

    Each is told in groups of five bits, the lowest first; from the fourth on, as the difference to the last but one.

    Raises:
        LabelRefused: it is no such text.
    """
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for character in data:
        code = character - _FIRST
        if not 0 <= code < 64 or shift >= 5 * _LONGEST:
            raise LabelRefused("is corrupt: packed run lengths with other characters than COCO's")
        value |= (code & _LOW_BITS) << shift
        shift += 5
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        if counts[-1] < 0:
            raise LabelRefused("is corrupt: packed run lengths below 0")
        value = shift = 0
    if shift:
        raise LabelRefused("is corrupt: packed run lengths that end within a number")
    return counts_of(counts)
