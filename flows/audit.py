"""The fixity audit: masters and derivatives are read whole and compared with the SHA-256 that the catalogue has.

Audits go round: each goes on where the last one ended, so that a part each week comes to everything in turn, and one
that was killed is finished by the next.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.audit_checks import Auditor, CheckedPhoto, nothing_there
from flows.audit_findings import BatchFindings, add_masters, add_restoration, audit_events
from flows.audit_labels import add_labels
from flows.audit_summary import AuditSummary
from flows.collections import find_collection
from flows.errors import UsageError
from flows.progress import progress
from flows.run_records import OpenRun, recorded_run, title_of
from flows.runners import reader_threads
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from storage.catalog.audit_queries import AuditScope, PhotoOnRecord
from storage.catalog.collection_queries import KnownCollection
from storage.objects import ObjectStore, SourceStore

_BATCH = 100
"""Photos that one task audits, and that one transaction records: at most so many are read again after a crash."""
_BATCHES_AT_ONCE = 2
"""The threads begin the second where the first has only stragglers left."""
_REMOTE_READERS = 8


@flow(name="audit")
def audit(
    home: str | None = None,
    source: str | None = None,
    limit: int | None = None,
    share: float = 1.0,
    accept_empty: bool = False,
    settings: SettingsForm | None = None,
) -> AuditSummary:
    """Reads masters, derivatives and labels again and compares their SHA-256 with the catalogue; masters are only read.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        source: photos of one collection alone; None: all.
        limit: photos audited at most, each with all its copies and restorations; None: all. The next audit goes on
            with the photos behind them.
        share: part of the photos audited at most, more than 0 and up to 1: 0.02 each week is all of them in a year.
        accept_empty: takes a store that shows nothing at its word, though files of it are on record.
        settings: what differs from the installation's settings in this run.
    """
    _refuse_unsuited(limit, share)
    chosen = Settings.load(home, **given_settings(settings))
    title = title_of(source) if source else "all collections"
    with recorded_run(chosen, kind="audit", title=title, source=source) as run:
        run.summary = summary = AuditSummary(run_id=run.run_id)
        this = _open_audit(run, chosen, source, summary, accept_empty=accept_empty)
        this.carry_out(limit=limit, share=share)
        return summary


class AuditBatch:
    """Photos that one task audits. A plain class: Prefect would look into a dataclass for futures, photo by photo.

    Attributes:
        found: what the photos' files are, once the task is done.
    """

    def __init__(self, auditor: Auditor, pool: ThreadPoolExecutor, photos: Sequence[PhotoOnRecord]) -> None:
        self.photos = photos
        self.found: list[CheckedPhoto] = []
        self._auditor = auditor
        self._pool = pool
        self._done: PrefectFuture[int] | None = None

    def start(self, runner: ThreadPoolTaskRunner) -> None:
        """Has the batch read."""
        self._done = runner.submit(audit_photos, {"batch": self})

    def wait(self) -> None:
        """Waits until the batch is read, and raises what stopped it."""
        assert self._done is not None
        self._done.result()

    def check(self) -> int:
        """Reads and compares the files of all photos, and gives the number of photos."""
        found = self._pool.map(self._auditor.check_photo, self.photos)
        self.found = [result for result in found if result is not None]
        return len(self.found)


@task(name="audit photos", cache_policy=NO_CACHE, persist_result=False)
def audit_photos(batch: AuditBatch) -> int:
    """Reads and compares a batch of photos with all their files; gives how many photos."""
    return batch.check()


@dataclass(kw_only=True)
class _Audit:
    """An audit that goes on."""

    run: OpenRun
    scope: AuditScope
    auditor: Auditor
    derivatives: ObjectStore
    threads: int
    summary: AuditSummary
    round_from: int = 0

    def carry_out(self, *, limit: int | None, share: float) -> None:
        """Goes through the round's photos, a batch at a time, and records each batch in its order."""
        legs = self._legs()
        there = [self.run.catalogue.count_photos_to_audit(self.scope, after_id=a, through_id=t) for a, t in legs]
        room = sum(there) if limit is None else min(limit, sum(there))
        if share < 1:
            room = min(room, math.ceil(share * self.run.catalogue.count_photos_to_audit(self.scope)))
        self.summary.left = sum(there) - room
        progress().begin("Auditing photos", room)
        under_way: deque[AuditBatch] = deque()
        with _readers(self.auditor, self.threads) as (pool, runner):
            for photos in self._pages(legs, room):
                under_way.append(AuditBatch(self.auditor, pool, photos))
                under_way[-1].start(runner)
                if len(under_way) > _BATCHES_AT_ONCE:
                    self._record(under_way.popleft())
            while under_way:
                self._record(under_way.popleft())

    def _legs(self) -> list[tuple[int, int | None]]:
        """The ranges of photo ids (after, through) of this round: from where the last audit ended, and round to it.

        An audit that was stopped left its round unfinished: what is left of that is this one's.
        """
        place = self.run.catalogue.audit_place(self.scope.source_url)
        if place is None:
            return [(0, None)]
        if place.is_unfinished and place.photo_id != place.round_from:
            self.round_from = place.round_from
            self.summary.went_on = True
            progress().say("going on where an audit before this one was stopped")
            if place.photo_id < place.round_from:  # it was past the last photo already, and came from the first
                return [(place.photo_id, place.round_from)]
        else:
            self.round_from = place.photo_id
        return [(place.photo_id, None), (0, self.round_from)]

    def _pages(self, legs: Sequence[tuple[int, int | None]], room: int) -> Iterator[list[PhotoOnRecord]]:
        for after_id, through_id in legs:
            while room > 0:
                photos = self.run.catalogue.photos_to_audit(
                    self.scope, after_id=after_id, through_id=through_id, limit=min(_BATCH, room)
                )
                if not photos:
                    break
                after_id = photos[-1].photo_id
                room -= len(photos)
                yield photos

    def _record(self, batch: AuditBatch) -> None:
        """Records a batch: findings that still stand by the catalogue, and how far the audit has come."""
        batch.wait()
        catalogue, run_id = self.run.catalogue, self.run.run_id
        masters, standing = catalogue.still_on_record(*_suspects(batch.found))
        found = BatchFindings(photos=len(batch.photos))
        for result in batch.found:
            add_masters(found, result, masters)
            add_labels(found, result)
            for one, checks in result.restorations:
                if one.restoration_id in standing or all(checked.verdict == "sound" for checked in checks):
                    add_restoration(found, result, one, checks, store=self.derivatives, run_id=run_id)
        events = audit_events(found, run_id=run_id, through_photo=batch.photos[-1].photo_id, round_from=self.round_from)
        catalogue.record_audit(events, found.damaged)
        self.summary.count(found)
        progress().advance(len(batch.photos))


def _open_audit(
    run: OpenRun, settings: Settings, source: str | None, summary: AuditSummary, *, accept_empty: bool
) -> _Audit:
    """Looks at the stores first: one that is away is told as a whole, and not as thousands of files that are gone."""
    collections = _collections(run, settings, source)
    url = settings.derivatives_url
    derivatives = ObjectStore(url, settings.store_options(url, "derivatives"))
    sources: dict[int, SourceStore] = {}
    for known in collections:
        store = SourceStore(known.policy.url, settings.store_options(known.policy.url))
        masters = run.catalogue.count_masters(known.id) if known.state != "withdrawn" else 0
        if masters and (accept_empty or _is_there(store, f"{masters:,} masters", summary)):
            sources[known.id] = store
    collection_id = collections[0].id if source is not None else None
    nothing = AuditScope(
        source_url=collections[0].policy.url if source is not None else None, collection_id=collection_id, readable=(),
        derivatives=False, labels=False,
    )  # fmt: skip
    url = settings.labels_url
    labels = SourceStore(url, settings.store_options(url, "labels"))
    labelled = run.catalogue.count_photos_to_audit(replace(nothing, labels=True))
    has_labels = bool(labelled) and (accept_empty or _is_there(labels, f"labels of {labelled:,} photos", summary))
    restored = run.catalogue.count_photos_to_audit(replace(nothing, derivatives=True))
    are_there = not restored or accept_empty or _is_there(derivatives, f"restorations of {restored:,} photos", summary)
    return _Audit(
        run=run,
        scope=replace(nothing, readable=tuple(sources), derivatives=are_there, labels=has_labels),
        auditor=Auditor(
            sources=sources, derivatives=derivatives, labels=labels if has_labels else None, accept_empty=accept_empty
        ),
        derivatives=derivatives,
        threads=_threads(settings, [*sources.values(), derivatives, labels]),
        summary=summary,
    )


def _is_there(store: SourceStore, expected: str, summary: AuditSummary) -> bool:
    nothing = nothing_there(store)
    if nothing is not None:
        summary.absent.append((store.url, f"expected {expected}, audited none of them: {nothing}"))
    return nothing is None


def _collections(run: OpenRun, settings: Settings, source: str | None) -> list[KnownCollection]:
    if source is None:
        known = run.catalogue.collections()
        if not known:
            raise UsageError(f"nothing is ingested in {settings.home} yet; run `oldphoto ingest FOLDER` first")
        return known
    found = find_collection(run.catalogue, source)
    if found is None:
        raise UsageError(f"{source} is not in this catalogue; run `oldphoto ingest {source}` first")
    return [found]


def _suspects(results: Sequence[CheckedPhoto]) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Masters (object id, photo id) and restorations (id, restored key) with something that is not sound."""
    masters = [
        (master.object_id, result.photo.photo_id)
        for result in results
        for master, checked in result.masters
        if checked.verdict != "sound"
    ]
    restorations = [
        (one.restoration_id, one.restored_key)
        for result in results
        for one, checks in result.restorations
        if any(checked.verdict != "sound" for checked in checks)
    ]
    return masters, restorations  # fmt: skip


def _threads(settings: Settings, stores: Sequence[SourceStore]) -> int:
    """Threads that read. A bucket has more of them than cores, as most of them wait for its answers."""
    cores = reader_threads()
    is_remote = any(store.root is None for store in stores)
    return settings.readers or (max(cores, _REMOTE_READERS) if is_remote else cores)


@contextmanager
def _readers(auditor: Auditor, threads: int) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolTaskRunner]]:
    """Threads for files, and what runs tasks; where the flow is stopped, photos that nobody has begun are left."""
    pool = ThreadPoolExecutor(threads, "oldphoto-auditor")
    try:
        with ThreadPoolTaskRunner(max_workers=_BATCHES_AT_ONCE) as runner:
            try:
                yield pool, runner
            except BaseException:
                auditor.stopping.set()
                raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _refuse_unsuited(limit: int | None, share: float) -> None:
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; expected 1 or more photos, or none for all")
    if not 0 < share <= 1:
        raise UsageError(f"share is {share}; expected more than 0 and up to 1, such as 0.02 for a fiftieth")
