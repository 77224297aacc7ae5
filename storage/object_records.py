"""What object stores give: pages of a listing, and what stands at a key."""

from __future__ import annotations

from dataclasses import dataclass

from storage.records import SourceEntry

PAGE_KEYS = 1000
"""Objects of one page of a listing; the most that S3 gives at once."""


@dataclass(frozen=True, kw_only=True)
class ListingPage:
    """A part of a listing.

    Attributes:
        entries: at most ``PAGE_KEYS``; there may be none, where all that was listed is left out.
        cursor: what ``SourceStore.pages(after=...)`` is given to go on behind this page, in another process or week:
            the whole key last listed. None in a local folder, and on the last page.
    """

    entries: tuple[SourceEntry, ...]
    cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What stands at a key of a store of ours.

    Attributes:
        sha256: of its bytes, from its metadata; None where nobody wrote it there, as in a local folder.
        etag, version_id: the store's; None where it gives none.
        modified_at: None right after a write, when the store has not said it.
    """

    key: str
    size_bytes: int
    sha256: str | None = None
    etag: str | None = None
    version_id: str | None = None
    modified_at: str | None = None
