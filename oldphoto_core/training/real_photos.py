"""A master as training takes it: upright, sRGB, 8 bits, and no larger than it has to be held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.image_types import OpenedImage
from oldphoto_core.previews import area_mean, read_mask_codes, to_eight_bits

UNLABELLED_PX = 1024
"""Long side of a photo without a mask: what the material folder keeps."""
LABELLED_PX = 4096
"""Long side of one with a mask, which is reduced further with it: masks lose thin scratches where nobody looks."""


def reduced_size(shape: Sequence[int], long_side_px: int) -> tuple[int, int]:
    """Gives the (height, width) of a picture of this shape at a long side no longer than that."""
    height, width = shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def training_picture(image: OpenedImage, *, long_side_px: int = UNLABELLED_PX) -> NDArray[np.uint8]:
    """Gives an image as (H, W, 3) uint8, upright sRGB; read by rows where it is larger than it may become.

    Raises:
        ImageRefused: rows that are only now read turn out to be broken.
    """
    scan = image.scan
    size = reduced_size(scan.shape, long_side_px)
    pixels = scan.rows(0, size[0]) if size == tuple(scan.shape[:2]) else area_mean(scan, size)
    colour = WorkingColour.of(image.icc_profile, channels=1 if pixels.ndim == 2 else 3)
    if colour.is_srgb:
        levels = to_eight_bits(pixels)
    else:
        levels = np.rint(np.clip(colour.to_srgb(pixels), 0, 1) * 255).astype(np.uint8)
    picture = np.repeat(levels[..., None], 3, axis=2) if levels.ndim == 2 else levels
    return np.ascontiguousarray(picture)


def training_mask(
    data: bytes, shape: Sequence[int], name: str, *, long_side_px: int = LABELLED_PX
) -> NDArray[np.bool_]:
    """Gives a mask file as (H, W) bool of the size that `training_picture` gives a photo of this shape.

    Args:
        data: the whole file; white is marked.
        shape: (height, width) of the upright photo at full size, which the mask has too.
        name: for messages.

    Raises:
        ImageRefused: no image, or of another size than the photo.
    """
    marked = read_mask_codes(data, shape, name) >= 128
    size = reduced_size(shape, long_side_px)
    if size == tuple(shape[:2]):
        return marked
    import cv2

    share = cv2.resize(marked.astype(np.uint8) * 255, size[::-1], interpolation=cv2.INTER_AREA)
    # A line of one pixel covers 1 / factor of the places it runs through, half of that where it runs between two.
    return np.asarray(share >= 255 * min(0.25, 0.45 * size[0] / shape[0]))
