"""Labels by several annotators, reviewed before they are used, and joined with what the detector found.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
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
       r.finished_at, r.deleted_at, r.day
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
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
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

RESTORATION_HISTORY_0004 = """
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
       r.mask_coverage, r.change_outside_mask, r.mean_change,
       r.delta_e_mean, r.delta_e_p95, r.tone_free_delta_e_mean, r.tone_free_delta_e_p95, r.gradient_correlation,
       r.clipped_black_growth, r.clipped_white_growth, r.added_chroma, r.changed_share,
       r.seconds, r.megapixels,
       r.device, r.precision, r.code_version,
       r.restored_key, r.restored_sha256, r.mask_key, r.mask_sha256, r.difference_key, r.preview_key, r.provenance_key,
       r.run_id, r.flow_run_id, r.needs_review, r.review_reasons,
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

PHOTO_LATEST_0004 = """
CREATE VIEW photo_latest AS
SELECT p.id AS photo_id,
       p.sha256 AS photo_sha256,
       p.format, p.height, p.width, p.channels, p.bit_depth, p.state AS photo_state, p.first_seen_at,
       (SELECT COUNT(*) FROM source_object AS o WHERE o.photo_id = p.id AND o.status = 'registered') AS source_count,
       r.id AS restoration_id,
       r.outcome, r.release, r.work_hash, r.mode, r.tone, r.strength, r.mask_source, r.supplied_mask_sha256,
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.restored_key, r.restored_sha256, r.preview_key,
       r.needs_review, r.review_reasons,
       (SELECT v.verdict FROM review AS v WHERE v.restoration_id = r.id
         ORDER BY v.reviewed_at DESC, v.id DESC LIMIT 1) AS latest_verdict,
       r.finished_at, r.day
  FROM photo AS p
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""

RESTORATION_STALE_0004 = """
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

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LABEL_COLUMNS = (
    # name, type, what rows that are there get; null where nothing
    ("reviewed", sa.Integer, "1"),  # until now every label was used at once
    ("reviewed_by", sa.Text, None),
    ("reviewed_at", sa.Text, None),
    ("rejected_at", sa.Text, None),
    ("annotators", sa.Integer, "1"),
    ("disagreement", sa.Float(53), "0"),
    ("disagreement_key", sa.Text, None),
)


def upgrade() -> None:
    _drop_views()
    for name, kind, default in LABEL_COLUMNS:
        given = None if default is None else sa.text(default)
        op.add_column("label", sa.Column(name, kind, nullable=default is None, server_default=given))
    op.add_column("restoration", sa.Column("mask_joined", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "label_annotation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("label_id", BIG_ID, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("mask_key", sa.Text, nullable=False),
        sa.Column("mask_sha256", sa.Text, nullable=False),
        sa.Column("coverage", sa.Float(53), nullable=False),
        sa.Column("labelled_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(labelled_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("coverage >= 0 AND coverage <= 1", name=op.f("ck_label_annotation_coverage")),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"], name=op.f("fk_label_annotation_label_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_annotation")),
        sa.UniqueConstraint(
            "label_id", "author", "mask_sha256", name=op.f("uq_label_annotation_label_id_author_mask_sha256")
        ),
    )  # fmt: skip
    for view in (RESTORATION_HISTORY, PHOTO_LATEST, RESTORATION_STALE):
        op.execute(view)


def downgrade() -> None:
    _drop_views()
    op.drop_table("label_annotation")
    op.drop_column("restoration", "mask_joined")
    for name, _, _ in reversed(LABEL_COLUMNS):
        op.drop_column("label", name)
    for view in (RESTORATION_HISTORY_0004, PHOTO_LATEST_0004, RESTORATION_STALE_0004):
        op.execute(view)


def _drop_views() -> None:
    for name in ("restoration_stale", "photo_latest", "restoration_history"):
        op.execute(f"DROP VIEW {name}")
