"""Bytes to upright pixels: what is carried is carried whole, and everything else is refused with a reason.

Decisions, where a reader may wonder:

- **One photo a file.** Animations are refused. So are TIFFs of several pages here, since this gives one picture;
  `oldphoto_core.opening.open_image` gives each page. A TIFF's thumbnails and masks are no pages
  (`oldphoto_core.tiff_standing`). Of an MPO the first picture is read, since the others are previews or gain
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

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from oldphoto_core.color import is_srgb, profile_space
from oldphoto_core.conversion import cmyk_to_srgb, conversion_of, lab_to_srgb
from oldphoto_core.deep_decoding import decode_deep
from oldphoto_core.image_checks import check_bytes, check_depth, check_frames, check_size
from oldphoto_core.image_formats import declared_depth, declared_length, jpeg2000_profile
from oldphoto_core.image_types import DecodedImage, DecodeLimits
from oldphoto_core.packets import Packets, find_packets
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.pillow_reading import broken, open_with_pillow, quiet_decoders, refusing, unsupported
from oldphoto_core.scan import ArrayScan
from oldphoto_core.surroundings import ReadExif, Surroundings, describe, mode_of
from oldphoto_core.tiff_pages import TiffPhoto, checked_dpi, find_photo
from oldphoto_core.tiff_pixels import decode_plain

DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True)
class _Raw:
    """What a decoder gave, and what stands around it."""

    pixels: np.ndarray
    """Grey or RGB, as stored or converted to sRGB; not upright yet."""

    alpha: np.ndarray | None
    around: Surroundings

    is_upright: bool = False
    """Whether the decoder has already applied the orientation; Pillow does so for TIFF alone."""


UPRIGHT = {
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
    format = check_bytes(data, name)
    with quiet_decoders(name), refusing(name, format):
        raw = _decode_tiff(data, name, limits) if format == "TIFF" else _decode_other(data, format, name, limits)
        exif = ReadExif.of(format, raw.around)
    return _finished(format, raw, exif, hashed=hashed)


def decode_page(data: bytes, photo: TiffPhoto, name: str) -> DecodedImage:
    """Gives the upright pixels of one page of a TIFF, and what belongs to them, without a perceptual hash.

    Args:
        data: The whole file.
        photo: One of those that `oldphoto_core.tiff_pages.find_photos` gave of it; its size is the caller's to check.
        name: The file, and the page where there are several, for messages.

    Raises:
        ImageRefused: as `decode_image` does.
    """
    with quiet_decoders(name), refusing(name, "TIFF"):
        raw = _decode_page(data, photo, name)
        exif = ReadExif.of("TIFF", raw.around)
    return _finished("TIFF", raw, exif, hashed=False)


def _finished(format: str, raw: _Raw, exif: ReadExif, *, hashed: bool) -> DecodedImage:
    pixels, alpha = raw.pixels, raw.alpha
    if not raw.is_upright:
        pixels = UPRIGHT[exif.orientation](pixels)
        alpha = None if alpha is None else UPRIGHT[exif.orientation](alpha)
    pixels, alpha = np.ascontiguousarray(pixels), None if alpha is None else np.ascontiguousarray(alpha)
    upright, has_alpha = ArrayScan(pixels), alpha is not None
    seen = perceptual_hash(upright) if hashed else ""
    described = describe(format, raw.around, exif, upright, has_alpha=has_alpha, perceptual_hash=seen)
    return DecodedImage(pixels=pixels, alpha=alpha, **vars(described))


def _decode_tiff(data: bytes, name: str, limits: DecodeLimits) -> _Raw:
    photo = find_photo(io.BytesIO(data), name)
    check_size(photo.height, photo.width, name, limits)
    return _decode_page(data, photo, name)


def _decode_page(data: bytes, photo: TiffPhoto, name: str) -> _Raw:
    if photo.plain:
        pixels, alpha = decode_plain(data, photo)
        pixels, is_converted = _to_rgb(pixels, photo.plain, photo.icc_profile, name)
        mode = mode_of(photo, has_alpha=alpha is not None)
        return _Raw(pixels, alpha, Surroundings.of_tiff(photo, mode=mode, is_converted=is_converted))
    image = open_with_pillow(data, "TIFF", name)
    image.seek(photo.page)
    mode = image.mode
    image.load()
    pixels, alpha, is_converted = _to_arrays(image, photo.icc_profile, name)
    around = Surroundings.of_tiff(photo, mode=mode, is_converted=is_converted)
    return _Raw(pixels, alpha, around, is_upright=True)


def _to_rgb(samples: np.ndarray, kind: str, icc: bytes | None, name: str) -> tuple[np.ndarray, bool]:
    """Gives pixels that can be written back in their encoding, and whether they were converted to sRGB for that."""
    convert = conversion_of(kind, icc, samples.dtype, name)
    return (samples, False) if convert is None else (convert(samples), True)


def _decode_other(data: bytes, format: str, name: str, limits: DecodeLimits) -> _Raw:
    if declared_length(data, format) > len(data):
        raise broken(name, format, "truncated", f"{len(data)} of {declared_length(data, format)} bytes")
    with refusing(name, format, opening=True):
        image = open_with_pillow(data, format, name)
    check_size(image.height, image.width, name, limits)
    depth = declared_depth(data, format)
    check_depth(depth, format, name)
    check_frames(image, format, name)
    if format == "PNG":
        open_with_pillow(data, format, name).verify()  # checksums and the last chunk, which loading passes over
    icc = image.info.get("icc_profile") or (jpeg2000_profile(data) if format == "JPEG2000" else None)
    packets = find_packets(data, format)
    if depth and depth.bits > 8:
        pixels, alpha = decode_deep(data, format, depth, name)
        mode = ("I" if alpha is None else "LA") if pixels.ndim == 2 else "RGB" if alpha is None else "RGBA"
        pixels, is_converted = _to_rgb(pixels, "grey" if pixels.ndim == 2 else "rgb", icc, name)
        mode += ";16"
    else:
        mode = image.mode
        image.load()
        pixels, alpha, is_converted = _to_arrays(image, icc, name)
    dpi, exif = _read_dpi(image, format), _read_exif(image, packets)
    return _Raw(pixels, alpha, Surroundings(mode, icc, dpi, exif, image.info, packets, is_converted))


def _read_exif(image: Any, packets: Packets) -> Image.Exif:
    if packets.exif is None:
        return image.getexif()
    exif = Image.Exif()
    exif.load(packets.exif)
    return exif


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
    pixels, is_converted = _to_rgb(colour, "rgb", icc, name)
    return pixels, alpha, is_converted


def _is_plain_grey(colour: np.ndarray, icc: bytes | None) -> bool:
    """Whether a palette's colours are greys alone, and no profile says more of them than that."""
    is_plain = profile_space(icc) != "RGB" or is_srgb(icc or b"")
    return is_plain and bool((colour == colour[..., :1]).all())


def _one_bit_to_grey(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    grey.info = dict(image.info)
    return grey
