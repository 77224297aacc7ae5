"""Failed tries are counted, and a photo that has failed too often is set aside.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RESTORATION_HISTORY = """
CREATE VIEW restoration_history AS
SELECT r.id AS restoration_id,
       p.sha256 AS photo_sha256,
       c.url AS source_url,
       s.key AS source_key,
       (SELECT COUNT(*) FROM source_object AS o WHERE o.photo_id = p.id) AS source_count,
       r.outcome, r.error, r.tries, r.set_aside_at, r.release, r.weights_hash,
       m.status AS release_status, r.work_hash,
       r.mode, r.tone, r.strength, r.mask_source, r.supplied_mask_sha256, r.output_format, r.pixel_version,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.icc_profile_name, p.state AS photo_state,
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.seconds, r.megapixels,
       r.device, r.precision, r.code_version,
       r.restored_key, r.restored_sha256, r.mask_key, r.mask_sha256, r.difference_key, r.preview_key, r.provenance_key,
       r.run_id, r.flow_run_id,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       r.finished_at, r.deleted_at, r.day
  FROM restoration AS r
  JOIN photo AS p ON p.id = r.photo_id
  LEFT JOIN model_release AS m ON m.name = r.release
  LEFT JOIN source_object AS s ON s.photo_id = p.id AND s.id = (
       SELECT o.id FROM source_object AS o WHERE o.photo_id = p.id
        ORDER BY CASE o.status WHEN 'registered' THEN 0 ELSE 1 END, o.id LIMIT 1)
  LEFT JOIN collection AS c ON c.id = s.collection_id
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
       r.id AS restoration_id, o.size_bytes, o.modified_at, o.etag, o.version_id,
       o.first_seen_at, o.last_seen_at, o.day
  FROM source_object AS o
  JOIN collection AS c ON c.id = o.collection_id
  LEFT JOIN photo AS p ON p.id = o.photo_id
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
  LEFT JOIN restoration AS f ON r.id IS NULL AND f.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome = 'failed'
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""

RESTORATION_HISTORY_0002 = """
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
       r.finished_at, r.deleted_at, r.day
  FROM restoration AS r
  JOIN photo AS p ON p.id = r.photo_id
  LEFT JOIN model_release AS m ON m.name = r.release
  LEFT JOIN source_object AS s ON s.photo_id = p.id AND s.id = (
       SELECT o.id FROM source_object AS o WHERE o.photo_id = p.id
        ORDER BY CASE o.status WHEN 'registered' THEN 0 ELSE 1 END, o.id LIMIT 1)
  LEFT JOIN collection AS c ON c.id = s.collection_id
"""

OBJECT_OUTCOME_0002 = """
CREATE VIEW object_outcome AS
SELECT o.collection_id, c.url AS source_url, o.key AS source_key, o.status, o.reason, o.detail,
       p.sha256 AS photo_sha256,
       CASE WHEN o.status <> 'registered' THEN o.status
            WHEN c.state <> 'open' THEN c.state
            WHEN p.state <> 'open' THEN p.state
            WHEN r.outcome IS NOT NULL THEN r.outcome
            WHEN (SELECT f.id FROM restoration AS f
                   WHERE f.photo_id = p.id AND f.outcome = 'failed' LIMIT 1) IS NOT NULL THEN 'failed'
            ELSE 'waiting' END AS outcome,
       r.id AS restoration_id, o.size_bytes, o.modified_at, o.etag, o.version_id,
       o.first_seen_at, o.last_seen_at, o.day
  FROM source_object AS o
  JOIN collection AS c ON c.id = o.collection_id
  LEFT JOIN photo AS p ON p.id = o.photo_id
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""


def upgrade() -> None:
    _drop_views()
    op.add_column("restoration", sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("restoration", sa.Column("set_aside_at", sa.Text))
    op.execute("UPDATE restoration SET tries = 1 WHERE outcome = 'failed'")
    op.create_index(
        "ix_restoration_set_aside", "restoration", ["photo_id", "work_hash"],
        sqlite_where=sa.text("set_aside_at IS NOT NULL"), postgresql_where=sa.text("set_aside_at IS NOT NULL"),
    )  # fmt: skip
    op.execute(RESTORATION_HISTORY)
    op.execute(OBJECT_OUTCOME)


def downgrade() -> None:
    _drop_views()
    op.drop_index("ix_restoration_set_aside", "restoration")
    op.drop_column("restoration", "set_aside_at")
    op.drop_column("restoration", "tries")
    op.execute(RESTORATION_HISTORY_0002)
    op.execute(OBJECT_OUTCOME_0002)


def _drop_views() -> None:
    op.execute("DROP VIEW object_outcome")
    op.execute("DROP VIEW restoration_history")
