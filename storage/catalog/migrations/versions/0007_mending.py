"""How much of what is found is mended, prints whose hue is taken out, and what was found as a file of its own.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TONES, TONES_0006 = "tone IN ('correct', 'neutral', 'keep')", "tone IN ('correct', 'keep')"
TONED = ("collection", "restoration")
"""Tables whose column `tone` has a third value now."""

MENDING = (
    "TEXT DEFAULT 'normal' NOT NULL CONSTRAINT ck_{table}_mending CHECK (mending IN ('sure', 'normal', 'everything'))"
)
ADDED = {
    # table: (column, type). As plain SQL: SQLite takes a constraint with a new column, but not after it.
    "collection": (("mending", MENDING),),
    "restoration": (("mending", MENDING), ("found_key", "TEXT"), ("found_sha256", "TEXT")),
    "run": (("mending", "TEXT"),),
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
       r.mode, r.tone, r.mending, r.strength, r.mask_source, r.supplied_mask_sha256, r.mask_joined,
       r.output_format, r.pixel_version,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.icc_profile_name, p.state AS photo_state,
       r.mask_coverage, r.change_outside_mask, r.mean_change,
       r.delta_e_mean, r.delta_e_p95, r.tone_free_delta_e_mean, r.tone_free_delta_e_p95, r.gradient_correlation,
       r.clipped_black_growth, r.clipped_white_growth, r.added_chroma, r.changed_share,
       r.seconds, r.megapixels,
       r.device, r.precision, r.code_version,
       r.restored_key, r.restored_sha256, r.mask_key, r.mask_sha256, r.found_key, r.found_sha256,
       r.difference_key, r.preview_key, r.provenance_key,
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
       r.outcome, r.release, r.work_hash, r.mode, r.tone, r.mending, r.strength, r.mask_source,
       r.supplied_mask_sha256, r.mask_joined,
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

RESTORATION_HISTORY_0006 = """
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

PHOTO_LATEST_0006 = """
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


def upgrade() -> None:
    _drop_views()
    for table in TONED:
        _set_tones(table, TONES_0006, TONES)
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind.format(table=table)}")
    for view in (RESTORATION_HISTORY, PHOTO_LATEST, RESTORATION_STALE, OBJECT_OUTCOME):
        op.execute(view)


def downgrade() -> None:
    """Prints whose hue was taken out are then said to be corrected."""
    _drop_views()
    for table, columns in ADDED.items():
        for name, _ in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    for table in TONED:
        op.execute(f"UPDATE {table} SET tone = 'correct' WHERE tone = 'neutral'")
        _set_tones(table, TONES, TONES_0006)
    for view in (RESTORATION_HISTORY_0006, PHOTO_LATEST_0006, RESTORATION_STALE, OBJECT_OUTCOME):
        op.execute(view)


def _drop_views() -> None:
    for name in ("object_outcome", "restoration_stale", "photo_latest", "restoration_history"):
        op.execute(f"DROP VIEW {name}")


def _set_tones(table: str, before: str, after: str) -> None:
    """Puts one rule about the tone in the place of another."""
    if op.get_context().dialect.name == "sqlite":
        _make_again(table, before, after)
        return
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_tone")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_tone CHECK ({after})")


def _make_again(table: str, before: str, after: str) -> None:
    """Makes an SQLite table anew with another rule, since SQLite can change none, and puts its rows and indexes back.

    Until its rows are back, other tables refer to rows that are not there: SQLite looks at that only at the end of the
    transaction. Columns that the database fills by itself are not put back, but filled again.
    """
    database = op.get_bind()
    made_by = database.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'index', rowid",
        (table,),
    ).all()
    (_, definition), *indexes = made_by
    assert {kind for kind, _ in indexes} <= {"index"} and before in definition
    own = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
    columns = ", ".join(name for (name,) in database.exec_driver_sql(own, (table,)))
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE kept AS SELECT {columns} FROM {table}")
    op.execute(f"DROP TABLE {table}")
    database.exec_driver_sql(definition.replace(before, after))
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM kept")
    op.execute("DROP TABLE kept")
    for _, index in indexes:
        database.exec_driver_sql(index)
