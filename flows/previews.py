"""Small pictures for people: previews of photos, and where a restoration changed something."""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_core.images import DecodeLimits, decode_image, encode_image

PREVIEW_PX = 1280
"""Longer side of a preview."""
DIFFERENCE_GAIN = 4
"""How much a difference image amplifies changes, so that faint ones can be seen."""


def preview_jpeg(pixels: np.ndarray, *, longer_side_px: int = PREVIEW_PX) -> bytes:
    """A JPEG for looking at, of (H, W) or (H, W, 3), uint8 or uint16, sRGB."""
    height, width = pixels.shape[:2]
    scale = longer_side_px / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))  # OpenCV's order
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return encode_image(eight_bits(pixels), format="jpg", quality=88)


def preview_of_master(data: bytes, name: str, *, longer_side_px: int = PREVIEW_PX, limits: DecodeLimits) -> bytes:
    """A JPEG, upright, of a master's bytes. Raises ImageRefused."""
    return preview_jpeg(decode_image(data, name, limits).pixels, longer_side_px=longer_side_px)


def difference_image(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W) uint8: the largest change of any channel, four times amplified; 0 where nothing changed."""
    one, other = eight_bits(before), eight_bits(after)
    change = cv2.absdiff(one, other)
    if change.ndim == 3:
        change = change.max(axis=2)
    changed = before != after
    if changed.ndim == 3:
        changed = changed.any(axis=2)
    amplified = np.minimum(change.astype(np.uint16) * DIFFERENCE_GAIN, 255).astype(np.uint8)
    return np.where(changed, np.maximum(amplified, 1), 0).astype(np.uint8)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """The same picture in uint8, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.ascontiguousarray((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
