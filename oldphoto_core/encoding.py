"""Pixels to bytes: the same pixels and companions always give the same bytes; no dates, no names of software.

TIFF and PNG are lossless and carry everything: grey or colour, 8 or 16 bits, alpha, profile, resolution, EXIF, XMP,
IPTC.
JPEG carries 8-bit pixels without alpha, at full chroma resolution.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from typing import Literal, get_args

import numpy as np
from PIL import Image

from oldphoto_core.color import profile_space
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ConfigError
from oldphoto_core.exif import DESCRIPTIVE_TAGS, entries, first_directory, relocate
from oldphoto_core.exif import for_derivative as exif_for_derivative
from oldphoto_core.packets import (
    IPTC_KEYWORD,
    PHOTOSHOP_SEGMENT,
    XMP_KEYWORD,
    XMP_SEGMENT,
    Packets,
    iptc_resource,
    whole_iptc,
)
from oldphoto_core.xmp import for_derivative as xmp_for_derivative

log = logging.getLogger(__name__)

OutputFormat = Literal["tif", "png", "jpg"]
"""What is written; also the file's extension."""

JPEG_MAX_SIDE_PX = 65_535
_JPEG_SEGMENT_BYTES = 65_533
JPEG_MAX_XMP_BYTES = _JPEG_SEGMENT_BYTES - len(XMP_SEGMENT)
"""XMP that fits into a JPEG's segment; what is longer is left out, and the log says so."""

_JPEG_MAX_EXIF_BYTES = _JPEG_SEGMENT_BYTES - 6
_XMP_TAG, _IPTC_TAG, _UNDEFINED = 700, 33723, 7
_INCH = 2
_ASCII, _BYTE, _LONG = 2, 1, 4


def encode_image(
    pixels: np.ndarray,
    *,
    format: OutputFormat,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    alpha: np.ndarray | None = None,
    quality: int = 92,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
) -> bytes:
    """Gives the bytes of an image file.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16, upright.
        format: `tif` (deflate), `png` or `jpg`.
        icc_profile: What describes the pixels; of class GRAY for grey, RGB for colour.
        dpi: Dots an inch (x, y).
        exif: An EXIF block as decoded; its orientation and sizes are set right, its thumbnail is cut off.
        alpha: (H, W) of the same dtype.
        quality: Of JPEG, 1 to 100.
        xmp: An XMP packet; its orientation and sizes are set right, its thumbnails are cut off.
        iptc: IPTC datasets (IIM).

    Raises:
        ConfigError: the format cannot hold what is asked for.
    """
    _check(pixels, format, icc_profile, alpha, quality)
    size = {"height": pixels.shape[0], "width": pixels.shape[1]}
    is_srgb = WorkingColour.of(icc_profile, channels=1 if pixels.ndim == 2 else 3).is_srgb
    block = exif_for_derivative(exif, **size, is_srgb=is_srgb)
    packets = Packets(xmp_for_derivative(xmp, **size, is_srgb=is_srgb), whole_iptc(iptc), block)
    if format == "jpg":
        return _encode_jpeg(pixels, icc_profile, dpi, packets, quality)
    planes = pixels if alpha is None else np.dstack([pixels, alpha])
    planes = np.ascontiguousarray(planes)
    if format == "png":
        return _encode_png(planes, icc_profile, dpi, packets)
    return _encode_tiff(planes, icc_profile, dpi, packets)


def _check(pixels: np.ndarray, format: str, icc: bytes | None, alpha: np.ndarray | None, quality: int) -> None:
    if format not in get_args(OutputFormat):
        raise ConfigError(f"unknown output format {format!r}; expected one of {', '.join(get_args(OutputFormat))}")
    is_shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if not is_shaped or pixels.dtype not in (np.uint8, np.uint16) or 0 in pixels.shape:
        raise ConfigError(f"expected (H, W) or (H, W, 3), uint8 or uint16; found {pixels.shape} {pixels.dtype}")
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        raise ConfigError(f"expected alpha {pixels.shape[:2]} {pixels.dtype}, found {alpha.shape} {alpha.dtype}")
    wanted = "GRAY" if pixels.ndim == 2 else "RGB"
    if icc and profile_space(icc) != wanted:
        raise ConfigError(f"expected a profile of class {wanted} for these pixels, found {profile_space(icc)}")
    if format == "jpg":
        _check_jpeg(pixels, alpha, quality)


def _check_jpeg(pixels: np.ndarray, alpha: np.ndarray | None, quality: int) -> None:
    if pixels.dtype != np.uint8:
        raise ConfigError("JPEG holds 8 bits, the pixels have 16; choose tif or png")
    if alpha is not None:
        raise ConfigError("JPEG holds no transparency, the picture has some; choose tif or png")
    if max(pixels.shape[:2]) > JPEG_MAX_SIDE_PX:
        raise ConfigError(f"JPEG holds {JPEG_MAX_SIDE_PX} pixels a side, found {pixels.shape[:2]}; choose tif or png")
    if not 1 <= quality <= 100:
        raise ConfigError(f"JPEG quality: expected 1 to 100, found {quality}")


def _encode_jpeg(
    pixels: np.ndarray, icc: bytes | None, dpi: tuple[float, float] | None, packets: Packets, quality: int
) -> bytes:
    exif = packets.exif
    extras: dict[str, object] = {"icc_profile": icc} if icc else {}
    if dpi:
        extras["dpi"] = tuple(max(1, min(0xFFFF, round(value))) for value in dpi)
    if exif and len(exif) > _JPEG_MAX_EXIF_BYTES:
        log.warning("%d bytes of EXIF data do not fit into a JPEG and are left out.", len(exif))
    elif exif:
        extras["exif"] = b"Exif\0\0" + exif
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0, **extras)
    data = out.getvalue()
    segments = b""
    if packets.xmp:
        segments += _segment(0xE1, XMP_SEGMENT + packets.xmp, "XMP")
    if packets.iptc:
        segments += _segment(0xED, PHOTOSHOP_SEGMENT + iptc_resource(packets.iptc), "IPTC")
    at = 2
    while data[at + 1] in (0xE0, 0xE1):  # behind JFIF and EXIF, where readers look for it
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data[:at] + segments + data[at:]


def _segment(marker: int, body: bytes, what: str) -> bytes:
    if len(body) > _JPEG_SEGMENT_BYTES:
        log.warning("%d bytes of %s do not fit into a JPEG and are left out.", len(body), what)
        return b""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _encode_png(planes: np.ndarray, icc: bytes | None, dpi: tuple[float, float] | None, packets: Packets) -> bytes:
    import imagecodecs

    data = bytes(imagecodecs.png_encode(planes, level=6))
    chunks = b""
    if icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9))
    if dpi:
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    if packets.exif:
        chunks += _chunk(b"eXIf", packets.exif)
    if packets.xmp:
        chunks += _chunk(b"iTXt", XMP_KEYWORD + bytes(5) + packets.xmp)  # not packed, no language
    if packets.iptc:
        digits = iptc_resource(packets.iptc).hex()
        lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
        profile = f"\niptc\n{len(digits) // 2:8}\n{lines}\n".encode()
        chunks += _chunk(b"zTXt", IPTC_KEYWORD + bytes(2) + zlib.compress(profile, 9))
    header = 8 + 25  # signature and IHDR
    return data[:header] + chunks + data[header:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _encode_tiff(planes: np.ndarray, icc: bytes | None, dpi: tuple[float, float] | None, packets: Packets) -> bytes:
    import tifffile

    exif = packets.exif

    is_colour, has_alpha = planes.ndim == 3 and planes.shape[2] >= 3, planes.ndim == 3 and planes.shape[2] in (2, 4)
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        planes,
        bigtiff=False,
        byteorder=">" if exif and exif[:2] == b"MM" else "<",  # EXIF directories share the file's byte order
        photometric="rgb" if is_colour else "minisblack",
        planarconfig="contig" if planes.ndim == 3 else None,
        extrasamples=["unassalpha"] if has_alpha else None,
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        iccprofile=icc,
        resolution=dpi,
        resolutionunit=_INCH if dpi else None,
        extratags=_tags_of(packets),
    )
    data = out.getvalue()
    return _append_directories(data, exif) if exif else data


def _tags_of(packets: Packets) -> list[tuple[int, int, int, object, bool]]:
    tags: list[tuple[int, int, int, object, bool]] = []
    if packets.xmp:
        tags.append((_XMP_TAG, _BYTE, len(packets.xmp), packets.xmp, True))
    if packets.iptc:
        tags.append((_IPTC_TAG, _UNDEFINED, len(packets.iptc), packets.iptc, True))
    exif = packets.exif
    if exif is None:
        return tags
    for entry in entries(exif, first_directory(exif)):
        if entry.tag in DESCRIPTIVE_TAGS and entry.type in (_ASCII, _BYTE) and entry.count:
            value = exif[entry.value_at : entry.value_at + entry.size_bytes]
            if len(value) == entry.size_bytes:
                tags.append((entry.tag, entry.type, entry.count, value, True))
    return tags


def _append_directories(data: bytes, exif: bytes) -> bytes:
    """Gives the TIFF with the EXIF and GPS directories behind it.

    tifffile does not write tags that point to directories, so a new first directory that has them is put last.
    """
    data += b"\0" * (len(data) % 2)
    block, homes = relocate(exif, len(data))
    if not homes:
        return data
    order = "<" if data[:2] == b"II" else ">"
    records = [data[entry.at : entry.at + 12] for entry in entries(data, first_directory(data))]
    records += [struct.pack(order + "HHII", tag, _LONG, 1, home) for tag, home in homes.items()]
    records.sort(key=lambda record: struct.unpack_from(order + "H", record))
    directory = struct.pack(order + "H", len(records)) + b"".join(records) + bytes(4)
    block += b"\0" * (len(block) % 2)
    start = struct.pack(order + "I", len(data) + len(block))
    return data[:4] + start + data[8:] + block + directory
