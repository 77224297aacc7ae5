"""Sidecars of a collection: read what is new or changed, find the photos that are meant, keep what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from flows.progress import progress
from flows.sidecar_findings import OpenSidecar, SidecarSummary
from flows.wording import counted
from storage.catalog.catalogue import Catalogue
from storage.catalog.sidecar_queries import SidecarFile
from storage.errors import ObjectNotFound, ObjectStoreError
from storage.keys import sha256_hex
from storage.objects import SourceStore
from storage.records import EventRecord, source_object_id
from storage.sidecar_fields import Subject
from storage.sidecar_matching import NameMatcher
from storage.sidecars import named_after, read_sidecar, sidecar_format, size_limit

_PAGE = 500
"""Sidecars looked up at once."""
_READERS = 8
_SUBJECTS = 10_000
"""Photos spoken of that are looked for in one pass through the collection's keys."""
_VALUES = 200_000
"""Values held at once before they are looked up and recorded."""
_KEYS = 10_000


def attach_sidecars(
    catalogue: Catalogue, collection_id: int, store: SourceStore, *, run_id: str, agent: str, reread: bool = False
) -> SidecarSummary:
    """Reads the collection's sidecars and attaches what they say to the objects they mean.

    Comes after a listing is recorded. A sidecar is read again where it changed, where its folder got new objects, and,
    as long as it has something left that fits no photo, where any folder did. It may be stopped anywhere: what was not
    read to its end counts as unread.

    Args:
        store: the collection's source.
        run_id, agent: for the events.
        reread: reads all of them, changed or not.
    """
    return _Attachment(catalogue, collection_id, store, run_id, agent).run(reread=reread)


class _Attachment:
    """One look at the sidecars of one collection."""

    def __init__(
        self, catalogue: Catalogue, collection_id: int, store: SourceStore, run_id: str, agent: str
    ) -> None:
        self._catalogue = catalogue
        self._collection_id = collection_id
        self._store = store
        self._run_id = run_id
        self._agent = agent
        self._summary = SidecarSummary()

    def run(self, *, reread: bool) -> SidecarSummary:
        self._drop_vanished()
        batch: list[tuple[OpenSidecar, Subject]] = []
        opened: list[OpenSidecar] = []
        values = 0
        for sidecar in self._opened(reread):
            opened.append(sidecar)
            for subject in sidecar.reading.subjects:
                batch.append((sidecar, subject))
                values += len(subject.fields)
                if len(batch) >= _SUBJECTS or values >= _VALUES:
                    self._flush(batch, opened)
                    batch, opened, values = [], [sidecar], 0
            sidecar.has_ended = True
            if len(opened) >= _SUBJECTS:
                self._flush(batch, opened)
                batch, opened, values = [], [], 0
        self._flush(batch, opened)
        return self._summary

    def _drop_vanished(self) -> None:
        while gone := self._catalogue.vanished_sidecars(self._collection_id, limit=_PAGE):
            events = [
                self._event(
                    f"{one.key.rpartition('/')[2]} is gone, and {counted(one.field_count, 'field')} with it",
                    {"removed_fields": one.field_count}, [one.key],
                )
                for one in gone
            ]  # fmt: skip
            self._catalogue.drop_sidecars([one.sidecar_id for one in gone], events)
            self._summary.removed += len(gone)

    def _opened(self, reread: bool) -> Iterator[OpenSidecar]:
        """Sidecars that have to be read, with their bytes; what cannot be read at all is recorded as that."""
        newest = self._catalogue.newest_in_folders(self._collection_id)
        newest_of_all = max(newest.values(), default="")
        after_id = 0
        with ThreadPoolExecutor(_READERS) as readers:
            while page := self._catalogue.sidecar_files(self._collection_id, after_id=after_id, limit=_PAGE):
                after_id = page[-1].object_id
                wanted = [file for file in page if reread or _wants_reading(file, newest, newest_of_all)]
                read_at = self._catalogue.clock()
                small = [file for file in wanted if file.size_bytes <= _SMALL_BYTES]
                data = dict(zip((file.object_id for file in small), readers.map(self._read, small), strict=True))
                for file in wanted:
                    found = data.pop(file.object_id) if file.object_id in data else self._read(file)
                    if isinstance(found, str):
                        self._refuse(file, found)
                        continue
                    format = sidecar_format(file.key)
                    assert format is not None
                    self._summary.read += 1
                    yield OpenSidecar(file, read_sidecar(found, format), sha256_hex(found), read_at)
                progress().advance(len(page))

    def _read(self, file: SidecarFile) -> bytes | str:
        """The sidecar's bytes, or why there are none."""
        format = sidecar_format(file.key)
        assert format is not None
        if file.size_bytes > (limit := size_limit(format)):
            return f"{file.size_bytes} bytes are too large for a sidecar, {limit} is the most; not read"
        try:
            data = self._store.read_bytes(file.key)
        except ObjectNotFound:
            return "gone since it was listed; not read"
        except ObjectStoreError as error:
            return f"cannot be read: {error}"
        return data if len(data) <= limit else f"grew past {limit} bytes since it was listed; not read"

    def _refuse(self, file: SidecarFile, problem: str) -> None:
        self._summary.tell(file.key, problem)
        if file.detail != problem:
            event = self._event(problem, {"problem": problem}, [file.key], outcome="warning")
            self._catalogue.refuse_sidecars([(file.object_id, problem)], [event])

    def _flush(self, batch: Sequence[tuple[OpenSidecar, Subject]], opened: Sequence[OpenSidecar]) -> None:
        """Looks for the batch's photos in one pass through the keys and records what was found, in one transaction."""
        if not opened:
            return
        for (sidecar, subject), (found, is_ambiguous) in zip(batch, self._matched(batch), strict=True):
            if found:
                sidecar.attach(subject, found)
            else:
                sidecar.miss(subject, is_ambiguous=is_ambiguous)
        self._catalogue.write_sidecars([sidecar.to_write() for sidecar in opened], self._events(opened))
        for sidecar in opened:
            sidecar.has_begun = True
            sidecar.values = []
            if sidecar.has_ended:
                self._summary.photos += len(sidecar.next_position)
                self._summary.fields += sidecar.field_count
                if problem := sidecar.problem():
                    self._summary.tell(sidecar.file.key, problem)

    def _matched(
        self, batch: Sequence[tuple[OpenSidecar, Subject]]
    ) -> list[tuple[list[tuple[int, str]], bool]]:
        """For each subject (id, key) of the objects meant, and whether several fit but for letter case."""
        matcher = NameMatcher()
        for token, (sidecar, subject) in enumerate(batch):
            folder = sidecar.file.key.rpartition("/")[0]
            matcher.want(token, folder, subject.names or (named_after(sidecar.file.key),))
        after_id = 0
        while batch and (
            page := self._catalogue.named_objects(self._collection_id, after_id=after_id, limit=_KEYS)
        ):
            after_id = page[-1][0]
            for object_id, key, is_missing in page:
                matcher.offer(object_id, key, is_missing=is_missing)
        return [matcher.found(token) for token in range(len(batch))]

    def _events(self, opened: Sequence[OpenSidecar]) -> list[EventRecord]:
        """One event for all sidecars of a transaction that gave fields, and one for each that has a problem."""
        changed = [sidecar for sidecar in opened if sidecar.has_ended and sidecar.is_news()]
        giving = [sidecar for sidecar in changed if sidecar.field_count]
        events = []
        if giving:
            fields = sum(sidecar.field_count for sidecar in giving)
            photos = sum(len(sidecar.next_position) for sidecar in giving)
            note = (
                f"{counted(fields, 'field')} of {counted(photos, 'photo')}, from {counted(len(giving), 'sidecar')}"
            )
            events.append(self._event(note, {"fields": fields, "photos": photos}, [s.file.key for s in giving]))
        events += [
            self._event(problem, {"problem": problem}, [sidecar.file.key], outcome="warning")
            for sidecar in changed
            if (problem := sidecar.problem()) and not sidecar.only_waits
        ]
        return events

    def _event(
        self, note: str, detail: dict[str, object], keys: Sequence[str], *, outcome: str = "success"
    ) -> EventRecord:
        links = tuple(("source_object", source_object_id(self._store.url, key), "source") for key in keys)
        return EventRecord(
            type="metadata", agent=self._agent, outcome=outcome, detail=detail, objects=links, run_id=self._run_id,
            note=note,
        )  # fmt: skip


_SMALL_BYTES = 256 * 1024
"""Sidecars up to here are read several at once, a page's worth in memory; larger ones one after another."""


def _wants_reading(file: SidecarFile, newest: dict[str, str], newest_of_all: str) -> bool:
    if file.read_at is None or file.read_etag is None or file.read_etag != file.etag or file.detail is None:
        return True
    if newest.get(file.key.rpartition("/")[0], "") >= file.read_at:
        return True
    return file.read_problem is not None and newest_of_all >= file.read_at
