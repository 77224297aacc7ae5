"""What people painted on a photo: labels, and each annotator's part in one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LabelAnnotation:
    """One annotator's mask, before a label was made of it.

    Attributes:
        mask_key: in the labels store.
        coverage: share of the pixels, 0 to 1.
        labelled_at: when it was painted; None: when it is recorded.
    """

    author: str
    tool: str
    mask_key: str
    mask_sha256: str
    coverage: float
    labelled_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """A scratch mask for a photo, painted by a person or by several.

    Attributes:
        reviewed: whether it may be used, for restoring and for training; the latest reviewed one of a photo applies.
        annotators: how many people's masks it was made of.
        disagreement: share of the pixels where these differ, 0 to 1.
        disagreement_key: a mask in the labels store, white where they differ; None where they do not.
        annotations: each annotator's own. They are written, and not given back with the label.
    """

    photo_sha256: str
    mask_key: str
    mask_sha256: str
    author: str
    tool: str
    coverage: float
    labelled_at: str | None = None
    reviewed: bool = True
    annotators: int = 1
    disagreement: float = 0.0
    disagreement_key: str | None = None
    annotations: tuple[LabelAnnotation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecordedMask:
    """A mask on record: what one person painted for a label, or the label's own.

    Attributes:
        author: None where it is the label's own mask.
        reviewed: whether its label may be used.
    """

    label_id: int
    author: str | None
    tool: str
    mask_key: str
    mask_sha256: str
    coverage: float
    labelled_at: str
    reviewed: bool


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """A label as `oldphoto labels status` shows it.

    Attributes:
        source_key: of the photo's first object; None where it has none.
        state: ``in use`` (the one that applies), ``replaced`` by a later one, ``waits for review`` or ``rejected``.
        split: train, validation, test or excluded; None while none is decided.
        is_new: whether it waits for the next training.
    """

    label_id: int
    photo_sha256: str
    source_key: str | None
    state: str
    author: str
    tool: str
    coverage: float
    annotators: int
    disagreement: float
    labelled_at: str
    mask_key: str
    mask_sha256: str
    split: str | None = None
    is_new: bool = False


@dataclass(frozen=True, kw_only=True)
class NamedPhoto:
    """A registered object, by which a label may find its photo.

    Attributes:
        height, width: of the photo as people see it.
        orientation: of its file's EXIF, 1 to 8.
    """

    photo_sha256: str
    collection_url: str
    key: str
    height: int
    width: int
    orientation: int
