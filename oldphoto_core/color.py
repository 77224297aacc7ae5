"""Colour: profiles, luma, and telling colour from grey.

**What is written back.** A derivative is in the encoding of its master, and carries the master's own profile byte for
byte. Colour without a profile is taken for sRGB, and its derivative says so (`srgb_profile()`): the tag makes the
assumption visible. What has no encoding of its own that could be written back (CMYK, Lab) becomes sRGB, see
`oldphoto_core.conversion`.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Rec. 601, as JPEG and Pillow weigh red, green and blue."""

NEUTRAL_SPREAD = 3 / 255
"""Largest difference between a pixel's channels that still counts as grey."""


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Gives an sRGB profile, the same bytes every time: the date that LittleCMS writes into the header is blanked."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = np.array([2000, 1, 1, 0, 0, 0], dtype=">u2").tobytes()
    data[84:100] = bytes(16)  # the profile's MD5; zero says that none was computed
    return bytes(data)


def profile_name(icc: bytes | None) -> str | None:
    """Gives what the profile calls itself; `unreadable` where it is broken, None where there is none."""
    if not icc:
        return None
    profile = _open_profile(icc)
    if profile is None:
        return "unreadable"
    try:
        return " ".join(ImageCms.getProfileDescription(profile).split()) or "unnamed"
    except ImageCms.PyCMSError:
        return "unnamed"


def profile_space(icc: bytes | None) -> str | None:
    """Gives the profile's colour space: `RGB`, `CMYK`, `GRAY`, `Lab`, ...; None where there is none to read."""
    profile = _open_profile(icc) if icc else None
    return profile.profile.xcolor_space.strip() if profile else None


@lru_cache(maxsize=16)
def is_srgb(icc: bytes) -> bool:
    """Tells whether an RGB profile is sRGB in effect: no colour of a coarse cube moves by more than one level."""
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 18, 3)
    try:
        moved = np.array(ImageCms.applyTransform(Image.fromarray(cube), _transform_to_srgb(icc)))
    except ImageCms.PyCMSError:
        return False
    return bool(np.abs(moved.astype(int) - cube.astype(int)).max() <= 1)


def luma(pixels: np.ndarray) -> np.ndarray:
    """Gives the (H, W) float32 luma in [0, 1] of (H, W) or (H, W, 3) uint8 or uint16 pixels."""
    scale = np.float32(1 / np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        return pixels * scale
    return pixels @ (np.array(LUMA_WEIGHTS, dtype=np.float32) * scale)


def is_neutral_grey(pixels: np.ndarray) -> bool:
    """Tells whether a picture has no colour at all: (H, W), or three channels that are alike in 99.9% of pixels."""
    if pixels.ndim == 2:
        return True
    # JPEG leaves a trace of chroma at edges even in a grey picture.
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    return bool(np.mean(spread > NEUTRAL_SPREAD * np.iinfo(pixels.dtype).max) < 0.001)


def _open_profile(icc: bytes) -> ImageCms.ImageCmsProfile | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError):
        return None


def _transform_to_srgb(icc: bytes) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
