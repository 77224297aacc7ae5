"""EXIF: words for the catalogue, and the block that goes into a derivative.

The block is patched in place and never rewritten, so that maker notes, odd types and non-ASCII text survive: the
orientation becomes upright (the pixels already are), the sizes become those of the derivative, the colour space says
whether they are sRGB, and the thumbnail, which shows the damaged photo, is cut off. Only for a TIFF derivative, which
holds EXIF among its own tags, are the offsets of the EXIF and GPS directories moved (`relocate`).
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

from oldphoto_core.errors import one_line

log = logging.getLogger(__name__)

CAPTURE_TAGS: Mapping[str, int] = {
    "description": Base.ImageDescription,
    "document_name": Base.DocumentName,
    "artist": Base.Artist,
    "copyright": Base.Copyright,
    "date": Base.DateTime,
    "make": Base.Make,
    "model": Base.Model,
    "software": Base.Software,
    "host": Base.HostComputer,
}
"""What the catalogue keeps of the first directory."""

CAPTURE_TAGS_INNER: Mapping[str, int] = {
    "date_original": Base.DateTimeOriginal,
    "date_digitized": Base.DateTimeDigitized,
    "lens": Base.LensModel,
}
"""What the catalogue keeps of the EXIF directory."""

_XP_TAGS = range(0x9C9B, 0x9CA0)
DESCRIPTIVE_TAGS = frozenset([*CAPTURE_TAGS.values(), Base.PageName, *_XP_TAGS])
"""Tags of the first directory that speak of the photo rather than of how a file stores it."""

_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBER_SIZES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_ORIENTATION, _COLOUR_SPACE, _WIDTH, _HEIGHT, _INTEROP = 0x0112, 0xA001, 0xA002, 0xA003, 0xA005
_UNCALIBRATED = 0xFFFF
_LONG8 = 16
_MAX_ENTRIES = 1000


@dataclass(frozen=True)
class Entry:
    """A tag of a directory, and where in the block it stands."""

    tag: int
    type: int
    count: int
    at: int
    """Offset of the twelve bytes of the entry."""

    value_at: int
    """Offset of the value: inside the entry where it fits into four bytes."""

    size_bytes: int

    @property
    def inline(self) -> bool:
        """Whether the value stands inside the entry."""
        return self.size_bytes <= 4


def read_orientation(exif: Image.Exif) -> int:
    """Gives the orientation, 1 to 8; 1 where there is none that makes sense."""
    value = exif.get(_ORIENTATION, 1)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def capture_words(exif: Image.Exif, info: Mapping[Any, Any]) -> dict[str, str]:
    """Gives the words that the catalogue keeps: EXIF first, then a PNG's text chunks."""
    inner = exif.get_ifd(IFD.Exif)
    values: dict[str, Any] = {word: exif.get(tag) for word, tag in CAPTURE_TAGS.items()}
    values |= {word: inner.get(tag) for word, tag in CAPTURE_TAGS_INNER.items()}
    for word, key in {"description": "Description", "artist": "Author", "copyright": "Copyright"}.items():
        values[word] = values[word] or info.get(key)
    words = {word: _text(value) for word, value in values.items() if isinstance(value, str | bytes)}
    return {word: text for word, text in words.items() if text}


def exif_of_tiff(exif: Image.Exif) -> bytes | None:
    """Gives an EXIF block made of the descriptive tags of a TIFF file, without those that say how it is stored."""
    kept = Image.Exif()
    for tag in sorted(DESCRIPTIVE_TAGS | {IFD.Exif, IFD.GPSInfo}):
        value = exif.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else exif.get(tag)
        if value:
            # Pillow writes text as ASCII and loses the rest; bytes are written as they are.
            kept[tag] = value.encode("latin-1", "replace") if isinstance(value, str) else value
    if not len(kept):
        return None
    try:
        return without_prefix(kept.tobytes())
    except (TypeError, ValueError, KeyError, struct.error, OverflowError) as error:
        log.warning("The EXIF data of a TIFF could not be kept: %s", error)
        return None


def without_prefix(exif: bytes | None) -> bytes | None:
    """Gives the TIFF structure of an EXIF block; None where there is none."""
    block = (exif or b"").removeprefix(b"Exif\0\0")
    return block if block[:4] in (b"II*\0", b"MM\0*") else None


def entries(block: bytes | bytearray, offset: int) -> Iterator[Entry]:
    """Gives the entries of the directory at an offset. Raises struct.error where it runs out of the block."""
    order = _order(block)
    (count,) = struct.unpack_from(order + "H", block, offset)
    if count > _MAX_ENTRIES:
        raise struct.error(f"{count} entries")
    for at in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, at)
        size = _TYPE_SIZES.get(kind, 1) * number
        (pointer,) = struct.unpack_from(order + "I", block, at + 8)
        yield Entry(tag, kind, number, at, at + 8 if size <= 4 else pointer, size)


def first_directory(block: bytes | bytearray) -> int:
    """Gives the offset of the first directory."""
    return int(struct.unpack_from(_order(block) + "I", block, 4)[0])


def for_derivative(exif: bytes | None, *, height: int, width: int, is_srgb: bool = True) -> bytes | None:
    """Gives the block for a derivative of this size: upright, in this colour space, without a thumbnail.

    None where it cannot be read; the log says so.
    """
    block = bytearray(without_prefix(exif) or b"")
    if not block:
        return None
    try:
        first = first_directory(block)
        outer = {entry.tag: entry for entry in entries(block, first)}
        struct.pack_into("<I", block, first + 2 + 12 * len(outer), 0)  # no second directory: the thumbnail
        patches = [(outer.get(_ORIENTATION), 1)]
        if pointer := outer.get(IFD.Exif):
            (inner_at,) = struct.unpack_from(_order(block) + "I", block, pointer.value_at)
            inner = {entry.tag: entry for entry in entries(block, inner_at)}
            patches += [(inner.get(_COLOUR_SPACE), 1 if is_srgb else _UNCALIBRATED)]
            patches += [(inner.get(_WIDTH), width), (inner.get(_HEIGHT), height)]
        for entry, value in patches:
            _patch(block, entry, value)
        relocate(bytes(block), 0)  # so that every directory is known to be readable
    except (struct.error, RecursionError) as error:
        log.warning("EXIF data that cannot be read (%s) is left out of the derivative.", error)
        return None
    return bytes(block)


def relocate(block: bytes, by: int) -> tuple[bytearray, dict[int, int]]:
    """Gives the block with the offsets in its EXIF and GPS directories moved, and where these directories then are.

    Args:
        block: What `for_derivative` gave.
        by: Where in a TIFF file the block is going to stand.
    """
    moved, homes = bytearray(block), {}
    for entry in entries(block, first_directory(block)):
        if entry.tag in (IFD.Exif, IFD.GPSInfo):
            (at,) = struct.unpack_from(_order(block) + "I", block, entry.value_at)
            _move_directory(block, moved, at, by)
            homes[entry.tag] = at + by
    return moved, homes


def _move_directory(block: bytes, moved: bytearray, offset: int, by: int) -> None:
    order = _order(block)
    for entry in entries(block, offset):
        (value,) = struct.unpack_from(order + "I", block, entry.at + 8)
        if entry.tag == _INTEROP:
            _move_directory(block, moved, value, by)
        if entry.tag == _INTEROP or not entry.inline:
            struct.pack_into(order + "I", moved, entry.at + 8, value + by)


def widened(block: bytes, by: int) -> tuple[bytearray, dict[int, int]]:
    """Gives the EXIF and GPS directories with their values as a BigTIFF has them, and where these directories are.

    They are little-endian whatever the block is, since big-endian BigTIFF is not read everywhere.

    Args:
        block: What `for_derivative` gave.
        by: Where in the file they are going to stand.
    """
    out, homes = bytearray(), {}
    for entry in entries(block, first_directory(block)):
        if entry.tag in (IFD.Exif, IFD.GPSInfo):
            (at,) = struct.unpack_from(_order(block) + "I", block, entry.value_at)
            homes[entry.tag] = by + _widen_directory(block, out, at, by)
    return out, homes


def _widen_directory(block: bytes, out: bytearray, offset: int, by: int) -> int:
    records = []
    for entry in entries(block, offset):
        kind, count = entry.type, entry.count
        value = block[entry.value_at : entry.value_at + entry.size_bytes]
        if entry.tag == _INTEROP:
            (at,) = struct.unpack_from(_order(block) + "I", block, entry.at + 8)
            kind, count, value = _LONG8, 1, struct.pack("<Q", by + _widen_directory(block, out, at, by))
        elif _order(block) == ">" and (unit := _NUMBER_SIZES.get(kind)):
            value = b"".join(value[i : i + unit][::-1] for i in range(0, len(value), unit))
        if len(value) > 8:
            out += bytes(len(out) % 2)
            home = struct.pack("<Q", by + len(out))
            out += value
            value = home
        records.append(struct.pack("<HHQ", entry.tag, kind, count) + value.ljust(8, b"\0"))
    out += bytes(len(out) % 2)
    start = len(out)
    out += struct.pack("<Q", len(records)) + b"".join(records) + bytes(8)
    return start


def _patch(block: bytearray, entry: Entry | None, value: int) -> None:
    if entry is None or entry.count != 1 or entry.type not in (3, 4):
        return
    if entry.type == 3 and value > 0xFFFF:
        return
    struct.pack_into(_order(block) + ("H" if entry.type == 3 else "I"), block, entry.value_at, value)


def _order(block: bytes | bytearray) -> str:
    return "<" if block[:2] == b"II" else ">"


def _text(value: str | bytes) -> str:
    raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return one_line(text.replace("\0", " "))
