"""What may be restored: shapes, depths and sizes of pixels and masks."""

from __future__ import annotations

import numpy as np

from oldphoto_core.errors import ConfigError

SMALLEST_PX = 32
"""Height and width below which a photo is refused."""


def checked(image: np.ndarray) -> np.ndarray:
    """Gives the image back if it can be restored.

    Raises:
        ConfigError: its shape, dtype or size is not carried.
    """
    grey_or_colour = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not grey_or_colour or image.dtype not in (np.uint8, np.uint16):
        raise ConfigError(f"expected (H, W) or (H, W, 3), uint8 or uint16; found {image.shape} {image.dtype}")
    if min(image.shape[:2]) < SMALLEST_PX:
        raise ConfigError(f"expected at least {SMALLEST_PX} x {SMALLEST_PX} pixels, found {image.shape[:2]}")
    return image


def checked_mask(mask: np.ndarray, size: tuple[int, ...] | None = None) -> np.ndarray:
    """Gives the mask as float32, (H, W) in [0, 1]; uint8 masks are refused, since 1 and 255 cannot be told apart.

    Raises:
        ConfigError: its size, dtype or range cannot be right.
    """
    if size is not None and mask.shape != size:
        raise ConfigError(f"the mask must be of the photo's height and width: expected {size}, found {mask.shape}")
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.floating):
        raise ConfigError(f"the mask must be bool, or float in [0, 1]; found {mask.dtype}: divide by its maximum first")
    values = np.ascontiguousarray(mask, dtype=np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        raise ConfigError(f"the mask must lie in [0, 1]; found {values.min():.3g} to {values.max():.3g}")
    return values
