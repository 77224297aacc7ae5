"""A report's records turned into what the template prints: words, anchors and links, nothing left to decide."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from storage.reports import wording
from storage.reports.model import TOTALS, QuarantinedFile, ReportPhoto, RunReport
from storage.reports.pictures import Pictures
from storage.reports.selection import Chosen

OUTCOMES = {
    "failed": "Failed",
    "restored": "Restored",
    "unchanged": "Unchanged",
    "already_done": "Already done",
}
"""Outcomes in words, in the order of the page's filter."""
NEEDS_REVIEW = "needs_review"
REVIEWS = {NEEDS_REVIEW: "Needs review", "accepted": "Accepted", "rejected": "Rejected"}
"""What a person has to say, or said, of a restoration."""

_MODES = {"full": "Full restoration", "scratches": "Scratches only, every other pixel kept"}
_TONES = {"correct": "Corrected", "neutral": "Corrected, toned prints to grey", "keep": "Kept as it is"}
_MENDINGS = {
    "sure": "sure (only what leaves no doubt)",
    "normal": "normal (what is likely damage too)",
    "everything": "everything (all that was found)",
}
_MASKS = {"detected": "detected", "supplied": "supplied by hand", "label": "painted by a person, and detected"}
_SMALLEST_SHOWN_PX, _LARGEST_SHOWN_PX = 480, 720


@dataclass(frozen=True)
class Moment:
    """A time for a person and for a machine."""

    words: str
    iso: str


@dataclass(frozen=True)
class Fact:
    """A label and its value in the page's head, after times where there are any."""

    label: str
    value: str = ""
    moments: tuple[Moment, ...] = ()
    kind: Literal["", "path", "when"] = ""


@dataclass(frozen=True)
class Tile:
    """One of the totals."""

    name: str
    label: str
    number: str
    is_zero: bool
    target: str | None
    """Anchor that tells more, None where there is nothing more to tell."""
    detail: str = ""
    """What the number is made of, in small print."""


@dataclass(frozen=True)
class PhotoView:
    """A photo of the page, with its pictures or as a line."""

    anchor: str | None
    """`photo-<sha256>`; None for a second photo of the same content, as an anchor is unique."""
    folder: str
    """What leads to the file, with its last slash; empty at the top."""
    base_name: str
    also_at: tuple[str, ...]
    sha256: str
    outcome: str
    outcome_words: str
    is_tone_only: bool
    error: str | None
    size: str
    mask_coverage: str
    mask_source: str | None
    mean_change: str
    change_outside_mask: str
    seconds: str
    review: str | None
    """One of `REVIEWS`; None where there is nothing to say."""
    reasons: tuple[str, ...]
    """What is past a limit."""
    notes: tuple[str, ...]
    """What else the restoration says of itself."""
    open_url: str | None
    """Link to the restored file, relative to the page; to the mask and to what was found likewise."""
    mask_url: str | None
    found_url: str | None
    longest_px: int | None
    """The photo's longer side."""
    keys: Mapping[str, str]
    """What the page sorts by, as text a script can parse."""

    @property
    def name(self) -> str:
        """The whole key, readable."""
        return self.folder + self.base_name

    @property
    def review_words(self) -> str:
        """The review for people; empty where there is none."""
        return REVIEWS.get(self.review or "", "")


@dataclass(frozen=True)
class Plate:
    """A photo with pictures."""

    number: int
    view: PhotoView
    why: str
    pictures: Pictures

    @property
    def ratio(self) -> str:
        """Width over height, kept within what can still be looked at."""
        return f"{min(max(self.pictures.width / self.pictures.height, 0.2), 5.0):.5f}"

    @property
    def largest_px(self) -> int:
        """How wide the picture is shown at most: small ones are enlarged a little, none is blown up."""
        longest = max(self.pictures.width, self.pictures.height)
        shown = min(max(longest * 1.25, _SMALLEST_SHOWN_PX), _LARGEST_SHOWN_PX)
        return round(shown * self.pictures.width / longest)

    @property
    def full_share(self) -> float:
        """How large the overlay shows the photo; 1 is pixel for pixel."""
        return min(1.0, max(self.pictures.width, self.pictures.height) / (self.view.longest_px or 1))

    @property
    def full_words(self) -> str:
        """The same in words."""
        if self.full_share == 1:
            return "100 %"
        words = wording.percent(self.full_share)
        return f"{words}: the page's copy is smaller than the photo; the files hold every pixel"


@dataclass(frozen=True)
class SetAside:
    """A quarantined file."""

    name: str
    reason: str
    detail: str | None
    advice: str | None


def head_facts(report: RunReport) -> list[Fact]:
    """Gives what the page's head tells of the run; what is not known is left out."""
    facts = []
    if report.source_url:
        facts.append(Fact("Source", wording.readable_url(report.source_url), kind="path"))
    if report.release:
        facts.append(Fact("Release", wording.readable_name(report.release)))
    if report.mode:
        facts.append(Fact("Mode", _MODES.get(report.mode, report.mode)))
    if report.tone:
        facts.append(Fact("Tone", _TONES.get(report.tone, report.tone)))
    if report.mending:
        facts.append(Fact("Mending", _MENDINGS.get(report.mending, report.mending)))
    if report.strength is not None and report.strength != 1:
        facts.append(Fact("Strength", wording.percent(report.strength)))
    started, finished = wording.as_utc(report.started_at), wording.as_utc(report.finished_at)
    moments = _from_to(started, finished)
    place = 1 if report.source_url else 0
    if started and finished:
        took = wording.duration((finished - started).total_seconds())
        facts.insert(place, Fact("Time", took, moments, "when"))
    elif moments:
        facts.insert(place, Fact("Started" if started else "Finished", "", moments, "when"))
    speed = median_seconds_a_megapixel(report.photos)
    if speed is not None:
        facts.append(Fact("Speed", f"{speed:.1f} s a megapixel (median)"))
    facts += [Fact(_label(key), wording.readable_name(str(value))) for key, value in report.machine.items()]
    return facts


def median_seconds_a_megapixel(photos: Iterable[ReportPhoto]) -> float | None:
    """Gives the median pace over the photos whose time and size are known."""
    paces = [
        1e6 * photo.seconds / (photo.height * photo.width)
        for photo in photos
        if photo.seconds and photo.height and photo.width and math.isfinite(photo.seconds)
    ]
    return statistics.median(paces) if paces else None


def tiles(report: RunReport) -> list[Tile]:
    """Gives every total, the ones that all reports show first."""
    names = [*TOTALS, *(name for name in report.totals if name not in TOTALS)]
    targets = {"quarantined": "quarantined", "ignored": "ignored", "restored": "photos", "unchanged": "photos"}
    targets["failed"] = targets[NEEDS_REVIEW] = "photos"
    present = {"quarantined": bool(report.quarantined), "ignored": bool(report.ignored_by_pattern)}
    found = []
    for name in names:
        target = targets.get(name) if report.total(name) and present.get(name, bool(report.photos)) else None
        label = _label(name)
        detail = _mended_and_toned(report) if name == "restored" else ""
        found.append(Tile(name, label, f"{report.total(name):,}", not report.total(name), target, detail))
    return found


def verdict(report: RunReport) -> str:
    """Gives the run in one sentence, for whoever reads no further."""
    done = [
        wording.count(report.total(name), "photo") + f" {words}"
        for name, words in (("restored", _restored(report)), ("unchanged", "left unchanged"), ("failed", "failed"))
        if report.total(name)
    ]
    if report.total("quarantined"):
        done.append(wording.count(report.total("quarantined"), "file") + " quarantined")
    if done:
        return _joined(done) + "."
    if report.finished_at is None:
        return "Nothing is finished yet." if report.is_at_work else "Nothing was finished."
    if report.total("already_done"):
        before = wording.count(report.total("already_done"), "photo was", "photos were")
        return f"Nothing was new: {before} restored before, by this release with these settings."
    if report.total("registered"):
        return f"{wording.count(report.total('registered'), 'photo')} registered."
    return "Nothing was new: the source holds no photo that was not seen before."


def at_work(report: RunReport) -> str:
    """Gives how far a run is that goes on while the page is written."""
    if report.outstanding is None:
        return "It is still looking for photos."
    return f"{wording.count(report.outstanding, 'photo')} outstanding."


def other_page(report: RunReport) -> tuple[str, str] | None:
    """Gives the URL and the words of the newest page with pictures, None where this page needs none."""
    other = report.newest_pictured
    if other is None or report.photos:
        return None
    finished = wording.as_utc(other.finished_at)
    when = f", {wording.readable_time(finished)}" if finished else ""
    return quote(other.url), wording.readable_name(other.title) + when


def photo_view(
    photo: ReportPhoto, *, anchor: str | None, browse_base_url: str | None, derivatives_base_url: str | None = None
) -> PhotoView:
    """Gives a photo in words."""
    folder, slash, base_name = wording.readable_name(photo.source_key).rpartition("/")
    size = f"{photo.width:,} × {photo.height:,} px" if photo.width and photo.height else wording.NOTHING
    megapixels = (photo.width or 0) * (photo.height or 0) / 1e6
    numbers = (photo.mean_change, photo.mask_coverage, photo.seconds, megapixels)
    keys = dict(zip(("change", "mask", "seconds", "size"), map(_sort_key, numbers), strict=True))
    return PhotoView(
        anchor=anchor,
        folder=folder + slash,
        base_name=base_name,
        also_at=tuple(map(wording.readable_name, photo.also_at)),
        sha256=wording.readable_name(photo.photo_sha256),
        outcome=photo.outcome,
        outcome_words="Tone only" if photo.is_tone_only else OUTCOMES.get(photo.outcome, photo.outcome),
        is_tone_only=photo.is_tone_only,
        error=wording.readable_name(photo.error) if photo.error else None,
        size=size,
        mask_coverage=wording.percent(photo.mask_coverage),
        mask_source=_MASKS.get(photo.mask_source or "", photo.mask_source),
        mean_change=wording.percent(photo.mean_change),
        change_outside_mask=wording.percent(photo.change_outside_mask),
        seconds=wording.duration(photo.seconds),
        review=NEEDS_REVIEW if photo.waits_for_review else photo.verdict if photo.verdict in REVIEWS else None,
        reasons=tuple(wording.readable_name(part) for part in (photo.review_reasons or "").split("; ") if part),
        notes=tuple(wording.readable_name(_sentence(note)) for note in photo.notes),
        open_url=_link(photo, browse_base_url),
        mask_url=_derivative_link(photo.mask_key, derivatives_base_url),
        found_url=_derivative_link(photo.found_key, derivatives_base_url),
        longest_px=max(photo.width, photo.height) if photo.width and photo.height else None,
        keys=keys,
    )


def _link(photo: ReportPhoto, base_url: str | None) -> str | None:
    """Gives the way to the restored file, None where there is none or its name cannot be one on any disk."""
    if base_url is None or not photo.browse_path or photo.outcome == "failed":
        return None
    return _url(photo.browse_path.removeprefix("browse/"), base_url)


def _derivative_link(key: str | None, base_url: str | None) -> str | None:
    """Gives the way to a derivative, None where there is none or the store cannot be reached from the page."""
    return None if key is None or base_url is None else _url(key, base_url)


def _url(path: str, base_url: str) -> str | None:
    try:
        return base_url.rstrip("/") + "/" + quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def plate(number: int, chosen: Chosen, view: PhotoView, pictures: Pictures) -> Plate:
    """Gives a photo with its pictures; what those tell of themselves is made readable too."""
    problems = tuple(map(wording.readable_name, pictures.problems))
    shown = Pictures(
        pictures.height, pictures.width, pictures.before_uri, pictures.restored_uri, pictures.mask_uri, problems
    )
    return Plate(number, view, chosen.why, shown)


def set_aside(file: QuarantinedFile) -> SetAside:
    """Gives a quarantined file in words, with advice where its reason is a known one."""
    return SetAside(
        name=wording.readable_name(file.source_key),
        reason=wording.reason_title(file.reason),
        detail=wording.readable_name(file.detail) if file.detail else None,
        advice=wording.readable_name(file.advice) if file.advice else wording.reason_advice(file.reason),
    )


class Anchors:
    """Gives each content its anchor once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def take(self, photo_sha256: str) -> str | None:
        """Gives `photo-<sha256>`, or None where that is taken or is no name at all."""
        anchor = "photo-" + re.sub(r"[^0-9A-Za-z]", "", photo_sha256)
        if anchor in self._given or anchor == "photo-":
            return None
        self._given.add(anchor)
        return anchor


def _restored(report: RunReport) -> str:
    """The word, how many of the restored had their tone alone corrected, and how many wait for a review."""
    more = []
    if _tone_only(report):
        more.append(_mended_and_toned(report))
    if waiting := report.total(NEEDS_REVIEW):
        more.append(f"{waiting:,} of them to be reviewed before publication")
    return f"restored ({'; '.join(more)})" if more else "restored"


def _tone_only(report: RunReport) -> int:
    return sum(photo.is_tone_only for photo in report.photos)


def _mended_and_toned(report: RunReport) -> str:
    """How many of the restored were mended, and how many had their tone alone corrected; empty where none was."""
    if not report.total("restored"):
        return ""
    toned = _tone_only(report)
    return f"{report.total('restored') - toned:,} mended, {toned:,} tone only"


def _from_to(started: datetime | None, finished: datetime | None) -> tuple[Moment, ...]:
    """Gives the times that are known; a day that both share is said once, and so is UTC."""
    moments = [Moment(wording.readable_time(when), wording.iso(when)) for when in (started, finished) if when]
    if started and finished:
        moments[0] = Moment(moments[0].words.removesuffix(" UTC"), moments[0].iso)
        if started.date() == finished.date():
            moments[1] = Moment(f"{finished:%H:%M:%S} UTC", moments[1].iso)
    return tuple(moments)


def _sentence(words: str) -> str:
    """The words with a capital and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _label(name: str) -> str:
    words = wording.readable_name(name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _sort_key(number: float | None) -> str:
    return f"{number:.9g}" if number is not None and math.isfinite(number) else "-1"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
