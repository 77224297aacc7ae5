"""Objects by key, in a local folder or a bucket, through fsspec.

Sources are opened as :class:`SourceStore`, which has no method that writes. :class:`ObjectStore` adds writing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from storage.errors import (
    KeyRefused,
    ListingIncomplete,
    ObjectExists,
    ObjectNotFound,
    ObjectStoreError,
    SourceUnreadable,
)
from storage.keys import sha256_hex
from storage.local_files import file_entry, key_to_name, list_folder, write_atomically
from storage.records import ListingProblem, SourceEntry, utc_text
from storage.urls import canonical_url, local_folder

log = logging.getLogger(__name__)

PAGE_KEYS = 1000
"""Keys asked for at once when a bucket is listed; the most that S3 gives."""


class SourceStore:
    """Objects that may be listed and read, never written.

    Attributes:
        url: canonical URL.
        root: the folder, None for a bucket.
    """

    def __init__(
        self, url: str | Path, options: Mapping[str, Any] | None = None, *, exclude: Sequence[str | Path] = ()
    ) -> None:
        """Opens nothing yet.

        Args:
            url: a path, ``file://...`` or ``s3://bucket/prefix``.
            options: fsspec's options for the protocol (``StorageSettings.store_options``); unused for a folder.
            exclude: paths and URLs never listed: the home and the stores that results go to.
        """
        self.url = canonical_url(url)
        self.root = local_folder(self.url)
        self._protocol, _, location = self.url.partition("://")
        self._location = location if self.root is None else os.fspath(self.root)
        self._options = dict(options or {})
        self._exclude = [canonical_url(other) for other in exclude]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @cached_property
    def _fs(self) -> Any:
        import fsspec  # late: with s3fs it costs half a second

        if self.root is not None:
            return fsspec.filesystem("file")
        try:
            return fsspec.filesystem(self._protocol, **self._options)
        except (ValueError, ImportError) as error:
            raise SourceUnreadable(
                f"{self.url}: {error}; expected a folder or s3://bucket/prefix", url=self.url
            ) from error

    # -- listing ------------------------------------------------------------------------------------------------

    def list(
        self, *, recursive: bool = True, on_problem: Callable[[ListingProblem], None] | None = None
    ) -> Iterator[SourceEntry]:
        """Every object, hidden ones too, as the listing goes on (nothing is held in memory).

        Args:
            recursive: whether objects in folders below are listed.
            on_problem: is given what could not be listed. Without it, ListingIncomplete is raised at the end.

        Raises:
            SourceUnreadable: the source itself cannot be listed.
        """
        problems: list[ListingProblem] = []

        def report(problem: ListingProblem) -> None:
            log.warning("%s: %r: %s", self.url, problem.prefix, problem.reason)
            (on_problem or problems.append)(problem)

        if self.root is not None:
            excluded = [folder for url in self._exclude if (folder := local_folder(url)) is not None]
            yield from list_folder(self.root, recursive=recursive, exclude=excluded, on_problem=report)
        else:
            yield from self._list_remote(recursive)
        if problems:
            raise ListingIncomplete(
                f"{self.url}: {len(problems)} parts could not be listed, such as {problems[0].prefix!r}: "
                f"{problems[0].reason}",
                url=self.url, key=problems[0].prefix,
            )  # fmt: skip

    def _list_remote(self, recursive: bool) -> Iterator[SourceEntry]:
        excluded = [f"{url}/" for url in self._exclude]
        if any(f"{self.url}/".startswith(url) for url in excluded):
            raise SourceUnreadable(f"source {self.url} lies in a store of results; name the masters' own", url=self.url)
        try:
            pages = self._list_s3 if self._protocol in ("s3", "s3a") else self._list_any
            for entry in pages(recursive):
                if not any(self.object_url(entry.key).startswith(url) for url in excluded):
                    yield entry
        except FileNotFoundError as error:
            raise SourceUnreadable(f"source {self.url} is not there: {_first_line(error)}", url=self.url) from error
        except ObjectStoreError:
            raise
        except Exception as error:
            if not _is_store_failure(error):
                raise
            raise SourceUnreadable(f"source {self.url} cannot be listed: {_first_line(error)}", url=self.url) from error

    def _list_s3(self, recursive: bool) -> Iterator[SourceEntry]:
        """Page by page; zero-byte folder markers (``scans/``) are no objects of ours."""
        bucket, _, prefix = self._location.partition("/")
        start = f"{prefix}/" if prefix else ""
        arguments = {"Bucket": bucket, "Prefix": start, "MaxKeys": PAGE_KEYS}
        if not recursive:
            arguments["Delimiter"] = "/"
        while True:
            page = self._fs.call_s3("list_objects_v2", **arguments)
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(start)
                if key and not (key.endswith("/") and found["Size"] == 0):
                    yield SourceEntry(
                        key=key,
                        size_bytes=found["Size"],
                        modified_at=utc_text(found["LastModified"]),
                        etag=found["ETag"].strip('"'),
                    )
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _list_any(self, recursive: bool) -> Iterator[SourceEntry]:
        found = self._fs.find(self._location, maxdepth=None if recursive else 1, detail=True)
        root = self._fs._strip_protocol(self._location).rstrip("/") + "/"
        for name, facts in found.items():
            yield SourceEntry(key=name.removeprefix(root), size_bytes=facts["size"], etag=facts.get("ETag"))

    # -- reading ------------------------------------------------------------------------------------------------

    def read_bytes(self, key: str) -> bytes:
        """The whole object.

        Raises:
            ObjectNotFound, ObjectStoreError, KeyRefused.
        """
        with self._errors(key, "read"):
            data: bytes = self._fs.cat_file(self._path(key))
            return data

    def read_head(self, key: str, size_bytes: int) -> bytes:
        """The first bytes of the object, fewer where it is shorter."""
        with self._errors(key, "read"), self._fs.open(self._path(key), "rb") as file:
            data: bytes = file.read(size_bytes)
            return data

    @contextmanager
    def open_read(self, key: str) -> Iterator[IO[bytes]]:
        """The object as a binary file, for reading in pieces."""
        with self._errors(key, "read"), self._fs.open(self._path(key), "rb") as file:
            yield file

    def exists(self, key: str) -> bool:
        """Whether there is an object at this key."""
        with self._errors(key, "examined"):
            return bool(self._fs.isfile(self._path(key)))

    def entry(self, key: str) -> SourceEntry:
        """Size, time and ETag of one object, as a listing gives them."""
        with self._errors(key, "examined"):
            if self.root is not None:
                return file_entry(key, Path(self._path(key)))
            facts = self._fs.info(self._path(key))
            modified = facts.get("LastModified")
            return SourceEntry(
                key=key,
                size_bytes=facts["size"],
                modified_at=utc_text(modified) if modified else None,
                etag=(facts.get("ETag") or "").strip('"') or None,
            )

    def object_url(self, key: str) -> str:
        """Whole URL of an object."""
        return f"{self.url.rstrip('/')}/{key}"

    def local_path(self, key: str) -> Path | None:
        """The object's file, None in a bucket."""
        return None if self.root is None else Path(self._path(key))

    # -- inside -------------------------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        """What fsspec calls the object. A local key may not leave its folder; in a bucket dots mean nothing."""
        if not key or "\0" in key:
            raise KeyRefused(f"{self.url}: {key!r} is no key", url=self.url, key=key)
        if self.root is None:
            return f"{self._location}/{key}"
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise KeyRefused(
                f"{self.url}: key {key!r} would leave the folder or has an empty name", url=self.url, key=key
            )
        return os.path.join(self._location, key_to_name(key))

    @contextmanager
    def _errors(self, key: str, done: str) -> Iterator[None]:
        """Errors of ours, with url and key, in place of the store's many."""
        try:
            yield
        except ObjectStoreError:
            raise
        except FileNotFoundError as error:
            raise ObjectNotFound(f"no object {key!r} in {self.url}", url=self.url, key=key) from error
        except Exception as error:
            if not _is_store_failure(error):
                raise
            raise ObjectStoreError(
                f"object {key!r} in {self.url} cannot be {done}: {_first_line(error)}", url=self.url, key=key
            ) from error


class ObjectStore(SourceStore):
    """Objects that may be read and written: derivatives, labels, releases, manifests. Never opened on a source."""

    def write_bytes_atomic(self, key: str, data: bytes, *, overwrite: bool = True) -> str:
        """Writes the object in whole or not at all and gives its SHA-256.

        Args:
            overwrite: False leaves an object that is there. The same bytes are success, so that a retry after a lost
                answer is one.

        Raises:
            ObjectExists: with ``overwrite`` off, where other bytes stand at the key.
        """
        digest = sha256_hex(data)
        with self._errors(key, "written"):
            path = self._path(key)
            try:
                if self.root is not None:
                    write_atomically(Path(path), data, overwrite=overwrite)
                elif overwrite:
                    self._fs.pipe_file(path, data)
                else:
                    self._put_if_absent(path, data)
            except FileExistsError:
                there = self._fs.cat_file(path)
                if len(there) != len(data) or sha256_hex(there) != digest:
                    raise ObjectExists(
                        f"{self.url}: {key!r} holds {len(there)} other bytes already; it was left alone",
                        url=self.url, key=key,
                    ) from None  # fmt: skip
        return digest

    def _put_if_absent(self, path: str, data: bytes) -> None:
        """Looks first, for stores that ignore the condition; asks for it too, for those that honour it."""
        if self._fs.isfile(path):
            raise FileExistsError(path)
        self._fs.pipe_file(path, data, mode="create")

    def delete(self, key: str) -> None:
        """Deletes the object; one that is not there is no error."""
        with self._errors(key, "deleted"):
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                log.debug("%s: %r was gone already", self.url, key)


def _is_store_failure(error: Exception) -> bool:
    """What a store, its network or its credentials do to us, as against mistakes of our own."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or module in ("botocore", "aiobotocore", "aiohttp", "fsspec", "s3fs")


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0]
