"""A database taken from revision to revision, with rows of the first revision in every table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from storage.catalog.engine import open_engine
from storage.catalog.schema_version import alembic_config
from tests.store.postgres import PostgresServer

REVISIONS = [
    script.revision for script in reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions()))
]
"""Every revision, the first one first."""

AT, HASH, OTHER = "2026-01-31T23:59:59Z", "a" * 64, "b" * 64

FIRST_ROWS = f"""
INSERT INTO agent (id, name, type, first_seen_at) VALUES (1, 'oldphoto 0.1', 'software', '{AT}')
INSERT INTO agent (id, name, type, first_seen_at) VALUES (2, 'Ada', 'person', '{AT}')
INSERT INTO collection (id, url, browse_folder, is_recursive, ignore_patterns, mode, tone, strength, output_format, \
created_at) VALUES (1, 'file:///scans', '', 1, '[]', 'full', 'correct', 1, 'auto', '{AT}')
INSERT INTO collection (id, url, browse_folder, is_recursive, ignore_patterns, mode, tone, strength, output_format, \
state, created_at) VALUES (2, 's3://glass', 'glass', 0, '["*.txt"]', 'full', 'keep', 0.5, 'auto', 'held', '{AT}')
INSERT INTO dataset_snapshot (id, sha256, manifest_key, photo_count, label_count, created_at) \
VALUES (1, '{HASH}', 'x.parquet', 1, 1, '{AT}')
INSERT INTO lease (name, holder, acquired_at, expires_at) VALUES ('x', 'r1', '{AT}', '{AT}')
INSERT INTO model_release (id, name, weights_hash, preset, url, status, metrics, card, registered_at) \
VALUES (1, 'archive-aaaaaaaa', '{HASH}', 'archive', '', 'active', '{{}}', '{{}}', '{AT}')
INSERT INTO photo (id, sha256, size_bytes, format, height, width, channels, bit_depth, orientation, capture, \
first_seen_at) VALUES (1, '{HASH}', 10, 'JPEG', 3, 4, 3, 8, 1, '{{}}', '{AT}')
INSERT INTO photo (id, sha256, size_bytes, format, height, width, channels, bit_depth, orientation, capture, state, \
state_by, state_reason, first_seen_at) \
VALUES (2, '{OTHER}', 10, 'TIFF', 3, 4, 1, 16, 1, '{{}}', 'withdrawn', 'Ada', 'asked to', '{AT}')
INSERT INTO event (id, uid, type, at, agent_id, outcome, detail) \
VALUES (1, 'u1', 'restoration', '{AT}', 1, 'failure', '{{"run": "r1", "error": "out of memory"}}')
INSERT INTO event (id, uid, type, at, agent_id, outcome, detail) \
VALUES (2, 'u2', 'hold', '{AT}', 2, 'success', '{{"state": "withdrawn", "reason": "it''s private"}}')
INSERT INTO event (id, uid, type, at, agent_id, outcome, detail) \
VALUES (3, 'u3', 'export', '{AT}', 2, 'success', '{{}}')
INSERT INTO event_object (event_id, object_type, object_id, role) VALUES (1, 'photo', '{HASH}', 'source')
INSERT INTO event_object (event_id, object_type, object_id, role) VALUES (2, 'photo', '{OTHER}', 'source')
INSERT INTO label (id, photo_id, mask_key, mask_sha256, author, tool, coverage, labelled_at) \
VALUES (1, 1, 'm.png', '{OTHER}', 'Ada', 'napari', 0.1, '{AT}')
INSERT INTO run (id, number, kind, title, collection_id, machine, status, totals, started_at) \
VALUES ('r1', 1, 'run', '', 1, '{{}}', 'finished', '{{}}', '{AT}')
INSERT INTO source_object (id, collection_id, key, photo_id, status, size_bytes, first_seen_at, last_seen_at) \
VALUES (1, 1, '1912/a.jpg', 1, 'registered', 10, '{AT}', '{AT}')
INSERT INTO source_object (id, collection_id, key, status, reason, size_bytes, first_seen_at, last_seen_at) \
VALUES (2, 1, 'x.jpg', 'quarantined', 'empty', 0, '{AT}', '{AT}')
INSERT INTO training_run (id, stage, configuration, snapshot_id, status, metrics, started_at) \
VALUES ('t1', 'detector', '{{}}', 1, 'finished', '{{}}', '{AT}')
INSERT INTO dataset_snapshot_label (snapshot_id, label_id) VALUES (1, 1)
INSERT INTO model_release_run (release_id, training_run_id) VALUES (1, 't1')
INSERT INTO restoration (id, photo_id, work_hash, release, weights_hash, mode, tone, strength, mask_source, \
pixel_version, outcome, restored_key, restored_sha256, provenance_key, report, run_id, finished_at) VALUES \
(1, 1, '{OTHER}', 'archive-aaaaaaaa', '{HASH}', 'full', 'correct', 1, 'detected', 1, 'restored', 'k', 's', 'p', \
'{{}}', 'r1', '{AT}')
INSERT INTO review (id, restoration_id, reviewer, verdict, reviewed_at) VALUES (1, 1, 'Ada', 'accepted', '{AT}')
""".replace("\\\n", "").strip()
"""An INSERT a line, such as run on either database at revision 0001."""


@contextmanager
def empty_database(kind: str, tmp_path: Path, server: PostgresServer) -> Iterator[Engine]:
    """An engine on a database of this kind (sqlite, postgresql) that holds nothing yet."""
    if kind == "sqlite":
        engine = open_engine(tmp_path / "catalogue.db", create=True)
        yield engine
        engine.dispose()
        return
    with server.database() as name:
        engine = open_engine(server.url(name), create=True)
        yield engine
        engine.dispose()


def go_to(engine: Engine, revision: str) -> None:
    """Migrates up or down to the revision (``base`` is nothing at all)."""
    with engine.execution_options(oldphoto_write=True).begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        tables = set(sa.inspect(connection).get_table_names())
        now = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if tables else None
        known = ["base", *REVISIONS]
        go = command.upgrade if known.index(revision) > known.index(now or "base") else command.downgrade
        go(config, revision)


def fill(engine: Engine) -> None:
    """Puts rows into every table of revision 0001."""
    with engine.execution_options(oldphoto_write=True).begin() as connection:
        for statement in FIRST_ROWS.splitlines():
            connection.exec_driver_sql(statement)


def contents(connection: Connection, columns: dict[str, list[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, of these columns where they are given."""
    found = {}
    for table in sa.inspect(connection).get_table_names():
        if table == "alembic_version" or (columns is not None and table not in columns):
            continue
        names = "*" if columns is None else ", ".join(columns[table])
        rows = connection.exec_driver_sql(f"SELECT {names} FROM {table}").mappings()
        found[table] = sorted((dict(row) for row in rows), key=repr)
    return found
