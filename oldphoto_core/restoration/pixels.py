"""Pixels as people have them, and as the networks want them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

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


def to_tensor(image: np.ndarray) -> Tensor:
    """Gives (1, 3, H, W) float32 in [-1, 1] of an image; grey goes to all three channels."""
    scaled = torch.from_numpy(image.astype(np.float32) * (2 / np.iinfo(image.dtype).max) - 1)
    if scaled.ndim == 2:
        return scaled.expand(1, 3, -1, -1).contiguous()
    return scaled.permute(2, 0, 1)[None].contiguous()


def to_array(tensor: Tensor) -> np.ndarray:
    """Gives (H, W, 3) float32 in [0, 1] of a tensor (1, 3, H, W) in [-1, 1]."""
    return ((tensor[0].permute(1, 2, 0) + 1) / 2).contiguous().numpy()


def mask_to_tensor(mask: np.ndarray, size: tuple[int, ...]) -> Tensor:
    """Gives (1, 1, H, W) float32 in [0, 1] of a mask; uint8 masks are refused, since 1 and 255 cannot be told."""
    if mask.shape != size:
        raise ConfigError(f"the mask must be of the photo's height and width: expected {size}, found {mask.shape}")
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.floating):
        raise ConfigError(f"the mask must be bool, or float in [0, 1]; found {mask.dtype}: divide by its maximum first")
    values = np.ascontiguousarray(mask, dtype=np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        raise ConfigError(f"the mask must lie in [0, 1]; found {values.min():.3g} to {values.max():.3g}")
    return torch.from_numpy(values.copy())[None, None]


def quantise(restored: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Gives (H, W, 3) in [0, 1] in the shape and dtype of the input, rounded to the nearest level."""
    top = np.iinfo(like.dtype).max
    levels = np.clip(np.rint(restored.astype(np.float64) * top), 0, top).astype(like.dtype)
    return np.ascontiguousarray(levels[:, :, 0] if like.ndim == 2 else levels)
