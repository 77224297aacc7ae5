"""Bytes to upright pixels: what is carried is carried whole, and everything else is refused with a reason.

Decisions, where a reader may wonder:

- **One photo a file.** Animations and multi-page TIFFs are refused. A TIFF's thumbnails and masks are no pages of
  their own (`oldphoto_core.tiff_pages`). Of an MPO the first picture is read, since the others are previews or gain
  maps; it is refused where they are frames of a panorama or a stereo pair. Of a Photoshop file the flattened
  picture is read.
- **Whole files only.** A JPEG without its end marker, or a PNG without its last chunk, is `truncated`, even when every
  pixel is there: a master that lost its end is a matter for fixity, and copying it again is safer than guessing.
- **1-bit and palette** pictures become 8-bit; a palette that holds greys alone becomes grey.
- **Alpha** is kept beside the pixels, and written back by formats that hold it. Restoration does not look at it.
- **Depth.** Grey of 16 bits is carried. Colour of more than 8 is refused, and so is grey whose range would have to be
  guessed (10 or 12 bits, floating point, signed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from oldphoto_core.color import is_srgb, lab_to_srgb, profile_name, profile_space, srgb_profile, to_srgb
from oldphoto_core.errors import ImageRefused
from oldphoto_core.exif import capture_words, exif_of_tiff, read_orientation, without_prefix
from oldphoto_core.image_formats import (
    CARRIED,
    DeclaredDepth,
    declared_depth,
    declared_length,
    describe_foreign,
    jpeg2000_profile,
    sniff,
)
from oldphoto_core.image_types import DecodedImage, DecodeLimits, ImageFacts
from oldphoto_core.pillow_reading import broken, not_an_image, open_with_pillow, quiet_decoders, refusing, unsupported
from oldphoto_core.tiff_pages import TiffPhoto, checked_dpi, find_photo, refuse_deep_colour
from oldphoto_core.tiff_pixels import decode_plain

DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True)
class _Raw:
    """What a decoder gave: pixels as they are stored, and what stands around them."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    mode: str
    icc: bytes | None
    dpi: tuple[float, float] | None
    exif: Image.Exif
    info: Mapping[Any, Any]
    is_upright: bool = False
    """Whether the decoder has already applied the orientation; Pillow does so for TIFF alone."""


_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What makes a picture upright, by EXIF orientation."""

_DEEP_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


def decode_image(data: bytes, name: str, limits: DecodeLimits = DEFAULT_LIMITS) -> DecodedImage:
    """Gives the upright pixels of an image file, and what belongs to them.

    Args:
        data: The whole file.
        name: File name or object key, for messages only: what a file is follows from its bytes.
        limits: What is accepted; checked before any pixel is decoded.

    Raises:
        ImageRefused: with a reason of `oldphoto_core.errors.REFUSAL_REASONS`.
    """
    format = _check_bytes(data, name)
    with quiet_decoders(name), refusing(name, format):
        raw = _decode_tiff(data, name, limits) if format == "TIFF" else _decode_other(data, format, name, limits)
        orientation, capture = read_orientation(raw.exif), capture_words(raw.exif, raw.info)
        block = exif_of_tiff(raw.exif) if format == "TIFF" else without_prefix(raw.info.get("exif"))
    pixels, alpha = raw.pixels, raw.alpha
    if not raw.is_upright:
        pixels = _UPRIGHT[orientation](pixels)
        alpha = None if alpha is None else _UPRIGHT[orientation](alpha)
    pixels, alpha = np.ascontiguousarray(pixels), None if alpha is None else np.ascontiguousarray(alpha)
    dpi = raw.dpi[::-1] if raw.dpi and orientation >= 5 else raw.dpi
    facts = ImageFacts(
        format=format.lower(),
        height=pixels.shape[0],
        width=pixels.shape[1],
        channels=1 if pixels.ndim == 2 else 3,
        bit_depth=pixels.dtype.itemsize * 8,
        source_mode=raw.mode,
        has_alpha=alpha is not None,
        orientation=orientation,
        icc_profile_name=profile_name(raw.icc),
        dpi_x=dpi[0] if dpi else None,
        dpi_y=dpi[1] if dpi else None,
        capture=capture,
        perceptual_hash=perceptual_hash(pixels),
    )
    return DecodedImage(pixels, alpha, _profile_to_write(pixels, raw), dpi, block, facts)


def perceptual_hash(pixels: np.ndarray) -> str:
    """Gives the 64-bit DCT hash of a picture, as 16 hexadecimal digits.

    Grey first and then means over whole blocks: that takes a third of the time of an area average to one size.
    """
    import imagehash

    eight_bit = pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    grey = Image.fromarray(eight_bit).convert("L")
    return str(imagehash.phash(grey.reduce(max(1, max(grey.size) // 256))))


def _check_bytes(data: bytes, name: str) -> str:
    if not data:
        advice = "copy it again from the scanner or a backup"
        raise ImageRefused(name=name, reason="empty", expected=CARRIED, found="a file of 0 bytes", advice=advice)
    format = sniff(data)
    if format:
        return format
    found, is_picture = describe_foreign(data)
    if is_picture:
        raise unsupported(name, CARRIED, found, "convert a copy to TIFF or PNG")
    raise not_an_image(name, found)


def _decode_tiff(data: bytes, name: str, limits: DecodeLimits) -> _Raw:
    photo = find_photo(data, name)
    _check_size(photo.height, photo.width, name, limits)
    if photo.plain:
        pixels, alpha = decode_plain(data, photo)
        if photo.plain != "grey":
            pixels = to_srgb(pixels, photo.icc_profile, name)
        return _Raw(pixels, alpha, _mode_of(photo, alpha), photo.icc_profile, photo.dpi, photo.exif, {})
    image = open_with_pillow(data, "TIFF", name)
    image.seek(photo.page)
    mode = image.mode
    image.load()
    pixels, alpha = _to_arrays(image, photo.icc_profile, name)
    return _Raw(pixels, alpha, mode, photo.icc_profile, photo.dpi, photo.exif, {}, is_upright=True)


def _mode_of(photo: TiffPhoto, alpha: np.ndarray | None) -> str:
    if photo.plain == "grey":
        return ("LA" if alpha is not None else "I" if photo.bits == 16 else "L") + (";16" if photo.bits == 16 else "")
    return "CMYK" if photo.plain == "cmyk" else "RGB" if alpha is None else "RGBA"


def _decode_other(data: bytes, format: str, name: str, limits: DecodeLimits) -> _Raw:
    if declared_length(data, format) > len(data):
        raise broken(name, format, "truncated", f"{len(data)} of {declared_length(data, format)} bytes")
    with refusing(name, format, opening=True):
        image = open_with_pillow(data, format, name)
    _check_size(image.height, image.width, name, limits)
    depth = declared_depth(data, format)
    _check_depth(depth, format, name)
    _check_frames(image, format, name)
    if format == "PNG":
        open_with_pillow(data, format, name).verify()  # checksums and the last chunk, which loading passes over
    mode = image.mode
    image.load()
    icc = image.info.get("icc_profile") or (jpeg2000_profile(data) if format == "JPEG2000" else None)
    if depth and depth.bits == 16 and image.mode in ("LA", "RGBA"):  # colour of 16 bits has been refused
        planes = _decode_deep_alpha(data, format)
        mode = "LA;16"
    else:
        planes = _to_arrays(image, icc, name)
    return _Raw(*planes, mode, icc, _read_dpi(image, format), image.getexif(), image.info)


def _check_size(height: int, width: int, name: str, limits: DecodeLimits) -> None:
    if height * width > limits.max_pixels:
        raise ImageRefused(
            name=name,
            reason="bomb",
            expected=f"at most {limits.max_pixels / 1e6:.0f} megapixels",
            found=f"{height} x {width} pixels ({height * width / 1e6:.0f} megapixels)",
            advice="check that the file is what it claims to be, or raise the limit",
        )
    if min(height, width) < limits.min_side_px:
        raise ImageRefused(
            name=name,
            reason="too-small",
            expected=f"at least {limits.min_side_px} x {limits.min_side_px} pixels",
            found=f"{height} x {width}",
            advice="scan it larger, or add a pattern to the ignored ones if it is a thumbnail",
        )


def _check_depth(depth: DeclaredDepth | None, format: str, name: str) -> None:
    if depth is None or depth.bits <= 8:
        return
    found = f"{depth.bits}-bit {'colour' if depth.colour else 'grey'} in a {format} file"
    if depth.colour:
        raise refuse_deep_colour(name, found)
    if depth.bits != 16 or format not in ("PNG", "JPEG2000", "PPM"):
        raise unsupported(name, "grey of 8 or 16 bits", found, "convert a copy to 16-bit grey TIFF or PNG")


def _check_frames(image: Any, format: str, name: str) -> None:
    frames = 1 if format == "PSD" else getattr(image, "n_frames", 1)  # Photoshop's layers are no pages
    advice = "save each picture as its own file"
    if format == "JPEG" and frames > 1:
        kinds = {entry["Attribute"]["MPType"] for entry in image.mpinfo.get(0xB002, [])}
        if not any("Multi-Frame" in kind for kind in kinds):
            return
    if frames > 1:
        found = f"{frames} pictures in a {format} file"
        raise ImageRefused(name=name, reason="animated", expected="one photo a file", found=found, advice=advice)


def _read_dpi(image: Any, format: str) -> tuple[float, float] | None:
    if format == "JPEG" and not image.info.get("jfif_unit") and 0x011A not in image.getexif():
        return None  # Pillow then makes up 72
    return checked_dpi(image.info.get("dpi"))


def _decode_deep_alpha(data: bytes, format: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives grey and alpha of 16 bits each, which Pillow would cut to 8."""
    import imagecodecs

    planes = imagecodecs.png_decode(data) if format == "PNG" else imagecodecs.jpeg2k_decode(data)
    assert planes.dtype == np.uint16 and planes.shape[2] == 2, (planes.dtype, planes.shape)
    return planes[..., 0], planes[..., 1]


def _to_arrays(image: Image.Image, icc: bytes | None, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives the pixels, sRGB where colour, and the alpha of a loaded image, neither of them turned upright."""
    mode, see_through = image.mode, "transparency" in image.info
    if mode in _DEEP_GREY_MODES or mode == "I":
        return _deep_grey(image, name)
    if mode == "CMYK":
        return to_srgb(np.array(image), icc, name), None
    if mode == "LAB":
        return lab_to_srgb(image), None
    if mode == "1":
        image, mode = _one_bit_to_grey(image), "L"
    if mode in ("P", "PA"):
        has_alpha = mode == "PA" or see_through or (image.palette is not None and image.palette.mode == "RGBA")
        planes = np.array(image.convert("RGBA" if has_alpha else "RGB"))
    elif mode in ("L", "LA", "La"):
        planes = np.array(image.convert("LA") if see_through or mode != "L" else image)
    elif mode in ("RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        wanted = "RGBA" if see_through or mode in ("RGBA", "RGBa") else "RGB"
        planes = np.array(image if mode == wanted else image.convert(wanted))  # converting copies, even to its own mode
    else:
        raise unsupported(name, "grey, RGB, CMYK, palette, Lab or 1-bit", f"mode {mode}", "convert a copy to RGB")
    if planes.ndim == 2:
        return planes, None
    alpha = planes[..., -1] if planes.shape[2] in (2, 4) else None
    if planes.shape[2] == 2:
        return planes[..., 0], alpha
    colour = planes[..., :3]
    if mode in ("P", "PA") and bool((colour == colour[..., :1]).all()):
        return colour[..., 0], alpha
    return to_srgb(np.ascontiguousarray(colour), icc, name), alpha


def _one_bit_to_grey(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    grey.info = dict(image.info)
    return grey


def _deep_grey(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    samples = np.array(image)
    if image.mode == "I" and (image.format != "PPM" or samples.min() < 0 or samples.max() > 0xFFFF):
        raise unsupported(name, "grey of 8 or 16 bits", "32-bit samples", "convert a copy to 16-bit grey")
    pixels = samples.astype(np.uint16)
    clear = image.info.get("transparency")
    return pixels, None if clear is None else np.where(pixels == clear, 0, 0xFFFF).astype(np.uint16)


def _profile_to_write(pixels: np.ndarray, raw: _Raw) -> bytes | None:
    if pixels.ndim == 2:
        return raw.icc if profile_space(raw.icc) == "GRAY" else None
    is_kept = raw.icc is not None and profile_space(raw.icc) == "RGB" and is_srgb(raw.icc)
    return raw.icc if is_kept else srgb_profile()
