"""What a run report is made of: plain frozen records that the catalogue fills and `render` draws.

Every field but the names has a default, so that a report of a run that did nothing, or that broke half way, can
still be written. Times are aware datetimes or ISO-8601 UTC text, as the catalogue keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Outcome = Literal["restored", "unchanged", "failed", "already_done"]

TOTALS = ("registered", "restored", "unchanged", "already_done", "ignored", "quarantined", "failed")
"""The totals every report shows, in this order; a total that is not given is shown as 0, further ones come after."""


@dataclass(frozen=True)
class ReportPhoto:
    """One photo that the run met, and what became of it."""

    source_key: str
    """Key of the master below the source's URL; shown to people, so that they find the photo they know."""
    photo_sha256: str
    """SHA-256 of the master, 64 hexadecimal digits; `#photo-<sha>` is the photo's anchor in the page."""
    outcome: Outcome
    error: str | None = None
    """Why it failed, one line, with what to do next."""
    height: int | None = None
    width: int | None = None
    preview_key: str | None = None
    """Key of the restoration's `preview.jpg` below the derivatives' URL."""
    mask_key: str | None = None
    """Key of the restoration's `mask.png` (0 where nothing was mended) below the derivatives' URL."""
    before_preview_key: str | None = None
    """Key of a ready JPEG of the master below the derivatives' URL; without it the `before_image` callable is asked."""
    mask_coverage: float | None = None
    """Share of the photo's pixels under the mask, 0 to 1."""
    change_outside_mask: float | None = None
    """Mean absolute change outside the mask, 0 to 1."""
    mean_change: float | None = None
    """Mean absolute change over the photo, 0 to 1; the report's order of interest."""
    seconds: float | None = None
    release: str | None = None
    browse_path: str | None = None
    """Path of the restored file below the home, `browse/...` as `storage.keys.browse_path` gives it."""
    mask_source: str | None = None
    """`detected`, `supplied` or `label`."""
    also_at: tuple[str, ...] = ()
    """Other keys of the same content in this source."""
    review_reasons: str | None = None
    """Which fidelity figures are past which limits, with semicolons between; None where none is."""
    verdict: str | None = None
    """Of its latest review: `accepted`, `rejected`, `needs label`; None where nobody looked yet."""
    found_key: str | None = None
    """Key of the restoration's `found.png`, what the detector saw, below the derivatives' URL."""
    tone: str | None = None
    """`correct`, `neutral` or `keep`, as it was restored."""
    notes: tuple[str, ...] = ()
    """What else the restoration says of itself, such as lost pieces that were left as they are."""

    @property
    def is_tone_only(self) -> bool:
        """Whether nothing was mended: the mask covers nothing, and the tone alone was corrected."""
        return self.outcome == "restored" and self.mask_coverage == 0 and self.tone != "keep"

    @property
    def waits_for_review(self) -> bool:
        """Whether a person has to accept it before it is published."""
        return self.review_reasons is not None and self.verdict not in ("accepted", "rejected")


@dataclass(frozen=True)
class QuarantinedFile:
    """A source object that was set aside: not a photo that can be restored rightly, and not ignored by a pattern."""

    source_key: str
    reason: str
    """A reason slug (`truncated`, `empty`, ...) or a whole sentence."""
    advice: str | None = None
    """What to do about it; where None, the report has advice for the slugs it knows."""
    detail: str | None = None
    """What was expected and what was found, one line."""


@dataclass(frozen=True)
class OtherPage:
    """The page of another run, to be linked."""

    title: str
    url: str
    """Relative to this page."""
    finished_at: datetime | str | None = None


@dataclass(frozen=True)
class RunReport:
    """All that a run's page shows. Nothing is read from anywhere else but the pictures."""

    run_id: str
    title: str
    source_url: str | None = None
    started_at: datetime | str | None = None
    finished_at: datetime | str | None = None
    """None when the run did not finish: the page then says so."""
    is_at_work: bool = False
    """Whether the run goes on while the page is written."""
    outstanding: int | None = None
    """Photos that a run at work has still to restore; None where it does not know yet."""
    release: str | None = None
    mode: str | None = None
    tone: str | None = None
    mending: str | None = None
    strength: float | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    """Counts by the names in `TOTALS`."""
    photos: tuple[ReportPhoto, ...] | list[ReportPhoto] = ()
    quarantined: tuple[QuarantinedFile, ...] | list[QuarantinedFile] = ()
    ignored_by_pattern: Mapping[str, int] = field(default_factory=dict)
    """How many objects each ignore pattern took."""
    machine: Mapping[str, str] = field(default_factory=dict)
    """What it ran on, label to value: device, precision, processor, code version, ..."""
    notes: tuple[str, ...] = ()
    """Sentences worth reading first, such as that the run was interrupted."""
    newest_pictured: OtherPage | None = None
    """The newest page that has pictures, for a page that has none."""

    @property
    def found_nothing_new(self) -> bool:
        """Whether the run finished without a photo to work on."""
        is_idle = not self.photos and not any(self.total(name) for name in ("restored", "unchanged", "failed"))
        only_registered = self.total("registered") and not self.total("already_done")
        return self.finished_at is not None and is_idle and not only_registered

    def total(self, name: str) -> int:
        """Gives one of the totals, 0 where it is not counted."""
        return int(self.totals.get(name, 0))
