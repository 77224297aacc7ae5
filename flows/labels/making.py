"""One photo's label: of each person's mask a file, and of all of them the mask that applies."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flows.labels.before import PaintedBefore
from flows.labels.found import FoundLabel
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Drawing, mask_of
from oldphoto_core.labels.merging import MOST_ANNOTATORS, merged
from oldphoto_core.labels.orientation import as_seen, standing
from oldphoto_core.previews import write_mask_png
from oldphoto_core.scan import ArrayScan
from storage.keys import sha256_hex
from storage.records import LabelAnnotation, LabelRecord, NamedPhoto, RecordedMask


@dataclass(frozen=True)
class Painting:
    """What one person painted: (H, W) uint8 of the upright photo, with what, and when."""

    mask: np.ndarray
    tool: str
    drawn_at: str


@dataclass(frozen=True, kw_only=True)
class MadeLabel:
    """A photo's label, to be stored and recorded.

    Attributes:
        files: to write, by key; where the same bytes are there already, they stay.
        is_known: whether nothing of it is new.
        may_be_used: where it is known: whether a label that has it is reviewed.
        joined: whether what others painted before is in it.
        is_older: whether each of its people painted later too, so that it is kept and not used.
    """

    record: LabelRecord
    files: Mapping[str, bytes]
    is_known: bool = False
    may_be_used: bool = True
    joined: bool = False
    is_older: bool = False


def paintings(
    photo: NamedPhoto, labels: Sequence[FoundLabel], *, author: str | None, tool: str, now: str
) -> dict[str, Painting]:
    """Each annotator's mask, as the photo stands, and when it was drawn: now where nothing says it, or says later.

    Of the same person's masks the latest counts; those of the same time are joined. Files that are the photo itself
    are passed over.

    Args:
        author: who painted what says nothing of its author.

    Raises:
        LabelRefused: one of them cannot be used.
    """
    loaded = [(label, label.load(photo.photo_sha256)) for label in labels]
    drawings = [(label, drawing, min(drawing.drawn_at or now, now)) for label, drawing in loaded if drawing is not None]
    folders = {label.folder for label, _, _ in drawings}
    found: dict[str, Painting] = {}
    for label, drawing, drawn_at in sorted(drawings, key=lambda one: one[2]):
        who = drawing.author or (posixpath.basename(label.folder) if len(folders) > 1 else "") or author
        if who is None:
            raise LabelRefused("does not say who drew it; say so with --author")
        mask = _as_seen(photo, drawing)
        if who in found and found[who].drawn_at == drawn_at:
            mask = np.maximum(found[who].mask, mask)
        found[who] = Painting(mask, tool, drawn_at)
    return found


def make_label(before: PaintedBefore, by_author: Mapping[str, Painting], *, reviewed: bool) -> MadeLabel:
    """The photo's label: what these people painted, and where it may be used, joined with what others did before.

    Raises:
        LabelRefused: it is of too many people, or a mask on record cannot be read.
    """
    known = before.latest_by_person()
    drawn = {who: _Files(before).of(painting.mask) for who, painting in by_author.items()}
    on_record = {who: before.by(who, digest) for who, (_, digest, _) in drawn.items()}
    is_known = all(on_record.values())
    fresh = {who for who, masks in on_record.items() if not masks}
    current = {who for who in fresh if who not in known or known[who].labelled_at <= by_author[who].drawn_at}
    is_older = reviewed and not is_known and not current
    used = dict(by_author) if is_known or not reviewed else {who: by_author[who] for who in current or fresh}
    if reviewed and current:
        used |= {
            who: Painting(before.pixels(mask), mask.tool, mask.labelled_at)
            for who, mask in known.items()
            if who not in used
        }
    record, files = _merge(before, used, reviewed=reviewed)
    may_be_used = all(any(mask.reviewed for mask in masks) for masks in on_record.values())
    there = before.label_with(record.mask_sha256)
    if not is_known and there is not None and not (there.reviewed and reviewed and len(used) > 1 and not is_older):
        is_known, may_be_used = True, there.reviewed
    return MadeLabel(
        record=record, files=files, is_known=is_known, may_be_used=may_be_used,
        joined=bool(used.keys() - by_author.keys()), is_older=is_older,
    )  # fmt: skip


def join_people(before: PaintedBefore) -> MadeLabel | None:
    """The label of all people's latest masks that may be used; None where that is the one that applies.

    Raises:
        LabelRefused: as for `make_label`.
    """
    latest = before.latest_by_person()
    if len(latest) < 2 or _masks_of(latest) == _masks_of(before.in_use()):
        return None
    used = {who: Painting(before.pixels(mask), mask.tool, mask.labelled_at) for who, mask in latest.items()}
    record, files = _merge(before, used, reviewed=True)
    return MadeLabel(record=record, files=files, joined=True)


class _Files:
    """Masks as files of the label store: those on record under the names that they have, others under new ones."""

    def __init__(self, before: PaintedBefore) -> None:
        self.before = before
        self.new: dict[str, bytes] = {}

    def of(self, mask: np.ndarray, ending: str = ".png") -> tuple[str, str, float]:
        """(key, SHA-256, coverage) of a mask (H, W) uint8."""
        out = io.BytesIO()
        write_mask_png(out, ArrayScan(mask))
        digest = sha256_hex(out.getvalue())
        coverage = float(np.count_nonzero(mask)) / mask.size
        if ending == ".png" and (known := self.before.same(mask, digest, coverage)) is not None:
            if known.mask_sha256 == digest:
                self.new[known.mask_key] = out.getvalue()  # so that a file that was lost is there again
            return known.mask_key, known.mask_sha256, coverage
        sha256 = self.before.photo.photo_sha256
        key = f"{sha256[:2]}/{sha256}/{digest}{ending}"
        self.new[key] = out.getvalue()
        return key, digest, coverage


def _merge(
    before: PaintedBefore, by_author: Mapping[str, Painting], *, reviewed: bool
) -> tuple[LabelRecord, dict[str, bytes]]:
    """The row of a label and its new files."""
    if len(by_author) > MOST_ANNOTATORS:
        raise LabelRefused(f"has {len(by_author)} annotators, expected {MOST_ANNOTATORS} at most")
    by_author = {who: by_author[who] for who in sorted(by_author)}
    found = merged([painting.mask for painting in by_author.values()])
    files = _Files(before)
    annotations = []
    for who, painting in by_author.items():
        key, digest, coverage = files.of(painting.mask)
        annotations.append(
            LabelAnnotation(author=who, tool=painting.tool, mask_key=key, mask_sha256=digest, coverage=coverage,
                            labelled_at=painting.drawn_at)
        )  # fmt: skip
    key, digest, coverage = files.of(found.mask)
    record = LabelRecord(
        photo_sha256=before.photo.photo_sha256, mask_key=key, mask_sha256=digest, author=", ".join(by_author),
        tool=", ".join(sorted({painting.tool for painting in by_author.values()})), coverage=coverage,
        reviewed=reviewed, annotators=len(by_author),
        labelled_at=max(painting.drawn_at for painting in by_author.values()), disagreement=found.disagreement,
        disagreement_key=None if found.differing is None else files.of(found.differing, ".differing.png")[0],
        annotations=tuple(annotations),
    )  # fmt: skip
    return record, files.new


def _masks_of(by_author: Mapping[str, RecordedMask]) -> set[tuple[str, str]]:
    return {(who, mask.mask_sha256) for who, mask in by_author.items()}


def _as_seen(photo: NamedPhoto, drawing: Drawing) -> np.ndarray:
    """(H, W) uint8 of the upright photo.

    Raises:
        LabelRefused: it is corrupt, empty, or of another size than the photo.
    """
    size = (photo.height, photo.width)
    if drawing.problem is not None:
        raise LabelRefused(drawing.problem)
    stated = drawing.size or size
    how = standing(stated, size, photo.orientation)
    return as_seen(mask_of(drawing, stated), how, photo.orientation)
