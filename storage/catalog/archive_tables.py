"""Tables of what an archive holds: collections, looks at them, their objects, the photos in these, and what was said of
them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
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

STATES = ("open", "held", "withdrawn")
TONES = ("correct", "neutral", "keep")
MENDINGS = ("sure", "normal", "everything")

NEAR_UNCHECKED = text("near_checked_at IS NULL")
"""Photos that were not compared with the others yet; an index of their own, since they are few."""

FILE_NAME = "substr(key, length(rtrim(key, replace(key, '/', ''))) + 1)"
"""What follows a key's last slash: all but slashes is trimmed from its end, and that many characters are left out."""

collection = Table(
    "collection", metadata, row_id(),
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
    Column("include_patterns", Text, nullable=False, server_default="[]"),
    Column("state_by", Text),
    Column("state_reason", Text),
    Column("state_at", Text),
    Column("mending", Text, nullable=False, server_default="normal"),
    day("created_at"),
    one_of("mode", ("full", "scratches")),
    one_of("tone", TONES),
    one_of("mending", MENDINGS),
    one_of("state", STATES),
    CheckConstraint("state = 'open' OR (state_by IS NOT NULL AND state_reason IS NOT NULL)", name="state_explained"),
    CheckConstraint("is_recursive IN (0, 1)", name="is_recursive"),
)  # fmt: skip

photo = Table(
    "photo", metadata, row_id(),
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
    Column("near_checked_at", Text),
    day("first_seen_at"),
    Index("ix_photo_near_unchecked", "id", sqlite_where=NEAR_UNCHECKED, postgresql_where=NEAR_UNCHECKED),
    one_of("state", STATES),
    CheckConstraint("length(sha256) = 64", name="sha256"),
    CheckConstraint("height > 0 AND width > 0", name="size"),
    CheckConstraint("state = 'open' OR (state_by IS NOT NULL AND state_reason IS NOT NULL)", name="state_explained"),
)  # fmt: skip

listing = Table(
    "listing", metadata, row_id(),
    reference("collection_id", "collection.id"),
    Column("run_id", Text, ForeignKey("run.id")),
    Column("policy_hash", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cursor", Text),
    Column("objects_seen", BigInteger, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    day("started_at"),
    Index("ix_listing_collection_id_status", "collection_id", "status"),
    one_of("status", ("running", "finished", "abandoned")),
    CheckConstraint("status <> 'finished' OR finished_at IS NOT NULL", name="end_known"),
)  # fmt: skip

source_object = Table(
    "source_object", metadata, row_id(),
    reference("collection_id", "collection.id"),
    Column("key", Text, nullable=False),
    reference("photo_id", "photo.id", nullable=True),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_at", Text),
    Column("etag", Text),
    Column("version_id", Text),
    Column("first_seen_at", Text, nullable=False),
    Column("last_seen_at", Text, nullable=False),
    reference("listing_id", "listing.id", nullable=True),
    Column("name", Text, Computed(FILE_NAME)),
    day("first_seen_at"),
    UniqueConstraint("collection_id", "key"),
    Index("ix_source_object_photo_id", "photo_id", "status"),
    Index("ix_source_object_key", "key"),
    Index("ix_source_object_name", "name"),
    Index("ix_source_object_collection_id_status", "collection_id", "status", "photo_id"),
    Index("ix_source_object_status", "status", "key"),
    one_of("status", ("registered", "quarantined", "ignored", "missing")),
    CheckConstraint("status <> 'registered' OR photo_id IS NOT NULL", name="registered_has_photo"),
    CheckConstraint("status NOT IN ('quarantined', 'ignored') OR reason IS NOT NULL", name="reason_given"),
)  # fmt: skip

near_duplicate = Table(
    "near_duplicate", metadata,
    Column("photo_id", BigId, ForeignKey("photo.id"), primary_key=True),
    Column("other_photo_id", BigId, ForeignKey("photo.id"), primary_key=True),
    Column("distance", Integer, nullable=False),
    Column("found_at", Text, nullable=False),
    day("found_at"),
    Index("ix_near_duplicate_other_photo_id", "other_photo_id"),
    CheckConstraint("photo_id < other_photo_id", name="one_way"),
    CheckConstraint("distance >= 0 AND distance <= 64", name="distance"),
)  # fmt: skip

sidecar = Table(
    "sidecar", metadata, row_id(),
    Column("source_object_id", BigId, ForeignKey("source_object.id"), nullable=False, unique=True),
    Column("format", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("etag", Text),
    Column("problem", Text),
    Column("read_at", Text, nullable=False),
    day("read_at"),
    one_of("format", ("csv", "json", "xmp")),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)  # fmt: skip

object_metadata = Table(
    "object_metadata", metadata,
    Column("source_object_id", BigId, ForeignKey("source_object.id"), primary_key=True),
    Column("sidecar_id", BigId, ForeignKey("sidecar.id"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    Index("ix_object_metadata_field", "field"),
    Index("ix_object_metadata_sidecar_id", "sidecar_id"),
)  # fmt: skip
