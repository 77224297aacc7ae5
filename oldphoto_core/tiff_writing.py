"""TIFF, written strip by strip or tile by tile: 8 or 16 bits, grey or colour, with or without alpha, deflated.

Strips and tiles are packed by threads and given to tifffile one after the other, which writes them and the directory.
tifffile does not write tags that point to directories, so EXIF and GPS go behind the picture, with a new first
directory that has them put last.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

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
_ASCII, _BYTE = 2, 1


def write_tiff(
    out: BinaryIO,
    planes: Scan,
    *,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    packets: Packets | None = None,
    tile_px: int | None = None,
) -> None:
    """Writes a TIFF file of one page.

    Args:
        out: An empty file that is open for reading too, since its directory is moved.
        planes: (H, W), or (H, W, C) of 2 (grey and alpha), 3 or 4 (colour and alpha) samples; uint8 or uint16.
        icc_profile: What describes the pixels.
        dpi: Dots an inch (x, y).
        packets: XMP, IPTC and EXIF, as they are to stand in the file.
        tile_px: Side of tiles, a multiple of 16; None is strips.
    """
    import tifffile

    packets = packets or Packets()
    exif = packets.exif
    samples = planes.shape[2] if len(planes.shape) == 3 else 1
    row_bytes = planes.shape[1] * samples * planes.dtype.itemsize
    size_bytes = planes.shape[0] * row_bytes + sum(len(one or b"") for one in (icc_profile, *vars(packets).values()))
    is_big = size_bytes > CLASSIC_BYTES
    order = ">" if exif and exif[:2] == b"MM" and not is_big else "<"  # a classic TIFF's EXIF shares its byte order
    strip_rows = min(max(1, STRIP_BYTES // row_bytes), planes.shape[0])
    segments = _tiles(planes, tile_px) if tile_px else _strips(planes, strip_rows)
    named = tifffile.FileHandle(out, name="the derivative")  # it would ask a temporary file for its name, in vain
    with tifffile.TiffWriter(named, bigtiff=is_big, byteorder=order) as writer:
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
            metadata=None,
            software=False,
            iccprofile=icc_profile,
            resolution=dpi,
            resolutionunit=_INCH if dpi else None,
            extratags=_tags_of(packets),
        )
    if exif:
        _append_directories(out, exif)


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


def _append_directories(out: BinaryIO, exif: bytes) -> None:
    """Puts the EXIF and GPS directories behind the picture, and a new first directory that points to them."""
    head = _read(out, 0, 3)
    order = "<" if head[:2] == b"II" else ">"
    layout = _BIG if head == b"II+" else _CLASSIC
    end = out.seek(0, os.SEEK_END)
    end += end % 2
    block, homes = layout.relocate(exif, end)
    if not homes:
        return
    records = _first_records(out, order, layout)
    record = order + "HH" + 2 * layout.pointer
    records += [struct.pack(record, tag, layout.pointer_type, 1, home) for tag, home in homes.items()]
    records.sort(key=lambda one: struct.unpack_from(order + "H", one))
    block += bytes(len(block) % 2)
    directory = struct.pack(order + layout.count, len(records)) + b"".join(records)
    out.seek(end)
    out.write(block + directory + bytes(struct.calcsize(layout.pointer)))
    out.seek(layout.start_at)
    out.write(struct.pack(order + layout.pointer, end + len(block)))
    out.seek(0, os.SEEK_END)


def _first_records(out: BinaryIO, order: str, layout: _Layout) -> list[bytes]:
    """Gives the entries of the first directory, as they stand."""
    (at,) = struct.unpack(order + layout.pointer, _read(out, layout.start_at, struct.calcsize(layout.pointer)))
    head_bytes, entry_bytes = struct.calcsize(layout.count), struct.calcsize("=HH" + 2 * layout.pointer)
    (count,) = struct.unpack(order + layout.count, _read(out, at, head_bytes))
    data = _read(out, at + head_bytes, count * entry_bytes)
    return [data[i : i + entry_bytes] for i in range(0, len(data), entry_bytes)]


def _read(out: BinaryIO, at: int, size: int) -> bytes:
    out.seek(at)
    return out.read(size)
