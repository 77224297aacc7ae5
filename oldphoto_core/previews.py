"""Small and plain pictures for looking at: previews, masks, and what a restoration changed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from oldphoto_core.errors import ImageRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

PREVIEW_QUALITY = 85
"""JPEG quality of previews."""

DIFFERENCE_GAIN = 2
"""Levels of a difference picture for each 8-bit level of change."""

DIFFERENCE_ZERO = 128
"""Level of a difference picture where nothing changed; lighter is brighter than before, darker is darker."""


_ROWS = 256
"""Rows converted at once, so that a large scan needs no second array of wider numbers."""


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Gives uint8 pixels: those of 16 bits divided by 257 and rounded, so that white stays white."""
    if pixels.dtype == np.uint8:
        return pixels
    out = np.empty(pixels.shape, np.uint8)
    for row in range(0, len(pixels), _ROWS):
        # In integers, and exact: (v * 255 + 32767) / 65535 rounds v / 257.
        out[row : row + _ROWS] = (pixels[row : row + _ROWS].astype(np.uint32) * 255 + 32_767) // 65_535
    return out


def preview_jpeg(pixels: np.ndarray, max_side_px: int = 1024, *, icc_profile: bytes | None = None) -> bytes:
    """Gives a small JPEG: 8 bits, sRGB, at most `max_side_px` on the longer side, never enlarged.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16.
        max_side_px: Longer side of the preview.
        icc_profile: What describes the pixels; None is sRGB.
    """
    import cv2

    from oldphoto_core.colour_space import WorkingColour

    scale = max_side_px / max(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    colour = WorkingColour.of(icc_profile, channels=1 if pixels.ndim == 2 else 3)
    if not colour.is_srgb:
        pixels = np.rint(np.clip(colour.to_srgb(pixels), 0, 1) * 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(to_eight_bits(pixels)).save(out, "JPEG", quality=PREVIEW_QUALITY)
    return out.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """Gives a mask as an 8-bit grey PNG: 0 intact, 255 damaged.

    Args:
        mask: (H, W) float, probability of damage in [0, 1].
    """
    return _png(np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8))


def read_mask(data: bytes, shape: Sequence[int], name: str = "the mask") -> np.ndarray:
    """Gives the mask that an image file holds: (H, W) float32 in [0, 1], 1 where damaged.

    White is damage; colours count by their luma, and what is transparent is intact. Any format that `decode_image`
    carries will do, so a mask may come from any paint program.

    Args:
        data: The whole file.
        shape: (height, width) of the upright photo; further numbers are passed over.
        name: File name or object key, for messages.

    Raises:
        ImageRefused: not an image that is carried, or of another size than the photo (`wrong-size`).
    """
    from oldphoto_core.color import luma
    from oldphoto_core.images import decode_image

    image = decode_image(data, name)
    height, width = shape[:2]
    if image.pixels.shape[:2] != (height, width):
        raise ImageRefused(
            name=name,
            reason="wrong-size",
            expected=f"a mask of {height} x {width} pixels, the size of the upright photo",
            found=f"{image.facts.height} x {image.facts.width}",
            advice="paint it on the photo at full size",
        )
    mask = luma(image.pixels)
    if image.alpha is not None:
        mask *= luma(image.alpha)
    return mask


def difference_png(before: np.ndarray, after: np.ndarray) -> bytes:
    """Gives what changed, as an 8-bit PNG: mid-grey (128) is no change, and a level of change is two levels.

    Changes beyond 63 levels of 255 are cut at black and white. 16-bit pixels are compared as such, then scaled.

    Args:
        before: (H, W) or (H, W, 3), uint8 or uint16.
        after: The same shape and dtype.
    """
    assert before.shape == after.shape, (before.shape, after.shape)
    per_level = np.float32(DIFFERENCE_GAIN * 255 / np.iinfo(before.dtype).max)
    change = after.astype(np.float32)
    change -= before
    change *= per_level
    change += DIFFERENCE_ZERO
    return _png(np.clip(np.rint(change, out=change), 0, 255).astype(np.uint8))


def _png(pixels: np.ndarray) -> bytes:
    from oldphoto_core.images import encode_image

    return encode_image(pixels, format="png")
