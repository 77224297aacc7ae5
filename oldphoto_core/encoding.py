"""Pixels to bytes: the same pixels always give the same bytes."""

from __future__ import annotations

from typing import Literal

import numpy as np


def encode_image(
    pixels: np.ndarray,
    *,
    format: Literal["tif", "png", "jpg"],
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    alpha: np.ndarray | None = None,
    quality: int = 92,
) -> bytes:
    """Gives the bytes of an image file. Raises ConfigError where the format cannot hold the pixels."""
    raise NotImplementedError
