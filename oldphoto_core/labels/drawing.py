"""What somebody drew on a photo, before it is a mask: shapes, drawn out only once their size is known to be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from oldphoto_core.errors import LabelRefused

Size = tuple[int, int]
"""(height, width)."""


class Shape(Protocol):
    """Something that marks pixels."""

    def paint(self, mask: np.ndarray) -> None:
        """Marks what it covers.

        Args:
            mask: (H, W) uint8, written to: 255 where marked.

        Raises:
            LabelRefused: it is corrupt, or does not fit.
        """


@dataclass(frozen=True)
class Drawing:
    """One person's marks on one photo.

    Attributes:
        where: what the export calls it, for messages, such as `task 12`.
        files: names that the photo may have: paths, URLs or hashes, those to be believed first in front.
        size: (height, width) that the tool drew on; None where the export does not say.
        shapes: what is marked. None of them: it was looked at, and nothing was marked.
        author: who drew it; None where the export does not say.
        drawn_at: when, ISO-8601 UTC with seconds; None where the export does not say.
        problem: why it cannot be used, where that is known already.
    """

    where: str
    files: tuple[str, ...]
    size: Size | None
    shapes: tuple[Shape, ...] = field(repr=False)
    author: str | None = None
    drawn_at: str | None = None
    problem: str | None = None


def mask_of(drawing: Drawing, size: Size) -> np.ndarray:
    """Gives (H, W) uint8, 255 where any of the shapes marks.

    Raises:
        LabelRefused: a shape is corrupt, or nothing is marked.
    """
    if drawing.problem is not None:
        raise LabelRefused(drawing.problem)
    mask = np.zeros(size, np.uint8)
    for shape in drawing.shapes:
        shape.paint(mask)
    if not mask.any():
        raise LabelRefused("marks no pixel; paint what is damaged, or leave the photo out of the export")
    return mask
