"""What a source lists, and which of it has to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flows.validation import PASSING_REASONS
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import KnownObject, ListingProblem, SourceEntry, SourceObjectRecord

NOT_A_FILE = "not-a-file"
"""Reason for what a listing shows but nobody can read: a broken link, a socket."""


@dataclass(frozen=True)
class Listing:
    """A whole look at a source.

    Attributes:
        decided: records of objects that need no reading: ignored ones, and what is no file.
        to_read: objects that are new or changed.
        keys: of everything seen.
        unlisted: folders that could not be listed.
    """

    decided: list[SourceObjectRecord] = field(default_factory=list)
    to_read: list[SourceEntry] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    unlisted: list[ListingProblem] = field(default_factory=list)


def list_source(
    store: SourceStore,
    known: Mapping[str, KnownObject],
    rules: IgnoreRules,
    *,
    recursive: bool = True,
    recheck: bool = False,
) -> Listing:
    """Lists the source and sorts what it shows.

    Args:
        known: what earlier looks decided; what has not changed since is neither read nor recorded again.
        recheck: reads it all the same.

    Raises:
        storage.errors.SourceUnreadable: the source itself cannot be listed.
    """
    listing = Listing()
    problems: list[ListingProblem] = []
    for entry in store.list(recursive=recursive, on_problem=problems.append):
        listing.keys.add(entry.key)
        before = known.get(entry.key)
        pattern = rules.match(entry.key)
        if pattern is not None:
            if before is None or (before.status, before.reason) != ("ignored", pattern):
                listing.decided.append(SourceObjectRecord.from_entry(entry, status="ignored", reason=pattern))
        elif recheck or before is None or not _is_settled(before, entry):
            listing.to_read.append(entry)
    for problem in problems:
        if problem.prefix.endswith("/") or not problem.prefix:
            listing.unlisted.append(problem)
        else:
            listing.keys.add(problem.prefix)
            listing.decided.extend(_no_file(problem, known.get(problem.prefix), rules))
    return listing


def batches_of(entries: Sequence[SourceEntry], *, threads: int) -> list[list[SourceEntry]]:
    """The entries in batches: small ones where there are few, so that all threads have work."""
    size = min(64, max(4, len(entries) // (4 * threads)))
    return [list(entries[start : start + size]) for start in range(0, len(entries), size)]


def _is_settled(before: KnownObject, entry: SourceEntry) -> bool:
    """Whether an earlier look decided on this very object for good."""
    if before.status == "ignored":  # by a pattern that is no more
        return False
    if before.status == "quarantined" and before.reason in PASSING_REASONS:
        return False
    return before.is_unchanged(entry)


def _no_file(problem: ListingProblem, before: KnownObject | None, rules: IgnoreRules) -> list[SourceObjectRecord]:
    """The record of something that is listed but is no file, unless it is on record already."""
    pattern = rules.match(problem.prefix)
    status, reason = ("ignored", pattern) if pattern else ("quarantined", NOT_A_FILE)
    if before is not None and (before.status, before.reason) == (status, reason):
        return []
    detail = None if pattern else f"{problem.prefix}: {problem.reason}; mend or remove it"
    return [
        SourceObjectRecord(key=problem.prefix, status=status, size_bytes=0, reason=reason, detail=detail)  # type: ignore[arg-type]
    ]
