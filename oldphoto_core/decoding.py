"""Bytes to upright pixels."""

from __future__ import annotations

from oldphoto_core.image_types import DecodedImage, DecodeLimits


def decode_image(data: bytes, name: str, limits: DecodeLimits = DecodeLimits()) -> DecodedImage:
    """Gives the upright pixels of an image file and what belongs to them. Raises ImageRefused."""
    raise NotImplementedError
