"""TIFF, written strip by strip or tile by tile: 8 or 16 bits, grey or colour, with or without alpha, deflated.

Strips and tiles are packed by threads and given to tifffile one after the other, which writes them and the directory.
tifffile does not write tags that point to directories, so EXIF and GPS go behind the pictures, each with a new
directory of its page that has them put last.

Several pages are marked as such (NewSubfileType 2) and numbered (PageNumber), which is TIFF's own way to say so.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from oldphoto_core.exif import DESCRIPTIVE_TAGS, entries, first_directory, relocate, widened
from oldphoto_core.machine import own_threads
from oldphoto_core.packets import Packets
from oldphoto_core.row_pieces import mapped_in_order, pieces_of
from oldphoto_core.scan import Scan

STRIP_BYTES = 256 << 10
"""Rows of about so many bytes make a strip."""

CLASSIC_BYTES = 3_900_000_000
"""Where pixels and companions take more than this unpacked, the file is a BigTIFF: a classic one ends at 4.29 GB."""

_XMP_TAG, _IPTC_TAG, _UNDEFINED = 700, 33723, 7
_INCH = 2
_ASCII, _BYTE, _SHORT = 2, 1, 3
_PAGE_NUMBER, _ONE_OF_SEVERAL = 297, 2


@dataclass(frozen=True)
class PageToWrite:
    """A page of a TIFF.

    Attributes:
        planes: (H, W), or (H, W, C) of 2 (grey and alpha), 3 or 4 (colour and alpha) samples; uint8 or uint16.
        icc_profile: what describes the pixels.
        dpi: dots an inch (x, y).
        packets: XMP, IPTC and EXIF, as they are to stand in the file.
        tile_px: side of tiles, a multiple of 16; None is strips.
    """

    planes: Scan
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    packets: Packets = field(default_factory=Packets)
    tile_px: int | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, unpacked."""
        return self.planes.shape[1] * self.samples * self.planes.dtype.itemsize

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.planes.shape[2] if len(self.planes.shape) == 3 else 1

    @property
    def size_bytes(self) -> int:
        """Bytes of pixels, unpacked, and companions."""
        companions = (self.icc_profile, *vars(self.packets).values())
        return self.planes.shape[0] * self.row_bytes + sum(len(one or b"") for one in companions)


def write_tiff(
    out: BinaryIO,
    planes: Scan,
    *,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    packets: Packets | None = None,
    tile_px: int | None = None,
) -> None:
    """Writes a TIFF file of one page; see `write_tiff_pages` and `PageToWrite`."""
    write_tiff_pages(out, [PageToWrite(planes, icc_profile, dpi, packets or Packets(), tile_px)])


def write_tiff_pages(out: BinaryIO, pages: Sequence[PageToWrite]) -> None:
    """Writes a TIFF file of these pages, in their order, each with all that belongs to it.

    Args:
        out: An empty file that is open for reading too, since its directories are moved.
        pages: One or more.
    """
    import tifffile

    orders = {page.packets.exif[:2] for page in pages if page.packets.exif}
    # A classic TIFF's EXIF shares its byte order; that of a BigTIFF is turned round where it must be.
    is_big = sum(page.size_bytes for page in pages) > CLASSIC_BYTES or len(orders) > 1
    order = ">" if orders == {b"MM"} and not is_big else "<"
    named = tifffile.FileHandle(out, name="the derivative")  # it would ask a temporary file for its name, in vain
    with tifffile.TiffWriter(named, bigtiff=is_big, byteorder=order) as writer:
        for number, page in enumerate(pages):
            _write_page(writer, page, order, number=number, of=len(pages))
    if orders:
        _append_directories(out, [page.packets.exif for page in pages])


def _write_page(writer: Any, page: PageToWrite, order: str, *, number: int, of: int) -> None:
    planes, tile_px, samples = page.planes, page.tile_px, page.samples
    strip_rows = min(max(1, STRIP_BYTES // page.row_bytes), planes.shape[0])
    segments = _tiles(planes, tile_px) if tile_px else _strips(planes, strip_rows)
    numbered = [(_PAGE_NUMBER, _SHORT, 2, (number, of), True)] if of > 1 else []
    writer.write(
        mapped_in_order(_packer(order), segments, threads=own_threads()),
        shape=planes.shape,
        dtype=planes.dtype,
        rowsperstrip=None if tile_px else strip_rows,
        tile=(tile_px, tile_px) if tile_px else None,
        photometric="rgb" if samples >= 3 else "minisblack",
        planarconfig="contig" if samples > 1 else None,
        extrasamples=["unassalpha"] if samples in (2, 4) else None,
        compression="zlib",
        predictor=True,
        subfiletype=_ONE_OF_SEVERAL if of > 1 else None,
        metadata=None,
        software=False,
        iccprofile=page.icc_profile,
        resolution=page.dpi,
        resolutionunit=_INCH if page.dpi else None,
        extratags=[*_tags_of(page.packets), *numbered],
    )


def _strips(planes: Scan, rows: int) -> Iterator[np.ndarray]:
    """Gives strips (h, W, C)."""
    for piece in pieces_of(planes, rows):
        yield piece.reshape(*piece.shape[:2], -1)


def _tiles(planes: Scan, side_px: int) -> Iterator[np.ndarray]:
    """Gives tiles (side, side, C), row by row of them; beyond the picture they are black."""
    for row in _strips(planes, side_px):
        for left in range(0, row.shape[1], side_px):
            tile = row[:, left : left + side_px]
            if tile.shape[:2] != (side_px, side_px):
                tile = np.pad(tile, ((0, side_px - tile.shape[0]), (0, side_px - tile.shape[1]), (0, 0)))
            yield tile


def _packer(order: str) -> Callable[[np.ndarray], bytes]:
    """Gives what packs a strip or tile: differences along its rows, in the file's byte order, deflated."""
    import imagecodecs

    def pack(segment: np.ndarray) -> bytes:
        change = imagecodecs.delta_encode(np.ascontiguousarray(segment), axis=-2)
        return bytes(imagecodecs.deflate_encode(change.astype(change.dtype.newbyteorder(order), copy=False)))

    return pack


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


@dataclass(frozen=True)
class _Layout:
    """How a kind of TIFF holds directories; letters are those of `struct`."""

    count: str
    pointer: str
    start_at: int
    """Where the file points to its first directory."""

    pointer_type: int
    relocate: Callable[[bytes, int], tuple[bytearray, dict[int, int]]]


_CLASSIC = _Layout(count="H", pointer="I", start_at=4, pointer_type=4, relocate=relocate)
_BIG = _Layout(count="Q", pointer="Q", start_at=8, pointer_type=16, relocate=widened)


def _append_directories(out: BinaryIO, exif: Sequence[bytes | None]) -> None:
    """Puts each page's EXIF and GPS directories behind the pictures, and a new directory of it that points to them."""
    head = _read(out, 0, 3)
    order = "<" if head[:2] == b"II" else ">"
    layout = _BIG if head == b"II+" else _CLASSIC
    pointer_at = layout.start_at
    for block in exif:
        moved_to = None if block is None else _move_directory(out, order, layout, pointer_at, block)
        pointer_at = _Directory.at(out, order, layout, pointer_at).next_at if moved_to is None else moved_to
    out.seek(0, os.SEEK_END)


def _move_directory(out: BinaryIO, order: str, layout: _Layout, pointer_at: int, exif: bytes) -> int | None:
    """Puts one page's directory behind all; gives where it points to the next page, None where it stayed."""
    end = out.seek(0, os.SEEK_END)
    end += end % 2
    block, homes = layout.relocate(exif, end)
    if not homes:
        return None
    directory = _Directory.at(out, order, layout, pointer_at)
    record = order + "HH" + 2 * layout.pointer
    records = directory.records
    records += [struct.pack(record, tag, layout.pointer_type, 1, home) for tag, home in homes.items()]
    records.sort(key=lambda one: struct.unpack_from(order + "H", one))
    block += bytes(len(block) % 2)
    body = struct.pack(order + layout.count, len(records)) + b"".join(records)
    following = _read(out, directory.next_at, struct.calcsize(layout.pointer))
    out.seek(end)
    out.write(block + body + following)
    out.seek(pointer_at)
    out.write(struct.pack(order + layout.pointer, end + len(block)))
    return end + len(block) + len(body)


@dataclass(frozen=True)
class _Directory:
    """A page's directory."""

    records: list[bytes]
    """Its entries, as they stand."""

    next_at: int
    """Where it points to the next page."""

    @classmethod
    def at(cls, out: BinaryIO, order: str, layout: _Layout, pointer_at: int) -> _Directory:
        """Gives the one that is pointed to from a place."""
        (at,) = struct.unpack(order + layout.pointer, _read(out, pointer_at, struct.calcsize(layout.pointer)))
        head_bytes, entry_bytes = struct.calcsize(layout.count), struct.calcsize("=HH" + 2 * layout.pointer)
        (count,) = struct.unpack(order + layout.count, _read(out, at, head_bytes))
        data = _read(out, at + head_bytes, count * entry_bytes)
        records = [data[i : i + entry_bytes] for i in range(0, len(data), entry_bytes)]
        return cls(records, at + head_bytes + len(data))


def _read(out: BinaryIO, at: int, size: int) -> bytes:
    out.seek(at)
    return out.read(size)
