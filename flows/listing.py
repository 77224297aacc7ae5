"""What a source lists, page by page, and what is to be done with each object of a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from flows.validation import PASSING_REASONS
from storage.ignore import IgnoreRules
from storage.records import KnownObject, ListingProblem, SourceEntry, SourceObjectRecord

T = TypeVar("T")

NOT_A_FILE = "not-a-file"
"""Reason for what a listing shows but nobody can read: a broken link, a socket."""


@dataclass
class SortedPage:
    """A page of a listing.

    Attributes:
        decided: records of objects that need no reading: ignored ones, and what is no file.
        to_read: objects that are new or may have changed.
        seen_keys: objects that are as they were; their rows only learn that they were seen.
        known: what earlier looks decided about the page's objects.
        listed: everything on the page.
        new, changed, reappeared, ignored: of these so many.
    """

    decided: list[SourceObjectRecord] = field(default_factory=list)
    to_read: list[SourceEntry] = field(default_factory=list)
    seen_keys: list[str] = field(default_factory=list)
    known: Mapping[str, KnownObject] = field(default_factory=dict)
    listed: int = 0
    new: int = 0
    changed: int = 0
    reappeared: int = 0
    ignored: int = 0


def sort_page(
    entries: Sequence[SourceEntry],
    problems: Sequence[ListingProblem],
    known: Mapping[str, KnownObject],
    rules: IgnoreRules,
    *,
    recheck: bool = False,
) -> SortedPage:
    """Sorts a page by what is to be done with its objects.

    Args:
        problems: what is listed but is no file (`not_files`).
        known: what earlier looks decided; what has not changed since is neither read nor recorded again.
        recheck: reads it all the same.
    """
    page = SortedPage(known=known, listed=len(entries) + len(problems))
    for entry in entries:
        before = known.get(entry.key)
        pattern = rules.match(entry.key)
        if pattern is not None:
            page.ignored += 1
            record = SourceObjectRecord.from_entry(entry, status="ignored", reason=pattern)
            if before is not None and not before.is_unchanged(entry):
                page.decided.append(record)  # a sidecar that changed is read again
            else:
                _decide(page, record, before)
        elif before is not None and not recheck and _is_settled(before, entry):
            page.seen_keys.append(entry.key)
        else:
            page.to_read.append(entry)
            page.new += before is None
            page.reappeared += before is not None and before.status == "missing"
            page.changed += before is not None and before.status != "missing" and not before.is_unchanged(entry)
    for problem in problems:
        pattern = rules.match(problem.prefix)
        page.ignored += pattern is not None
        _decide(page, _no_file(problem, pattern), known.get(problem.prefix))
    return page


def not_files(problems: Iterable[ListingProblem]) -> list[ListingProblem]:
    """Those problems that are about one name, as against a folder that could not be listed."""
    return [problem for problem in problems if problem.prefix and not problem.prefix.endswith("/")]


def _decide(page: SortedPage, record: SourceObjectRecord, before: KnownObject | None) -> None:
    """Takes the record, unless it is what the catalogue says already."""
    if before is not None and (before.status, before.reason) == (record.status, record.reason):
        page.seen_keys.append(record.key)
    else:
        page.decided.append(record)


def _is_settled(before: KnownObject, entry: SourceEntry) -> bool:
    """Whether an earlier look decided on this very object for good."""
    if before.status == "ignored":  # by a pattern that is no more
        return False
    if before.status == "quarantined" and before.reason in PASSING_REASONS:
        return False
    return before.is_unchanged(entry)


def _no_file(problem: ListingProblem, pattern: str | None) -> SourceObjectRecord:
    """The record of something that is listed but is no file."""
    if pattern is not None:
        return SourceObjectRecord(key=problem.prefix, status="ignored", size_bytes=0, reason=pattern)
    detail = f"{problem.prefix}: {problem.reason}; mend or remove it"
    return SourceObjectRecord(
        key=problem.prefix, status="quarantined", size_bytes=0, reason=NOT_A_FILE, detail=detail
    )


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each fetched in a thread of its own while the one before it is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "oldphoto-listing") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
