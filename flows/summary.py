"""What a run did: counts, what needs a person's attention, and the exit code that follows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
        registered: objects that hold a photo, after this look; ignored and missing likewise.
        photos_new: contents never seen before.
        read: objects whose bytes were read; the others had not changed.
        quarantined: (key, reason) of all that are set aside.
        unlisted: (folder, reason) of what could not be listed, and so may hold photos that nobody has seen.
    """

    collection_id: int
    url: str
    registered: int = 0
    photos_new: int = 0
    read: int = 0
    ignored: int = 0
    missing: int = 0
    quarantined: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class RestoreSummary:
    """What became of the photos.

    Attributes:
        failed: (key of the first source, error) of each photo that could not be restored.
        working_s, megapixels: of restored and unchanged photos; the seconds are workers', not the clock's.
    """

    release: str
    restored: int = 0
    unchanged: int = 0
    already_done: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    working_s: float = 0.0
    megapixels: float = 0.0

    @property
    def did_nothing(self) -> bool:
        """Whether there was nothing left to do."""
        return not (self.restored or self.unchanged or self.failed)


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
            counts |= {"registered": found.registered, "ignored": found.ignored, "quarantined": len(found.quarantined)}
            counts |= {"missing": found.missing, "unlisted": len(found.unlisted)}
        if self.restore is not None:
            made = self.restore
            counts |= {"restored": made.restored, "unchanged": made.unchanged, "already_done": made.already_done}
            counts["failed"] = len(made.failed)
        return counts

    def exit_code(self, *, accept_quarantine: bool = False) -> int:
        """0 all done, 1 something failed, 3 something is quarantined."""
        if (self.restore and self.restore.failed) or (self.ingest and self.ingest.unlisted):
            return FAILED
        if self.ingest and self.ingest.quarantined and not accept_quarantine:
            return QUARANTINED
        return DONE
