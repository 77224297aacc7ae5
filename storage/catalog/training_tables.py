"""Tables of training: which side each photo is on, what training runs see, the runs, and the releases they made."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from storage.catalog.columns import BigId, day, metadata, one_of, reference, row_id
from storage.records import SPLITS

photo_split = Table(
    "photo_split", metadata,
    Column("photo_id", BigId, ForeignKey("photo.id"), primary_key=True, autoincrement=False),
    Column("split", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    day("decided_at"),
    one_of("split", (*SPLITS, "excluded")),
    one_of("decided_by", ("hash", "near duplicate")),
)  # fmt: skip

dataset_snapshot = Table(
    "dataset_snapshot", metadata, row_id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("manifest_key", Text, nullable=False),
    Column("photo_count", Integer, nullable=False),
    Column("label_count", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("rows_sha256", Text),
    Column("written_with", Text),
    day("created_at"),
)  # fmt: skip

dataset_snapshot_photo = Table(
    "dataset_snapshot_photo", metadata,
    Column("snapshot_id", BigId, ForeignKey("dataset_snapshot.id"), primary_key=True),
    Column("photo_id", BigId, ForeignKey("photo.id"), primary_key=True),
    Column("split", Text, nullable=False),
    Column("role", Text, nullable=False),
    reference("label_id", "label.id", nullable=True),
    Column("source_url", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("label_mask_key", Text),
    Column("label_mask_sha256", Text),
    Column("disagreement_key", Text),
    Index("ix_dataset_snapshot_photo_photo_id", "photo_id"),
    one_of("split", SPLITS),
    one_of("role", ("labelled", "unlabelled")),
    CheckConstraint("(role = 'labelled') = (label_id IS NOT NULL AND label_mask_key IS NOT NULL "
                    "AND label_mask_sha256 IS NOT NULL)", name="label_named"),
)  # fmt: skip

dataset_snapshot_label = Table(
    "dataset_snapshot_label", metadata,
    Column("snapshot_id", BigId, ForeignKey("dataset_snapshot.id"), primary_key=True),
    Column("label_id", BigId, ForeignKey("label.id"), primary_key=True),
    Index("ix_dataset_snapshot_label_label_id", "label_id"),
)  # fmt: skip

training_run = Table(
    "training_run", metadata,
    Column("id", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("configuration", Text, nullable=False),
    reference("snapshot_id", "dataset_snapshot.id", nullable=True),
    Column("parent_id", Text, ForeignKey("training_run.id")),
    Column("status", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("curves_key", Text),
    Column("device", Text),
    Column("code_version", Text),
    Column("flow_run_id", Text),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("retrain_id", Text),
    Column("seed", BigInteger),
    day("started_at"),
    Index("ix_training_run_retrain_id", "retrain_id"),
    one_of("stage", ("look", "detector", "vaes", "translation", "uncertainty")),
    one_of("status", ("running", "finished", "failed")),
)  # fmt: skip

model_release_run = Table(
    "model_release_run", metadata,
    Column("release_id", BigId, ForeignKey("model_release.id"), primary_key=True),
    Column("training_run_id", Text, ForeignKey("training_run.id"), primary_key=True),
    Index("ix_model_release_run_training_run_id", "training_run_id"),
)  # fmt: skip
