"""Events, what they are about, and who did them: after every migration, on both databases, nobody changes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from storage.catalog import Catalogue
from storage.catalog.roles import APPEND_ONLY, WRITER, found_grants, wanted_grants
from storage.catalog.schema_version import HEAD, upgrade_schema
from tests.store.makers import rows, with_photos
from tests.store.migrated import REVISIONS, contents, empty_database, fill, go_to
from tests.store.postgres import PostgresServer

WALK = [*REVISIONS, *reversed(REVISIONS[:-1]), *REVISIONS[1:]]
"""Every revision on the way up, down to the first, and up again."""

SINCE_FIRST = {
    "event": (
        "UPDATE event SET outcome = 'x'",
        "UPDATE event SET id = id + 100",
        "DELETE FROM event",
        "DELETE FROM event WHERE id = 3",
        "INSERT INTO event (id, uid, type, at, agent_id, outcome, detail) "
        "SELECT 9, uid, type, at, agent_id, 'x', detail FROM event WHERE id = 3 "
        "ON CONFLICT (uid) DO UPDATE SET outcome = 'x'",
    ),
    "event_object": (
        "UPDATE event_object SET role = 'x'",
        "DELETE FROM event_object",
        "INSERT INTO event_object (event_id, object_type, object_id, role) "
        "SELECT event_id, object_type, object_id, role FROM event_object WHERE true "
        "ON CONFLICT (event_id, object_type, object_id, role) DO UPDATE SET role = 'x'",
    ),
}
SINCE_SECOND = {
    "agent": (
        "UPDATE agent SET name = 'Eve' WHERE id = 2",
        "DELETE FROM agent",
        "INSERT INTO agent (id, name, type, first_seen_at) SELECT 9, name, type, 'x' FROM agent WHERE id = 2 "
        "ON CONFLICT (name, type) DO UPDATE SET first_seen_at = 'x'",
    )
}
SQLITE_SINCE_FIRST = (
    "INSERT OR REPLACE INTO event (id, uid, type, at, agent_id, outcome, detail) "
    "SELECT id, uid, type, at, agent_id, 'x', detail FROM event",
    "REPLACE INTO event (uid, type, at, agent_id, outcome, detail) VALUES ('u1', 'x', 'x', 1, 'x', '{}')",
    "REPLACE INTO event (id, uid, type, at, agent_id, outcome, detail) VALUES ('1', 'new', 'x', 'x', 1, 'x', '{}')",
    "REPLACE INTO event (rowid, uid, type, at, agent_id, outcome, detail) VALUES (1.0, 'new', 'x', 'x', 1, 'x', '{}')",
    "UPDATE OR REPLACE event SET uid = 'u2' WHERE id = 1",
    "UPDATE OR IGNORE event SET outcome = 'x'",
    "INSERT OR REPLACE INTO event_object SELECT * FROM event_object",
    "UPDATE OR REPLACE event_object SET event_id = 1, object_id = (SELECT object_id FROM event_object LIMIT 1)",
)
SQLITE_SINCE_SECOND = (
    "REPLACE INTO event_object (rowid, event_id, object_type, object_id, role) VALUES (1, 3, 'photo', 'new', 'source')",
    "REPLACE INTO agent (id, name, type, first_seen_at) VALUES (2, 'Eve', 'person', 'x')",
    "REPLACE INTO agent (id, name, type, first_seen_at) VALUES (9, 'Ada', 'person', 'x')",
    "UPDATE OR REPLACE agent SET name = 'Ada', type = 'person' WHERE id = 1",
)
POSTGRESQL_SINCE_FIRST = (
    "TRUNCATE event, event_object",
    "TRUNCATE event_object",
    "TRUNCATE agent CASCADE",
    "MERGE INTO event AS e USING (SELECT 1 AS id) AS x ON e.id = x.id WHEN MATCHED THEN DELETE",
)
POSTGRESQL_SINCE_SECOND = (
    "SET LOCAL session_replication_role = replica; DELETE FROM event_object",
    "SET LOCAL session_replication_role = replica; UPDATE event SET outcome = 'x'",
    "TRUNCATE agent, event, event_object",
)


def attacks(kind: str, revision: str) -> list[str]:
    """What is tried at a revision."""
    tried = [statement for group in SINCE_FIRST.values() for statement in group]
    tried += SQLITE_SINCE_FIRST if kind == "sqlite" else POSTGRESQL_SINCE_FIRST
    if revision != REVISIONS[0]:
        tried += [statement for group in SINCE_SECOND.values() for statement in group]
        tried += SQLITE_SINCE_SECOND if kind == "sqlite" else POSTGRESQL_SINCE_SECOND
    return tried


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Engine]:
    """A catalogue of the first revision, with three events."""
    with empty_database(request.param, tmp_path, postgres_server) as engine:
        go_to(engine, REVISIONS[0])
        fill(engine)
        yield engine


def test_no_revision_lets_anybody_change_what_happened(filled: Engine) -> None:
    """Its owner neither: no UPDATE, DELETE, REPLACE, MERGE or TRUNCATE, whatever the session is set to."""
    for revision in WALK:
        go_to(filled, revision)
        with filled.connect() as connection:
            before = kept(connection)
        assert all(before.values())
        for statement in attacks(filled.dialect.name, revision):
            for recursive in ("OFF", "ON") if filled.dialect.name == "sqlite" else ("",):
                assert_refused(filled, statement, recursive)
        with filled.connect() as connection:
            assert kept(connection) == before, revision


def kept(connection: Connection) -> dict[str, list[dict[str, object]]]:
    """The rows of the append-only tables."""
    return {table: found for table, found in contents(connection).items() if table in APPEND_ONLY}


def assert_refused(engine: Engine, statement: str, recursive: str) -> None:
    """Tries the statement; a trigger has to refuse it. SQLite fires triggers on REPLACE only where this is told."""
    with engine.connect() as connection:
        if recursive:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql(f"PRAGMA recursive_triggers={recursive}")
            connection.exec_driver_sql("BEGIN")
        with pytest.raises(DatabaseError, match="append-only"):
            connection.exec_driver_sql(statement)
            connection.commit()


def test_the_first_revision_had_holes_that_the_second_has_mended(filled: Engine) -> None:
    """So that nobody thinks these statements are refused by accident: they went through before."""
    mended = SQLITE_SINCE_SECOND if filled.dialect.name == "sqlite" else POSTGRESQL_SINCE_SECOND
    statement = mended[0]
    with filled.connect() as connection:
        connection.exec_driver_sql(statement)
        connection.rollback()
    go_to(filled, HEAD)
    assert_refused(filled, statement, "")


def test_new_events_can_be_appended_at_every_revision(filled: Engine) -> None:
    """Append-only, not closed."""
    for number, revision in enumerate(WALK):
        go_to(filled, revision)
        with filled.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO event (id, uid, type, at, agent_id, outcome, detail) "
                        "VALUES (:id, :uid, 'export', 'x', 1, 'success', '{}')"),
                {"id": 100 + number, "uid": f"new {number}"},
            )  # fmt: skip
            connection.execute(
                sa.text("INSERT INTO event_object VALUES (:id, 'a', 'b', 'c')"),
                {"id": 100 + number},
            )


def test_writers_have_not_even_the_right_to_try(postgres_server: PostgresServer, postgres_url: str) -> None:
    """As oldphoto_writer the tables refuse before any trigger is asked."""
    with Catalogue.open(postgres_url) as catalogue:
        with_photos(catalogue, "a.jpg")
        before = rows(catalogue, "SELECT * FROM event JOIN event_object ON event_id = id")
        tried = [statement for group in (SINCE_FIRST | SINCE_SECOND).values() for statement in group]
        for table in APPEND_ONLY:
            tried += [
                f"TRUNCATE {table} CASCADE",
                f"DROP TABLE {table} CASCADE",
                f"DROP TRIGGER {table}_append_only ON {table}",
                f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only",
                f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                f"CREATE RULE x AS ON INSERT TO {table} DO INSTEAD NOTHING",
                f"CREATE TRIGGER x BEFORE INSERT ON {table} EXECUTE FUNCTION oldphoto_append_only()",
                f"SELECT * FROM {table} FOR UPDATE",
            ]
        tried += [
            "SET session_replication_role = replica",
            "CREATE OR REPLACE FUNCTION oldphoto_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN NULL; END $$",
            "SELECT setval('event_id_seq', 1)",
            "UPDATE catalogue_doc SET description = ''",
            "UPDATE alembic_version SET version_num = '0001'",
            "RESET ROLE; SET ROLE postgres",
        ]
        engine = sa.create_engine(postgres_url.replace("postgres@", "wright@"))
        postgres_server.execute("DROP ROLE IF EXISTS wright", f"CREATE ROLE wright LOGIN IN ROLE {WRITER}")
        try:
            for statement in tried:
                with engine.connect() as connection, pytest.raises(DatabaseError, match="denied|must be owner"):
                    connection.exec_driver_sql(statement)
            with engine.begin() as connection:  # PostgreSQL lets them ask, and warns
                connection.exec_driver_sql(f"GRANT ALL ON event, event_object, agent TO {WRITER}, PUBLIC")
        finally:
            engine.dispose()
            postgres_server.execute("DROP ROLE wright")
        assert rows(catalogue, "SELECT * FROM event JOIN event_object ON event_id = id") == before
        with catalogue.connected() as connection:
            assert found_grants(connection) == wanted_grants()


def test_triggers_stand_after_a_real_upgrade_with_its_words_and_roles(filled: Engine) -> None:
    """What `oldphoto db upgrade` does, and not the scripts alone."""
    upgrade_schema(filled)
    for statement in attacks(filled.dialect.name, HEAD):
        assert_refused(filled, statement, "")
