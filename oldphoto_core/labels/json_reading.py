"""JSON of exports, of which nothing is taken for granted."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Size

LARGEST_SIDE_PX = 1_000_000


def read_json(data: bytes) -> Any:
    """Gives the document in these bytes.

    Raises:
        LabelRefused: it is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LabelRefused(f"is no JSON ({error}); export it again") from error


def size_of(height: Any, width: Any) -> Size | None:
    """Gives (height, width), or None where these are no sizes of a picture."""
    sides = tuple(int(side) for side in (height, width) if is_whole(side))
    return (sides[0], sides[1]) if len(sides) == 2 and all(0 < side <= LARGEST_SIDE_PX for side in sides) else None


def is_whole(value: Any) -> bool:
    """Tells whether it is a whole number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


def counts(names: Collection[str], wanted: Collection[str]) -> bool:
    """Tells whether a shape with these labels counts: always, unless certain labels are wanted."""
    return not wanted or any(name in wanted for name in names)
