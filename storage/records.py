"""What crosses between storage and flows: frozen dataclasses, no ORM objects.

Times are ISO-8601 UTC text with seconds and a ``Z`` (``2026-01-31T23:59:59Z``). Hashes are lower-case hexadecimal
SHA-256. Sizes in pixels are height, then width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

ObjectStatus = Literal["registered", "quarantined", "ignored", "missing"]
UNREADABLE = "unreadable"
"""Reason for an object whose bytes could not be had, so that nothing new is known of its content."""
Outcome = Literal["restored", "unchanged", "failed"]
Verdict = Literal["accepted", "rejected", "needs label"]
FIDELITY = (
    "delta_e_mean", "delta_e_p95", "tone_free_delta_e_mean", "tone_free_delta_e_p95", "gradient_correlation",
    "clipped_black_growth", "clipped_white_growth", "added_chroma", "changed_share",
)  # fmt: skip
"""Figures of a restoration's fidelity that have columns of their own; docs/fidelity.md says what each means."""
MaskSource = Literal["detected", "supplied", "label"]
ReleaseStatus = Literal["candidate", "active", "retired"]
EventType = Literal[
    "ingestion", "validation", "fixity check", "restoration", "review", "labelling", "training", "promotion",
    "hold", "withdrawal", "deletion", "metadata", "publication", "export",
]  # fmt: skip


def utc_text(moment: datetime | None = None) -> str:
    """The moment (now where None) as ISO-8601 UTC text with seconds."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def source_object_id(collection_url: str, key: str) -> str:
    """How an event names a source object: its whole URL."""
    return f"{collection_url.rstrip('/')}/{key}"


@dataclass(frozen=True, kw_only=True)
class CollectionRecord:
    """A source URL and its policy.

    Attributes:
        url: canonical URL, as ``storage.urls.canonical_url`` gives it.
        recursive: whether folders below are taken too.
        include_patterns: where there are any, only what one of them matches is taken.
        ignore_patterns: patterns beyond the defaults.
    """

    url: str
    recursive: bool = True
    include_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    mode: str = "full"
    tone: str = "correct"
    strength: float = 1.0
    output_format: str = "auto"


@dataclass(frozen=True, kw_only=True)
class SourceEntry:
    """One object of a listing.

    Attributes:
        key: path below the collection's URL, ``/`` between names, always valid Unicode.
        etag: the store's, or for a local file its modification time in nanoseconds and its size.
    """

    key: str
    size_bytes: int
    modified_at: str | None = None
    etag: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListingProblem:
    """A part of a source that could not be listed.

    Attributes:
        prefix: the folder's key with a slash at its end, or an object's key.
        reason: one line.
    """

    prefix: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SourceObjectRecord:
    """What ingestion decided about one object; ``photo_sha256`` is needed where it is registered.

    Attributes:
        reason: the pattern that ignored it, or why it is quarantined (a short slug).
        detail: one line for a person: what was expected, what was found, what to do.
    """

    key: str
    status: ObjectStatus
    size_bytes: int
    photo_sha256: str | None = None
    reason: str | None = None
    detail: str | None = None
    modified_at: str | None = None
    etag: str | None = None
    version_id: str | None = None

    @classmethod
    def from_entry(
        cls,
        entry: SourceEntry,
        *,
        status: ObjectStatus,
        photo_sha256: str | None = None,
        reason: str | None = None,
        detail: str | None = None,
    ) -> SourceObjectRecord:
        """The record of a listed object."""
        return cls(
            key=entry.key, status=status, size_bytes=entry.size_bytes, photo_sha256=photo_sha256, reason=reason,
            detail=detail, modified_at=entry.modified_at, etag=entry.etag, version_id=entry.version_id,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KnownObject:
    """What the catalogue knows of an object from earlier listings."""

    size_bytes: int
    modified_at: str | None
    etag: str | None
    version_id: str | None
    photo_sha256: str | None
    status: ObjectStatus
    reason: str | None

    def is_unchanged(self, entry: SourceEntry) -> bool:
        """Whether the listed object is the one already decided on, so that it need not be read again.

        False for an object that was missing: it is read again and recorded as it is now.
        """
        if self.status == "missing" or self.size_bytes != entry.size_bytes:
            return False
        if entry.version_id is not None and self.version_id != entry.version_id:  # reading tells it, a listing does not
            return False
        if self.etag is not None and entry.etag is not None:
            return self.etag == entry.etag
        return self.modified_at is not None and self.modified_at == entry.modified_at


@dataclass(frozen=True, kw_only=True)
class PhotoRecord:
    """One content, by its SHA-256."""

    sha256: str
    size_bytes: int
    format: str
    height: int
    width: int
    channels: int
    bit_depth: int
    source_mode: str | None = None
    icc_profile_name: str | None = None
    dpi_x: float | None = None
    dpi_y: float | None = None
    orientation: int = 1
    capture: Mapping[str, str] = field(default_factory=dict)
    perceptual_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceRef:
    """Where a photo's bytes can be read."""

    collection_id: int
    collection_url: str
    key: str
    browse_folder: str


@dataclass(frozen=True, kw_only=True)
class PhotoWork:
    """A photo to restore and what is needed to do it.

    Attributes:
        work_hash: what the result will be recorded under.
        sources: its registered objects in the collections asked for, oldest first.
        mask_source: ``label`` where a label applies, ``supplied`` where the parameters carry a mask.
        label_mask_key: key of the label's mask in the labels store.
    """

    photo_sha256: str
    work_hash: str
    sources: tuple[SourceRef, ...]
    size_bytes: int
    format: str
    height: int
    width: int
    channels: int
    bit_depth: int
    mask_source: MaskSource = "detected"
    mask_sha256: str | None = None
    label_mask_key: str | None = None

    @property
    def source_key(self) -> str:
        """Key of the first source."""
        return self.sources[0].key

    @property
    def collection_url(self) -> str:
        """URL of the first source's collection."""
        return self.sources[0].collection_url


@dataclass(frozen=True, kw_only=True)
class RestorationRecord:
    """One attempt at one work; ``failed`` needs ``error``, the others ``restored_key`` and ``restored_sha256``.

    Attributes:
        output_format: the extension that came out: tif, png or jpg.
        report: further figures of core's report, kept as JSON.
        run_id: the run of this catalogue; flow_run_id: Prefect's.
        delta_e_mean ... changed_share: the figures that ``FIDELITY`` names; null where they were not measured.
        needs_review: whether a figure is past a limit, so that a person must look before it is published.
        review_reasons: which figures, their values and limits, in words; None where none is.
        tries: 1 where it failed by the photo's own doing, 0 where it came off or the blame lies elsewhere, as with a
            store that did not answer; the catalogue adds them up.
    """

    photo_sha256: str
    work_hash: str
    release: str
    weights_hash: str
    outcome: Outcome
    mode: str = "full"
    tone: str = "correct"
    strength: float = 1.0
    mask_source: MaskSource = "detected"
    supplied_mask_sha256: str | None = None
    output_format: str | None = None
    pixel_version: int = 1
    error: str | None = None
    restored_key: str | None = None
    restored_sha256: str | None = None
    mask_key: str | None = None
    mask_sha256: str | None = None
    difference_key: str | None = None
    difference_sha256: str | None = None
    preview_key: str | None = None
    preview_sha256: str | None = None
    provenance_key: str | None = None
    mask_coverage: float | None = None
    change_outside_mask: float | None = None
    mean_change: float | None = None
    delta_e_mean: float | None = None
    delta_e_p95: float | None = None
    tone_free_delta_e_mean: float | None = None
    tone_free_delta_e_p95: float | None = None
    gradient_correlation: float | None = None
    clipped_black_growth: float | None = None
    clipped_white_growth: float | None = None
    added_chroma: float | None = None
    changed_share: float | None = None
    needs_review: bool = False
    review_reasons: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    megapixels: float | None = None
    device: str | None = None
    precision: str | None = None
    code_version: str | None = None
    run_id: str | None = None
    flow_run_id: str | None = None
    finished_at: str | None = None
    tries: int = 0


@dataclass(frozen=True, kw_only=True)
class RestorationRow:
    """A row of the view ``restoration_history``: the restoration with its photo and its first source."""

    restoration_id: int
    photo_sha256: str
    source_url: str | None
    source_key: str | None
    source_count: int
    outcome: Outcome
    error: str | None
    release: str
    weights_hash: str
    work_hash: str
    mode: str
    tone: str
    strength: float
    mask_source: MaskSource
    output_format: str | None
    height: int
    width: int
    mask_coverage: float | None
    change_outside_mask: float | None
    mean_change: float | None
    seconds: float | None
    device: str | None
    precision: str | None
    code_version: str | None
    restored_key: str | None
    restored_sha256: str | None
    provenance_key: str | None
    run_id: str | None
    finished_at: str


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """Something that happened, in PREMIS terms.

    Attributes:
        agent: who did it: ``oldphoto 0.1.0``, a person's name.
        outcome: one word: success, failure, warning.
        objects: (type, id, role), such as ("photo", sha256, "source"); a source object's id is its whole URL, as
            ``source_object_id`` gives it.
        at: when. With a time, two events alike in all fields are one, so that a batch may be recorded again after a
            crash. None takes the database's clock, and the event is a new one each time.
        uid: identity of the event, where the other fields are not enough.
        run_id: the run that it happened in.
        note: one line for a person: a reason, an error.
    """

    type: EventType
    agent: str
    outcome: str = "success"
    detail: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[tuple[str, str, str], ...] = ()
    at: str | None = None
    agent_type: Literal["software", "person"] = "software"
    uid: str | None = None
    run_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """A model release: detector, VAEs and translation as one bundle."""

    name: str
    weights_hash: str
    preset: str
    url: str = ""
    parent: str | None = None
    status: ReleaseStatus = "candidate"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """A scratch mask for a photo, painted by a person."""

    photo_sha256: str
    mask_key: str
    mask_sha256: str
    author: str
    tool: str
    coverage: float
    labelled_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run of a flow, as the catalogue and the report know it."""

    run_id: str
    kind: str
    title: str = ""
    source_url: str | None = None
    collection_id: int | None = None
    release: str | None = None
    mode: str | None = None
    tone: str | None = None
    strength: float | None = None
    flow_run_id: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None
    status: Literal["running", "finished", "failed"] = "running"
    totals: Mapping[str, int] = field(default_factory=dict)
