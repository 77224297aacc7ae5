"""Tables of the work done on photos: runs, releases, restorations, training, reviews, publications, leases."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.catalog.columns import BigId, day, metadata, one_of, reference, row_id
from storage.records import FIDELITY

run = Table(
    "run", metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("source_url", Text),
    reference("collection_id", "collection.id", nullable=True),
    Column("release", Text),
    Column("mode", Text),
    Column("tone", Text),
    Column("strength", Float(53)),
    Column("flow_run_id", Text),
    Column("machine", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("totals", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    day("started_at"),
    Index("ix_run_number", "number"),
    one_of("status", ("running", "finished", "failed")),
)  # fmt: skip

model_release = Table(
    "model_release", metadata, row_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("weights_hash", Text, nullable=False, unique=True),
    Column("preset", Text, nullable=False),
    Column("url", Text, nullable=False),
    reference("parent_id", "model_release.id", nullable=True),
    Column("status", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("registered_at", Text, nullable=False),
    Column("activated_at", Text),
    Column("retired_at", Text),
    day("registered_at"),
    Index("uq_model_release_active", "status", unique=True,
          sqlite_where=text("status = 'active'"), postgresql_where=text("status = 'active'")),
    one_of("status", ("candidate", "active", "retired")),
)  # fmt: skip

restoration = Table(
    "restoration", metadata, row_id(),
    reference("photo_id", "photo.id"),
    Column("work_hash", Text, nullable=False),
    Column("release", Text, ForeignKey("model_release.name"), nullable=False),
    Column("weights_hash", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("tone", Text, nullable=False),
    Column("strength", Float(53), nullable=False),
    Column("mask_source", Text, nullable=False),
    Column("supplied_mask_sha256", Text),
    Column("output_format", Text),
    Column("pixel_version", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("restored_key", Text),
    Column("restored_sha256", Text),
    Column("mask_key", Text),
    Column("mask_sha256", Text),
    Column("difference_key", Text),
    Column("difference_sha256", Text),
    Column("preview_key", Text),
    Column("preview_sha256", Text),
    Column("provenance_key", Text),
    Column("mask_coverage", Float(53)),
    Column("change_outside_mask", Float(53)),
    Column("mean_change", Float(53)),
    Column("report", Text, nullable=False),
    Column("seconds", Float(53)),
    Column("megapixels", Float(53)),
    Column("device", Text),
    Column("precision", Text),
    Column("code_version", Text),
    Column("run_id", Text, ForeignKey("run.id")),
    Column("flow_run_id", Text),
    Column("finished_at", Text, nullable=False),
    Column("deleted_at", Text),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("set_aside_at", Text),
    *(Column(name, Float(53)) for name in FIDELITY),
    Column("needs_review", Integer, nullable=False, server_default=text("0")),
    Column("review_reasons", Text),
    Column("mask_joined", Integer, nullable=False, server_default=text("0")),
    day("finished_at"),
    UniqueConstraint("photo_id", "work_hash"),
    Index("ix_restoration_set_aside", "photo_id", "work_hash",
          sqlite_where=text("set_aside_at IS NOT NULL"), postgresql_where=text("set_aside_at IS NOT NULL")),
    Index("ix_restoration_needs_review", "finished_at", "id",
          sqlite_where=text("needs_review = 1"), postgresql_where=text("needs_review = 1")),
    Index("ix_restoration_photo_id_finished_at", "photo_id", "finished_at", "id"),
    Index("ix_restoration_finished_at", "finished_at", "id"),
    Index("ix_restoration_day", "day", "finished_at", "id"),
    Index("ix_restoration_run_id", "run_id", "finished_at", "id"),
    Index("ix_restoration_release", "release", "finished_at", "id", "outcome"),
    one_of("outcome", ("restored", "unchanged", "failed")),
    one_of("mode", ("full", "scratches")),
    one_of("tone", ("correct", "keep")),
    one_of("mask_source", ("detected", "supplied", "label")),
    CheckConstraint("strength >= 0 AND strength <= 1", name="strength"),
    CheckConstraint("length(work_hash) = 64", name="work_hash"),
    CheckConstraint("outcome <> 'failed' OR error IS NOT NULL", name="failure_explained"),
    CheckConstraint("outcome = 'failed' OR (restored_key IS NOT NULL AND restored_sha256 IS NOT NULL "
                    "AND provenance_key IS NOT NULL)", name="derivatives_named"),
    CheckConstraint("mask_source = 'detected' OR supplied_mask_sha256 IS NOT NULL", name="mask_named"),
)  # fmt: skip

dataset_snapshot = Table(
    "dataset_snapshot", metadata, row_id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("manifest_key", Text, nullable=False),
    Column("photo_count", Integer, nullable=False),
    Column("label_count", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    day("created_at"),
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
    day("started_at"),
    one_of("stage", ("look", "detector", "vaes", "translation", "uncertainty")),
    one_of("status", ("running", "finished", "failed")),
)  # fmt: skip

model_release_run = Table(
    "model_release_run", metadata,
    Column("release_id", BigId, ForeignKey("model_release.id"), primary_key=True),
    Column("training_run_id", Text, ForeignKey("training_run.id"), primary_key=True),
    Index("ix_model_release_run_training_run_id", "training_run_id"),
)  # fmt: skip

review = Table(
    "review", metadata, row_id(),
    reference("restoration_id", "restoration.id"),
    Column("reviewer", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("note", Text),
    Column("reviewed_at", Text, nullable=False),
    day("reviewed_at"),
    Index("ix_review_restoration_id", "restoration_id"),
    one_of("verdict", ("accepted", "rejected", "needs label")),
)  # fmt: skip

publication = Table(
    "publication", metadata, row_id(),
    Column("destination", Text, nullable=False),
    Column("key", Text, nullable=False),
    reference("source_object_id", "source_object.id"),
    reference("restoration_id", "restoration.id"),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("published_at", Text, nullable=False),
    Column("removed_at", Text),
    day("published_at"),
    UniqueConstraint("destination", "key"),
    Index("ix_publication_source_object_id", "source_object_id"),
    Index("ix_publication_restoration_id", "restoration_id"),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)  # fmt: skip

lease = Table(
    "lease", metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("acquired_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index("ix_lease_holder", "holder"),
)  # fmt: skip

store_endpoint = Table(
    "store_endpoint", metadata,
    Column("endpoint", Text, primary_key=True),
    Column("conditional_writes", Integer, nullable=False),
    Column("probed_at", Text, nullable=False),
    CheckConstraint("conditional_writes IN (0, 1)", name="conditional_writes"),
)  # fmt: skip
