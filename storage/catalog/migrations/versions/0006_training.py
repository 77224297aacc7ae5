"""Training can be accounted for: splits that stay, snapshots that can be rebuilt, verdicts, and the way back.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SNAPSHOTS = {
    # table: which rows stand for the one that is to be inserted, as in revision 0002.
    "dataset_snapshot": "id = NEW.id OR sha256 = NEW.sha256",
    "dataset_snapshot_photo": "rowid = NEW.rowid OR (snapshot_id = NEW.snapshot_id AND photo_id = NEW.photo_id)",
    "dataset_snapshot_label": "rowid = NEW.rowid OR (snapshot_id = NEW.snapshot_id AND label_id = NEW.label_id)",
}

SPLIT_LOST = "NEW.photo_id <> OLD.photo_id OR NEW.split <> 'excluded'"
"""All that may follow after a photo's side was decided is that it is on none any more."""

ADDED = {
    "dataset_snapshot": {"rows_sha256": sa.Text, "written_with": sa.Text},
    "training_run": {"retrain_id": sa.Text, "seed": sa.BigInteger},
    "model_release": {"verdict": sa.Text, "rejected_reason": sa.Text, "rejected_at": sa.Text},
    "restoration": {"taken_up_at": sa.Text},
}

RESTORATION_HISTORY = """
CREATE VIEW restoration_history AS
SELECT r.id AS restoration_id,
       p.sha256 AS photo_sha256,
       c.url AS source_url,
       s.key AS source_key,
       (SELECT COUNT(*) FROM source_object AS o WHERE o.photo_id = p.id) AS source_count,
       r.outcome, r.error, r.tries, r.set_aside_at, r.release, r.weights_hash,
       m.status AS release_status, r.work_hash,
       r.mode, r.tone, r.strength, r.mask_source, r.supplied_mask_sha256, r.mask_joined,
       r.output_format, r.pixel_version,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.icc_profile_name, p.state AS photo_state,
       r.mask_coverage, r.change_outside_mask, r.mean_change,
       r.delta_e_mean, r.delta_e_p95, r.tone_free_delta_e_mean, r.tone_free_delta_e_p95, r.gradient_correlation,
       r.clipped_black_growth, r.clipped_white_growth, r.added_chroma, r.changed_share,
       r.seconds, r.megapixels,
       r.device, r.precision, r.code_version,
       r.restored_key, r.restored_sha256, r.mask_key, r.mask_sha256, r.difference_key, r.preview_key, r.provenance_key,
       r.run_id, r.flow_run_id, r.needs_review, r.review_reasons,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       r.finished_at, r.taken_up_at, r.deleted_at, r.day
  FROM restoration AS r
  JOIN photo AS p ON p.id = r.photo_id
  LEFT JOIN model_release AS m ON m.name = r.release
  LEFT JOIN source_object AS s ON s.photo_id = p.id AND s.id = (
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
       r.mask_joined,
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.restored_key, r.restored_sha256, r.preview_key,
       r.needs_review, r.review_reasons,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       r.finished_at, r.day
  FROM photo AS p
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY COALESCE(x.taken_up_at, x.finished_at) DESC, x.finished_at DESC, x.id DESC LIMIT 1)
"""

RESTORATION_STALE = """
CREATE VIEW restoration_stale AS
SELECT l.photo_sha256, l.restoration_id, l.release, a.name AS active_release,
       CASE WHEN a.name IS NOT NULL AND a.name <> l.release THEN 1 ELSE 0 END AS by_release,
       CASE WHEN b.id IS NOT NULL THEN 1 ELSE 0 END AS by_label,
       b.labelled_at AS latest_label_at,
       l.finished_at, l.day
  FROM photo_latest AS l
  LEFT JOIN model_release AS a ON a.status = 'active'
  LEFT JOIN label AS b ON b.id = (
       SELECT x.id FROM label AS x
        WHERE x.photo_id = l.photo_id AND x.reviewed = 1 ORDER BY x.labelled_at DESC, x.id DESC LIMIT 1)
   AND (l.mask_source = 'detected'
     OR (l.mask_source = 'label' AND (l.supplied_mask_sha256 <> b.mask_sha256 OR l.mask_joined = 0))
     OR (l.mask_source = 'supplied' AND l.supplied_mask_sha256 <> b.mask_sha256 AND b.labelled_at >= l.finished_at))
 WHERE l.restoration_id IS NOT NULL
   AND ((a.name IS NOT NULL AND a.name <> l.release) OR b.id IS NOT NULL)
"""

OBJECT_OUTCOME = """
CREATE VIEW object_outcome AS
SELECT o.collection_id, c.url AS source_url, o.key AS source_key, o.status,
       CASE WHEN o.status = 'registered' AND r.id IS NULL AND f.set_aside_at IS NOT NULL
            THEN 'unrestorable' ELSE o.reason END AS reason,
       CASE WHEN o.status = 'registered' AND r.id IS NULL AND f.id IS NOT NULL
            THEN f.error ELSE o.detail END AS detail,
       p.sha256 AS photo_sha256,
       CASE WHEN o.status <> 'registered' THEN o.status
            WHEN c.state <> 'open' THEN c.state
            WHEN p.state <> 'open' THEN p.state
            WHEN r.outcome IS NOT NULL THEN r.outcome
            WHEN f.set_aside_at IS NOT NULL THEN 'quarantined'
            WHEN f.id IS NOT NULL THEN 'failed'
            ELSE 'waiting' END AS outcome,
       r.id AS restoration_id, r.needs_review,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       o.size_bytes, o.modified_at, o.etag, o.version_id,
       o.first_seen_at, o.last_seen_at, o.day
  FROM source_object AS o
  JOIN collection AS c ON c.id = o.collection_id
  LEFT JOIN photo AS p ON p.id = o.photo_id
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY COALESCE(x.taken_up_at, x.finished_at) DESC, x.finished_at DESC, x.id DESC LIMIT 1)
  LEFT JOIN restoration AS f ON r.id IS NULL AND f.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome = 'failed'
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""

RELEASE_LINEAGE = """
CREATE VIEW release_lineage AS
SELECT m.name AS release, m.weights_hash, m.status AS release_status, m.rejected_reason, q.name AS parent_release,
       m.registered_at, m.day,
       t.id AS training_run_id, t.retrain_id, t.stage, t.seed, t.code_version, t.parent_id AS parent_training_run_id,
       t.started_at, t.finished_at,
       d.id AS snapshot_id, d.sha256 AS snapshot_sha256, d.manifest_key AS snapshot_key,
       d.photo_count AS snapshot_photos, d.label_count AS snapshot_labels,
       b.id AS label_id, b.author AS label_author, b.labelled_at, z.split, p.sha256 AS photo_sha256
  FROM model_release AS m
  LEFT JOIN model_release AS q ON q.id = m.parent_id
  LEFT JOIN model_release_run AS x ON x.release_id = m.id
  LEFT JOIN training_run AS t ON t.id = x.training_run_id
  LEFT JOIN dataset_snapshot AS d ON d.id = t.snapshot_id
  LEFT JOIN dataset_snapshot_label AS y ON y.snapshot_id = d.id
  LEFT JOIN label AS b ON b.id = y.label_id
  LEFT JOIN photo AS p ON p.id = b.photo_id
  LEFT JOIN dataset_snapshot_photo AS z ON z.snapshot_id = d.id AND z.photo_id = p.id
"""

RELEASE_LINEAGE_0005 = """
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

LATEST, LATEST_0005 = (
    f"ORDER BY {when} DESC, x.id DESC LIMIT 1)"
    for when in ("COALESCE(x.taken_up_at, x.finished_at) DESC, x.finished_at", "x.finished_at")
)

NAMES = ("object_outcome", "release_lineage", "restoration_stale", "photo_latest", "restoration_history")


def upgrade() -> None:
    _drop_views()
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind))
    op.create_index("ix_training_run_retrain_id", "training_run", ["retrain_id"])
    op.create_table(
        "photo_split",
        sa.Column("photo_id", BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(decided_at, 1, 10)", persisted=True)),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_photo_split_photo_id"),
        sa.PrimaryKeyConstraint("photo_id", name="pk_photo_split"),
        sa.CheckConstraint("split IN ('train', 'validation', 'test', 'excluded')", name=op.f("ck_photo_split_split")),
        sa.CheckConstraint("decided_by IN ('hash', 'near duplicate')", name=op.f("ck_photo_split_decided_by")),
    )
    op.create_table(
        "dataset_snapshot_photo",
        sa.Column("snapshot_id", BIG_ID, nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("label_id", BIG_ID),
        sa.Column("source_url", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("label_mask_key", sa.Text),
        sa.Column("label_mask_sha256", sa.Text),
        sa.Column("disagreement_key", sa.Text),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["dataset_snapshot.id"], name="fk_dataset_snapshot_photo_snapshot_id"
        ),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_dataset_snapshot_photo_photo_id"),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"], name="fk_dataset_snapshot_photo_label_id"),
        sa.PrimaryKeyConstraint("snapshot_id", "photo_id", name="pk_dataset_snapshot_photo"),
        sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_dataset_snapshot_photo_split")),
        sa.CheckConstraint("role IN ('labelled', 'unlabelled')", name=op.f("ck_dataset_snapshot_photo_role")),
        sa.CheckConstraint(
            "(role = 'labelled') = (label_id IS NOT NULL AND label_mask_key IS NOT NULL "
            "AND label_mask_sha256 IS NOT NULL)",
            name=op.f("ck_dataset_snapshot_photo_label_named"),
        ),
    )
    op.create_index("ix_dataset_snapshot_photo_photo_id", "dataset_snapshot_photo", ["photo_id"])
    _make_triggers()
    for view in (RESTORATION_HISTORY, PHOTO_LATEST, RESTORATION_STALE, RELEASE_LINEAGE, OBJECT_OUTCOME):
        op.execute(view)


def downgrade() -> None:
    _drop_views()
    _drop_triggers()
    op.drop_table("dataset_snapshot_photo")
    op.drop_table("photo_split")
    if not _is_sqlite():
        op.execute("DROP FUNCTION oldphoto_split_kept")
    op.drop_index("ix_training_run_retrain_id", "training_run")
    for table, columns in ADDED.items():
        for name in reversed(columns):
            op.drop_column(table, name)
    op.execute(RESTORATION_HISTORY.replace("r.taken_up_at, ", ""))
    for view in (PHOTO_LATEST, RESTORATION_STALE, RELEASE_LINEAGE_0005, OBJECT_OUTCOME):
        op.execute(view.replace(LATEST, LATEST_0005))


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _drop_views() -> None:
    for name in NAMES:
        op.execute(f"DROP VIEW {name}")


def _make_triggers() -> None:
    lost = "a photo''s side is kept; it may only be excluded"
    if _is_sqlite():
        for table, existing in SNAPSHOTS.items():
            refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
            op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
            op.execute(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {existing}) {refuse}"
            )
        refuse = f"BEGIN SELECT RAISE(ABORT, '{lost}'); END"
        op.execute(f"CREATE TRIGGER photo_split_no_update BEFORE UPDATE ON photo_split WHEN {SPLIT_LOST} {refuse}")
        op.execute(f"CREATE TRIGGER photo_split_no_delete BEFORE DELETE ON photo_split {refuse}")
        op.execute(
            "CREATE TRIGGER photo_split_no_replace BEFORE INSERT ON photo_split "
            f"WHEN EXISTS (SELECT 1 FROM photo_split WHERE photo_id = NEW.photo_id) {refuse}"
        )
        return
    op.execute(
        "CREATE FUNCTION oldphoto_split_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF TG_OP <> 'UPDATE' THEN RAISE EXCEPTION '{lost}'; END IF; "
        f"IF {SPLIT_LOST} THEN RAISE EXCEPTION '{lost}'; END IF; RETURN NEW; END $$"
    )
    for table in SNAPSHOTS:
        _make_trigger(table, "append_only", "UPDATE OR DELETE OR TRUNCATE", "STATEMENT", "oldphoto_append_only")
    _make_trigger("photo_split", "kept", "UPDATE OR DELETE", "ROW", "oldphoto_split_kept")
    _make_trigger("photo_split", "no_truncate", "TRUNCATE", "STATEMENT", "oldphoto_append_only")


def _make_trigger(table: str, name: str, actions: str, each: str, function: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{name} BEFORE {actions} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")


def _drop_triggers() -> None:
    """Of the tables that stay and those that go: so that going down is not stopped by them."""
    if _is_sqlite():
        for table in (*SNAPSHOTS, "photo_split"):
            for action in ("update", "delete", "replace"):
                op.execute(f"DROP TRIGGER {table}_no_{action}")
        return
    for table in SNAPSHOTS:
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    for name in ("kept", "no_truncate"):
        op.execute(f"DROP TRIGGER photo_split_{name} ON photo_split")
