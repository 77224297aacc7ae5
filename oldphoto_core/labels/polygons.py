"""Polygons, as pixels: all that a polygon touches, so that a thin one over a scratch never vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from oldphoto_core.errors import LabelRefused

_SHIFT = 4
_FARTHEST = 1.0
"""How far outside the photo a point may lie, as a share of its size."""


@dataclass(frozen=True)
class Polygon:
    """A closed polygon.

    Attributes:
        points: (N, 2) x and y: pixels from the left and upper edge, or shares of the width and height.
        shares: whether they are shares, 0 to 1.
    """

    points: np.ndarray
    shares: bool = False

    def paint(self, mask: np.ndarray) -> None:
        """See `Shape.paint`."""
        height, width = mask.shape
        points = self.points * (width, height) if self.shares else self.points
        low, high = np.array([width, height]) * -_FARTHEST, np.array([width, height]) * (1 + _FARTHEST)
        if not np.isfinite(points).all() or (points < low).any() or (points > high).any():
            raise LabelRefused("is corrupt: a polygon has a point far outside the photo")
        corners = np.rint((points - 0.5) * (1 << _SHIFT)).astype(np.int32)  # OpenCV counts from pixels' centres
        cv2.fillPoly(mask, [corners], 255, shift=_SHIFT)


def points_of(numbers: Sequence[Any]) -> np.ndarray:
    """Gives (N, 2) float64 of x, y, x, y, …

    Raises:
        LabelRefused: no numbers, an odd number of them, or fewer than three points.
    """
    try:
        flat = np.array(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise LabelRefused(f"is corrupt: a polygon with other things than numbers ({error})") from error
    if flat.ndim != 1 or len(flat) % 2 or len(flat) < 6:
        raise LabelRefused(f"is corrupt: a polygon of {flat.size} numbers; expected x and y of 3 points or more")
    return flat.reshape(-1, 2)
