"""Sends batches to workers, and writes down what comes back: rows, events, and links in `browse/`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flows.browsing import show_restored
from flows.dispatch import Dispatch
from flows.leases import WorkLeases
from flows.planning import Batch
from flows.progress import progress
from flows.restore_job import RestoreJob
from flows.reviews import judged
from flows.run_records import agent
from flows.runners import WorkerPlan, start_workers, task_runner
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.records import EventRecord, PhotoWork, RestorationRecord

_POLL_S = 2.0


@dataclass
class Tally:
    """What came of the photos so far.

    Attributes:
        failed: (source key, error).
        needs_review: (source key, reasons), of photos that are among the restored.
    """

    restored: int = 0
    unchanged: int = 0
    done_elsewhere: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    needs_review: list[tuple[str, str]] = field(default_factory=list)
    working_s: float = 0.0
    megapixels: float = 0.0
    devices: set[str] = field(default_factory=set)
    precisions: set[str] = field(default_factory=set)

    def machine(self) -> dict[str, str]:
        """What the photos were restored on."""
        kinds = {"device": self.devices, "precision": self.precisions}
        return {name: ", ".join(sorted(found)) for name, found in kinds.items() if found}

    def count(self, record: RestorationRecord, work: PhotoWork, *, won: bool) -> None:
        """Counts one photo; where another run was first, its result stands and ours is not counted."""
        if record.outcome == "failed":
            self.failed.append((work.source_key, str(record.error)))
        elif not won:
            self.done_elsewhere += 1
        else:
            self.restored += record.outcome == "restored"
            self.unchanged += record.outcome == "unchanged"
            if record.needs_review:
                self.needs_review.append((work.source_key, str(record.review_reasons)))
            self.working_s += record.seconds or 0.0
            self.megapixels += record.megapixels or 0.0
            self.devices |= {record.device} if record.device else set()
            self.precisions |= {record.precision} if record.precision else set()


def restore_batches(
    catalogue: Catalogue,
    settings: Settings,
    *,
    job: RestoreJob,
    plan: WorkerPlan,
    batches: Sequence[Batch],
    holder: str,
) -> Tally:
    """Restores all batches and records each as it comes back.

    Raises:
        FlowsError, CoreError, StorageError: what stops the whole run, such as a full disk or an altered release.
    """
    tally = Tally()
    leases = WorkLeases(catalogue, holder=holder, ttl_s=settings.lease_s, locks_folder=settings.layout.work / "runs")
    with leases, task_runner(settings, plan) as runner:
        start_workers(runner, settings)
        dispatch = Dispatch(runner, settings, plan, job)
        for batch, made in _results(dispatch, catalogue, leases, tally, deque(batches)):
            records = [judged(record, settings.fidelity) for record in made]
            won = catalogue.record_restorations(
                records, restoration_events(records, job.run_id), tries_limit=settings.tries
            )
            by_photo = {(work.photo_sha256, work.work_hash): work for work in batch.works}
            for record in records:
                key = (record.photo_sha256, record.work_hash)
                tally.count(record, by_photo[key], won=key in won)
                if record.outcome != "failed" and key in won:
                    show_restored(settings, by_photo[key].sources, record)
            leases.give_back(batch.works)
            progress().advance(len(batch.works))
    return tally


def _results(
    dispatch: Dispatch, catalogue: Catalogue, leases: WorkLeases, tally: Tally, waiting: deque[Batch]
) -> Iterator[tuple[Batch, list[RestorationRecord]]]:
    """Batches with their records as they come; no more are claimed than the workers can take up soon."""
    held_elsewhere: list[Batch] = []
    while waiting or held_elsewhere or dispatch.suspects or not dispatch.is_idle:
        while waiting and dispatch.has_room():
            batch = waiting.popleft()
            claimed = leases.claim(batch.works)
            ours = set(claimed)
            others = tuple(work for work in batch.works if work not in ours)
            if others:
                held_elsewhere.append(Batch(batch.parameters, others))
            if claimed:
                dispatch.send(Batch(batch.parameters, tuple(claimed)))
        if dispatch.is_idle and dispatch.suspects:
            dispatch.try_suspect()
        if not dispatch.is_idle:
            if (done := dispatch.take()) is not None:
                yield done
        elif held_elsewhere and not waiting:
            waiting.extend(_still_undone(catalogue, held_elsewhere, tally))
            held_elsewhere = []


def _still_undone(catalogue: Catalogue, batches: Sequence[Batch], tally: Tally) -> list[Batch]:
    """After a moment, those of other runs' photos that are not done yet; the others are counted."""
    count = sum(len(batch.works) for batch in batches)
    progress().say(f"waiting for {count} photos that another run is restoring")
    time.sleep(_POLL_S)
    left = []
    for batch in batches:
        done = catalogue.finished_work([(work.photo_sha256, work.work_hash) for work in batch.works])
        undone = tuple(work for work in batch.works if (work.photo_sha256, work.work_hash) not in done)
        tally.done_elsewhere += len(batch.works) - len(undone)
        progress().advance(len(batch.works) - len(undone))
        if undone:
            left.append(Batch(batch.parameters, undone))
    return left


def restoration_events(records: Sequence[RestorationRecord], run_id: str | None) -> list[EventRecord]:
    """One restoration each, and one fixity check for all masters whose bytes were compared."""
    events = []
    for record in records:
        objects = [("photo", record.photo_sha256, "source")]
        if record.restored_key:
            objects.append(("derivative", record.restored_key, "outcome"))
        events.append(
            EventRecord(
                type="restoration",
                agent=agent(),
                outcome="failure" if record.outcome == "failed" else "success",
                detail={"outcome": record.outcome, "release": record.release, "work_hash": record.work_hash}
                | ({"needs_review": record.review_reasons} if record.needs_review else {}),
                run_id=run_id,
                note=record.error,
                objects=tuple(objects),
                uid=f"restoration/{record.photo_sha256}/{record.work_hash}/{run_id}",
            )
        )
    compared = tuple(("photo", record.photo_sha256, "source") for record in records if record.outcome != "failed")
    if compared:
        events.append(
            EventRecord(
                type="fixity check", agent=agent(), detail={"hash": "sha256"}, run_id=run_id, objects=compared,
                note="masters read for restoration still have the SHA-256 that they were registered with",
            )
        )
    return events
