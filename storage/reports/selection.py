"""Which photos of a run are shown with pictures: failures, what needs a review, large changes, a fair sample.

A page that holds every picture of a big night would not open. What a person must see comes first; the sample is there
so that what went quietly well is looked at too. It depends on the run's id and the photos alone: rendering the same
run twice shows the same page, and another night shows another sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from storage.reports.model import ReportPhoto

Why = Literal["failed", "needs review", "largest change", "sample"]


@dataclass(frozen=True)
class Chosen:
    """A photo that is shown with pictures, and why it was chosen."""

    photo: ReportPhoto
    why: Why


@dataclass(frozen=True)
class Selection:
    """The photos in the order of the page."""

    pictured: tuple[Chosen, ...]
    by_line: tuple[ReportPhoto, ...]
    """All others, failures first, then what waits for a review, then by name."""


def select_photos(photos: Iterable[ReportPhoto], *, run_id: str, limit: int = 200) -> Selection:
    """Splits the photos into those shown with pictures, at most `limit`, and those told by line.

    Failures take at most half of the places while there is anything else to show; of what is left, half goes to what
    waits for a review and to the largest mean changes, and half to a sample of the rest. Photos that an earlier run
    had done are told by line only.

    Raises:
        ValueError: `limit` is negative.
    """
    if limit < 0:
        raise ValueError(f"limit of pictured photos: expected 0 or more, found {limit}")
    everything = sorted(photos, key=_by_name)
    failed = [photo for photo in everything if photo.outcome == "failed"]
    done = [photo for photo in everything if photo.outcome in ("restored", "unchanged")]

    # The half of the places that failures may take grows by whatever the others leave empty.
    shown_failed = failed[: max(limit - limit // 2, limit - len(done))]
    places = limit - len(shown_failed)
    by_change = sorted(done, key=lambda photo: (not photo.waits_for_review, -_change(photo), *_by_name(photo)))
    largest_places = len(done) if places >= len(done) else (places + 1) // 2
    largest, rest = by_change[:largest_places], by_change[largest_places:]
    sample = sorted(rest, key=lambda photo: _draw(run_id, photo))[: places - len(largest)]

    pictured = (
        *(Chosen(photo, "failed") for photo in shown_failed),
        *(Chosen(photo, "needs review" if photo.waits_for_review else "largest change") for photo in largest),
        *(Chosen(photo, "sample") for photo in sorted(sample, key=_by_name)),
    )
    shown = {id(chosen.photo) for chosen in pictured}
    lines = [photo for photo in everything if id(photo) not in shown]
    return Selection(
        pictured, tuple(sorted(lines, key=lambda photo: (photo.outcome != "failed", not photo.waits_for_review)))
    )


def _by_name(photo: ReportPhoto) -> tuple[str, str]:
    return photo.source_key, photo.photo_sha256


def _change(photo: ReportPhoto) -> float:
    """Gives the mean change, 0 where it is unknown or not a number."""
    change = photo.mean_change
    return change if change is not None and change == change else 0.0


def _draw(run_id: str, photo: ReportPhoto) -> bytes:
    return hashlib.sha256(f"{run_id}/{photo.photo_sha256}".encode("utf-8", "surrogatepass")).digest()
