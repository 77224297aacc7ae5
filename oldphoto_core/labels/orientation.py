"""Which way a mask stands: on the photo as people see it, or on the pixels as the file stores them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from oldphoto_core.decoding import UPRIGHT
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Size

Standing = Literal["seen", "stored"]


def standing(found: Size, photo: Size, orientation: int) -> Standing:
    """Tells how a mask of this size stands on a photo.

    Browsers, and with them labelling tools, show a photo upright; some programs show the pixels as they are stored.
    Where EXIF turns the photo by a quarter (5 to 8) the size tells which it was; where the size fits both ways, as of
    square photos and those that are mirrored or stand on their head, it is taken as people see it.

    Args:
        found: of the mask.
        photo: of the upright photo.
        orientation: EXIF's, 1 to 8.

    Raises:
        LabelRefused: it fits neither way.
    """
    if found == photo:
        return "seen"
    if orientation >= 5 and found == photo[::-1]:
        return "stored"
    raise LabelRefused(
        f"is of another size: expected {photo[0]} x {photo[1]} (height x width of the photo), "
        f"found {found[0]} x {found[1]}; label the photo itself, not a smaller copy"
    )


def as_seen(mask: np.ndarray, how: Standing, orientation: int) -> np.ndarray:
    """Gives the mask (H, W) as the upright photo stands."""
    return np.ascontiguousarray(UPRIGHT[orientation](mask)) if how == "stored" else mask
