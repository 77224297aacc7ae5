"""What an ingestion or a run would do: the source is listed and compared, and nothing is written anywhere.

No flow: Prefect's server would write into the home.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from flows.collections import find_collection, policy_of
from flows.listing import SortedPage, not_files, sort_page
from flows.look import LookTally, SourcePages
from flows.planning import work_parameters
from flows.release_store import release_without_catalogue
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.catalog.collection_queries import KnownCollection
from storage.catalog.engine import open_engine
from storage.catalog.schema_version import HEAD, current_revision
from storage.errors import CatalogueMissing, CatalogueOutdated
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import CollectionRecord
from storage.urls import masked_url


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What would be done.

    Attributes:
        read: objects that would be read: new, changed and reappeared ones, and what could not be read before.
        gone: objects on record that the source does not show.
        to_restore: photos at most, since of the new objects some may be copies or no photos; None: not asked.
        note: one line for a person.
    """

    url: str
    listed: int = 0
    new: int = 0
    changed: int = 0
    reappeared: int = 0
    unchanged: int = 0
    ignored: int = 0
    gone: int = 0
    read: int = 0
    unlisted: int = 0
    to_restore: int | None = None
    note: str | None = None


def dry_run(
    settings: Settings,
    source: str,
    *,
    recursive: bool | None = None,
    recheck: bool = False,
    limit: int | None = None,
    restoring: bool = False,
) -> DryRun:
    """Compares the source with the catalogue.

    Args:
        restoring: tells how many photos a whole run would restore, too.

    Raises:
        storage.errors.SourceUnreadable: the source cannot be listed.
        storage.errors.CatalogueOutdated: the catalogue would have to be changed to be read.
    """
    with catalogue_as_it_is(settings) as catalogue:
        before = find_collection(catalogue, source) if catalogue is not None else None
        policy = policy_of(before, settings, source, recursive=recursive)
        if before is not None and before.state == "withdrawn":
            return DryRun(url=policy.url, note="the collection is withdrawn; nothing of it would be read")
        tally, on_record = _compare(settings, catalogue, before, policy, recheck=recheck, limit=limit)
        recorded = sum(catalogue.object_counts(before.id).values()) if catalogue and before else 0
        missing = catalogue.object_counts(before.id)["missing"] if catalogue and before else 0
        found = DryRun(
            url=policy.url,
            listed=tally.listed,
            new=tally.new,
            changed=tally.changed,
            reappeared=tally.reappeared,
            unchanged=tally.listed - tally.ignored - tally.read - tally.left,
            ignored=tally.ignored,
            gone=0 if tally.left or tally.unlisted else recorded - missing - on_record,
            read=tally.read,
            unlisted=len(tally.unlisted),
            note=_note(tally),
        )
        if restoring:
            waiting = _waiting(settings, catalogue, replace(before, policy=policy)) if catalogue and before else 0
            to_restore = waiting + tally.new + tally.changed + tally.reappeared
            found = replace(found, to_restore=to_restore if limit is None else min(limit, to_restore))
        return found


@contextmanager
def catalogue_as_it_is(settings: Settings) -> Iterator[Catalogue | None]:
    """The catalogue, None where there is none yet. It is neither made nor brought up to date."""
    try:
        engine = open_engine(settings.catalogue_url, create=False)
    except CatalogueMissing:
        yield None
        return
    catalogue = Catalogue(engine, masked_url(settings.catalogue_url))
    try:
        with catalogue.connected() as connection:
            revision = current_revision(connection)
        if revision not in (None, HEAD):
            raise CatalogueOutdated(
                f"the catalogue {catalogue.url} is of revision {revision} and this version needs {HEAD}; a dry run "
                "changes nothing, so run `oldphoto db upgrade` first"
            )
        yield catalogue if revision is not None else None
    finally:
        catalogue.close()


def _compare(
    settings: Settings,
    catalogue: Catalogue | None,
    before: KnownCollection | None,
    policy: CollectionRecord,
    *,
    recheck: bool,
    limit: int | None,
) -> tuple[LookTally, int]:
    """Counts of a look, and how many of the listed objects are on record and not missing."""
    rules = IgnoreRules(policy.ignore_patterns, include=policy.include_patterns)
    store = SourceStore(policy.url, settings.store_options(policy.url), exclude=settings.result_locations())
    tally, on_record = LookTally(), 0
    for listed, problems in SourcePages(store, recursive=policy.recursive):
        no_files = not_files(problems)
        tally.unlisted += [problem for problem in problems if problem not in no_files]
        keys = [entry.key for entry in listed.entries] + [problem.prefix for problem in no_files]
        known = catalogue.known_objects(before.id, keys) if catalogue and before else {}
        page: SortedPage = sort_page(listed.entries, no_files, known, rules, recheck=recheck)
        on_record += sum(one.status != "missing" for one in known.values())
        tally.count(page)
        allowed = len(page.to_read) if limit is None else min(len(page.to_read), limit - tally.read)
        tally.read += allowed
        tally.left += len(page.to_read) - allowed
    return tally, on_record


def _waiting(settings: Settings, catalogue: Catalogue, collection: KnownCollection) -> int:
    """Photos on record that would be restored."""
    parameters = work_parameters(collection, settings, release_without_catalogue(settings))
    return len(catalogue.photos_to_restore(collection.id, parameters))


def _note(tally: LookTally) -> str | None:
    if not tally.listed:
        return "the source shows no object at all"
    notes = [f"{tally.left} more would be left by the limit"] if tally.left else []
    if tally.left or tally.unlisted:  # as in a run, which marks nothing there as missing
        notes.append("what is gone shows only where a look is whole")
    return "; ".join(notes) or None
