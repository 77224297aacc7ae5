"""Reading and writing a local folder, by the same methods as a bucket."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

from storage import whole_objects
from storage.errors import KeyRefused, ObjectChanged, ObjectNotFound, ObjectStoreError, StoreAccessDenied
from storage.keys import sha256_hex
from storage.local_files import file_entry, key_to_name, list_folder, open_entry, write_atomically
from storage.object_records import PAGE_KEYS, ListingPage, StoredObject
from storage.records import ListingProblem, SourceEntry
from storage.s3_errors import one_line
from storage.whole_objects import WholeObject

_ADVICE = {
    errno.ENOSPC: "; free some space on its disk and run again",
    errno.EDQUOT: "; this user's quota is used up: free some space and run again",
    errno.EFBIG: "; larger than this user or file system may write: raise the limit (ulimit -f)",
    errno.EACCES: "; give this user the permission and run again",
    errno.EPERM: "; give this user the permission and run again",
    errno.EROFS: "; it is mounted read-only",
    errno.ENAMETOOLONG: "; the file system takes no name this long",
    errno.EIO: "; the disk or the network share fails: look into it first",
}

_PIECE_BYTES = 4 * 2**20


class FolderReader:
    """The files below a folder."""

    def __init__(self, url: str, root: Path) -> None:
        self.url = url
        self.root = root

    def pages(
        self, *, recursive: bool, exclude: Sequence[Path], on_problem: Callable[[ListingProblem], None]
    ) -> Iterator[ListingPage]:
        """As ``SourceStore.pages``, always from the start."""
        entries = list_folder(self.root, recursive=recursive, exclude=exclude, on_problem=on_problem)
        while page := tuple(islice(entries, PAGE_KEYS)):
            yield ListingPage(entries=page)

    def path(self, key: str) -> Path:
        """The object's file.

        Raises:
            KeyRefused: the key would leave the folder.
        """
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise KeyRefused(
                f"{self.url}: key {key!r} would leave the folder or has an empty name", url=self.url, key=key
            )
        return self.root / key_to_name(key)

    def entry(self, key: str) -> SourceEntry:
        with self._errors(key, "examined"):
            return file_entry(key, self.path(key))

    def stored(self, key: str) -> StoredObject:
        facts = self.entry(key)
        return StoredObject(key=key, size_bytes=facts.size_bytes, etag=facts.etag, modified_at=facts.modified_at)

    def exists(self, key: str) -> bool:
        with self._errors(key, "examined"):
            return self.path(key).is_file()

    def read(self, key: str) -> bytes:
        with self._errors(key, "read"):
            return self.path(key).read_bytes()

    def read_head(self, key: str, size_bytes: int) -> bytes:
        with self._errors(key, "read"), open(self.path(key), "rb") as file:
            return file.read(size_bytes)

    def read_entry(self, entry: SourceEntry) -> tuple[SourceEntry, bytes]:
        """The bytes, if size and time are the listing's before and after they are read."""
        with self._errors(entry.key, "read"):
            path = self.path(entry.key)
            with open(path, "rb") as file:
                before = open_entry(entry.key, file)
                data = file.read() if _same(before, entry) else b""
            after = file_entry(entry.key, path)
        if _same(before, entry) and _same(after, entry) and len(data) == entry.size_bytes:
            return after, data
        raise self._changed(after)

    def _changed(self, now: SourceEntry) -> ObjectChanged:
        return ObjectChanged(
            f"object {now.key!r} in {self.url} changed after it was listed (now {now.size_bytes} bytes of "
            f"{now.modified_at}); it is read again once it rests",
            entry=now, url=self.url, key=now.key,
        )  # fmt: skip

    @contextmanager
    def open_whole(self, wanted: str | SourceEntry) -> Iterator[WholeObject]:
        """As ``SourceStore.open_whole``: the file itself, of which a small one is held and a large one hashed."""
        key, listed = (wanted, None) if isinstance(wanted, str) else (wanted.key, wanted)
        with ExitStack() as opened:
            with self._errors(key, "read"):
                path = self.path(key)
                file: IO[bytes] = opened.enter_context(open(path, "rb"))
                begun, entry = os.fstat(file.fileno()), open_entry(key, file)
                if listed is not None and not _same(entry, listed):
                    raise self._changed(file_entry(key, path))

                def check() -> None:
                    with self._errors(key, "read"):
                        states = os.fstat(file.fileno()), path.stat()
                        if any(_identity(state) != _identity(begun) for state in states):
                            raise self._changed(file_entry(key, path))

                if entry.size_bytes <= whole_objects.HELD_BYTES:
                    data = file.read()
                    check()
                    whole = WholeObject(entry=entry, file=io.BytesIO(data), sha256=sha256_hex(data))
                else:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                    check()
                    file.seek(0)
                    whole = WholeObject(entry=entry, file=file, sha256=sha256, _check=check)
            yield whole

    def open(self, key: str) -> IO[bytes]:
        with self._errors(key, "read"):
            return open(self.path(key), "rb")

    @contextmanager
    def _errors(self, key: str, doing: str) -> Iterator[None]:
        try:
            yield
        except (ObjectStoreError, FileExistsError):
            raise
        except FileNotFoundError as error:
            raise ObjectNotFound(f"no object {key!r} in {self.url}", url=self.url, key=key) from error
        except OSError as error:
            kind = StoreAccessDenied if isinstance(error, PermissionError) else ObjectStoreError
            advice = _ADVICE.get(error.errno or 0, "")
            raise kind(
                f"object {key!r} in {self.url} cannot be {doing}: {one_line(error)}{advice}", url=self.url, key=key
            ) from error


class FolderWriter(FolderReader):
    """The files below a folder of ours."""

    def put(self, key: str, data: bytes, *, sha256: str, if_absent: bool) -> StoredObject:
        """Writes the file in whole or not at all; a file of ours keeps its SHA-256 in the catalogue, not here.

        Raises:
            FileExistsError: with ``if_absent``, where the file is there.
        """
        with self._errors(key, "written"):
            write_atomically(self.path(key), data, overwrite=not if_absent)
        return replace(self.stored(key), sha256=sha256)

    def put_file(self, key: str, file: IO[bytes], *, sha256: str, if_absent: bool) -> StoredObject:
        """The same with the bytes of a file, from its start."""
        file.seek(0)
        with self._errors(key, "written"):
            write_atomically(self.path(key), iter(partial(file.read, _PIECE_BYTES), b""), overwrite=not if_absent)
        return replace(self.stored(key), sha256=sha256)

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> StoredObject:
        """The same in pieces, none of which is held longer than it takes to write it."""
        digest = hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        with self._errors(key, "written"):
            write_atomically(self.path(key), hashed(), overwrite=True)
        return replace(self.stored(key), sha256=digest.hexdigest())

    def delete(self, key: str) -> None:
        """Deletes the file; one that is not there is no error."""
        with self._errors(key, "deleted"):
            self.path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        """Deletes the files below a folder, the folder itself, and those above it that are empty now."""
        folder = self.path(prefix.rstrip("/"))
        deleted = 0
        with self._errors(prefix, "deleted"):
            for path, _, names in os.walk(folder, topdown=False):
                for name in names:
                    os.unlink(os.path.join(path, name))
                    deleted += 1
                _remove_if_empty(Path(path))
            for above in folder.parents:
                if above == self.root or not _remove_if_empty(above):
                    break
        return deleted


def _same(found: SourceEntry, wanted: SourceEntry) -> bool:
    return found.size_bytes == wanted.size_bytes and (wanted.etag is None or found.etag == wanted.etag)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Changes where a file is written to, and where another takes its name."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _remove_if_empty(folder: Path) -> bool:
    """False where something is in it, or a writer has just made or removed it."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
