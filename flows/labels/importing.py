"""Labels from a source into the catalogue: a photo's masks, row and event, or none of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.errors import UsageError
from flows.labels.before import PaintedBefore
from flows.labels.found import Findings, FoundLabel, found_labels
from flows.labels.joining import join_labels, open_label_store, store_masks
from flows.labels.making import MadeLabel, make_label, paintings
from flows.labels.matching import PhotoMatcher
from flows.labels.ready import announce
from flows.labels.source import TOOLS, LabelFormat, open_source
from flows.progress import progress
from flows.settings import Settings
from oldphoto_core.errors import LabelRefused
from storage.catalog.catalogue import Catalogue
from storage.objects import ObjectStore
from storage.records import NamedPhoto

_WITHOUT_AUTHORS = ("png", "coco")
_BATCH = 20
"""Photos whose labels are recorded in one transaction, after their masks."""


@dataclass(frozen=True, kw_only=True)
class LabelWishes:
    """How labels are to be taken.

    Attributes:
        author: who painted what says nothing of its author.
        tool: with what; None: what the format is called.
        wanted: labels that count, by name; none: all.
        reviewed: whether they may be used at once.
    """

    format: LabelFormat
    author: str | None = None
    tool: str | None = None
    wanted: tuple[str, ...] = ()
    reviewed: bool = True


@dataclass(kw_only=True)
class LabelImport:
    """What an import came to.

    Attributes:
        new, known: labels that were recorded, and those that were there already.
        unreviewed: known ones that wait for a review or were rejected, though they came as reviewed.
        several: new ones that several annotators painted.
        joined: new ones in which is what others painted before.
        older: new ones whose people painted the same photo later too, so that they are kept and not used.
        problems: (where, why) of what was not taken.
        left_out: files of the source that are none of the format's, or photos themselves.
        others: names of some of these that are none of the format's.
        waiting: labels that the release in use was not trained with; None in a dry run.
        untried: those of them that no retraining has ended with.
        announced: whether a Prefect server was told that enough of these wait.
    """

    new: int = 0
    known: int = 0
    unreviewed: int = 0
    several: int = 0
    joined: int = 0
    older: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0
    others: tuple[str, ...] = ()
    waiting: int | None = None
    untried: int = 0
    announced: bool = False


def import_labels(
    catalogue: Catalogue, settings: Settings, source: str, wishes: LabelWishes, *, dry_run: bool = False
) -> LabelImport:
    """Takes the labels of a source; those that are known already change nothing.

    Raises:
        UsageError: the source is not there, or holds nothing of this format.
        storage.errors.ObjectStoreError: a store does not answer; what was recorded before stays.
    """
    if wishes.author is None and wishes.format in _WITHOUT_AUTHORS:
        raise UsageError(f"{TOOLS[wishes.format]} does not say who painted; say so with --author")
    opened = open_source(source, settings, wishes.format)
    findings, summary = Findings(), LabelImport()
    found = list(found_labels(opened, wishes.format, wishes.wanted, findings))
    matcher = PhotoMatcher.of(catalogue, (label.files for label in found))
    photos: dict[str, NamedPhoto] = {}
    labels: dict[str, list[FoundLabel]] = defaultdict(list)
    for label in found:
        try:
            photo = matcher.match(label.files)
        except LabelRefused as error:
            findings.problems.append((label.where, str(error)))
            continue
        photos[photo.photo_sha256] = photo
        labels[photo.photo_sha256].append(label)
    summary.problems, summary.left_out = findings.problems, findings.left_out
    summary.others = findings.others
    progress().begin("Importing labels", len(labels))
    now, tool = catalogue.clock(), wishes.tool or TOOLS[wishes.format]
    store = _label_store(catalogue, settings, dry_run=dry_run)
    for part in _parts(sorted(labels)):
        on_record = catalogue.recorded_masks(part)
        made: list[MadeLabel] = []
        for sha256 in part:
            before = PaintedBefore(photos[sha256], tuple(on_record.get(sha256, ())), store)
            try:
                painted = paintings(before.photo, labels[sha256], author=wishes.author, tool=tool, now=now)
                made += [make_label(before, painted, reviewed=wishes.reviewed)] if painted else []
                summary.left_out += not painted
            except LabelRefused as error:
                where = labels[sha256][0].where if len(labels[sha256]) == 1 else _all_of(labels[sha256])
                summary.problems.append((where, str(error)))
            progress().advance()
        if not dry_run:
            made = _stored(store, made, summary)
        fresh = _count(made, wishes, summary)
        if not dry_run:
            catalogue.record_labels([label.record for label in fresh])
            if wishes.reviewed:
                summary.problems += _join_missed(catalogue, store, [label.record.photo_sha256 for label in fresh])
    if not dry_run:
        catalogue.decide_label_splits()  # those that never train are not counted
        summary.waiting, summary.untried = catalogue.labels_waiting(), catalogue.labels_untried()
        if summary.new and summary.untried >= settings.retrain_after:
            summary.announced = announce(settings, summary.untried)
    return summary


def _join_missed(catalogue: Catalogue, store: ObjectStore, photos: Sequence[str]) -> list[tuple[str, str]]:
    """Joins what another import brought meanwhile; gives what cannot be joined."""
    try:
        join_labels(catalogue, store, photos)
    except LabelRefused as error:
        return [("labels of another import at the same time", str(error))]
    return []


def _label_store(catalogue: Catalogue, settings: Settings, *, dry_run: bool) -> ObjectStore:
    if not dry_run:
        return open_label_store(catalogue, settings)
    url = settings.labels_url
    return ObjectStore(url, settings.store_options(url, "labels"))


def _parts(hashes: Sequence[str]) -> list[Sequence[str]]:
    return [hashes[start : start + _BATCH] for start in range(0, len(hashes), _BATCH)]


def _all_of(labels: Sequence[FoundLabel]) -> str:
    return f"{labels[0].where} and {len(labels) - 1} more of the same photo"


def _stored(store: ObjectStore, made: Sequence[MadeLabel], summary: LabelImport) -> list[MadeLabel]:
    """Those labels whose masks are stored, also where they were lost since."""
    stored = []
    for label in made:
        try:
            store_masks(store, label)
            stored.append(label)
        except LabelRefused as error:
            summary.problems.append((f"the label of {label.record.photo_sha256}", str(error)))
    return stored


def _count(made: Sequence[MadeLabel], wishes: LabelWishes, summary: LabelImport) -> list[MadeLabel]:
    """Counts what came of a batch, and gives what is new."""
    fresh = [label for label in made if not label.is_known]
    known = [label for label in made if label.is_known]
    summary.new += len(fresh)
    summary.known += len(known)
    summary.unreviewed += sum(wishes.reviewed and not label.may_be_used for label in known)
    summary.several += sum(label.record.annotators > 1 for label in fresh)
    summary.joined += sum(label.joined for label in fresh)
    summary.older += sum(label.is_older for label in fresh)
    return fresh
