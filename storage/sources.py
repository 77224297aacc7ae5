"""Sources: objects by key, in a local folder or a bucket, that are listed and read, and never written."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from storage import whole_objects
from storage.errors import KeyRefused, ListingIncomplete, SourceUnreadable
from storage.folder_access import FolderReader
from storage.keys import sha256_hex
from storage.object_records import ListingPage
from storage.records import ListingProblem, SourceEntry
from storage.s3_access import S3Reader
from storage.urls import canonical_url, local_folder
from storage.whole_objects import WholeObject

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
    def open_whole(self, wanted: str | SourceEntry) -> Iterator[WholeObject]:
        """The whole object as a seekable local file, and its SHA-256; a large one is never held in memory.

        In a folder a large file itself is open, read-only; whoever has read from it asks ``check_unchanged`` then. From
        a bucket a large object is brought into a temporary file (``TMPDIR``), which is gone at the end.

        Args:
            wanted: a key, or the entry of a listing, which the object must then still be.

        Raises:
            ObjectChanged: it is not the listed one any more, or changed while it was read; the error carries its entry.
            ObjectNotFound, StoreAccessDenied, StoreUnavailable, ObjectStoreError, KeyRefused.
        """
        if isinstance(wanted, SourceEntry) and wanted.size_bytes <= whole_objects.HELD_BYTES:
            entry, data = self.read_entry(wanted)
            with io.BytesIO(data) as file:
                yield WholeObject(entry=entry, file=file, sha256=sha256_hex(data))
            return
        self._check(wanted if isinstance(wanted, str) else wanted.key)
        with self._access.open_whole(wanted) as whole:
            yield whole

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
