"""Labels from a source into the catalogue: a photo's masks, row and event, or none of them."""

from __future__ import annotations

import io
import posixpath
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.endpoints import honours_conditions
from flows.errors import UsageError
from flows.labels.found import Findings, FoundLabel, found_labels
from flows.labels.matching import PhotoMatcher
from flows.labels.ready import announce
from flows.labels.source import TOOLS, LabelFormat, open_source
from flows.progress import progress
from flows.settings import Settings
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Drawing
from storage.catalog.catalogue import Catalogue
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import LabelAnnotation, LabelRecord, NamedPhoto

if TYPE_CHECKING:
    import numpy as np

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
        unreviewed: known ones that still wait for a review, though they came as reviewed.
        several: new ones that several annotators painted.
        problems: (where, why) of what was not taken.
        left_out: files of the source that are none of the format's, or photos themselves.
        waiting: labels that the release in use was not trained with; None in a dry run.
        untried: those of them that no retraining has ended with.
        announced: whether a Prefect server was told that enough of these wait.
    """

    new: int = 0
    known: int = 0
    unreviewed: int = 0
    several: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0
    waiting: int | None = None
    untried: int = 0
    announced: bool = False


@dataclass(frozen=True)
class _Masks:
    """Files to write, by key, and the row that names them."""

    record: LabelRecord
    files: dict[str, bytes]


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
    progress().begin("Importing labels", len(labels))
    now = catalogue.clock()
    store = None if dry_run else _label_store(catalogue, settings)
    for part in _parts(sorted(labels)):
        made: list[_Masks] = []
        for sha256 in part:
            try:
                masks = _label(photos[sha256], labels[sha256], wishes, now)
                made += [masks] if masks is not None else []
                summary.left_out += masks is None
            except LabelRefused as error:
                where = labels[sha256][0].where if len(labels[sha256]) == 1 else _all_of(labels[sha256])
                summary.problems.append((where, str(error)))
            progress().advance()
        _record(catalogue, store, made, summary)
    if not dry_run:
        summary.waiting, summary.untried = catalogue.labels_waiting(), catalogue.labels_untried()
        if summary.new and summary.untried >= settings.retrain_after:
            summary.announced = announce(settings, summary.untried)
    return summary


def _label_store(catalogue: Catalogue, settings: Settings) -> ObjectStore:
    url = settings.labels_url
    conditional = honours_conditions(catalogue, settings, url, "labels")
    return ObjectStore(url, settings.store_options(url, "labels"), conditional_writes=conditional)


def _parts(hashes: Sequence[str]) -> list[Sequence[str]]:
    return [hashes[start : start + _BATCH] for start in range(0, len(hashes), _BATCH)]


def _all_of(labels: Sequence[FoundLabel]) -> str:
    return f"{labels[0].where} and {len(labels) - 1} more of the same photo"


def _record(catalogue: Catalogue, store: ObjectStore | None, made: Sequence[_Masks], summary: LabelImport) -> None:
    """Masks first, then their rows and events, all in one transaction. Without a store they are only counted."""
    known = catalogue.known_masks([masks.record.photo_sha256 for masks in made])
    fresh = []
    for masks in made:
        reviewed = known.get((masks.record.photo_sha256, masks.record.mask_sha256))
        if reviewed is None:
            fresh.append(masks)
            continue
        summary.known += 1
        summary.unreviewed += masks.record.reviewed and not reviewed
    summary.new += len(fresh)
    summary.several += sum(masks.record.annotators > 1 for masks in fresh)
    if store is None:
        return
    for masks in fresh:
        for key, data in masks.files.items():
            store.write_once(key, data)
    catalogue.record_labels([masks.record for masks in fresh])


def _label(photo: NamedPhoto, labels: Sequence[FoundLabel], wishes: LabelWishes, now: str) -> _Masks | None:
    """One photo's label, of all that was found for it; None where that is the photo itself.

    Raises:
        LabelRefused: a part of it cannot be used; then none of it is.
    """
    from oldphoto_core.labels.merging import MOST_ANNOTATORS, merged

    by_author = _by_author(photo, labels, wishes, now)
    if not by_author:
        return None
    if len(by_author) > MOST_ANNOTATORS:
        raise LabelRefused(f"has {len(by_author)} annotators, expected {MOST_ANNOTATORS} at most")
    found = merged([mask for mask, _ in by_author.values()])
    prefix = f"{photo.photo_sha256[:2]}/{photo.photo_sha256}/"
    files: dict[str, bytes] = {}

    def put(mask: np.ndarray, ending: str = ".png") -> tuple[str, str]:
        data = _png(mask)
        digest = sha256_hex(data)
        files[f"{prefix}{digest}{ending}"] = data
        return f"{prefix}{digest}{ending}", digest

    tool = wishes.tool or TOOLS[wishes.format]
    annotations = []
    for author, (mask, drawn_at) in by_author.items():
        key, digest = put(mask)
        annotations.append(
            LabelAnnotation(author=author, tool=tool, mask_key=key, mask_sha256=digest, coverage=_coverage(mask),
                            labelled_at=drawn_at)
        )  # fmt: skip
    key, digest = put(found.mask)
    record = LabelRecord(
        photo_sha256=photo.photo_sha256, mask_key=key, mask_sha256=digest, author=", ".join(by_author), tool=tool,
        coverage=_coverage(found.mask), reviewed=wishes.reviewed, annotators=len(by_author),
        labelled_at=max(drawn_at for _, drawn_at in by_author.values()), disagreement=found.disagreement,
        disagreement_key=None if found.differing is None else put(found.differing, ".differing.png")[0],
        annotations=tuple(annotations),
    )  # fmt: skip
    return _Masks(record, files)


def _by_author(
    photo: NamedPhoto, labels: Sequence[FoundLabel], wishes: LabelWishes, now: str
) -> dict[str, tuple[np.ndarray, str]]:
    """Each annotator's mask, as the photo stands, and when it was drawn: now where nothing says it, or says later.

    Of the same person's masks the latest counts; those of the same time are joined.
    """
    import numpy as np

    loaded = [(label, label.load(photo.photo_sha256)) for label in labels]
    drawings = [(label, drawing, min(drawing.drawn_at or now, now)) for label, drawing in loaded if drawing is not None]
    folders = {label.folder for label, _, _ in drawings}
    found: dict[str, tuple[np.ndarray, str]] = {}
    for label, drawing, drawn_at in sorted(drawings, key=lambda one: one[2]):
        author = drawing.author or (posixpath.basename(label.folder) if len(folders) > 1 else "") or wishes.author
        if author is None:
            raise LabelRefused("does not say who drew it; say so with --author")
        mask = _as_seen(photo, drawing)
        if author in found and found[author][1] == drawn_at:
            mask = np.maximum(found[author][0], mask)
        found[author] = (mask, drawn_at)
    return {author: found[author] for author in sorted(found)}


def _as_seen(photo: NamedPhoto, drawing: Drawing) -> np.ndarray:
    """(H, W) uint8 of the upright photo.

    Raises:
        LabelRefused: it is corrupt, empty, or of another size than the photo.
    """
    from oldphoto_core.labels.drawing import mask_of
    from oldphoto_core.labels.orientation import as_seen, standing

    size = (photo.height, photo.width)
    if drawing.problem is not None:
        raise LabelRefused(drawing.problem)
    stated = drawing.size or size
    how = standing(stated, size, photo.orientation)
    return as_seen(mask_of(drawing, stated), how, photo.orientation)


def _coverage(mask: np.ndarray) -> float:
    import numpy as np

    return float(np.count_nonzero(mask)) / mask.size


def _png(mask: np.ndarray) -> bytes:
    from oldphoto_core.previews import write_mask_png
    from oldphoto_core.scan import ArrayScan

    out = io.BytesIO()
    write_mask_png(out, ArrayScan(mask))
    return out.getvalue()
