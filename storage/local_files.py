"""Local folders: names that survive, listings that miss nothing, writes that are whole or not there.

A file name is bytes, a key is text that every database takes. A name that is valid UTF-8 is its own key; a byte that is
not becomes one character of the private use area, U+EF80 to U+EFFF, and so do the bytes of those characters themselves.
The mapping is one to one, so no two files share a key and every key leads back to its file.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from storage.errors import SourceUnreadable
from storage.records import ListingProblem, SourceEntry, utc_text

_PRIVATE_START = 0xEF00
_PRIVATE = range(0xEF80, 0xF000)


def name_to_key(name: str) -> str:
    """The key of a file name or path as Python gives it (undecodable bytes as surrogates)."""
    if name.isascii() or not any(0xDC80 <= ord(c) <= 0xDCFF or ord(c) in _PRIVATE for c in name):
        return name
    out = []
    for character in name:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(chr(_PRIVATE_START + code - 0xDC00))
        elif code in _PRIVATE:
            out.extend(chr(_PRIVATE_START + byte) for byte in character.encode())
        else:
            out.append(character)
    return "".join(out)


def key_to_name(key: str) -> str:
    """The file name or path of a key, as Python takes it."""
    if key.isascii() or not any(ord(c) in _PRIVATE for c in key):
        return key
    raw = b"".join(
        bytes([ord(c) - _PRIVATE_START]) if ord(c) in _PRIVATE else c.encode("utf-8", "surrogateescape") for c in key
    )
    return raw.decode("utf-8", "surrogateescape")


def local_etag(status: os.stat_result) -> str:
    """Changes whenever a file is written: modification time in nanoseconds and size."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def list_folder(
    root: Path, *, recursive: bool, exclude: Sequence[Path], on_problem: Callable[[ListingProblem], None]
) -> Iterator[SourceEntry]:
    """Every file below the folder, hidden ones too, each folder in the order of its names.

    Links to files and folders are followed. A folder is listed once, under its own path where it has one here, so that
    loops end; a link to a folder that holds ``root`` is reported, not followed. Folders in ``exclude`` are left out.

    Raises:
        SourceUnreadable: the folder itself cannot be listed, or lies in an excluded one.
    """
    try:
        above = {_identity(os.stat(folder)) for folder in Path(os.path.realpath(root)).parents}
        start = _identity(os.stat(root))
        left_out = {_identity(os.stat(folder)) for folder in exclude if folder.exists()}
        os.scandir(root).close()
    except OSError as error:
        what = "is a file, not a folder" if isinstance(error, NotADirectoryError) else error.strerror
        raise SourceUnreadable(f"source {root}: {what}; name a folder that can be read", url=str(root)) from error
    if left_out & (above | {start}):
        raise SourceUnreadable(f"source {root} lies in the home; name the folder of the masters", url=str(root))
    visited = {start} | left_out
    links: list[tuple[str, str]] = []
    stack = [(os.fspath(root), "")]
    while stack or links:
        if stack:
            path, prefix = stack.pop()
        else:  # only once all real folders are listed, so that a link never takes a folder's own path from it
            path, prefix = links.pop(0)
            if not _enter(path, prefix, visited, above, on_problem):
                continue
        try:
            with os.scandir(path) as scan:
                children = sorted(scan, key=lambda child: os.fsencode(child.name))
        except OSError as error:
            on_problem(ListingProblem(prefix=prefix, reason=f"folder cannot be listed: {error.strerror}"))
            continue
        folders = []
        for child in children:
            key = prefix + name_to_key(child.name)
            try:
                if not child.is_dir():
                    status = child.stat()
                    if stat.S_ISREG(status.st_mode):
                        yield _entry(key, status)
                    else:
                        on_problem(ListingProblem(prefix=key, reason="neither a file nor a folder"))
                elif child.is_symlink():
                    links.append((child.path, f"{key}/"))
                elif (identity := _identity(child.stat())) not in visited:
                    visited.add(identity)
                    folders.append((child.path, f"{key}/"))
            except OSError as error:
                what = "broken link" if child.is_symlink() else "cannot be examined"
                on_problem(ListingProblem(prefix=key, reason=f"{what}: {error.strerror}"))
        if not recursive:
            return
        stack.extend(reversed(folders))


def _enter(
    path: str,
    prefix: str,
    visited: set[tuple[int, int]],
    above: set[tuple[int, int]],
    on_problem: Callable[[ListingProblem], None],
) -> bool:
    """Whether a linked folder is to be listed; notes that it was."""
    try:
        identity = _identity(os.stat(path))
    except OSError as error:
        on_problem(ListingProblem(prefix=prefix, reason=f"linked folder cannot be examined: {error.strerror}"))
        return False
    if identity in above:
        on_problem(ListingProblem(prefix=prefix, reason="link to a folder that holds the source itself; not followed"))
        return False
    if identity in visited:
        return False
    visited.add(identity)
    return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _entry(key: str, status: os.stat_result) -> SourceEntry:
    return SourceEntry(
        key=key,
        size_bytes=status.st_size,
        modified_at=utc_text(datetime.fromtimestamp(status.st_mtime, UTC)),
        etag=local_etag(status),
    )


def file_entry(key: str, path: Path) -> SourceEntry:
    """The entry of one file."""
    return _entry(key, path.stat())


def open_entry(key: str, file: IO[bytes]) -> SourceEntry:
    """The entry of the file that is open, whatever its name stands for by now."""
    return _entry(key, os.fstat(file.fileno()))


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, overwrite: bool) -> None:
    """Writes a file that is there in whole or not at all, on disk before it has its name.

    Args:
        data: the bytes, or pieces of them in order.

    Raises:
        FileExistsError: with ``overwrite`` off, where the file is there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder is needed", str(path.parent)) from error
    part = path.parent / f".oldphoto-{uuid.uuid4().hex}.part"
    try:
        with open(part, "xb") as file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(part, path)
        else:
            name_if_absent(part, path)
    finally:
        part.unlink(missing_ok=True)


def name_if_absent(part: Path, path: Path) -> None:
    """Gives the written part its name; a hard link fails where the name is taken, which a rename would not.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links; two writers in the same instant write the same content
        if path.exists():
            raise FileExistsError(path) from None
        os.replace(part, path)
