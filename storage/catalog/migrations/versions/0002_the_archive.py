"""The archive: looks at sources, near-duplicates, sidecars, withdrawals, publications, endpoints, and what words mean.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NEAR_UNCHECKED = sa.text("near_checked_at IS NULL")
FILE_NAME = "substr(key, length(rtrim(key, replace(key, '/', ''))) + 1)"

NEW_INDEXES = (
    ("ix_source_object_name", "source_object", ["name"]),
    ("ix_source_object_status", "source_object", ["status", "key"]),
    ("ix_restoration_day", "restoration", ["day", "finished_at", "id"]),
    ("ix_event_run_id", "event", ["run_id", "id"]),
)
CHANGED_INDEXES = (
    # name, table, columns now, columns in revision 0001
    ("ix_source_object_collection_id_status", "source_object", ["collection_id", "status", "photo_id"],
     ["collection_id", "status"]),
    ("ix_restoration_run_id", "restoration", ["run_id", "finished_at", "id"], ["run_id"]),
    ("ix_restoration_release", "restoration", ["release", "finished_at", "id", "outcome"], ["release"]),
    ("ix_event_object_object_id", "event_object", ["object_id"], ["object_type", "object_id"]),
)

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
       r.mask_coverage, r.change_outside_mask, r.mean_change, r.restored_key, r.restored_sha256, r.preview_key,
       r.finished_at, r.day
  FROM photo AS p
  LEFT JOIN restoration AS r ON r.id = (
       SELECT x.id FROM restoration AS x
        WHERE x.photo_id = p.id AND x.outcome IN ('restored', 'unchanged') AND x.deleted_at IS NULL
        ORDER BY x.finished_at DESC, x.id DESC LIMIT 1)
"""

OBJECT_OUTCOME = """
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

EVENT_HISTORY = """
CREATE VIEW event_history AS
SELECT e.id AS event_id, e.type, e.at, e.day, e.outcome, e.run_id, e.note, a.name AS agent, a.type AS agent_type,
       x.object_type, x.object_id, x.role, e.detail
  FROM event AS e
  JOIN agent AS a ON a.id = e.agent_id
  LEFT JOIN event_object AS x ON x.event_id = e.id
"""

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

APPEND_ONLY = {
    # table: which rows stand for the one that is to be inserted. A row of event_object has a number of its own too,
    # by which INSERT OR REPLACE could name it; where none is given it is -1 in the trigger.
    "agent": "id = NEW.id OR (name = NEW.name AND type = NEW.type)",
    "event": "id = NEW.id OR uid = NEW.uid",
    "event_object": "rowid = NEW.rowid OR (event_id = NEW.event_id AND object_type = NEW.object_type "
                    "AND object_id = NEW.object_id AND role = NEW.role)",
}  # fmt: skip
SQLITE_ACTIONS = ("update", "delete", "replace")

NEW_VIEWS = (OBJECT_OUTCOME, EVENT_HISTORY, PHOTO_METADATA, PHOTO_NEAR_DUPLICATES)
NEW_VIEW_NAMES = ("object_outcome", "event_history", "photo_metadata", "photo_near_duplicates")
OLD_VIEW_NAMES = ("restoration_history", "photo_latest", "restoration_stale", "release_lineage")


def upgrade() -> None:
    """Adds what is new; nothing that is there is lost."""
    first = _first_revision()
    _drop_views(OLD_VIEW_NAMES)
    _drop_triggers(("event", "event_object"))
    _add_tables()
    held = _open_held_collections()
    _add_columns()
    _hold_again(held)
    _fill_events()
    _make_triggers()
    for view in (RESTORATION_HISTORY, PHOTO_LATEST, first.RESTORATION_STALE, first.RELEASE_LINEAGE, *NEW_VIEWS):
        op.execute(view)


def downgrade() -> None:
    """Back to the first revision; what only the new tables and columns hold goes with them."""
    first = _first_revision()
    _drop_views((*NEW_VIEW_NAMES, *OLD_VIEW_NAMES))
    _drop_triggers(APPEND_ONLY)
    op.drop_index("ix_photo_near_unchecked", "photo")
    for name, table, _ in NEW_INDEXES:
        op.drop_index(name, table)
    for name, table, _, before in CHANGED_INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, before)
    for table, columns in ADDED_COLUMNS.items():
        for name, _, _ in reversed(columns):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    for table in (
        "catalogue_doc", "store_endpoint", "publication", "object_metadata", "sidecar", "near_duplicate", "listing",
    ):  # fmt: skip
        op.drop_table(table)
    for view in first.VIEWS:
        op.execute(view)
    for statement in first.SQLITE_TRIGGERS if _is_sqlite() else first.POSTGRESQL_TRIGGERS:
        if statement.startswith("CREATE TRIGGER"):
            op.execute(statement)


def _first_revision():
    """The module of revision 0001, whose views come back."""
    return op.get_context().script.get_revision(down_revision).module


def _drop_views(names) -> None:
    for name in ("restoration_stale", *(name for name in names if name != "restoration_stale")):
        op.execute(f"DROP VIEW IF EXISTS {name}")


ADDED_COLUMNS = {
    # table: (column, type, constraint). As plain SQL: SQLite takes a constraint with a new column, but not after it.
    "collection": (
        ("include_patterns", "TEXT DEFAULT '[]' NOT NULL", ""),
        ("state_reason", "TEXT", ""),
        ("state_by", "TEXT", "CONSTRAINT ck_collection_state_explained CHECK "
                             "(state = 'open' OR (state_by IS NOT NULL AND state_reason IS NOT NULL))"),
        ("state_at", "TEXT", ""),
    ),
    "photo": (("near_checked_at", "TEXT", ""),),
    "source_object": (
        ("listing_id", "BIGINT", "CONSTRAINT fk_source_object_listing_id REFERENCES listing (id)"),
        ("name", "TEXT", f"GENERATED ALWAYS AS ({FILE_NAME})"),
    ),
    "restoration": (("deleted_at", "TEXT", ""),),
    "event": (("run_id", "TEXT", ""), ("note", "TEXT", "")),
}  # fmt: skip


def _add_columns() -> None:
    for table, columns in ADDED_COLUMNS.items():
        for name, kind, constraint in columns:
            kind = "INTEGER" if _is_sqlite() and kind == "BIGINT" else kind
            if constraint.startswith("GENERATED"):  # each database can add one kind, and SQLite keeps it in the index
                constraint += " VIRTUAL" if _is_sqlite() else " STORED"
            op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind} {constraint}".rstrip())
    op.create_index("ix_photo_near_unchecked", "photo", ["id"], sqlite_where=NEAR_UNCHECKED, postgresql_where=NEAR_UNCHECKED)
    for name, table, columns in NEW_INDEXES:
        op.create_index(name, table, columns)
    for name, table, columns, _ in CHANGED_INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, columns)


def _open_held_collections():
    """Opens held and withdrawn collections for a moment: from here on their state needs an explanation."""
    held = op.get_bind().execute(sa.text("SELECT id, state FROM collection WHERE state <> 'open'")).all()
    op.execute("UPDATE collection SET state = 'open' WHERE state <> 'open'")
    return held


def _hold_again(held) -> None:
    for id_, state in held:
        op.get_bind().execute(
            sa.text("UPDATE collection SET state = :state, state_by = 'unknown', state_reason = :reason WHERE id = :id"),
            {"state": state, "reason": "set before the catalogue asked for reasons", "id": id_},
        )


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _drop_triggers(tables) -> None:
    """Opens the append-only tables for the migration's own changes; nobody else sees them so before it is committed."""
    for table in tables:
        if _is_sqlite():
            for action in SQLITE_ACTIONS:
                op.execute(f"DROP TRIGGER {table}_no_{action}")
        else:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")


def _make_triggers() -> None:
    for table, existing in APPEND_ONLY.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        if _is_sqlite():
            op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
            op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
            op.execute(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {existing}) {refuse}"
            )
        else:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION oldphoto_append_only()"
            )
            # Also in a session that takes itself for a replica, where other triggers sleep.
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")


def _fill_events() -> None:
    """Lifts the run and the reason out of events' JSON."""
    if _is_sqlite():
        run, reason, error = (f"json_extract(detail, '$.{name}')" for name in ("run", "reason", "error"))
    else:
        run, reason, error = (f"detail::json ->> '{name}'" for name in ("run", "reason", "error"))
    op.execute(f"UPDATE event SET run_id = {run}, note = coalesce({reason}, {error})")


def _add_tables() -> None:
    op.create_table(
        "listing",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("collection_id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("policy_hash", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("objects_seen", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("day", sa.Text, sa.Computed("substr(started_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("status IN ('running', 'finished', 'abandoned')", name=op.f("ck_listing_status")),
        sa.CheckConstraint("status <> 'finished' OR finished_at IS NOT NULL", name=op.f("ck_listing_end_known")),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name=op.f("fk_listing_collection_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_listing_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
    )  # fmt: skip
    op.create_index("ix_listing_collection_id_status", "listing", ["collection_id", "status"])
    op.create_table(
        "near_duplicate",
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("other_photo_id", BIG_ID, nullable=False),
        sa.Column("distance", sa.Integer, nullable=False),
        sa.Column("found_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(found_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("photo_id < other_photo_id", name=op.f("ck_near_duplicate_one_way")),
        sa.CheckConstraint("distance >= 0 AND distance <= 64", name=op.f("ck_near_duplicate_distance")),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name=op.f("fk_near_duplicate_photo_id")),
        sa.ForeignKeyConstraint(["other_photo_id"], ["photo.id"], name=op.f("fk_near_duplicate_other_photo_id")),
        sa.PrimaryKeyConstraint("photo_id", "other_photo_id", name=op.f("pk_near_duplicate")),
    )  # fmt: skip
    op.create_index("ix_near_duplicate_other_photo_id", "near_duplicate", ["other_photo_id"])
    op.create_table(
        "sidecar",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_object_id", BIG_ID, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("problem", sa.Text),
        sa.Column("read_at", sa.Text, nullable=False),
        sa.Column("day", sa.Text, sa.Computed("substr(read_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("format IN ('csv', 'json', 'xmp')", name=op.f("ck_sidecar_format")),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_sidecar_sha256")),
        sa.ForeignKeyConstraint(["source_object_id"], ["source_object.id"], name=op.f("fk_sidecar_source_object_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sidecar")),
        sa.UniqueConstraint("source_object_id", name=op.f("uq_sidecar_source_object_id")),
    )  # fmt: skip
    op.create_table(
        "object_metadata",
        sa.Column("source_object_id", BIG_ID, nullable=False),
        sa.Column("sidecar_id", BIG_ID, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["source_object_id"], ["source_object.id"], name=op.f("fk_object_metadata_source_object_id")),
        sa.ForeignKeyConstraint(["sidecar_id"], ["sidecar.id"], name=op.f("fk_object_metadata_sidecar_id")),
        sa.PrimaryKeyConstraint("source_object_id", "sidecar_id", "field", "position", name=op.f("pk_object_metadata")),
    )  # fmt: skip
    op.create_index("ix_object_metadata_field", "object_metadata", ["field"])
    op.create_index("ix_object_metadata_sidecar_id", "object_metadata", ["sidecar_id"])
    op.create_table(
        "publication",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("source_object_id", BIG_ID, nullable=False),
        sa.Column("restoration_id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.Text, nullable=False),
        sa.Column("removed_at", sa.Text),
        sa.Column("day", sa.Text, sa.Computed("substr(published_at, 1, 10)", persisted=True)),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_publication_sha256")),
        sa.ForeignKeyConstraint(["source_object_id"], ["source_object.id"], name=op.f("fk_publication_source_object_id")),
        sa.ForeignKeyConstraint(["restoration_id"], ["restoration.id"], name=op.f("fk_publication_restoration_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication")),
        sa.UniqueConstraint("destination", "key", name=op.f("uq_publication_destination_key")),
    )  # fmt: skip
    op.create_index("ix_publication_source_object_id", "publication", ["source_object_id"])
    op.create_index("ix_publication_restoration_id", "publication", ["restoration_id"])
    op.create_table(
        "store_endpoint",
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("conditional_writes", sa.Integer, nullable=False),
        sa.Column("probed_at", sa.Text, nullable=False),
        sa.CheckConstraint("conditional_writes IN (0, 1)", name=op.f("ck_store_endpoint_conditional_writes")),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_store_endpoint")),
    )  # fmt: skip
    op.create_table(
        "catalogue_doc",
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("column_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('table', 'view')", name=op.f("ck_catalogue_doc_kind")),
        sa.PrimaryKeyConstraint("relation", "column_name", name=op.f("pk_catalogue_doc")),
    )  # fmt: skip
