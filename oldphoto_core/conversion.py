"""What a master's own encoding cannot be kept for becomes sRGB, at the master's own depth.

That is CMYK, Lab, and the rare RGB profile whose tables lead to colours and not back: the networks see RGB, and what
they change could not be written into such a file. All conversions are relative colorimetric with black point
compensation, by LittleCMS, 16 bits staying 16 bits. Colours outside sRGB are moved to its edge.

CMYK without a profile has no defined colours; it is converted by the plain formula, which shows the picture but more
vivid than a press would.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from PIL import ImageCms

from oldphoto_core.color import profile_space, srgb_profile
from oldphoto_core.colour_space import comes_back

log = logging.getLogger(__name__)

_BLOCK_PX = 1 << 18


def conversion_of(
    kind: str, icc: bytes | None, dtype: np.dtype, name: str
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Gives what turns a picture's samples, or any rows of them, into sRGB; None where they can be written back.

    Args:
        kind: `grey`, `rgb`, `cmyk`, `lab` or `icc-lab`: see `oldphoto_core.tiff_pages.Plain`.
        icc: The profile that describes them. That it cannot be applied is said here, once.
        dtype: uint8 or uint16.
        name: The file, for the log.
    """
    if kind == "cmyk":
        is_usable = profile_space(icc) == "CMYK" and _applies(icc or b"", "cmyk", dtype, name)
        return partial(cmyk_to_srgb, icc=icc if is_usable else None, name=name)
    if kind in ("lab", "icc-lab"):
        return partial(lab_to_srgb, layout="cie" if kind == "lab" else "icc")
    if kind == "rgb" and icc and profile_space(icc) == "RGB" and not comes_back(icc):
        return partial(rgb_to_srgb, icc=icc, name=name) if _applies(icc, "rgb", dtype, name) else _as_they_are
    return None


def cmyk_to_srgb(pixels: np.ndarray, icc: bytes | None, name: str = "a picture") -> np.ndarray:
    """Gives the (H, W, 3) sRGB pixels of (H, W, 4) CMYK, uint8 or uint16; full is full ink.

    Args:
        pixels: The inks.
        icc: The profile that describes them. One that is broken or of another colour space is passed over.
        name: The file, for the log.
    """
    if icc and profile_space(icc) == "CMYK":
        converted = _convert(pixels, icc, "cmyk", name)
        if converted is not None:
            return converted
    return _without_profile(pixels)


def rgb_to_srgb(pixels: np.ndarray, icc: bytes, name: str = "a picture") -> np.ndarray:
    """Gives the sRGB pixels of (H, W, 3) RGB, uint8 or uint16; the same array where the profile cannot be applied."""
    converted = _convert(pixels, icc, "rgb", name)
    return pixels if converted is None else converted


def lab_to_srgb(pixels: np.ndarray, *, layout: Literal["cie", "icc"] = "cie") -> np.ndarray:
    """Gives the (H, W, 3) sRGB pixels of CIELAB under D50, uint8 or uint16.

    Args:
        pixels: L*, a* and b* as a TIFF holds them.
        layout: `cie` where a* and b* are signed (TIFF's 8), `icc` where they are counted from their least (TIFF's 9).
    """
    import imagecodecs

    is_deep = pixels.dtype == np.uint16
    # ICC has 100 at 0xFF00 in 16 bits, and so much is 256 to a unit of a* and b*.
    full = 65_280 if is_deep and layout == "icc" else np.iinfo(pixels.dtype).max
    unit = 256 if is_deep else 1
    out = np.empty_like(pixels)
    flat, flat_out = pixels.reshape(-1, 3), out.reshape(-1, 3)
    for at in range(0, len(flat), _BLOCK_PX):
        block = flat[at : at + _BLOCK_PX]
        lab = np.empty(block.shape, np.float32)
        lab[:, 0] = block[:, 0] * np.float32(100 / full)
        chroma = np.ascontiguousarray(block[:, 1:])
        if layout == "cie":
            lab[:, 1:] = chroma.view(np.int16 if is_deep else np.int8) / np.float32(unit)
        else:
            lab[:, 1:] = chroma / np.float32(unit) - 128
        flat_out[at : at + _BLOCK_PX] = imagecodecs.cms_transform(
            lab[None],
            _lab_profile(),
            srgb_profile(),
            colorspace="lab",
            outcolorspace="rgb",
            outdtype=pixels.dtype.name,
            intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        )[0]
    return out


def _applies(icc: bytes, space: str, dtype: np.dtype, name: str) -> bool:
    return _convert(np.zeros((1, 1, 4 if space == "cmyk" else 3), dtype), icc, space, name) is not None


def _as_they_are(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _convert(pixels: np.ndarray, icc: bytes, space: str, name: str) -> np.ndarray | None:
    import imagecodecs

    try:
        return imagecodecs.cms_transform(
            np.ascontiguousarray(pixels),
            icc,
            srgb_profile(),
            colorspace=space,
            outcolorspace="rgb",
            outdtype=pixels.dtype.name,
            intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
            flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
        )
    except (imagecodecs.CmsError, ValueError) as error:
        log.warning("%s: its colour profile cannot be applied (%s); its colours are taken as they are.", name, error)
        return None


def _without_profile(cmyk: np.ndarray) -> np.ndarray:
    """What paper is left without ink, times what black leaves of it."""
    full = np.iinfo(cmyk.dtype).max
    out = np.empty((*cmyk.shape[:2], 3), cmyk.dtype)
    for row in range(0, len(cmyk), 256):
        light = full - cmyk[row : row + 256].astype(np.uint32)
        out[row : row + 256] = (light[..., :3] * light[..., 3:] + full // 2) // full
    return out


@lru_cache(maxsize=1)
def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
