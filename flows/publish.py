"""Publication: the active derivatives under their sources' own paths, in a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.collections import find_collection
from flows.errors import UsageError
from flows.progress import progress
from flows.publications import (
    MANIFEST,
    Copy,
    CopyOutcome,
    copies_of,
    decide,
    destination_store,
    keys_of,
    make_copy,
    published_pages,
    refuse_destination,
    removal_events,
    remove_copy,
    write_manifest,
)
from flows.run_records import agent, recorded_run, title_of
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.summary import DONE, FAILED
from flows.wording import counted
from storage.catalog.catalogue import Catalogue
from storage.catalog.publication_queries import Publishable, Published
from storage.errors import ObjectStoreError
from storage.objects import ObjectStore
from storage.records import EventRecord, source_object_id

_PAGE = 500
"""Copies planned, and recorded, at once."""
_BATCH = 32
"""Copies that one task makes."""
_THREADS = 4
"""Each holds a whole derivative in memory."""


@dataclass(kw_only=True)
class PublishSummary:
    """What a publication did, or in a dry run would do.

    Attributes:
        published: copies that are new; `replaced` took the place of an older restoration's.
        removed: copies of what is gone, held, withdrawn or rejected, or that are called otherwise now.
        needs_review: objects left out since the latest restoration waits for a review; of an earlier one that may be
            shown the copy stands.
        rejected: likewise, since a person rejected it.
        foreign: (key, reason) of places that something else stands at; nothing is ever written over.
        failed: (key, reason) of copies that could not be made or removed.
    """

    destination: str
    dry_run: bool = False
    published: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    needs_review: int = 0
    rejected: int = 0
    foreign: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def totals(self) -> dict[str, int]:
        """Counts under the names that the run's record uses."""
        return {
            "published": self.published, "replaced": self.replaced, "unchanged": self.unchanged,
            "removed": self.removed, "foreign": len(self.foreign), "failed": len(self.failed),
            "needs_review": self.needs_review, "rejected": self.rejected,
        }  # fmt: skip

    def exit_code(self) -> int:
        """0 all that may be shown is published, 1 something was not."""
        return FAILED if self.foreign or self.failed else DONE

    def count(self, outcome: CopyOutcome) -> None:
        """Counts what became of one copy."""
        if outcome.action in ("write", "adopt"):
            self.published += 1
        elif outcome.action == "replace":
            self.replaced += 1
        elif outcome.action == "unchanged":
            self.unchanged += 1
        else:
            told = self.foreign if outcome.action == "foreign" else self.failed
            told.append((outcome.copy.key, outcome.problem))


@flow(name="publish")
def publish(
    destination: str,
    home: str | None = None,
    source: str | None = None,
    dry_run: bool = False,
    settings: SettingsForm | None = None,
) -> PublishSummary:
    """Brings a destination up to date with the latest restorations, and writes its manifest last.

    Args:
        destination: a folder or `s3://bucket/prefix`, apart from every source.
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        source: one collection alone; None: all of them.
        dry_run: writes nothing and records nothing, and says what would be done.
        settings: what differs from the installation's settings in this run.
    """
    chosen = Settings.load(home, **given_settings(settings))
    if dry_run:
        with Catalogue.open(chosen.catalogue_url, create=False) as catalogue:
            return _Publication(chosen, catalogue, destination, source, run_id=None).preview()
    with recorded_run(chosen, kind="publish", title=title_of(destination), source=source) as run:
        publication = _Publication(chosen, run.catalogue, destination, source, run_id=run.run_id)
        run.summary = publication.summary
        return publication.carry_out()


@task(name="publish copies", cache_policy=NO_CACHE, persist_result=False)
def publish_copies(derivatives: ObjectStore, destination: ObjectStore, copies: Sequence[Copy]) -> list[CopyOutcome]:
    """Makes a batch of copies."""
    return [make_copy(derivatives, destination, copy) for copy in copies]


class _Publication:
    """One look at a destination."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, destination: str, source: str | None, *, run_id: str | None
    ) -> None:
        refuse_destination(catalogue, settings, destination)
        self._catalogue = catalogue
        self._destination = destination_store(settings, destination)
        self._derivatives = ObjectStore(
            settings.derivatives_url, settings.store_options(settings.derivatives_url, "derivatives")
        )
        self._collection_id = _collection_id(catalogue, source)
        self._run_id = run_id
        if not catalogue.was_published_to(self._destination.url) and self._destination.exists(MANIFEST):
            raise UsageError(f"{destination} holds a {MANIFEST} that is not from here; name a place of its own")
        self.summary = PublishSummary(destination=self._destination.url, dry_run=run_id is None)
        self.summary.needs_review, self.summary.rejected = catalogue.left_out(self._collection_id)

    def preview(self) -> PublishSummary:
        """What would be done; nothing is written anywhere."""
        self.summary.removed = sum(len(stale) for stale in self._stale())
        for copies in self._copies():
            for copy in copies:
                action, why = decide(self._destination, copy)
                self.summary.count(CopyOutcome(copy=copy, action=action, problem=why))
        return self.summary

    def carry_out(self) -> PublishSummary:
        """Removes what is no longer wanted, publishes what is, and lists it all."""
        for stale in self._stale():
            self._remove(stale)
        progress().begin("Publishing photos")
        pool: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=_THREADS)
        with pool as runner:
            for copies in self._copies():
                batches = [copies[start : start + _BATCH] for start in range(0, len(copies), _BATCH)]
                stores = {"derivatives": self._derivatives, "destination": self._destination}
                futures = [runner.submit(publish_copies, {**stores, "copies": batch}) for batch in batches]
                for future in as_completed(futures):
                    self._record(future.result())
        for stale in self._stale():  # what was held or withdrawn in the meantime
            self._remove(stale)
        write_manifest(self._catalogue, self._destination)
        return self.summary

    def _copies(self) -> Iterator[list[Copy]]:
        after_id = 0
        while items := self._catalogue.publishable(self._collection_id, after_id=after_id, limit=_PAGE):
            after_id = items[-1].source_object_id
            yield copies_of(self._catalogue, self._destination.url, items)

    def _stale(self) -> Iterator[list[Published]]:
        """Pages of copies that should not stand where they do."""
        for page in published_pages(self._catalogue, self._destination.url, self._collection_id):
            keys = keys_of(self._catalogue, [one.wanted for one in page if one.wanted is not None])
            yield [one for one in page if keys.get(one.source_object_id) != one.key]

    def _remove(self, stale: Sequence[Published]) -> None:
        removed, left = [], []
        for one in stale:
            try:
                why = remove_copy(self._destination, one)
            except ObjectStoreError as error:
                self.summary.failed.append((one.key, str(error)))
                continue
            (removed if why is None else left).append(one)
            if why is not None:
                self.summary.foreign.append((one.key, f"is no longer wanted, but {why}"))
        events = removal_events(self._destination.url, removed, left, run_id=self._run_id)
        self._catalogue.record_removals([one.id for one in (*removed, *left)], events)
        self.summary.removed += len(removed)

    def _record(self, outcomes: Sequence[CopyOutcome]) -> None:
        made = []
        for outcome in outcomes:
            self.summary.count(outcome)
            progress().advance()
            if outcome.action in ("write", "replace", "adopt"):
                made.append(_published(self._destination.url, outcome))
        altered = [outcome for outcome in outcomes if outcome.action == "altered"]
        if made or altered:
            items = [outcome.copy.item for outcome in outcomes if outcome.action in ("write", "replace", "adopt")]
            self._catalogue.record_publications(made, [*self._publication_event(items), *self._alarms(altered)])

    def _publication_event(self, items: Sequence[Publishable]) -> list[EventRecord]:
        if not items:
            return []
        links = [("source_object", source_object_id(item.collection_url, item.key), "source") for item in items]
        links += [("derivative", item.restored_key, "outcome") for item in items]
        detail = {"destination": self._destination.url, "count": len(items)}
        note = f"{counted(len(items), 'copy')} to {self._destination.url}"
        return [
            EventRecord(
                type="publication", agent=agent(), detail=detail, objects=tuple(links), run_id=self._run_id, note=note
            )
        ]

    def _alarms(self, altered: Sequence[CopyOutcome]) -> list[EventRecord]:
        return [
            EventRecord(
                type="fixity check", agent=agent(), outcome="failure", detail={"hash": "sha256"},
                objects=(("derivative", outcome.copy.item.restored_key, "source"),
                         ("photo", outcome.copy.item.photo_sha256, "source")),
                run_id=self._run_id, note=outcome.problem,
            )
            for outcome in altered
        ]  # fmt: skip


def _published(destination: str, outcome: CopyOutcome) -> Published:
    item = outcome.copy.item
    return Published(
        destination=destination, key=outcome.copy.key, source_object_id=item.source_object_id,
        restoration_id=item.restoration_id, sha256=item.restored_sha256, size_bytes=outcome.size_bytes,
    )  # fmt: skip


def _collection_id(catalogue: Catalogue, source: str | None) -> int | None:
    if source is None:
        return None
    known = find_collection(catalogue, source)
    if known is None:
        raise UsageError(f"{source} is not in this catalogue; run `oldphoto ingest {source}` first")
    return known.id
