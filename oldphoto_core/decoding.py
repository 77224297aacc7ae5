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
- **Depth.** 8 and 16 bits are carried as they are, grey and colour (JPEG 2000 and PNM of 9 to 15 bits as 16). What
  would be cut in silence is refused, and so are samples whose range would have to be guessed (floating point, signed).
- **Colour.** Grey and RGB keep their values and their profile; CMYK and Lab become sRGB (`oldphoto_core.conversion`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from oldphoto_core.color import is_srgb, profile_name, profile_space, srgb_profile
from oldphoto_core.colour_space import comes_back
from oldphoto_core.conversion import cmyk_to_srgb, lab_to_srgb, rgb_to_srgb
from oldphoto_core.deep_decoding import DEEP_FORMATS, decode_deep, refuse_deep
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
from oldphoto_core.packets import Packets, find_packets
from oldphoto_core.pillow_reading import broken, not_an_image, open_with_pillow, quiet_decoders, refusing, unsupported
from oldphoto_core.previews import to_eight_bits
from oldphoto_core.tiff_pages import TiffPhoto, checked_dpi, find_photo
from oldphoto_core.tiff_pixels import decode_plain

DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True)
class _Raw:
    """What a decoder gave, and what stands around it."""

    pixels: np.ndarray
    """Grey or RGB, as stored or converted to sRGB; not upright yet."""

    alpha: np.ndarray | None
    mode: str
    icc: bytes | None
    """The profile as embedded, whatever it is."""

    dpi: tuple[float, float] | None
    exif: Image.Exif
    info: Mapping[Any, Any]
    packets: Packets
    """XMP and IPTC."""

    is_converted: bool = False
    """Whether the pixels are sRGB now, and `icc` says what they were."""

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


def decode_image(
    data: bytes, name: str, limits: DecodeLimits = DEFAULT_LIMITS, *, hashed: bool = True
) -> DecodedImage:
    """Gives the upright pixels of an image file, and what belongs to them.

    Args:
        data: The whole file.
        name: File name or object key, for messages only: what a file is follows from its bytes.
        limits: What is accepted; checked before any pixel is decoded.
        hashed: Whether `facts.perceptual_hash` is computed; who knows the photo already may do without.

    Raises:
        ImageRefused: with a reason of `oldphoto_core.errors.REFUSAL_REASONS`.
    """
    format = _check_bytes(data, name)
    with quiet_decoders(name), refusing(name, format):
        raw = _decode_tiff(data, name, limits) if format == "TIFF" else _decode_other(data, format, name, limits)
        orientation, capture = read_orientation(raw.exif), capture_words(raw.exif, raw.info)
        block = exif_of_tiff(raw.exif) if format == "TIFF" else without_prefix(raw.packets.exif or raw.info.get("exif"))
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
        perceptual_hash=perceptual_hash(pixels) if hashed else "",
    )
    icc, packets = _profile_to_write(pixels, raw), raw.packets
    return DecodedImage(pixels, alpha, icc, dpi, block, facts, packets.xmp, packets.iptc)


def perceptual_hash(pixels: np.ndarray) -> str:
    """Gives the 64-bit DCT hash of a picture, as 16 hexadecimal digits.

    Grey first and then means over whole blocks: that takes a third of the time of an area average to one size.
    """
    import imagehash

    grey = Image.fromarray(to_eight_bits(pixels)).convert("L")
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
    around = (photo.icc_profile, photo.dpi, photo.exif, {}, Packets(photo.xmp, photo.iptc))
    if photo.plain:
        pixels, alpha = decode_plain(data, photo)
        pixels, is_converted = _as_grey_or_rgb(pixels, photo.plain, photo.icc_profile, name)
        return _Raw(pixels, alpha, _mode_of(photo, alpha), *around, is_converted=is_converted)
    image = open_with_pillow(data, "TIFF", name)
    image.seek(photo.page)
    mode = image.mode
    image.load()
    pixels, alpha, is_converted = _to_arrays(image, photo.icc_profile, name)
    return _Raw(pixels, alpha, mode, *around, is_converted=is_converted, is_upright=True)


def _as_grey_or_rgb(pixels: np.ndarray, kind: str, icc: bytes | None, name: str) -> tuple[np.ndarray, bool]:
    """Gives pixels that can be written back in their encoding, and whether they were converted to sRGB for that."""
    if kind == "cmyk":
        return cmyk_to_srgb(pixels, icc, name), True
    if kind in ("lab", "icc-lab"):
        return lab_to_srgb(pixels, layout="cie" if kind == "lab" else "icc"), True
    if kind == "rgb" and icc and profile_space(icc) == "RGB" and not comes_back(icc):
        return rgb_to_srgb(pixels, icc, name), True
    return pixels, False


def _mode_of(photo: TiffPhoto, alpha: np.ndarray | None) -> str:
    if photo.plain == "grey":
        mode = "LA" if alpha is not None else "I" if photo.bits == 16 else "L"
    elif photo.plain == "rgb":
        mode = "RGB" if alpha is None else "RGBA"
    else:
        mode = "CMYK" if photo.plain == "cmyk" else "LAB"
    return mode + (";16" if photo.bits == 16 else "")


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
    icc = image.info.get("icc_profile") or (jpeg2000_profile(data) if format == "JPEG2000" else None)
    packets = find_packets(data, format)
    if depth and depth.bits > 8:
        pixels, alpha = decode_deep(data, format, depth, name)
        mode = ("I" if alpha is None else "LA") if pixels.ndim == 2 else "RGB" if alpha is None else "RGBA"
        pixels, is_converted = _as_grey_or_rgb(pixels, "grey" if pixels.ndim == 2 else "rgb", icc, name)
        mode += ";16"
    else:
        mode = image.mode
        image.load()
        pixels, alpha, is_converted = _to_arrays(image, icc, name)
    around = (icc, _read_dpi(image, format), _read_exif(image, packets), image.info, packets)
    return _Raw(pixels, alpha, mode, *around, is_converted=is_converted)


def _read_exif(image: Any, packets: Packets) -> Image.Exif:
    if packets.exif is None:
        return image.getexif()
    exif = Image.Exif()
    exif.load(packets.exif)
    return exif


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
    if format not in DEEP_FORMATS or depth.bits > 16:
        raise refuse_deep(name, depth, format)


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


def _to_arrays(image: Image.Image, icc: bytes | None, name: str) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Gives the pixels and the alpha of a loaded 8-bit image, and whether the pixels were converted to sRGB."""
    mode, see_through = image.mode, "transparency" in image.info
    if mode == "CMYK":
        return cmyk_to_srgb(np.array(image), icc, name), None, True
    if mode == "LAB":
        return lab_to_srgb(np.array(image)), None, True
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
        return planes, None, False
    alpha = planes[..., -1] if planes.shape[2] in (2, 4) else None
    if planes.shape[2] == 2:
        return planes[..., 0], alpha, False
    colour = np.ascontiguousarray(planes[..., :3])
    if mode in ("P", "PA") and _is_plain_grey(colour, icc):
        return colour[..., 0], alpha, False
    pixels, is_converted = _as_grey_or_rgb(colour, "rgb", icc, name)
    return pixels, alpha, is_converted


def _is_plain_grey(colour: np.ndarray, icc: bytes | None) -> bool:
    """Whether a palette's colours are greys alone, and no profile says more of them than that."""
    is_plain = profile_space(icc) != "RGB" or is_srgb(icc or b"")
    return is_plain and bool((colour == colour[..., :1]).all())


def _one_bit_to_grey(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    grey.info = dict(image.info)
    return grey


def _profile_to_write(pixels: np.ndarray, raw: _Raw) -> bytes | None:
    if pixels.ndim == 2:
        return raw.icc if profile_space(raw.icc) == "GRAY" else None
    is_kept = not raw.is_converted and profile_space(raw.icc) == "RGB"
    return raw.icc if is_kept else srgb_profile()
