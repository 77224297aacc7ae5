"""What crosses between storage and flows: frozen dataclasses, no ORM objects.

Times are ISO-8601 UTC text with seconds and a ``Z`` (``2026-01-31T23:59:59Z``). Hashes are lower-case hexadecimal
SHA-256. Sizes in pixels are height, then width.
"""

from __future__ import annotations

from storage.records.events import (
    EventRecord,
    EventType,
    ReleaseRecord,
    ReleaseStatus,
    RunRecord,
    utc_text,
)
from storage.records.labels import LabelAnnotation, LabelRecord, LabelRow, NamedPhoto, RecordedMask
from storage.records.photos import (
    MaskSource,
    PhotoRecord,
    PhotoWork,
)
from storage.records.restorations import (
    FIDELITY,
    Outcome,
    RestorationRecord,
    RestorationRow,
    Verdict,
)
from storage.records.sources import (
    UNREADABLE,
    CollectionRecord,
    KnownObject,
    ListingProblem,
    ObjectStatus,
    SourceEntry,
    SourceObjectRecord,
    SourceRef,
    source_object_id,
)
from storage.records.training import (
    SPLITS,
    ReleaseLineage,
    Role,
    SnapshotRecord,
    SnapshotRow,
    Split,
    TrainingRunRecord,
    TrainingStage,
    TrainingStatus,
)

__all__ = [
    "FIDELITY",
    "SPLITS",
    "UNREADABLE",
    "CollectionRecord",
    "EventRecord",
    "EventType",
    "KnownObject",
    "LabelAnnotation",
    "LabelRecord",
    "LabelRow",
    "ListingProblem",
    "MaskSource",
    "NamedPhoto",
    "ObjectStatus",
    "Outcome",
    "PhotoRecord",
    "PhotoWork",
    "RecordedMask",
    "ReleaseLineage",
    "ReleaseRecord",
    "ReleaseStatus",
    "RestorationRecord",
    "RestorationRow",
    "Role",
    "RunRecord",
    "SnapshotRecord",
    "SnapshotRow",
    "SourceEntry",
    "SourceObjectRecord",
    "SourceRef",
    "Split",
    "TrainingRunRecord",
    "TrainingStage",
    "TrainingStatus",
    "Verdict",
    "source_object_id",
    "utc_text",
]
