"""Everything that storage raises on purpose.

    StorageError
    ├── SettingsError            an unknown or wrong setting
    ├── WorkParametersError      parameters that may not be combined (also a ValueError)
    ├── ObjectStoreError         carries url and key
    │   ├── ObjectNotFound       (also a FileNotFoundError)
    │   ├── ObjectExists         put-if-absent met another object (also a FileExistsError)
    │   ├── KeyRefused           a key that would leave its store
    │   ├── SourceUnreadable     a source that cannot be opened at all
    │   └── ListingIncomplete    part of a source could not be listed
    ├── ProvenanceError          a provenance document that cannot be read
    ├── CatalogueError
    │   ├── CatalogueMissing     no catalogue where one was expected
    │   ├── CatalogueUnreadable  not a catalogue, or the database does not answer
    │   ├── CatalogueTooNew      made by a newer version of oldphoto
    │   ├── NetworkShareRefused  SQLite on a network share
    │   ├── RecordRefused        a record that breaks one of the catalogue's constraints
    │   └── ReleaseConflict      a release name that already stands for other weights
    └── QueryError               read-only SQL
        ├── QueryRefused         not one SELECT, or it touches what it may not
        ├── QueryTimeout         ran past its time limit
        └── QueryFailed          the database could not run it

Every message is one line: what, which, what was expected, what to do next.
"""

from __future__ import annotations


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


class KeyRefused(ObjectStoreError, ValueError):
    """A key that would leave its store (``..``, absolute, empty)."""


class SourceUnreadable(ObjectStoreError):
    """A source that is not there, is not a folder, or may not be read."""


class ListingIncomplete(ObjectStoreError):
    """Raised after a listing whose problems nobody asked to collect."""


class ProvenanceError(StorageError, ValueError):
    """A provenance document that is no such thing."""


class CatalogueError(StorageError):
    """Root of what the catalogue raises."""


class CatalogueMissing(CatalogueError):
    """No catalogue at this URL, and the caller only wanted to read."""


class CatalogueUnreadable(CatalogueError):
    """The file is no catalogue, or the database does not answer."""


class CatalogueTooNew(CatalogueError):
    """The schema's revision is unknown to this version of oldphoto."""


class NetworkShareRefused(CatalogueError):
    """SQLite's locks cannot be trusted on a network share."""


class RecordRefused(CatalogueError):
    """A record breaks a constraint of the catalogue."""


class ReleaseConflict(CatalogueError):
    """A release's name is immutable and already stands for other weights."""


class QueryError(StorageError):
    """Root of what read-only SQL raises."""


class QueryRefused(QueryError):
    """The statement is not one plain SELECT."""


class QueryTimeout(QueryError):
    """The statement ran past its time limit."""


class QueryFailed(QueryError):
    """The database could not run the statement (syntax, unknown column)."""
