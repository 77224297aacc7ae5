"""Reads what is on record and compares it: a master or a derivative is sound, changed, gone, or cannot be read now.

Nothing is written here, and nothing is held but a piece of each file: threads hash as they read.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from oldphoto_core.errors import one_line
from storage.catalog.audit_label_queries import LabelFileOnRecord
from storage.catalog.audit_queries import MasterOnRecord, PhotoOnRecord, RestorationOnRecord
from storage.errors import (
    CredentialsRefused,
    ObjectNotFound,
    ObjectStoreError,
    ProvenanceError,
    SourceUnreadable,
    StoreAccessDenied,
    StoreUnavailable,
)
from storage.keys import sha256_hex
from storage.objects import SourceStore
from storage.provenance import read_provenance

Verdict = Literal["sound", "changed", "gone", "unreadable"]

_PIECE_BYTES = 1 << 20
_READINGS = 2
"""A finding is told after a second reading: the first may have met a writer, or a bad moment of a disk or network."""
_FAILURES_ALLOWED = 16
_GONE_ALLOWED = 40
"""So many files that are gone, in a store that gave none yet, are taken for the wrong store."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One object and how it was found.

    Attributes:
        name: `master`, `restored`, `mask`, `found`, `difference`, `preview`, `provenance` or `label`.
        expected: SHA-256 on record; None for a provenance document, which has none.
        found: SHA-256 of what was read.
        was_replaced: of a changed master: size, time or ETag are other ones too, so that somebody wrote it anew.
        reason: of an unreadable object, or a provenance document: what is wrong with it.
    """

    name: str
    url: str
    key: str
    verdict: Verdict
    expected: str | None = None
    found: str | None = None
    was_replaced: bool = False
    reason: str = ""

    @property
    def place(self) -> str:
        """The object's whole URL."""
        return f"{self.url.rstrip('/')}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class CheckedPhoto:
    """All that was read of a photo."""

    photo: PhotoOnRecord
    masters: tuple[tuple[MasterOnRecord, Checked], ...]
    restorations: tuple[tuple[RestorationOnRecord, tuple[Checked, ...]], ...]
    labels: tuple[tuple[LabelFileOnRecord, Checked], ...] = ()


@dataclass
class Auditor:
    """Compares objects with the catalogue; several threads may share one.

    Attributes:
        sources: stores of masters, by collection id.
        derivatives, labels: opened for reading; None where labels are not audited.
        accept_empty: takes a store that shows nothing, or nothing that is on record, at its word.
        stopping: set where photos that nobody has begun are to be left.
    """

    sources: Mapping[int, SourceStore]
    derivatives: SourceStore
    labels: SourceStore | None = None
    accept_empty: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    _failures_in_a_row: Counter[str] = field(default_factory=Counter)
    _given: Counter[str] = field(default_factory=Counter)
    _gone: Counter[str] = field(default_factory=Counter)

    def check_photo(self, photo: PhotoOnRecord) -> CheckedPhoto | None:
        """Reads the photo's masters and the files of its restorations; None where the audit is being stopped.

        Raises:
            CredentialsRefused, StoreUnavailable, SourceUnreadable: a store gives nothing, so that there is no use in
                going on.
        """
        if self.stopping.is_set():
            return None
        masters = tuple((master, self._check_master(photo, master)) for master in photo.masters)
        restorations = tuple((one, self._check_restoration(one)) for one in photo.restorations)
        store = self.labels
        files = photo.labels if store is not None else ()
        labels = tuple((file, self._check(store, "label", file.key, file.sha256)) for file in files if store)
        return CheckedPhoto(photo=photo, masters=masters, restorations=restorations, labels=labels)

    def _check_master(self, photo: PhotoOnRecord, master: MasterOnRecord) -> Checked:
        store = self.sources[master.collection_id]
        return self._check(store, "master", master.entry.key, photo.sha256, registered=master)

    def _check_restoration(self, restoration: RestorationOnRecord) -> tuple[Checked, ...]:
        checked = [self._check(self.derivatives, name, key, sha256_) for name, key, sha256_ in restoration.objects]
        return (*checked, self._check_provenance(restoration))

    def _check(
        self, store: SourceStore, name: str, key: str, expected: str, *, registered: MasterOnRecord | None = None
    ) -> Checked:
        found = None
        was_replaced = False
        try:
            for _ in range(_READINGS):
                found = hash_of(store, key)
                if found == expected:
                    break
            if found != expected and registered is not None:
                was_replaced = _is_another(store, registered)
        except (ObjectStoreError, OSError) as error:
            return self._not_read(store, name, key, expected, error)
        self._was_read(store)
        verdict: Verdict = "sound" if found == expected else "changed"
        return Checked(
            name=name, url=store.url, key=key, verdict=verdict, expected=expected, found=found,
            was_replaced=was_replaced,
        )  # fmt: skip

    def _check_provenance(self, restoration: RestorationOnRecord) -> Checked:
        """Its bytes are on record nowhere, but it must be readable and this restoration's."""
        store, key = self.derivatives, restoration.provenance_key
        data = b""
        try:
            data = store.read_bytes(key)
            reason = _wrong_in(data, restoration)
        except (ObjectStoreError, OSError) as error:
            return self._not_read(store, "provenance", key, None, error)
        self._was_read(store)
        verdict: Verdict = "changed" if reason else "sound"
        return Checked(
            name="provenance", url=store.url, key=key, verdict=verdict, found=sha256_hex(data), reason=reason
        )

    def _not_read(
        self, store: SourceStore, name: str, key: str, expected: str | None, error: ObjectStoreError | OSError
    ) -> Checked:
        """What an object is that gave no bytes: gone where its store says so, else not known."""
        verdict: Verdict = "unreadable"
        if isinstance(error, CredentialsRefused):
            raise error
        if isinstance(error, ObjectNotFound) and (why := self._why_not_gone(store)) is None:
            verdict = "gone"
        elif isinstance(error, ObjectNotFound | StoreUnavailable | SourceUnreadable):
            if isinstance(error, ObjectNotFound):
                error = StoreUnavailable(str(why), url=store.url, key=key)
            self._failures_in_a_row[store.url] += 1
            if self._failures_in_a_row[store.url] >= _FAILURES_ALLOWED:
                raise error
        reason = "" if verdict == "gone" else one_line(error)
        return Checked(name=name, url=store.url, key=key, verdict=verdict, expected=expected, reason=reason)

    def _why_not_gone(self, store: SourceStore) -> str | None:
        """Why a store is not to be believed that it has no such object; None where it is."""
        if self.accept_empty:
            return None
        if store.root is not None and (nothing := nothing_there(store)) is not None:
            return nothing
        self._gone[store.url] += 1
        if self._gone[store.url] >= _GONE_ALLOWED and not self._given[store.url]:
            raise StoreUnavailable(
                f"{store.url} has none of the first {_GONE_ALLOWED} files on record; is it the right place? If they "
                "are gone indeed, audit again with --accept-empty",
                url=store.url,
            )
        self._failures_in_a_row[store.url] = 0
        return None

    def _was_read(self, store: SourceStore) -> None:
        self._given[store.url] += 1
        self._failures_in_a_row[store.url] = 0


def hash_of(store: SourceStore, key: str) -> str:
    """SHA-256 of an object, read in pieces."""
    digest = sha256()
    with store.open_read(key) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def nothing_there(store: SourceStore) -> str | None:
    """Why nothing can be had of a store: not mounted, another one, no answer; None where it shows something.

    Whoever may not list a bucket is told nothing: its answers for single objects must do.
    """
    try:
        if store.root is not None:
            with os.scandir(store.root) as names:
                shows_something = next(names, None) is not None
        else:
            shows_something = any(page.entries for page in store.pages())
    except (ObjectStoreError, OSError) as error:
        if isinstance(error, StoreAccessDenied) and not isinstance(error, CredentialsRefused):
            return None
        if isinstance(error, ObjectStoreError):
            return one_line(error)
        return f"{store.url} cannot be opened: {one_line(error)}; mount it or bring it back and audit again"
    if shows_something:
        return None
    advice = "is it mounted, and the right place? If it is empty indeed, audit again with --accept-empty"
    return f"{store.url} shows no object at all; {advice}"


def _is_another(store: SourceStore, master: MasterOnRecord) -> bool:
    """Whether size, time or ETag are not the registered ones, as when somebody wrote the object anew."""
    now, then = store.entry(master.entry.key), master.entry
    if now.size_bytes != then.size_bytes:
        return True
    if now.etag is not None and then.etag is not None:
        return now.etag != then.etag
    return now.modified_at != then.modified_at


def _wrong_in(data: bytes, restoration: RestorationOnRecord) -> str:
    """What is wrong with a provenance document, empty where nothing is."""
    try:
        document = read_provenance(data)
        found = (document["work_hash"], document["derivatives"]["restored"]["sha256"])
    except ProvenanceError as error:
        return one_line(error)
    except (KeyError, TypeError) as error:
        return f"lacks or garbles {error}"
    if found == (restoration.work_hash, restoration.restored_sha256):
        return ""
    return (
        f"is another restoration's: expected work {restoration.work_hash[:12]}… with restored SHA-256 "
        f"{restoration.restored_sha256[:12]}…, found {found[0][:12]}… with {str(found[1])[:12]}…"
    )
