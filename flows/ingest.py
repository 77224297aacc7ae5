"""Ingestion: list a source, hash and check what is new, register it, and note what is gone. Sources are only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.collections import find_collection, policy_of
from flows.listing import Listing, batches_of, list_source
from flows.progress import progress
from flows.run_records import OpenRun, agent, recorded_run, title_of
from flows.runners import reader_threads
from flows.settings import Settings
from flows.summary import IngestSummary, RunSummary
from flows.validation import Validated, validate_objects
from oldphoto_core.images import DecodeLimits
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import EventRecord, KnownObject, SourceEntry, SourceObjectRecord, source_object_id

_IN_FLIGHT = 4
"""Batches a thread that are under way before the first of them is recorded."""


@flow(name="ingest")
def ingest(
    source: str,
    home: str | None = None,
    recursive: bool | None = None,
    recheck: bool = False,
    settings: dict[str, Any] | None = None,
    run_id: str | None = None,
) -> RunSummary:
    """Registers every photo of a source and accounts for everything else in it.

    Args:
        source: a folder or `s3://bucket/prefix`.
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        recursive: whether folders below are taken too; None: as before, at first True.
        recheck: reads objects again that have not changed by size, time and ETag.
        settings: further settings, as in `oldphoto.toml`.
        run_id: the run of the catalogue that this is part of; None: a run of its own.
    """
    chosen = Settings.load(home, **(settings or {}))
    with recorded_run(chosen, kind="ingest", title=title_of(source), source=source, run_id=run_id) as run:
        before = find_collection(run.catalogue, source)
        known = run.catalogue.known_objects(before.id) if before is not None else {}
        policy = policy_of(before, chosen, source, recursive=recursive)
        store = SourceStore(policy.url, chosen.store_options(policy.url), exclude=chosen.result_locations())
        progress().begin(f"Listing {source}")
        rules = IgnoreRules(policy.ignore_patterns)
        listing = list_source(store, known, rules, recursive=policy.recursive, recheck=recheck)
        collection_id = run.catalogue.upsert_collection(policy)  # not before: a misspelt source is no collection
        run.catalogue.update_run(run.run_id, collection_id=collection_id)
        photos_new = register(run, collection_id, chosen, store, listing, known)
        found = look_back(run, collection_id, store.url, listing, photos_new)
        run.summary = RunSummary(run_id=run.run_id, ingest=found)
        return run.summary


@task(name="check photos", cache_policy=NO_CACHE, persist_result=False)
def check_photos(store: SourceStore, entries: Sequence[SourceEntry], limits: DecodeLimits) -> list[Validated]:
    """Reads, hashes and decodes a batch of objects."""
    return validate_objects(store, entries, limits)


def register(
    run: OpenRun,
    collection_id: int,
    settings: Settings,
    store: SourceStore,
    listing: Listing,
    known: Mapping[str, KnownObject],
) -> int:
    """Records the listing's objects, a transaction a batch; gives the number of contents never seen before."""
    run.catalogue.record_objects(
        collection_id, listing.decided, (), _events(run.run_id, store.url, listing.decided, known)
    )
    progress().begin("Checking photos", len(listing.to_read))
    photos_new = 0
    for entries, found in _checked(store, listing.to_read, settings):
        records = [record for record, _ in found]
        photos = [photo for _, photo in found if photo is not None]
        events = _events(run.run_id, store.url, records, known)
        photos_new += run.catalogue.record_objects(collection_id, records, photos, events)
        listing.keys.difference_update({entry.key for entry in entries} - {record.key for record in records})
        progress().advance(len(entries))
    return photos_new


def look_back(run: OpenRun, collection_id: int, url: str, listing: Listing, photos_new: int) -> IngestSummary:
    """Marks what is gone and gives how the collection stands now."""
    unlisted = listing.unlisted
    run.catalogue.mark_missing(
        collection_id, listing.keys, unlisted_prefixes=[problem.prefix for problem in unlisted], agent=agent()
    )
    counts = run.catalogue.object_counts(collection_id)
    return IngestSummary(
        collection_id=collection_id,
        url=url,
        registered=counts["registered"],
        photos_new=photos_new,
        read=len(listing.to_read),
        ignored=counts["ignored"],
        missing=counts["missing"],
        quarantined=tuple(run.catalogue.quarantined(collection_id)),
        unlisted=tuple((problem.prefix, problem.reason) for problem in unlisted),
    )


def _checked(
    store: SourceStore, entries: Sequence[SourceEntry], settings: Settings
) -> Iterator[tuple[list[SourceEntry], list[Validated]]]:
    """Each batch with what was found in it, as they come."""
    threads = settings.readers or reader_threads()
    limits = DecodeLimits(max_pixels=int(settings.max_megapixels * 1e6))
    waiting = iter(batches_of(entries, threads=threads))
    pool: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=threads)
    with pool as runner:
        while some := list(islice(waiting, threads * _IN_FLIGHT)):
            futures: dict[PrefectFuture[list[Validated]], list[SourceEntry]] = {
                runner.submit(check_photos, {"store": store, "entries": batch, "limits": limits}): batch
                for batch in some
            }
            for future in as_completed(list(futures)):
                yield futures[future], future.result()


def _events(
    run_id: str, url: str, records: Sequence[SourceObjectRecord], known: Mapping[str, KnownObject]
) -> list[EventRecord]:
    """One ingestion for a batch's photos; a failed validation for each object that is newly set aside."""
    events = []
    registered = [record for record in records if record.status == "registered"]
    if registered:
        links = [("source_object", source_object_id(url, record.key), "source") for record in registered]
        links += [("photo", str(record.photo_sha256), "outcome") for record in registered]
        detail = {"run": run_id, "count": len(registered)}
        events.append(EventRecord(type="ingestion", agent=agent(), detail=detail, objects=tuple(links)))
    for record in records:
        before = known.get(record.key)
        is_known = before is not None and (before.status, before.reason) == (record.status, record.reason)
        if record.status != "quarantined" or is_known:
            continue
        events.append(
            EventRecord(
                type="validation",
                agent=agent(),
                outcome="failure",
                detail={"run": run_id, "reason": record.reason, "detail": record.detail},
                objects=(("source_object", source_object_id(url, record.key), "source"),),
            )
        )
    return events
