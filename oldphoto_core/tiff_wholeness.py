"""Whether all that a TIFF announces is in its file; nothing but directories and tables is read for it."""

from __future__ import annotations

import math
import os
import struct
from typing import IO, TYPE_CHECKING, Any, Literal

from oldphoto_core.errors import ImageRefused
from oldphoto_core.exif import entries
from oldphoto_core.pillow_reading import broken

if TYPE_CHECKING:
    from tifffile import TiffPage

_NEEDED_TAGS = frozenset({258, 273, 279, 320, 324, 325, 347})
"""Bits, strips, tiles, palette and JPEG tables: what the pixels cannot be read without."""


def open_tiff(file: IO[bytes]) -> Any:
    """Gives tifffile's reader of an open file, which stays open after it; the file's own name means nothing to it."""
    import tifffile

    file.seek(0)
    return tifffile.TiffFile(file, name="photo.tif")


def read_at(file: IO[bytes], at: int, size_bytes: int) -> bytes:
    """Gives bytes from a place in a file; fewer where it ends before."""
    file.seek(at)
    return file.read(size_bytes)


def check_whole(file: IO[bytes], name: str, page: TiffPage, *, is_plain: bool) -> None:
    """Refuses a page whose pixels, or what is needed to read them, are not all in the file.

    Args:
        file: The whole file.
        name: The file, for messages.
        page: The photo.
        is_plain: Whether its samples are read as they stand; of other kinds the strips are not counted.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    if _is_classic(file):
        needed = [entry for entry in entries(*_directory(file, page.offset)) if entry.tag in _NEEDED_TAGS]
        if any(entry.value_at + entry.size_bytes > size_bytes for entry in needed):
            raise _truncated(name, "tables beyond the end of the file")
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or min(page.databytecounts) == 0 or len(page.dataoffsets) != len(page.databytecounts):
        raise _truncated(name, "strips without data")
    if max(ends) > size_bytes:
        beyond = sum(end > size_bytes for end in ends)
        raise _truncated(name, f"{beyond} of {len(ends)} strips beyond the end of the file")
    if is_plain and not page.is_contiguous and len(ends) < math.prod(page.chunked):
        raise _truncated(name, f"{len(ends)} of {math.prod(page.chunked)} strips")


def check_chain(file: IO[bytes], name: str, last: TiffPage) -> None:
    """Refuses a file whose last readable page announces another one that is not there."""
    if not _is_classic(file):
        return
    block, at = _directory(file, last.offset)
    order = "<" if block[:2] == b"II" else ">"
    (count,) = struct.unpack_from(order + "H", block, at)
    (following,) = struct.unpack_from(order + "I", block, at + 2 + 12 * count)
    if following >= file.seek(0, os.SEEK_END):
        raise _truncated(name, "a further page beyond the end of the file")


def starts_beyond(file: IO[bytes]) -> bool:
    """Tells whether the first directory lies behind the file's end."""
    head = read_at(file, 0, 16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    is_big = head[2:4] in (b"+\0", b"\0+")
    start = int.from_bytes(head[8:16] if is_big else head[4:8], order)
    return start + 2 > file.seek(0, os.SEEK_END)


def _is_classic(file: IO[bytes]) -> bool:
    return read_at(file, 2, 2) in (b"*\0", b"\0*")


def _directory(file: IO[bytes], offset: int) -> tuple[bytes, int]:
    """A block for `oldphoto_core.exif.entries`: the file's head and the directory, and where in it that begins."""
    head, count = read_at(file, 0, 4), read_at(file, offset, 2)
    entries_bytes = 12 * int.from_bytes(count, "little" if head[:2] == b"II" else "big")
    return head + read_at(file, offset, 2 + entries_bytes + 4), len(head)


def _truncated(name: str, found: str) -> ImageRefused:
    return broken(name, "TIFF", "truncated", found)
