"""One look at a source: pages as they are listed, checked by readers, recorded in order; at the end what is gone."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flows.errors import SourceEmptied
from flows.listing import SortedPage, not_files, one_ahead, sort_page
from flows.progress import progress
from flows.reading import PARTS_AT_ONCE, Part, Readers, in_parts, part_runner
from flows.run_records import OpenRun, agent
from storage.catalog.listing_queries import OpenListing
from storage.errors import ObjectStoreError
from storage.ignore import IgnoreRules
from storage.keys import sha256_hex
from storage.object_records import ListingPage
from storage.objects import SourceStore
from storage.records import (
    CollectionRecord,
    EventRecord,
    KnownObject,
    ListingProblem,
    SourceObjectRecord,
    source_object_id,
)


@dataclass
class LookTally:
    """What a look has come to so far; counts alone, however large the source.

    Attributes:
        listed: objects the source shows, in this run; `objects_seen` with those before the cursor that it went on at.
        new, changed, reappeared, ignored: of these so many.
        read: objects whose bytes were read.
        left: objects that a limit left for the next run.
        unlisted: folders that could not be listed.
    """

    objects_seen: int = 0
    listed: int = 0
    new: int = 0
    changed: int = 0
    reappeared: int = 0
    ignored: int = 0
    read: int = 0
    left: int = 0
    photos_new: int = 0
    missing: int = 0
    moved: int = 0
    unlisted: list[ListingProblem] = field(default_factory=list)

    def count(self, page: SortedPage) -> None:
        """Counts a page that was sorted."""
        self.objects_seen += page.listed
        self.listed += page.listed
        self.new += page.new
        self.changed += page.changed
        self.reappeared += page.reappeared
        self.ignored += page.ignored


class SourcePages:
    """The pages of a source with what could not be listed, one page fetched ahead.

    The first page is fetched at once, so that a source that cannot be listed is told before anything is recorded.
    """

    def __init__(self, store: SourceStore, *, recursive: bool, after: str | None = None) -> None:
        self._problems: list[ListingProblem] = []
        pages = store.pages(recursive=recursive, after=after, on_problem=self._problems.append)
        self._pages = one_ahead(pages)
        self._first = next(self._pages, None)
        self.broken_by: ObjectStoreError | None = None

    def __iter__(self) -> Iterator[tuple[ListingPage, list[ListingProblem]]]:
        """Each page with the problems that came up until then; the last one may hold problems alone.

        A listing that breaks off ends here, and `broken_by` says why: the pages before can still be recorded.
        """
        page = self._first
        try:
            while page is not None:
                yield page, self._new_problems()
                page = next(self._pages, None)
        except ObjectStoreError as error:
            self.broken_by = error
            return
        if problems := self._new_problems():
            yield ListingPage(entries=(), cursor=None), problems

    def _new_problems(self) -> list[ListingProblem]:
        # One by one: the thread that lists may add another meanwhile, and a problem lost is a folder marked missing.
        return [self._problems.pop(0) for _ in range(len(self._problems))]


@dataclass
class _PartOfPage:
    """A part under way, with what is to be recorded when it is checked."""

    part: Part
    page: SortedPage
    is_first: bool
    cursor: str | None
    objects_seen: int | None


@dataclass(kw_only=True)
class Look:
    """A look at a source that goes on.

    Attributes:
        collection_id, url: of the collection.
        listing: of the catalogue; what is recorded counts as seen by it.
        limit: objects read at most; None: all that need it.
    """

    run: OpenRun
    collection_id: int
    url: str
    listing: OpenListing
    rules: IgnoreRules
    recheck: bool = False
    limit: int | None = None
    tally: LookTally = field(default_factory=LookTally)

    def go_through(self, pages: SourcePages, readers: Readers) -> None:
        """Checks and records page after page. Where the listing fails, what was listed by then is recorded first."""
        self.tally.objects_seen = self.listing.objects_seen
        under_way: deque[_PartOfPage] = deque()
        with part_runner(readers) as runner:
            for page, problems in pages:
                for part in self._parts(page, problems, readers):
                    under_way.append(part)
                    part.part.start(runner)
                while under_way and (len(under_way) > PARTS_AT_ONCE or not under_way[0].part.entries):
                    self._record(under_way.popleft())
            while under_way:
                self._record(under_way.popleft())
        if pages.broken_by is not None:
            raise pages.broken_by

    def _parts(
        self, listed: ListingPage, problems: list[ListingProblem], readers: Readers
    ) -> Iterator[_PartOfPage]:
        no_files = not_files(problems)
        self.tally.unlisted += [problem for problem in problems if problem not in no_files]
        keys = [entry.key for entry in listed.entries] + [problem.prefix for problem in no_files]
        known = self.run.catalogue.known_objects(self.collection_id, keys)
        page = sort_page(listed.entries, no_files, known, self.rules, recheck=self.recheck)
        self.tally.count(page)
        if self.limit is not None and self.tally.read + len(page.to_read) > self.limit:
            allowed = self.limit - self.tally.read
            self.tally.left += len(page.to_read) - allowed
            page.to_read = page.to_read[:allowed]
        self.tally.read += len(page.to_read)
        progress().expect(page.listed)
        parts = in_parts(page.to_read)
        for number, entries in enumerate(parts, 1):
            is_last = number == len(parts)
            yield _PartOfPage(
                part=Part(readers, entries),
                page=page,
                is_first=number == 1,
                cursor=listed.cursor if is_last and not self.tally.left else None,
                objects_seen=self.tally.objects_seen if is_last else None,
            )

    def _record(self, waiting: _PartOfPage) -> None:
        waiting.part.wait()
        page, found = waiting.page, waiting.part.found
        records = [record for record, _ in found]
        if waiting.is_first:
            records = [*page.decided, *records]
        self.tally.photos_new += self.run.catalogue.record_page(
            self.collection_id,
            self.listing.id,
            self.run.run_id,
            seen_keys=page.seen_keys if waiting.is_first else (),
            objects=records,
            photos=[photo for _, photo in found if photo is not None],
            events=ingestion_events(self.run.run_id, self.url, records, page.known),
            cursor=waiting.cursor,
            objects_seen=waiting.objects_seen,
        )
        if waiting.is_first:
            progress().advance(page.listed - len(page.to_read))

    def end(self, *, accept_empty: bool = False) -> None:
        """Marks what is gone, where the look showed everything.

        Raises:
            SourceEmptied: the source shows nothing, and photos of it are registered.
        """
        catalogue = self.run.catalogue
        if not self.tally.objects_seen and not accept_empty:
            registered = catalogue.object_counts(self.collection_id)["registered"]
            if registered and not self.tally.unlisted:
                catalogue.end_listing(self.listing.id, "abandoned")
                raise SourceEmptied(
                    f"{self.url} shows no object at all, and {registered} were registered there; nothing was marked "
                    "missing. Is it mounted, and the prefix right? If it is empty indeed, run again with --accept-empty"
                )
        if self.tally.left:
            catalogue.end_listing(self.listing.id, "abandoned")
            return
        gone = catalogue.mark_missing(
            self.collection_id,
            self.listing.id,
            unlisted_prefixes=[problem.prefix for problem in self.tally.unlisted],
            agent=agent(),
            run_id=self.run.run_id,
        )
        self.tally.missing, self.tally.moved = gone.missing, gone.moved
        catalogue.end_listing(self.listing.id)


def policy_hash(policy: CollectionRecord, rules: IgnoreRules, *, recheck: bool) -> str:
    """Of all that decides which objects a look takes: a look that was broken off is gone on with by the same alone."""
    document = [policy.recursive, rules.include, rules.patterns, recheck]
    return sha256_hex(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def ingestion_events(
    run_id: str, url: str, records: Sequence[SourceObjectRecord], known: Mapping[str, KnownObject]
) -> list[EventRecord]:
    """One ingestion for a part's photos; a failed validation for each object that is newly set aside."""
    events = []
    registered = [record for record in records if record.status == "registered"]
    if registered:
        links = [("source_object", source_object_id(url, record.key), "source") for record in registered]
        links += [("photo", str(record.photo_sha256), "outcome") for record in registered]
        events.append(
            EventRecord(
                type="ingestion", agent=agent(), detail={"count": len(registered)}, objects=tuple(links), run_id=run_id,
                note=f"{len(registered)} photos registered",
            )
        )  # fmt: skip
    for record in records:
        before = known.get(record.key)
        is_known = before is not None and (before.status, before.reason) == (record.status, record.reason)
        if record.status != "quarantined" or is_known:
            continue
        events.append(
            EventRecord(
                type="validation", agent=agent(), outcome="failure", run_id=run_id, note=record.detail,
                detail={"reason": record.reason, "detail": record.detail},
                objects=(("source_object", source_object_id(url, record.key), "source"),),
            )
        )  # fmt: skip
    return events
