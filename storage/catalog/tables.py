"""The catalogue's tables as SQLAlchemy Core, all in one place to import from.

Names and columns are public: people write SQL against them. Migrations make these tables; a test holds the two equal.
"""

from __future__ import annotations

from storage.catalog.archive_tables import (
    STATES,
    collection,
    listing,
    near_duplicate,
    object_metadata,
    photo,
    sidecar,
    source_object,
)
from storage.catalog.columns import metadata
from storage.catalog.event_tables import agent, catalogue_doc, event, event_object
from storage.catalog.label_tables import label, label_annotation
from storage.catalog.training_tables import (
    dataset_snapshot,
    dataset_snapshot_label,
    dataset_snapshot_photo,
    model_release_run,
    photo_split,
    training_run,
)
from storage.catalog.work_tables import (
    lease,
    model_release,
    publication,
    restoration,
    review,
    run,
    store_endpoint,
)

__all__ = [
    "STATES", "agent", "catalogue_doc", "collection", "dataset_snapshot", "dataset_snapshot_label",
    "dataset_snapshot_photo", "event", "event_object", "label", "label_annotation", "lease", "listing", "metadata",
    "model_release", "model_release_run", "near_duplicate", "object_metadata", "photo", "photo_split", "publication",
    "restoration", "review", "run", "sidecar", "source_object", "store_endpoint", "training_run",
]  # fmt: skip
