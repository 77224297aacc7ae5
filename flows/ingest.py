"""Ingestion: list a source, hash and check what is new, register it, and note what is gone. Sources are only read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.collections import find_collection, policy_of
from flows.leases import WorkLeases
from flows.look import Look, LookTally, SourcePages, policy_hash
from flows.near_duplicates import link_near_duplicates
from flows.progress import progress
from flows.reading import readers
from flows.run_records import OpenRun, agent, recorded_run, title_of
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.sidecar_findings import SidecarSummary
from flows.sidecars import attach_sidecars
from flows.summary import IngestSummary, RunSummary
from storage.catalog.collection_queries import KnownCollection
from storage.catalog.listing_queries import lease_name
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import CollectionRecord

NAMED = 100
"""Quarantined objects that a summary names; the catalogue and the report have them all."""


@flow(name="ingest")
def ingest(
    source: str,
    home: str | None = None,
    recursive: bool | None = None,
    recheck: bool = False,
    limit: Annotated[int, Field(ge=1)] | None = None,
    accept_empty: bool = False,
    settings: SettingsForm | None = None,
    run_id: str | None = None,
) -> RunSummary:
    """Registers every photo of a source and accounts for everything else in it.

    Args:
        source: a folder or `s3://bucket/prefix`.
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        recursive: whether folders below are taken too; None: as before, at first True.
        recheck: reads objects again that have not changed by size, time and ETag.
        limit: objects read at most; None: all that are new or changed.
        accept_empty: takes a source that shows nothing at its word, though photos are registered there.
        settings: what differs from the installation's settings in this run.
        run_id: the run of the catalogue that this is part of; None: a run of its own.
    """
    chosen = Settings.load(home, **given_settings(settings))
    with recorded_run(chosen, kind="ingest", title=title_of(source), source=source, run_id=run_id) as run:
        before = find_collection(run.catalogue, source)
        if before is not None and before.state == "withdrawn":
            found = withdrawn(before)
        else:
            policy = policy_of(before, chosen, source, recursive=recursive)
            look = look_at(run, chosen, before, policy, recheck=recheck, limit=limit, accept_empty=accept_empty)
            sidecars = read_sidecars(run, chosen, look, reread=recheck)
            pairs = link_near_duplicates(run.catalogue)
            found = ingest_summary(run, look.collection_id, look.url, look.tally, near_duplicates=pairs)
            found = replace(found, sidecars=sidecars)
        run.summary = RunSummary(run_id=run.run_id, ingest=found)
        return run.summary


def look_at(
    run: OpenRun,
    settings: Settings,
    before: KnownCollection | None,
    policy: CollectionRecord,
    *,
    recheck: bool = False,
    limit: int | None = None,
    accept_empty: bool = False,
) -> Look:
    """Goes through the source once and records it, going on where a run that died had stopped."""
    catalogue = run.catalogue
    rules = IgnoreRules(policy.ignore_patterns, include=policy.include_patterns)
    store = SourceStore(policy.url, settings.store_options(policy.url), exclude=settings.result_locations())
    progress().begin(f"Looking through {policy.url}")
    asked = {"policy_hash": policy_hash(policy, rules, recheck=recheck), "ttl_s": settings.lease_s}
    holding = WorkLeases(
        catalogue, holder=run.run_id, ttl_s=settings.lease_s, locks_folder=settings.layout.work / "runs"
    )
    with holding as leases:
        listing = None
        if before is not None:
            listing = catalogue.begin_listing(before.id, run.run_id, resume=store.resumable, **asked)
            leases.hold(lease_name(listing.id))
        pages = SourcePages(store, recursive=policy.recursive, after=listing.cursor if listing else None)
        collection_id = catalogue.upsert_collection(policy)  # not before: a misspelt source is no collection
        catalogue.update_run(run.run_id, collection_id=collection_id)
        if listing is None:
            listing = catalogue.begin_listing(collection_id, run.run_id, resume=False, **asked)
            leases.hold(lease_name(listing.id))
        if listing.objects_seen:
            progress().say(f"going on after {listing.objects_seen} objects that a run before this one saw")
        look = Look(
            run=run, collection_id=collection_id, url=store.url, listing=listing, rules=rules, recheck=recheck,
            limit=limit,
        )  # fmt: skip
        with readers(store, settings) as threads:
            look.go_through(pages, threads)
        look.end(accept_empty=accept_empty)
    return look


def read_sidecars(run: OpenRun, settings: Settings, look: Look, *, reread: bool) -> SidecarSummary:
    """Attaches what sidecars say of the photos: every object of the collection is on record by now."""
    progress().begin("Reading sidecars")
    store = SourceStore(look.url, settings.store_options(look.url))
    return attach_sidecars(
        run.catalogue, look.collection_id, store, run_id=run.run_id, agent=agent(), reread=reread
    )


def ingest_summary(
    run: OpenRun, collection_id: int, url: str, tally: LookTally, *, near_duplicates: int
) -> IngestSummary:
    """What the look brought, and how the collection stands now."""
    counts = run.catalogue.object_counts(collection_id)
    note = None
    if not tally.objects_seen:
        note = f"{url} is empty: it shows no object at all"
    elif tally.left:
        note = f"{tally.left} new or changed objects are left by the limit; the next run takes them"
    return IngestSummary(
        collection_id=collection_id,
        url=url,
        listed=tally.listed,
        registered=counts["registered"],
        photos_new=tally.photos_new,
        read=tally.read,
        changed=tally.changed,
        reappeared=tally.reappeared,
        gone=tally.missing,
        moved=tally.moved,
        near_duplicates=near_duplicates,
        left=tally.left,
        ignored=counts["ignored"],
        missing=counts["missing"],
        set_aside=counts["quarantined"],
        reasons=run.catalogue.quarantined_by_reason(collection_id),
        quarantined=tuple(run.catalogue.quarantined(collection_id, limit=NAMED)),
        unlisted=tuple((problem.prefix, problem.reason) for problem in tally.unlisted),
        note=note,
    )


def withdrawn(collection: KnownCollection) -> IngestSummary:
    """The summary of a collection that is not to be processed."""
    url = collection.policy.url
    note = f"{url} is withdrawn, so nothing of it was read; `oldphoto reopen` takes the withdrawal back"
    return IngestSummary(collection_id=collection.id, url=url, note=note)
