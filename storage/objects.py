"""Objects by key, in a local folder or a bucket.

Sources are opened as :class:`SourceStore`, which has no method that writes. :class:`ObjectStore` adds writing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from storage.errors import KeyRefused
from storage.folder_access import FolderWriter
from storage.keys import sha256_hex
from storage.object_records import StoredObject
from storage.put_if_absent import Put, put_once
from storage.s3_writing import S3Writer
from storage.sources import SourceStore

__all__ = ["ObjectStore", "SourceStore"]


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

        Raises:
            ObjectExists: other bytes stand there; they are left alone.
        """
        digest = sha256_hex(data)
        return self._once(key, len(data), digest, partial(self._access.put, key, data, sha256=digest))

    def write_file_once(self, key: str, file: IO[bytes], *, sha256: str) -> StoredObject:
        """Does the same with a file of any size, of which some megabytes are held at once.

        Args:
            file: all of it is written, wherever it stands; it can be sought in.
            sha256: of its bytes, which are not hashed again.

        Raises:
            ObjectExists: other bytes stand there; they are left alone.
        """
        size_bytes = file.seek(0, os.SEEK_END)
        return self._once(key, size_bytes, sha256, partial(self._access.put_file, key, file, sha256=sha256))

    def _once(self, key: str, size_bytes: int, sha256: str, put: Put) -> StoredObject:
        self._check(key)
        return put_once(
            self._access, key, size_bytes=size_bytes, sha256=sha256, put=put, conditional=self._conditional_writes
        )

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
