"""Put-if-absent: an object is written where none stands at its key; one of the same bytes is success."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import IO, Protocol

from storage.errors import ObjectExists, ObjectNotFound
from storage.object_records import StoredObject


class Access(Protocol):
    """What is asked of a folder or a bucket."""

    url: str

    def stored(self, key: str) -> StoredObject:
        """What stands at the key."""

    def open(self, key: str) -> IO[bytes]:
        """It, as a file."""


class Put(Protocol):
    """The write itself."""

    def __call__(self, *, if_absent: bool) -> StoredObject:
        """Writes; with ``if_absent``, FileExistsError where an object stands already."""


def put_once(access: Access, key: str, *, size_bytes: int, sha256: str, put: Put, conditional: bool) -> StoredObject:
    """Writes the object if none stands at the key, and gives what stands there.

    Where the endpoint is not known to honour If-None-Match, looks before and after. Two writers of different bytes
    in the same instant can then both pass the first look: the one whose bytes do not stand afterwards is told so,
    unless it looked before the other's were there.

    Args:
        size_bytes, sha256: of the object.
        conditional: whether the endpoint honours the condition.

    Raises:
        ObjectExists: other bytes stand there; they are left alone.
    """
    if conditional:
        try:
            return put(if_absent=True)
        except FileExistsError:
            there = access.stored(key)
    else:
        try:
            there = access.stored(key)
        except ObjectNotFound:
            put(if_absent=False)
            there = access.stored(key)
    if there.size_bytes == size_bytes and (there.sha256 or _sha256_of(access, key)) == sha256:
        return replace(there, sha256=sha256)
    raise ObjectExists(
        f"{access.url}: {key!r} holds {there.size_bytes} other bytes already; it was left alone",
        url=access.url, key=key,
    )  # fmt: skip


def _sha256_of(access: Access, key: str) -> str:
    """Of the object's bytes, which are read in pieces: another program wrote them, or they lie in a folder."""
    with access.open(key) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
