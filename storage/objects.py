"""Objects by key, in a local folder or a bucket.

Sources are opened as :class:`SourceStore`, which has no method that writes. :class:`ObjectStore` adds writing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from storage.errors import KeyRefused, ListingIncomplete, ObjectExists, ObjectNotFound, SourceUnreadable
from storage.folder_access import FolderReader, FolderWriter
from storage.keys import sha256_hex
from storage.object_records import ListingPage, StoredObject
from storage.records import ListingProblem, SourceEntry
from storage.s3_access import S3Reader
from storage.s3_writing import S3Writer
from storage.urls import canonical_url, local_folder

log = logging.getLogger(__name__)


class SourceStore:
    """Objects that may be listed and read, never written.

    It may be pickled, after use too: the copy opens a connection of its own.

    Attributes:
        url: canonical URL.
        root: the folder, None for a bucket.
    """

    _in_folder: type[FolderReader] = FolderReader
    _in_bucket: type[S3Reader] = S3Reader

    def __init__(
        self, url: str | Path, options: Mapping[str, Any] | None = None, *, exclude: Sequence[str | Path] = ()
    ) -> None:
        """Opens nothing yet.

        Args:
            url: a path, ``file://...`` or ``s3://bucket/prefix``.
            options: s3fs's options (``StorageSettings.store_options``); unused for a folder.
            exclude: paths and URLs never listed: the home and the stores that results go to.

        Raises:
            SourceUnreadable: another kind of URL.
        """
        self.url = canonical_url(url)
        self.root = local_folder(self.url)
        self._exclude = [canonical_url(other) for other in exclude]
        protocol, _, location = self.url.partition("://")
        self._access: Any
        if self.root is not None:
            self._access = self._in_folder(self.url, self.root)
        elif protocol in ("s3", "s3a") and location.partition("/")[0]:
            self._access = self._in_bucket(self.url, location, options or {})
        else:
            raise SourceUnreadable(f"{self.url}: expected a folder or s3://bucket/prefix", url=self.url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # -- listing ------------------------------------------------------------------------------------------------

    @property
    def resumable(self) -> bool:
        """Whether a listing may go on behind a cursor; that of a folder starts anew, since its walk is cheap."""
        return self.root is None

    def pages(
        self,
        *,
        recursive: bool = True,
        after: str | None = None,
        on_problem: Callable[[ListingProblem], None] | None = None,
    ) -> Iterator[ListingPage]:
        """The listing in pages of at most 1,000 objects, hidden ones too; nothing larger than a page is held.

        A bucket is listed in the order of its keys' UTF-8 bytes, a folder in that of its names, its files first.

        Args:
            recursive: whether objects in folders below are listed.
            after: a page's ``cursor``: go on behind it. What was added before it since then is not seen.
            on_problem: is given what could not be listed. Without it, ListingIncomplete is raised at the end.

        Raises:
            SourceUnreadable: the source is not there, or holds results.
            StoreAccessDenied, StoreUnavailable: it cannot be listed now.
            ValueError: a cursor for a folder.
        """
        problems: list[ListingProblem] = []

        def report(problem: ListingProblem) -> None:
            log.warning("%s: %r: %s", self.url, problem.prefix, problem.reason)
            (on_problem or problems.append)(problem)

        if self.root is None:
            yield from self._bucket_pages(recursive, after)
        elif after is not None:
            raise ValueError(f"{self.url} is a folder; its listing starts anew")
        else:
            excluded = [folder for url in self._exclude if (folder := local_folder(url)) is not None]
            yield from self._access.pages(recursive=recursive, exclude=excluded, on_problem=report)
        if problems:
            raise ListingIncomplete(
                f"{self.url}: {len(problems)} parts could not be listed, such as {problems[0].prefix!r}: "
                f"{problems[0].reason}",
                url=self.url, key=problems[0].prefix,
            )  # fmt: skip

    def _bucket_pages(self, recursive: bool, after: str | None) -> Iterator[ListingPage]:
        """Without what lies in the stores of results."""
        excluded = [f"{url}/" for url in self._exclude]
        if any(f"{self.url}/".startswith(url) for url in excluded):
            raise SourceUnreadable(f"source {self.url} lies in a store of results; name the masters' own", url=self.url)
        below = tuple(url.removeprefix(f"{self.url}/") for url in excluded if url.startswith(f"{self.url}/"))
        for page in self._access.pages(recursive=recursive, after=after):
            kept = tuple(entry for entry in page.entries if not entry.key.startswith(below)) if below else page.entries
            yield replace(page, entries=kept)

    def list(
        self, *, recursive: bool = True, on_problem: Callable[[ListingProblem], None] | None = None
    ) -> Iterator[SourceEntry]:
        """Every object of :meth:`pages`, one after the other."""
        for page in self.pages(recursive=recursive, on_problem=on_problem):
            yield from page.entries

    # -- reading ------------------------------------------------------------------------------------------------

    def read_entry(self, entry: SourceEntry) -> tuple[SourceEntry, bytes]:
        """The bytes that belong to this entry of a listing, and the entry with what reading told besides.

        In a bucket one request reads and checks, and the entry given back has the version id where there is one.

        Raises:
            ObjectChanged: it is another object by now; the error carries its entry.
            ObjectNotFound: it is gone.
            StoreAccessDenied, StoreUnavailable, ObjectStoreError: it cannot be read.
        """
        self._check(entry.key)
        return self._access.read_entry(entry)

    def read_bytes(self, key: str) -> bytes:
        """The whole object.

        Raises:
            ObjectNotFound, StoreAccessDenied, StoreUnavailable, ObjectStoreError, KeyRefused.
        """
        self._check(key)
        return self._access.read(key)

    def read_head(self, key: str, size_bytes: int) -> bytes:
        """The first bytes of the object, fewer where it is shorter."""
        self._check(key)
        return self._access.read_head(key, size_bytes)

    @contextmanager
    def open_read(self, key: str) -> Iterator[IO[bytes]]:
        """The object as a binary file, for reading in pieces."""
        self._check(key)
        with self._access.open(key) as file:
            yield file

    def exists(self, key: str) -> bool:
        """Whether there is an object at this key."""
        self._check(key)
        return bool(self._access.exists(key))

    def entry(self, key: str) -> SourceEntry:
        """Size, time and ETag of one object, as a listing gives them; in a bucket its version id too."""
        self._check(key)
        return self._access.entry(key)

    def object_url(self, key: str) -> str:
        """Whole URL of an object."""
        return f"{self.url.rstrip('/')}/{key}"

    def local_path(self, key: str) -> Path | None:
        """The object's file, None in a bucket."""
        self._check(key)
        return None if self.root is None else self._access.path(key)

    def _check(self, key: str) -> None:
        if not key or "\0" in key:
            raise KeyRefused(f"{self.url}: {key!r} is no key", url=self.url, key=key)


class ObjectStore(SourceStore):
    """Objects that may be read and written: derivatives, labels, releases, manifests. Never opened on a source."""

    _in_folder = FolderWriter
    _in_bucket = S3Writer

    def __init__(
        self,
        url: str | Path,
        options: Mapping[str, Any] | None = None,
        *,
        exclude: Sequence[str | Path] = (),
        conditional_writes: bool | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            conditional_writes: whether the endpoint is known to honour If-None-Match
                (:func:`storage.endpoints.probe_conditional_writes`); None, not known, is the careful way.
        """
        super().__init__(url, options, exclude=exclude)
        self._conditional_writes = self.root is not None or bool(conditional_writes)

    def write_bytes_atomic(self, key: str, data: bytes, *, overwrite: bool = True) -> str:
        """Writes the object in whole or not at all and gives its SHA-256.

        Args:
            overwrite: False leaves an object that is there, as :meth:`write_once` does.

        Raises:
            ObjectExists: with ``overwrite`` off, where other bytes stand at the key.
        """
        if not overwrite:
            self.write_once(key, data)
            return sha256_hex(data)
        self._check(key)
        digest = sha256_hex(data)
        self._access.put(key, data, sha256=digest, if_absent=False)
        return digest

    def write_stream(self, key: str, chunks: Iterable[bytes]) -> StoredObject:
        """Writes an object that comes in pieces and is never held whole; what stood there is replaced at the end.

        An error of ``chunks`` leaves the key as it was.
        """
        self._check(key)
        return self._access.put_stream(key, chunks)

    def write_once(self, key: str, data: bytes) -> StoredObject:
        """Writes the object if none stands at the key; one of the same bytes is success, so that a retry is.

        Where the endpoint is not known to honour If-None-Match, looks before and after. Two writers of different bytes
        in the same instant can then both pass the first look: the one whose bytes do not stand afterwards is told so,
        unless it looked before the other's were there.

        Raises:
            ObjectExists: other bytes stand there; they are left alone.
        """
        self._check(key)
        digest = sha256_hex(data)
        if self._conditional_writes:
            try:
                return self._access.put(key, data, sha256=digest, if_absent=True)
            except FileExistsError:
                return self._same_or_refused(self.stored(key), data, digest)
        try:
            there = self.stored(key)
        except ObjectNotFound:
            self._access.put(key, data, sha256=digest, if_absent=False)
            there = self.stored(key)
        return self._same_or_refused(there, data, digest)

    def _same_or_refused(self, there: StoredObject, data: bytes, digest: str) -> StoredObject:
        if there.size_bytes == len(data):
            found = there.sha256 or sha256_hex(self.read_bytes(there.key))
            if found == digest:
                return replace(there, sha256=digest)
        raise ObjectExists(
            f"{self.url}: {there.key!r} holds {there.size_bytes} other bytes already; it was left alone",
            url=self.url, key=there.key,
        )  # fmt: skip

    def stored(self, key: str) -> StoredObject:
        """What stands at the key, with the SHA-256 that was written beside it.

        Raises:
            ObjectNotFound, StoreAccessDenied, StoreUnavailable, ObjectStoreError.
        """
        self._check(key)
        return self._access.stored(key)

    def delete(self, key: str) -> None:
        """Deletes the object; one that is not there is no error."""
        self._check(key)
        self._access.delete(key)

    def delete_prefix(self, prefix: str) -> int:
        """Deletes all objects under a prefix and gives their number; in a folder, emptied folders too.

        Raises:
            KeyRefused: a prefix that does not end with a slash, so that ``ab`` never takes ``abc/`` with it.
        """
        if not prefix.endswith("/") or not prefix.strip("/"):
            raise KeyRefused(f"{self.url}: prefix {prefix!r} names no folder, as 'a/b/' does", url=self.url, key=prefix)
        self._check(prefix)
        return int(self._access.delete_prefix(prefix))
