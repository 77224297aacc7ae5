"""What a run did: counts, what needs a person's attention, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.sidecar_findings import SidecarSummary

DONE, FAILED, USAGE, QUARANTINED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = {
    DONE: "all done",
    FAILED: "something failed",
    USAGE: "the command was wrong",
    QUARANTINED: "something is quarantined (--accept-quarantine makes it 0)",
    INTERRUPTED: "interrupted; run it again and it goes on",
}


@dataclass(frozen=True, kw_only=True)
class IngestSummary:
    """One look at a source.

    Attributes:
        url: the collection's.
        listed: objects that the source showed in this run.
        registered: objects that hold a photo, after this look; ignored, missing and set_aside likewise.
        photos_new: contents never seen before.
        read: objects whose bytes were read; the others had not changed.
        changed, reappeared, gone, moved: objects that were so in this look; a moved one is among the gone.
        near_duplicates: pairs of photos found to look alike.
        left: objects that a limit left for the next run.
        set_aside: number of quarantined objects; reasons has it by reason.
        quarantined: (key, reason) of the first of them.
        unlisted: (folder, reason) of what could not be listed, and so may hold photos that nobody has seen.
        note: one line for a person, such as why nothing was read.
        sidecars: what became of the metadata beside the photos.
    """

    collection_id: int
    url: str
    listed: int = 0
    registered: int = 0
    photos_new: int = 0
    read: int = 0
    changed: int = 0
    reappeared: int = 0
    gone: int = 0
    moved: int = 0
    near_duplicates: int = 0
    left: int = 0
    ignored: int = 0
    missing: int = 0
    set_aside: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[tuple[str, str], ...] = ()
    note: str | None = None
    sidecars: SidecarSummary | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreSummary:
    """What became of the photos.

    Attributes:
        failed: (key of the first source, error) of each photo that could not be restored.
        needs_review: (key, reasons) of restored photos that a person must accept before they are published.
        left: photos that a limit left for the next run.
        not_stale: photos that are not restored yet and that a run for stale ones alone left.
        set_aside: (key, error) of photos that failed too often before, and were not tried again.
        working_s, megapixels: of restored and unchanged photos; the seconds are workers', not the clock's.
    """

    release: str
    restored: int = 0
    unchanged: int = 0
    already_done: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    needs_review: tuple[tuple[str, str], ...] = ()
    left: int = 0
    not_stale: int = 0
    set_aside: tuple[tuple[str, str], ...] = ()
    working_s: float = 0.0
    megapixels: float = 0.0

    @property
    def did_nothing(self) -> bool:
        """Whether there was nothing left to do."""
        return not (self.restored or self.unchanged or self.failed or self.left or self.not_stale)


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run: its look at a source, its restorations, or both."""

    run_id: str
    ingest: IngestSummary | None = None
    restore: RestoreSummary | None = None
    report_path: Path | None = None

    def totals(self) -> dict[str, int]:
        """Counts under the names that reports use."""
        counts: dict[str, int] = {}
        if self.ingest is not None:
            found = self.ingest
            counts |= {"registered": found.registered, "ignored": found.ignored, "quarantined": found.set_aside}
            counts |= {"missing": found.missing, "unlisted": len(found.unlisted)}
        if self.restore is not None:
            made = self.restore
            counts |= {"restored": made.restored, "unchanged": made.unchanged, "already_done": made.already_done}
            counts |= {"failed": len(made.failed), "set_aside": len(made.set_aside)}
            counts |= {"needs_review": len(made.needs_review)}
        return counts

    def exit_code(self, *, accept_quarantine: bool = False) -> int:
        """0 all done, 1 something failed, 3 something is quarantined.

        What needs a review is done: it is told in the table, and kept out of publications, not in the exit code.
        """
        if (self.restore and self.restore.failed) or (self.ingest and self.ingest.unlisted):
            return FAILED
        aside = (self.ingest and self.ingest.set_aside) or (self.restore and self.restore.set_aside)
        if aside and not accept_quarantine:
            return QUARANTINED
        return DONE
