"""Rows to a file: the same pixels and companions always give the same bytes; no dates, no names of software.

TIFF and PNG are lossless and carry everything: grey or colour, 8 or 16 bits, alpha, profile, resolution, EXIF, XMP,
IPTC; no more than some megabytes of rows are held. JPEG carries 8-bit pixels without alpha, at full chroma resolution,
and is gathered whole, since Pillow takes it so.
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, get_args

import numpy as np
from PIL import Image

from oldphoto_core.color import profile_space
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ConfigError
from oldphoto_core.exif import for_derivative as exif_for_derivative
from oldphoto_core.packets import PHOTOSHOP_SEGMENT, XMP_SEGMENT, Packets, iptc_resource, whole_iptc
from oldphoto_core.png_writing import write_png
from oldphoto_core.row_pieces import READ_PIXELS
from oldphoto_core.scan import ArrayScan, DerivedScan, Scan, blocks_of
from oldphoto_core.tiff_writing import PageToWrite, write_tiff, write_tiff_pages
from oldphoto_core.xmp import for_derivative as xmp_for_derivative

log = logging.getLogger(__name__)

OutputFormat = Literal["tif", "png", "jpg"]
"""What is written; also the file's extension."""

JPEG_MAX_SIDE_PX = 65_535
_JPEG_SEGMENT_BYTES = 65_533
JPEG_MAX_XMP_BYTES = _JPEG_SEGMENT_BYTES - len(XMP_SEGMENT)
"""XMP that fits into a JPEG's segment; what is longer is left out, and the log says so."""

_JPEG_MAX_EXIF_BYTES = _JPEG_SEGMENT_BYTES - 6


def write_image(
    out: BinaryIO,
    scan: Scan,
    *,
    format: OutputFormat,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    alpha: Scan | None = None,
    quality: int = 92,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
    tile_px: int | None = None,
) -> None:
    """Writes an image file; rows are asked for in order, about a megapixel or a row of tiles at once.

    Args:
        out: An empty file, open for writing and, where the format is TIFF, for reading and seeking.
        scan: (H, W) or (H, W, 3), uint8 or uint16, upright.
        format: `tif` (deflate), `png` or `jpg`.
        icc_profile: What describes the pixels; of class GRAY for grey, RGB for colour.
        dpi: Dots an inch (x, y).
        exif: An EXIF block as decoded; its orientation and sizes are set right, its thumbnail is cut off.
        alpha: (H, W) of the same dtype.
        quality: Of JPEG, 1 to 100.
        xmp: An XMP packet; its orientation and sizes are set right, its thumbnails are cut off.
        iptc: IPTC datasets (IIM).
        tile_px: Side of a TIFF's tiles, a multiple of 16; None is strips. Other formats have no tiles.

    Raises:
        ConfigError: the format cannot hold what is asked for.
    """
    _check(scan, format, icc_profile, alpha, quality, tile_px)
    packets = _packets(scan, icc_profile, Packets(xmp, iptc, exif))
    if format == "jpg":
        out.write(_encode_jpeg(scan, icc_profile, dpi, packets, quality))
        return
    planes = scan if alpha is None else _side_by_side(scan, alpha)
    if format == "png":
        write_png(out, planes, icc_profile=icc_profile, dpi=dpi, packets=packets)
    else:
        write_tiff(out, planes, icc_profile=icc_profile, dpi=dpi, packets=packets, tile_px=tile_px)


@dataclass(frozen=True)
class PagePicture:
    """A page that is written into a TIFF; what a field means, the argument of `write_image` of the same name means."""

    scan: Scan
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    alpha: Scan | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    tile_px: int | None = None


def write_pages(out: BinaryIO, pages: Sequence[PagePicture]) -> None:
    """Writes a TIFF of these pages, each as `write_image` writes one.

    Args:
        out: An empty file, open for writing, reading and seeking.
        pages: In their order; one or more, of any sizes, depths and profiles.

    Raises:
        ConfigError: a TIFF cannot hold what is asked for.
    """
    prepared = []
    for page in pages:
        _check(page.scan, "tif", page.icc_profile, page.alpha, 0, page.tile_px)
        packets = _packets(page.scan, page.icc_profile, Packets(page.xmp, page.iptc, page.exif))
        planes = page.scan if page.alpha is None else _side_by_side(page.scan, page.alpha)
        prepared.append(PageToWrite(planes, page.icc_profile, page.dpi, packets, page.tile_px))
    write_tiff_pages(out, prepared)


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
    """Gives the bytes that `write_image` writes.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16, upright.
        alpha: (H, W) of the same dtype.
        format, icc_profile, dpi, exif, quality, xmp, iptc: As for `write_image`.

    Raises:
        ConfigError: the format cannot hold what is asked for.
    """
    out = io.BytesIO()
    write_image(
        out,
        ArrayScan(pixels),
        format=format,
        icc_profile=icc_profile,
        dpi=dpi,
        exif=exif,
        alpha=None if alpha is None else ArrayScan(alpha),
        quality=quality,
        xmp=xmp,
        iptc=iptc,
    )
    return out.getvalue()


def _packets(scan: Scan, icc_profile: bytes | None, master: Packets) -> Packets:
    """The master's packets as they are for these pixels."""
    size = {"height": scan.shape[0], "width": scan.shape[1]}
    is_srgb = WorkingColour.of(icc_profile, channels=1 if len(scan.shape) == 2 else 3).is_srgb
    xmp = xmp_for_derivative(master.xmp, **size, is_srgb=is_srgb)
    exif = exif_for_derivative(master.exif, **size, is_srgb=is_srgb)
    return Packets(xmp, whole_iptc(master.iptc), exif)


def _side_by_side(scan: Scan, alpha: Scan) -> Scan:
    samples = (scan.shape[2] if len(scan.shape) == 3 else 1) + 1
    return DerivedScan((scan, alpha), (*scan.shape[:2], samples), scan.dtype, lambda *rows: np.dstack(rows))


def _check(scan: Scan, format: str, icc: bytes | None, alpha: Scan | None, quality: int, tile_px: int | None) -> None:
    if format not in get_args(OutputFormat):
        raise ConfigError(f"unknown output format {format!r}; expected one of {', '.join(get_args(OutputFormat))}")
    is_shaped = len(scan.shape) == 2 or (len(scan.shape) == 3 and scan.shape[2] == 3)
    if not is_shaped or scan.dtype not in (np.uint8, np.uint16) or 0 in scan.shape:
        raise ConfigError(f"expected (H, W) or (H, W, 3), uint8 or uint16; found {scan.shape} {scan.dtype}")
    if alpha is not None and (alpha.shape != scan.shape[:2] or alpha.dtype != scan.dtype):
        raise ConfigError(f"expected alpha {scan.shape[:2]} {scan.dtype}, found {alpha.shape} {alpha.dtype}")
    wanted = "GRAY" if len(scan.shape) == 2 else "RGB"
    if icc and profile_space(icc) != wanted:
        raise ConfigError(f"expected a profile of class {wanted} for these pixels, found {profile_space(icc)}")
    if tile_px is not None and (tile_px < 16 or tile_px % 16):
        raise ConfigError(f"tiles of a TIFF: expected a side that is a multiple of 16 pixels, found {tile_px}")
    if format == "jpg":
        _check_jpeg(scan, alpha, quality)


def _check_jpeg(scan: Scan, alpha: Scan | None, quality: int) -> None:
    if scan.dtype != np.uint8:
        raise ConfigError("JPEG holds 8 bits, the pixels have 16; choose tif or png")
    if alpha is not None:
        raise ConfigError("JPEG holds no transparency, the picture has some; choose tif or png")
    if max(scan.shape[:2]) > JPEG_MAX_SIDE_PX:
        raise ConfigError(f"JPEG holds {JPEG_MAX_SIDE_PX} pixels a side, found {scan.shape[:2]}; choose tif or png")
    if not 1 <= quality <= 100:
        raise ConfigError(f"JPEG quality: expected 1 to 100, found {quality}")


def _encode_jpeg(
    scan: Scan, icc: bytes | None, dpi: tuple[float, float] | None, packets: Packets, quality: int
) -> bytes:
    exif = packets.exif
    extras: dict[str, object] = {"icc_profile": icc} if icc else {}
    if dpi:
        extras["dpi"] = tuple(max(1, min(0xFFFF, round(value))) for value in dpi)
    if exif and len(exif) > _JPEG_MAX_EXIF_BYTES:
        log.warning("%d bytes of EXIF data do not fit into a JPEG and are left out.", len(exif))
    elif exif:
        extras["exif"] = b"Exif\0\0" + exif
    pixels = np.empty(scan.shape, np.uint8)
    for top, rows in blocks_of(scan, READ_PIXELS):
        pixels[top : top + len(rows)] = rows
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
