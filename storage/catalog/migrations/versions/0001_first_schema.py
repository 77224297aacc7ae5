"""The catalogue's first schema: every table, view and append-only trigger.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

RESTORATION_HISTORY = """
CREATE VIEW restoration_history AS
SELECT r.id AS restoration_id,
       p.sha256 AS photo_sha256,
       c.url AS source_url,
       s.key AS source_key,
       (SELECT COUNT(*) FROM source_object AS o WHERE o.photo_id = p.id) AS source_count,
       r.outcome, r.error, r.release, r.weights_hash, m.status AS release_status, r.work_hash,
       r.mode, r.tone, r.strength, r.mask_source, r.supplied_mask_sha256, r.output_format, r.pixel_version,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.icc_profile_name, p.state AS photo_state,
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.seconds, r.megapixels,
       r.device, r.precision, r.code_version,
       r.restored_key, r.restored_sha256, r.mask_key, r.mask_sha256, r.difference_key, r.preview_key, r.provenance_key,
       r.run_id, r.flow_run_id,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       r.finished_at, r.day
  FROM restoration AS r
  JOIN photo AS p ON p.id = r.photo_id
  JOIN model_release AS m ON m.name = r.release
  LEFT JOIN source_object AS s ON s.id = (
       SELECT o.id FROM source_object AS o WHERE o.photo_id = p.id
        ORDER BY CASE o.status WHEN 'registered' THEN 0 ELSE 1 END, o.id LIMIT 1)
  LEFT JOIN collection AS c ON c.id = s.collection_id
"""

PHOTO_LATEST = """
CREATE VIEW photo_latest AS
SELECT p.id AS photo_id,
       p.sha256 AS photo_sha256,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.state AS photo_state, p.first_seen_at,
       (SELECT COUNT(*) FROM source_object AS o WHERE o.photo_id = p.id AND o.status = 'registered') AS source_count,
       r.id AS restoration_id,
       r.outcome, r.release, r.work_hash, r.mode, r.tone, r.strength, r.mask_source, r.supplied_mask_sha256,
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.restored_key, r.restored_sha256, r.preview_key,
       r.finished_at, r.day
  FROM photo AS p
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged')
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""

RESTORATION_STALE = """
CREATE VIEW restoration_stale AS
SELECT l.photo_sha256, l.restoration_id, l.release, a.name AS active_release,
       CASE WHEN a.name IS NOT NULL AND a.name <> l.release THEN 1 ELSE 0 END AS by_release,
       CASE WHEN b.id IS NOT NULL AND (l.supplied_mask_sha256 IS NULL OR l.supplied_mask_sha256 <> b.mask_sha256)
            THEN 1 ELSE 0 END AS by_label,
       b.labelled_at AS latest_label_at,
       l.finished_at, l.day
  FROM photo_latest AS l
  LEFT JOIN model_release AS a ON a.status = 'active'
  LEFT JOIN label AS b ON b.id = (
       SELECT x.id FROM label AS x
        WHERE x.photo_id = l.photo_id ORDER BY x.labelled_at DESC, x.id DESC LIMIT 1)
   AND b.labelled_at >= l.finished_at
 WHERE l.restoration_id IS NOT NULL
   AND ((a.name IS NOT NULL AND a.name <> l.release)
     OR (b.id IS NOT NULL AND (l.supplied_mask_sha256 IS NULL OR l.supplied_mask_sha256 <> b.mask_sha256)))
"""

RELEASE_LINEAGE = """
CREATE VIEW release_lineage AS
SELECT m.name AS release, m.weights_hash, m.status AS release_status, q.name AS parent_release, m.registered_at, m.day,
       t.id AS training_run_id, t.stage, t.parent_id AS parent_training_run_id, t.started_at, t.finished_at,
       d.id AS snapshot_id, d.sha256 AS snapshot_sha256, d.manifest_key AS snapshot_key,
       b.id AS label_id, b.author AS label_author, b.labelled_at, p.sha256 AS photo_sha256
  FROM model_release AS m
  LEFT JOIN model_release AS q ON q.id = m.parent_id
  LEFT JOIN model_release_run AS x ON x.release_id = m.id
  LEFT JOIN training_run AS t ON t.id = x.training_run_id
  LEFT JOIN dataset_snapshot AS d ON d.id = t.snapshot_id
  LEFT JOIN dataset_snapshot_label AS y ON y.snapshot_id = d.id
  LEFT JOIN label AS b ON b.id = y.label_id
  LEFT JOIN photo AS p ON p.id = b.photo_id
"""

VIEWS = (RESTORATION_HISTORY, PHOTO_LATEST, RESTORATION_STALE, RELEASE_LINEAGE)

SQLITE_TRIGGERS = tuple(
    statement
    for table, existing in (
        ("event", "id = NEW.id OR uid = NEW.uid"),
        ("event_object", "event_id = NEW.event_id AND object_type = NEW.object_type "
                         "AND object_id = NEW.object_id AND role = NEW.role"),
    )
    for statement in (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        # INSERT OR REPLACE would pass the trigger on DELETE.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {existing}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    )
)  # fmt: skip

POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION oldphoto_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
    *(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION oldphoto_append_only()"
        for table in ("event", "event_object")
    ),
)


def upgrade() -> None:
    """Makes everything."""
    op.create_table(
        "agent",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("first_seen_at", sa.Text, nullable=False),
        sa.CheckConstraint("type IN ('software', 'person')", name=op.f("ck_agent_type")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent")),
        sa.UniqueConstraint("name", "type", name=op.f("uq_agent_name_type")),
    )  # fmt: skip
    op.create_table(
        "collection",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("browse_folder", sa.Text, nullable=False),
        sa.Column("is_recursive", sa.Integer, nullable=False),
        sa.Column("ignore_patterns", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("tone", sa.Text, nullable=False),
        sa.Column("strength", sa.Float(precision=53), nullable=False),
        sa.Column("output_format", sa.Text, nullable=False),
        sa.Column("state", sa.Text, server_default="open", nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(created_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("mode IN ('full', 'scratches')", name=op.f("ck_collection_mode")),
        sa.CheckConstraint("state IN ('open', 'held', 'withdrawn')", name=op.f("ck_collection_state")),
        sa.CheckConstraint("tone IN ('correct', 'keep')", name=op.f("ck_collection_tone")),
        sa.CheckConstraint("is_recursive IN (0, 1)", name=op.f("ck_collection_is_recursive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection")),
        sa.UniqueConstraint("browse_folder", name=op.f("uq_collection_browse_folder")),
        sa.UniqueConstraint("url", name=op.f("uq_collection_url")),
    )  # fmt: skip
    op.create_table(
        "dataset_snapshot",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("manifest_key", sa.Text, nullable=False),
        sa.Column("photo_count", sa.Integer, nullable=False),
        sa.Column("label_count", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(created_at, 1, 10)", persisted=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_snapshot")),
        sa.UniqueConstraint("sha256", name=op.f("uq_dataset_snapshot_sha256")),
    )  # fmt: skip
    op.create_table(
        "lease",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("acquired_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )  # fmt: skip
    op.create_index("ix_lease_holder", "lease", ["holder"])
    op.create_table(
        "model_release",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("weights_hash", sa.Text, nullable=False),
        sa.Column("preset", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("parent_id", BIG_ID),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("registered_at", sa.Text, nullable=False),
        sa.Column("activated_at", sa.Text),
        sa.Column("retired_at", sa.Text),
        sa.Column("day", sa.Text, sa.Computed("substr(registered_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("status IN ('candidate', 'active', 'retired')", name=op.f("ck_model_release_status")),
        sa.ForeignKeyConstraint(["parent_id"], ["model_release.id"], name=op.f("fk_model_release_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_release")),
        sa.UniqueConstraint("name", name=op.f("uq_model_release_name")),
        sa.UniqueConstraint("weights_hash", name=op.f("uq_model_release_weights_hash")),
    )  # fmt: skip
    op.create_index("uq_model_release_active", "model_release", ["status"], unique=True, sqlite_where=sa.text("status = 'active'"), postgresql_where=sa.text("status = 'active'"))
    op.create_table(
        "photo",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("bit_depth", sa.Integer, nullable=False),
        sa.Column("source_mode", sa.Text),
        sa.Column("icc_profile_name", sa.Text),
        sa.Column("dpi_x", sa.Float(precision=53)),
        sa.Column("dpi_y", sa.Float(precision=53)),
        sa.Column("orientation", sa.Integer, nullable=False),
        sa.Column("capture", sa.Text, nullable=False),
        sa.Column("perceptual_hash", sa.Text),
        sa.Column("state", sa.Text, server_default="open", nullable=False),
        sa.Column("state_by", sa.Text),
        sa.Column("state_reason", sa.Text),
        sa.Column("state_at", sa.Text),
        sa.Column("first_seen_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(first_seen_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("state = 'open' OR (state_by IS NOT NULL AND state_reason IS NOT NULL)", name=op.f("ck_photo_state_explained")),
        sa.CheckConstraint("state IN ('open', 'held', 'withdrawn')", name=op.f("ck_photo_state")),
        sa.CheckConstraint("height > 0 AND width > 0", name=op.f("ck_photo_size")),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_photo_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo")),
        sa.UniqueConstraint("sha256", name=op.f("uq_photo_sha256")),
    )  # fmt: skip
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(at, 1, 10)", persisted=True)),
        sa.Column("agent_id", BIG_ID, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_event_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("uid", name=op.f("uq_event_uid")),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("ix_event_at", "event", ["at"])
    op.create_index("ix_event_type_at", "event", ["type", "at"])
    op.create_table(
        "label",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("mask_key", sa.Text, nullable=False),
        sa.Column("mask_sha256", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("coverage", sa.Float(precision=53), nullable=False),
        sa.Column("labelled_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(labelled_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("coverage >= 0 AND coverage <= 1", name=op.f("ck_label_coverage")),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name=op.f("fk_label_photo_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label")),
        sa.UniqueConstraint("photo_id", "mask_sha256", name=op.f("uq_label_photo_id_mask_sha256")),
    )  # fmt: skip
    op.create_table(
        "run",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("source_url", sa.Text),
        sa.Column("collection_id", BIG_ID),
        sa.Column("release", sa.Text),
        sa.Column("mode", sa.Text),
        sa.Column("tone", sa.Text),
        sa.Column("strength", sa.Float(precision=53)),
        sa.Column("flow_run_id", sa.Text),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("totals", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("day", sa.Text, sa.Computed("substr(started_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("status IN ('running', 'finished', 'failed')", name=op.f("ck_run_status")),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name=op.f("fk_run_collection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )  # fmt: skip
    op.create_index("ix_run_number", "run", ["number"])
    op.create_table(
        "source_object",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("collection_id", BIG_ID, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("photo_id", BIG_ID),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.Text),
        sa.Column("etag", sa.Text),
        sa.Column("version_id", sa.Text),
        sa.Column("first_seen_at", sa.Text, nullable=False),
        sa.Column("last_seen_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(first_seen_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("status <> 'registered' OR photo_id IS NOT NULL", name=op.f("ck_source_object_registered_has_photo")),
        sa.CheckConstraint("status IN ('registered', 'quarantined', 'ignored', 'missing')", name=op.f("ck_source_object_status")),
        sa.CheckConstraint("status NOT IN ('quarantined', 'ignored') OR reason IS NOT NULL", name=op.f("ck_source_object_reason_given")),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name=op.f("fk_source_object_collection_id")),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name=op.f("fk_source_object_photo_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_object")),
        sa.UniqueConstraint("collection_id", "key", name=op.f("uq_source_object_collection_id_key")),
    )  # fmt: skip
    op.create_index("ix_source_object_collection_id_status", "source_object", ["collection_id", "status"])
    op.create_index("ix_source_object_key", "source_object", ["key"])
    op.create_index("ix_source_object_photo_id", "source_object", ["photo_id", "status"])
    op.create_table(
        "training_run",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("configuration", sa.Text, nullable=False),
        sa.Column("snapshot_id", BIG_ID),
        sa.Column("parent_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("curves_key", sa.Text),
        sa.Column("device", sa.Text),
        sa.Column("code_version", sa.Text),
        sa.Column("flow_run_id", sa.Text),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("day", sa.Text, sa.Computed("substr(started_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("stage IN ('look', 'detector', 'vaes', 'translation', 'uncertainty')", name=op.f("ck_training_run_stage")),
        sa.CheckConstraint("status IN ('running', 'finished', 'failed')", name=op.f("ck_training_run_status")),
        sa.ForeignKeyConstraint(["parent_id"], ["training_run.id"], name=op.f("fk_training_run_parent_id")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["dataset_snapshot.id"], name=op.f("fk_training_run_snapshot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_run")),
    )  # fmt: skip
    op.create_table(
        "dataset_snapshot_label",
        sa.Column("snapshot_id", BIG_ID, nullable=False),
        sa.Column("label_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"], name=op.f("fk_dataset_snapshot_label_label_id")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["dataset_snapshot.id"], name=op.f("fk_dataset_snapshot_label_snapshot_id")),
        sa.PrimaryKeyConstraint("snapshot_id", "label_id", name=op.f("pk_dataset_snapshot_label")),
    )  # fmt: skip
    op.create_index("ix_dataset_snapshot_label_label_id", "dataset_snapshot_label", ["label_id"])
    op.create_table(
        "event_object",
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.Column("object_type", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_event_object_event_id")),
        sa.PrimaryKeyConstraint("event_id", "object_type", "object_id", "role", name=op.f("pk_event_object")),
    )  # fmt: skip
    op.create_index("ix_event_object_object_id", "event_object", ["object_type", "object_id"])
    op.create_table(
        "model_release_run",
        sa.Column("release_id", BIG_ID, nullable=False),
        sa.Column("training_run_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["model_release.id"], name=op.f("fk_model_release_run_release_id")),
        sa.ForeignKeyConstraint(["training_run_id"], ["training_run.id"], name=op.f("fk_model_release_run_training_run_id")),
        sa.PrimaryKeyConstraint("release_id", "training_run_id", name=op.f("pk_model_release_run")),
    )  # fmt: skip
    op.create_index("ix_model_release_run_training_run_id", "model_release_run", ["training_run_id"])
    op.create_table(
        "restoration",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("work_hash", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("weights_hash", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("tone", sa.Text, nullable=False),
        sa.Column("strength", sa.Float(precision=53), nullable=False),
        sa.Column("mask_source", sa.Text, nullable=False),
        sa.Column("supplied_mask_sha256", sa.Text),
        sa.Column("output_format", sa.Text),
        sa.Column("pixel_version", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("restored_key", sa.Text),
        sa.Column("restored_sha256", sa.Text),
        sa.Column("mask_key", sa.Text),
        sa.Column("mask_sha256", sa.Text),
        sa.Column("difference_key", sa.Text),
        sa.Column("difference_sha256", sa.Text),
        sa.Column("preview_key", sa.Text),
        sa.Column("preview_sha256", sa.Text),
        sa.Column("provenance_key", sa.Text),
        sa.Column("mask_coverage", sa.Float(precision=53)),
        sa.Column("change_outside_mask", sa.Float(precision=53)),
        sa.Column("mean_change", sa.Float(precision=53)),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float(precision=53)),
        sa.Column("megapixels", sa.Float(precision=53)),
        sa.Column("device", sa.Text),
        sa.Column("precision", sa.Text),
        sa.Column("code_version", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("flow_run_id", sa.Text),
        sa.Column("finished_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(finished_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("mask_source = 'detected' OR supplied_mask_sha256 IS NOT NULL", name=op.f("ck_restoration_mask_named")),
        sa.CheckConstraint("mask_source IN ('detected', 'supplied', 'label')", name=op.f("ck_restoration_mask_source")),
        sa.CheckConstraint("mode IN ('full', 'scratches')", name=op.f("ck_restoration_mode")),
        sa.CheckConstraint("outcome <> 'failed' OR error IS NOT NULL", name=op.f("ck_restoration_failure_explained")),
        sa.CheckConstraint("outcome = 'failed' OR (restored_key IS NOT NULL AND restored_sha256 IS NOT NULL AND provenance_key IS NOT NULL)", name=op.f("ck_restoration_derivatives_named")),
        sa.CheckConstraint("outcome IN ('restored', 'unchanged', 'failed')", name=op.f("ck_restoration_outcome")),
        sa.CheckConstraint("tone IN ('correct', 'keep')", name=op.f("ck_restoration_tone")),
        sa.CheckConstraint("length(work_hash) = 64", name=op.f("ck_restoration_work_hash")),
        sa.CheckConstraint("strength >= 0 AND strength <= 1", name=op.f("ck_restoration_strength")),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name=op.f("fk_restoration_photo_id")),
        sa.ForeignKeyConstraint(["release"], ["model_release.name"], name=op.f("fk_restoration_release")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_restoration_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restoration")),
        sa.UniqueConstraint("photo_id", "work_hash", name=op.f("uq_restoration_photo_id_work_hash")),
    )  # fmt: skip
    op.create_index("ix_restoration_finished_at", "restoration", ["finished_at", "id"])
    op.create_index("ix_restoration_photo_id_finished_at", "restoration", ["photo_id", "finished_at", "id"])
    op.create_index("ix_restoration_release", "restoration", ["release"])
    op.create_index("ix_restoration_run_id", "restoration", ["run_id"])
    op.create_table(
        "review",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("restoration_id", BIG_ID, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("reviewed_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(reviewed_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("verdict IN ('accepted', 'rejected', 'needs label')", name=op.f("ck_review_verdict")),
        sa.ForeignKeyConstraint(["restoration_id"], ["restoration.id"], name=op.f("fk_review_restoration_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )  # fmt: skip
    op.create_index("ix_review_restoration_id", "review", ["restoration_id"])

    for view in VIEWS:
        op.execute(view)
    triggers = SQLITE_TRIGGERS if op.get_context().dialect.name == "sqlite" else POSTGRESQL_TRIGGERS
    for trigger in triggers:
        op.execute(trigger)


def downgrade() -> None:
    """Drops everything, with all that it holds."""
    for view in ("release_lineage", "restoration_stale", "photo_latest", "restoration_history"):
        op.execute(f"DROP VIEW {view}")
    for table in (
        "review",
        "restoration",
        "model_release_run",
        "event_object",
        "dataset_snapshot_label",
        "training_run",
        "source_object",
        "run",
        "label",
        "event",
        "photo",
        "model_release",
        "lease",
        "dataset_snapshot",
        "collection",
        "agent",
    ):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION oldphoto_append_only()")
