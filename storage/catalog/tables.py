"""The catalogue's tables as SQLAlchemy Core; names and columns are public, people write SQL against them.

Times are ISO-8601 UTC text with seconds; ``day`` is their first ten characters, written by the database itself. JSON is
text. Flags are 0 or 1. So a query reads the same on SQLite and PostgreSQL. Migrations make these tables; a test holds
the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""


def _id() -> Column[int]:
    return Column("id", BigId, primary_key=True)


def _day(time_column: str) -> Column[str]:
    return Column("day", Text, Computed(f"substr({time_column}, 1, 10)", persisted=True))


def _one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(v) for v in values)})", name=column)


def _reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigId, ForeignKey(target), nullable=nullable)


STATES = ("open", "held", "withdrawn")

collection = Table(
    "collection", metadata, _id(),
    Column("url", Text, nullable=False, unique=True),
    Column("browse_folder", Text, nullable=False, unique=True),
    Column("is_recursive", Integer, nullable=False),
    Column("ignore_patterns", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("tone", Text, nullable=False),
    Column("strength", Float(53), nullable=False),
    Column("output_format", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("created_at", Text, nullable=False),
    _day("created_at"),
    _one_of("mode", ("full", "scratches")),
    _one_of("tone", ("correct", "keep")),
    _one_of("state", STATES),
    CheckConstraint("is_recursive IN (0, 1)", name="is_recursive"),
)  # fmt: skip

photo = Table(
    "photo", metadata, _id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", Text, nullable=False),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("bit_depth", Integer, nullable=False),
    Column("source_mode", Text),
    Column("icc_profile_name", Text),
    Column("dpi_x", Float(53)),
    Column("dpi_y", Float(53)),
    Column("orientation", Integer, nullable=False),
    Column("capture", Text, nullable=False),
    Column("perceptual_hash", Text),
    Column("state", Text, nullable=False, server_default="open"),
    Column("state_by", Text),
    Column("state_reason", Text),
    Column("state_at", Text),
    Column("first_seen_at", Text, nullable=False),
    _day("first_seen_at"),
    _one_of("state", STATES),
    CheckConstraint("length(sha256) = 64", name="sha256"),
    CheckConstraint("height > 0 AND width > 0", name="size"),
    CheckConstraint("state = 'open' OR (state_by IS NOT NULL AND state_reason IS NOT NULL)", name="state_explained"),
)  # fmt: skip

source_object = Table(
    "source_object", metadata, _id(),
    _reference("collection_id", "collection.id"),
    Column("key", Text, nullable=False),
    _reference("photo_id", "photo.id", nullable=True),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_at", Text),
    Column("etag", Text),
    Column("version_id", Text),
    Column("first_seen_at", Text, nullable=False),
    Column("last_seen_at", Text, nullable=False),
    _day("first_seen_at"),
    UniqueConstraint("collection_id", "key"),
    Index("ix_source_object_photo_id", "photo_id", "status"),
    Index("ix_source_object_key", "key"),
    Index("ix_source_object_collection_id_status", "collection_id", "status"),
    _one_of("status", ("registered", "quarantined", "ignored", "missing")),
    CheckConstraint("status <> 'registered' OR photo_id IS NOT NULL", name="registered_has_photo"),
    CheckConstraint("status NOT IN ('quarantined', 'ignored') OR reason IS NOT NULL", name="reason_given"),
)  # fmt: skip

run = Table(
    "run", metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("source_url", Text),
    _reference("collection_id", "collection.id", nullable=True),
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
    _day("started_at"),
    Index("ix_run_number", "number"),
    _one_of("status", ("running", "finished", "failed")),
)  # fmt: skip

model_release = Table(
    "model_release", metadata, _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("weights_hash", Text, nullable=False, unique=True),
    Column("preset", Text, nullable=False),
    Column("url", Text, nullable=False),
    _reference("parent_id", "model_release.id", nullable=True),
    Column("status", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("card", Text, nullable=False),
    Column("registered_at", Text, nullable=False),
    Column("activated_at", Text),
    Column("retired_at", Text),
    _day("registered_at"),
    Index("uq_model_release_active", "status", unique=True,
          sqlite_where=text("status = 'active'"), postgresql_where=text("status = 'active'")),
    _one_of("status", ("candidate", "active", "retired")),
)  # fmt: skip

restoration = Table(
    "restoration", metadata, _id(),
    _reference("photo_id", "photo.id"),
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
    _day("finished_at"),
    UniqueConstraint("photo_id", "work_hash"),
    Index("ix_restoration_photo_id_finished_at", "photo_id", "finished_at", "id"),
    Index("ix_restoration_finished_at", "finished_at", "id"),
    Index("ix_restoration_run_id", "run_id"),
    Index("ix_restoration_release", "release"),
    _one_of("outcome", ("restored", "unchanged", "failed")),
    _one_of("mode", ("full", "scratches")),
    _one_of("tone", ("correct", "keep")),
    _one_of("mask_source", ("detected", "supplied", "label")),
    CheckConstraint("strength >= 0 AND strength <= 1", name="strength"),
    CheckConstraint("length(work_hash) = 64", name="work_hash"),
    CheckConstraint("outcome <> 'failed' OR error IS NOT NULL", name="failure_explained"),
    CheckConstraint("outcome = 'failed' OR (restored_key IS NOT NULL AND restored_sha256 IS NOT NULL "
                    "AND provenance_key IS NOT NULL)", name="derivatives_named"),
    CheckConstraint("mask_source = 'detected' OR supplied_mask_sha256 IS NOT NULL", name="mask_named"),
)  # fmt: skip

label = Table(
    "label", metadata, _id(),
    _reference("photo_id", "photo.id"),
    Column("mask_key", Text, nullable=False),
    Column("mask_sha256", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("coverage", Float(53), nullable=False),
    Column("labelled_at", Text, nullable=False),
    _day("labelled_at"),
    UniqueConstraint("photo_id", "mask_sha256"),
    CheckConstraint("coverage >= 0 AND coverage <= 1", name="coverage"),
)  # fmt: skip

dataset_snapshot = Table(
    "dataset_snapshot", metadata, _id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("manifest_key", Text, nullable=False),
    Column("photo_count", Integer, nullable=False),
    Column("label_count", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    _day("created_at"),
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
    _reference("snapshot_id", "dataset_snapshot.id", nullable=True),
    Column("parent_id", Text, ForeignKey("training_run.id")),
    Column("status", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("curves_key", Text),
    Column("device", Text),
    Column("code_version", Text),
    Column("flow_run_id", Text),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    _day("started_at"),
    _one_of("stage", ("look", "detector", "vaes", "translation", "uncertainty")),
    _one_of("status", ("running", "finished", "failed")),
)  # fmt: skip

model_release_run = Table(
    "model_release_run", metadata,
    Column("release_id", BigId, ForeignKey("model_release.id"), primary_key=True),
    Column("training_run_id", Text, ForeignKey("training_run.id"), primary_key=True),
    Index("ix_model_release_run_training_run_id", "training_run_id"),
)  # fmt: skip

review = Table(
    "review", metadata, _id(),
    _reference("restoration_id", "restoration.id"),
    Column("reviewer", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("note", Text),
    Column("reviewed_at", Text, nullable=False),
    _day("reviewed_at"),
    Index("ix_review_restoration_id", "restoration_id"),
    _one_of("verdict", ("accepted", "rejected", "needs label")),
)  # fmt: skip

agent = Table(
    "agent", metadata, _id(),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("first_seen_at", Text, nullable=False),
    UniqueConstraint("name", "type"),
    _one_of("type", ("software", "person")),
)  # fmt: skip

event = Table(
    "event", metadata, _id(),
    Column("uid", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("at", Text, nullable=False),
    _day("at"),
    _reference("agent_id", "agent.id"),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_event_at", "at"),
    Index("ix_event_type_at", "type", "at"),
    sqlite_autoincrement=True,
)  # fmt: skip

event_object = Table(
    "event_object", metadata,
    Column("event_id", BigId, ForeignKey("event.id"), primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Index("ix_event_object_object_id", "object_type", "object_id"),
)  # fmt: skip

lease = Table(
    "lease", metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("acquired_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index("ix_lease_holder", "holder"),
)  # fmt: skip
