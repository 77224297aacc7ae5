"""What is known of sources: collections, what a listing shows, and what was decided about each object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ObjectStatus = Literal["registered", "quarantined", "ignored", "missing"]
UNREADABLE = "unreadable"
"""Reason for an object whose bytes could not be had, so that nothing new is known of its content."""


def source_object_id(collection_url: str, key: str) -> str:
    """How an event names a source object: its whole URL."""
    return f"{collection_url.rstrip('/')}/{key}"


@dataclass(frozen=True, kw_only=True)
class CollectionRecord:
    """A source URL and its policy.

    Attributes:
        url: canonical URL, as ``storage.urls.canonical_url`` gives it.
        recursive: whether folders below are taken too.
        include_patterns: where there are any, only what one of them matches is taken.
        ignore_patterns: patterns beyond the defaults.
    """

    url: str
    recursive: bool = True
    include_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    mode: str = "full"
    tone: str = "correct"
    mending: str = "normal"
    strength: float = 1.0
    output_format: str = "auto"


@dataclass(frozen=True, kw_only=True)
class SourceEntry:
    """One object of a listing.

    Attributes:
        key: path below the collection's URL, ``/`` between names, always valid Unicode.
        etag: the store's, or for a local file its modification time in nanoseconds and its size.
    """

    key: str
    size_bytes: int
    modified_at: str | None = None
    etag: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListingProblem:
    """A part of a source that could not be listed.

    Attributes:
        prefix: the folder's key with a slash at its end, or an object's key.
        reason: one line.
    """

    prefix: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SourceObjectRecord:
    """What ingestion decided about one object; ``photo_sha256`` is needed where it is registered.

    Attributes:
        reason: the pattern that ignored it, or why it is quarantined (a short slug).
        detail: one line for a person: what was expected, what was found, what to do.
    """

    key: str
    status: ObjectStatus
    size_bytes: int
    photo_sha256: str | None = None
    reason: str | None = None
    detail: str | None = None
    modified_at: str | None = None
    etag: str | None = None
    version_id: str | None = None

    @classmethod
    def from_entry(
        cls,
        entry: SourceEntry,
        *,
        status: ObjectStatus,
        photo_sha256: str | None = None,
        reason: str | None = None,
        detail: str | None = None,
    ) -> SourceObjectRecord:
        """The record of a listed object."""
        return cls(
            key=entry.key, status=status, size_bytes=entry.size_bytes, photo_sha256=photo_sha256, reason=reason,
            detail=detail, modified_at=entry.modified_at, etag=entry.etag, version_id=entry.version_id,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KnownObject:
    """What the catalogue knows of an object from earlier listings."""

    size_bytes: int
    modified_at: str | None
    etag: str | None
    version_id: str | None
    photo_sha256: str | None
    status: ObjectStatus
    reason: str | None

    def is_unchanged(self, entry: SourceEntry) -> bool:
        """Whether the listed object is the one already decided on, so that it need not be read again.

        False for an object that was missing: it is read again and recorded as it is now.
        """
        if self.status == "missing" or self.size_bytes != entry.size_bytes:
            return False
        if entry.version_id is not None and self.version_id != entry.version_id:  # reading tells it, a listing does not
            return False
        if self.etag is not None and entry.etag is not None:
            return self.etag == entry.etag
        return self.modified_at is not None and self.modified_at == entry.modified_at


@dataclass(frozen=True, kw_only=True)
class SourceRef:
    """Where a photo's bytes can be read."""

    collection_id: int
    collection_url: str
    key: str
    browse_folder: str
