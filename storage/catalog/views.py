"""The catalogue's public views, as SQL that runs unchanged on SQLite and PostgreSQL.

A migration that changes a view holds the text of its own time; this is the newest, and a test holds the two equal.
"""

from __future__ import annotations

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
"""A row a restoration; of a photo's several source objects the oldest that is still there.

Two things are there for the planners. ``s.photo_id = p.id``, which follows from what comes after it, lets them start
from a source key. The LEFT JOIN of a release that is always there keeps them from starting with releases and sorting
all rows.
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
"""A row a photo with its latest restoration whose files are there, nulls where it has none."""

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
"""Photos whose latest restoration is not by the active release, or is without their latest reviewed label."""

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
"""Release, its training runs, what these saw, and whose labels were in it: a row a label, nulls where a link ends."""

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
"""A row an object ever seen, and how it ended: everything is accounted for.

Not EXISTS: PostgreSQL would look up all failures of the archive at once, for a page of twenty objects too.
"""

EVENT_HISTORY = """
CREATE VIEW event_history AS
SELECT e.id AS event_id, e.type, e.at, e.day, e.outcome, e.run_id, e.note, a.name AS agent, a.type AS agent_type,
       x.object_type, x.object_id, x.role, e.detail
  FROM event AS e
  JOIN agent AS a ON a.id = e.agent_id
  LEFT JOIN event_object AS x ON x.event_id = e.id
"""
"""A row an event and object: who did what to what, when and with what outcome."""

PHOTO_METADATA = """
CREATE VIEW photo_metadata AS
SELECT p.sha256 AS photo_sha256, c.url AS source_url, o.key AS source_key, m.field, m.position, m.value,
       k.key AS sidecar_key, s.format AS sidecar_format, s.read_at, s.day
  FROM object_metadata AS m
  JOIN source_object AS o ON o.id = m.source_object_id
  JOIN collection AS c ON c.id = o.collection_id
  LEFT JOIN photo AS p ON p.id = o.photo_id
  JOIN sidecar AS s ON s.id = m.sidecar_id
  JOIN source_object AS k ON k.id = s.source_object_id
"""
"""What sidecar files say of a photo: a row a field and value."""

PHOTO_NEAR_DUPLICATES = """
CREATE VIEW photo_near_duplicates AS
SELECT p.sha256 AS photo_sha256, q.sha256 AS other_sha256, n.distance,
       (SELECT MIN(o.key) FROM source_object AS o WHERE o.photo_id = p.id) AS photo_key,
       (SELECT MIN(o.key) FROM source_object AS o WHERE o.photo_id = q.id) AS other_key,
       n.found_at, n.day
  FROM near_duplicate AS n
  JOIN photo AS p ON p.id = n.photo_id
  JOIN photo AS q ON q.id = n.other_photo_id
"""
"""Pairs of photos that look alike and are not the same file: linked, never merged."""

VIEWS = {
    "restoration_history": RESTORATION_HISTORY,
    "photo_latest": PHOTO_LATEST,
    "restoration_stale": RESTORATION_STALE,
    "release_lineage": RELEASE_LINEAGE,
    "object_outcome": OBJECT_OUTCOME,
    "event_history": EVENT_HISTORY,
    "photo_metadata": PHOTO_METADATA,
    "photo_near_duplicates": PHOTO_NEAR_DUPLICATES,
}
"""In the order in which they can be made: restoration_stale reads photo_latest."""
