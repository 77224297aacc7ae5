"""Everything that storage raises on purpose.

    StorageError
    ├── SettingsError            an unknown or wrong setting
    ├── WorkParametersError      parameters that may not be combined (also a ValueError)
    ├── ObjectStoreError         carries url and key
    │   ├── ObjectNotFound       (also a FileNotFoundError)
    │   ├── ObjectExists         put-if-absent met another object (also a FileExistsError)
    │   ├── ObjectChanged        it is no longer the one that was listed; carries what it is now
    │   ├── KeyRefused           a key that would leave its store
    │   ├── SourceUnreadable     a source or store that cannot be opened at all: not there, another region
    │   ├── ListingIncomplete    part of a source could not be listed
    │   ├── StoreAccessDenied    we may not do this to this object or store
    │   │   └── CredentialsRefused   nor anything else: expired, unknown or no credentials, a clock that is off
    │   └── StoreUnavailable     it does not answer, or is too busy, after all retries: later it may
    ├── ProvenanceError          a provenance document that cannot be read
    ├── CatalogueError
    │   ├── CatalogueMissing     no catalogue where one was expected
    │   ├── CatalogueUnreadable  not a catalogue, or the database does not answer
    │   ├── CatalogueOutdated    made by an older version, and not ours to change unasked
    │   ├── CatalogueTooNew      made by a newer version of oldphoto
    │   ├── NetworkShareRefused  SQLite on a network share
    │   ├── RecordRefused        a record that breaks one of the catalogue's constraints
    │   ├── ReleaseConflict      a release name that already stands for other weights
    │   ├── ReleaseRejected      a candidate that was found worse, promoted without saying why
    │   └── PromotionConflict    another release was promoted meanwhile; carries which
    ├── SnapshotError            a snapshot that is empty, or is not what the catalogue has of it
    ├── ExportRefused            a place that holds something else than an export of the history
    └── QueryError               read-only SQL
        ├── QueryRefused         not one SELECT, or it touches what it may not
        ├── QueryTimeout         ran past its time limit
        └── QueryFailed          the database could not run it

Every message is one line: what, which, what was expected, what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import SourceEntry


class StorageError(Exception):
    """Root of the package's errors."""


class SettingsError(StorageError):
    """An unknown or wrong setting; the message names it and the nearest known one."""


class WorkParametersError(StorageError, ValueError):
    """Restoration parameters that are out of range or may not be combined."""


class ObjectStoreError(StorageError):
    """A store or one of its objects failed.

    Attributes:
        url: URL of the store.
        key: key of the object, empty where the whole store is meant.
    """

    def __init__(self, message: str, *, url: str = "", key: str = "") -> None:
        super().__init__(message)
        self.url = url
        self.key = key


class ObjectNotFound(ObjectStoreError, FileNotFoundError):
    """No object at this key."""


class ObjectExists(ObjectStoreError, FileExistsError):
    """Another object already stands at this key."""


class ObjectChanged(ObjectStoreError):
    """The object is no longer the one that was listed.

    Attributes:
        entry: what it is now.
    """

    def __init__(self, message: str, *, entry: SourceEntry, url: str = "", key: str = "") -> None:
        super().__init__(message, url=url, key=key)
        self.entry = entry


class KeyRefused(ObjectStoreError, ValueError):
    """A key that would leave its store (``..``, absolute, empty)."""


class SourceUnreadable(ObjectStoreError):
    """A source or store that is not there, is not a folder or bucket of this endpoint, or may not be opened."""


class ListingIncomplete(ObjectStoreError):
    """Raised after a listing whose problems nobody asked to collect."""


class StoreAccessDenied(ObjectStoreError):
    """The store or the file system does not let us do this; other objects may be open to us."""


class CredentialsRefused(StoreAccessDenied):
    """The store does not know us: nothing in it can be had until the credentials or the clock are put right."""


class StoreUnavailable(ObjectStoreError):
    """The store did not answer, or only that it is busy, after all retries. The same may succeed later."""


class ProvenanceError(StorageError, ValueError):
    """A provenance document that is no such thing."""


class CatalogueError(StorageError):
    """Root of what the catalogue raises."""


class CatalogueMissing(CatalogueError):
    """No catalogue at this URL, and the caller only wanted to read."""


class CatalogueUnreadable(CatalogueError):
    """The file is no catalogue, or the database does not answer."""


class CatalogueOutdated(CatalogueError):
    """The schema is older than this version of oldphoto, and somebody has to say when it may be changed."""


class CatalogueTooNew(CatalogueError):
    """The schema's revision is unknown to this version of oldphoto."""


class NetworkShareRefused(CatalogueError):
    """SQLite's locks cannot be trusted on a network share."""


class RecordRefused(CatalogueError):
    """A record breaks a constraint of the catalogue."""


class ReleaseConflict(CatalogueError):
    """A release's name is immutable and already stands for other weights."""


class ReleaseRejected(CatalogueError):
    """The candidate was found worse than the release in use, and nobody said why it should be promoted all the same."""


class PromotionConflict(CatalogueError):
    """Another release is active than the one that was to be replaced.

    Attributes:
        active: the release that is active now; None where none is.
    """

    def __init__(self, message: str, *, active: str | None) -> None:
        super().__init__(message)
        self.active = active


class SnapshotError(StorageError):
    """A snapshot with nothing in it, or one that is not what the catalogue has of it."""


class ExportRefused(StorageError):
    """The place for an export holds something that is not ours to keep company with, or to remove."""


class QueryError(StorageError):
    """Root of what read-only SQL raises."""


class QueryRefused(QueryError):
    """The statement is not one plain SELECT."""


class QueryTimeout(QueryError):
    """The statement ran past its time limit."""


class QueryFailed(QueryError):
    """The database could not run the statement (syntax, unknown column)."""
