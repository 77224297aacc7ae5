"""Migrations with data in the catalogue: up, down and up again, on both databases, losing nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from storage.catalog.schema_version import HEAD, Upgrade, upgrade_schema
from storage.catalog.tables import metadata
from tests.store.migrated import REVISIONS, contents, empty_database, fill, go_to
from tests.store.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Engine]:
    """A catalogue of the first revision with rows in every table."""
    with empty_database(request.param, tmp_path, postgres_server) as engine:
        go_to(engine, REVISIONS[0])
        fill(engine)
        yield engine


def test_the_rows_to_migrate_are_in_every_table(filled: Engine) -> None:
    """Else the tests below would show little."""
    with filled.connect() as connection:
        assert [table for table, rows in contents(connection).items() if not rows] == []


def test_what_the_first_revision_held_is_there_after_every_step(filled: Engine) -> None:
    """Up to the newest, down to the first, and up again: the same rows in all columns of the first revision."""
    with filled.connect() as connection:
        first = contents(connection)
    columns = {table: list(rows[0]) for table, rows in first.items()}
    for revision in (*REVISIONS[1:], *reversed(REVISIONS[:-1]), *REVISIONS[1:]):
        go_to(filled, revision)
        with filled.connect() as connection:
            assert contents(connection, columns) == first, revision


def test_events_keep_their_run_and_reason_in_columns(filled: Engine) -> None:
    """Lifted out of the JSON of events that were written before there were such columns; the JSON stays."""
    upgrade_schema(filled)
    with filled.connect() as connection:
        found = connection.execute(sa.text("SELECT id, run_id, note, detail FROM event ORDER BY id")).tuples().all()
    assert [row[:3] for row in found] == [(1, "r1", "out of memory"), (2, None, "it's private"), (3, None, None)]
    assert found[0][3] == '{"run": "r1", "error": "out of memory"}'


def test_a_collection_that_was_held_stays_held_and_says_that_nobody_told_why(filled: Engine) -> None:
    """The first revision asked for no reason; since the second one has to be there."""
    upgrade_schema(filled)
    with filled.connect() as connection:
        query = "SELECT id, state, state_by, state_reason FROM collection ORDER BY id"
        found = connection.execute(sa.text(query)).tuples().all()
    assert found == [(1, "open", None, None), (2, "held", "unknown", "set before the catalogue asked for reasons")]


def test_photos_that_were_restored_before_are_mended_normally_and_keep_what_refers_to_them(filled: Engine) -> None:
    """SQLite makes the tables anew: their rows, indexes and the rows that refer to them are as before."""
    upgrade_schema(filled)
    with filled.connect() as connection:
        query = "SELECT mending, found_key, found_sha256, mask_key, day FROM restoration"
        assert connection.execute(sa.text(query)).tuples().all() == [("normal", None, None, None, "2026-01-31")]
        assert connection.execute(sa.text("SELECT mending FROM collection")).scalars().all() == ["normal", "normal"]
        assert connection.execute(sa.text("SELECT mending FROM run")).scalars().all() == [None]
        history = "SELECT tone, mending, strength, latest_verdict FROM restoration_history"
        assert connection.execute(sa.text(history)).tuples().all() == [("correct", "normal", 1, "accepted")]
    with filled.begin() as connection:
        connection.execute(sa.text("UPDATE restoration SET tone = 'neutral', mending = 'everything'"))
    for wrong in (
        "UPDATE restoration SET tone = 'sepia'", "UPDATE restoration SET mending = 'all'", "DELETE FROM restoration",
        "UPDATE review SET restoration_id = 2", "UPDATE collection SET tone = 'sepia'", "DELETE FROM collection",
    ):  # fmt: skip
        with filled.connect() as connection, pytest.raises(IntegrityError):
            connection.execute(sa.text(wrong))
    go_to(filled, "0006")
    with filled.connect() as connection:
        assert connection.execute(sa.text("SELECT tone FROM restoration")).scalars().all() == ["correct"]
    with filled.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(sa.text("UPDATE restoration SET tone = 'neutral'"))


def test_rows_can_be_written_after_going_up_and_down(filled: Engine) -> None:
    """Numbering goes on where it was: no table lost its own way of giving ids."""
    if filled.dialect.name == "postgresql":  # the rows above brought numbers of their own
        with filled.begin() as connection:
            connection.execute(sa.text("SELECT setval('event_id_seq', 3)"))
    for number, revision in enumerate((HEAD, REVISIONS[0], HEAD), 4):
        go_to(filled, revision)
        with filled.begin() as connection:
            added = sa.text(
                "INSERT INTO event (uid, type, at, agent_id, outcome, detail) "
                "VALUES (:uid, 'export', '2026-02-01T00:00:00Z', 2, 'success', '{}') RETURNING id, day"
            )
            assert connection.execute(added, {"uid": str(number)}).one() == (number, "2026-02-01")


def test_the_schema_is_that_of_the_code_after_going_down_and_up(filled: Engine) -> None:
    """Alembic finds nothing to change."""
    for revision in (HEAD, "base", HEAD):
        go_to(filled, revision)
    with filled.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_nothing_is_left_after_the_last_step_down(filled: Engine) -> None:
    """No table, view or function of ours."""
    go_to(filled, HEAD)
    go_to(filled, "base")
    with filled.connect() as connection:
        inspected = sa.inspect(connection)
        assert set(inspected.get_table_names()) <= {"alembic_version"}
        assert inspected.get_view_names() == []
        if filled.dialect.name == "postgresql":
            count = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            assert connection.scalar(sa.text(count)) == 0


def test_upgrading_tells_from_where_to_where_and_does_nothing_twice(filled: Engine) -> None:
    """The second time nothing changes."""
    assert upgrade_schema(filled) == Upgrade(REVISIONS[0], HEAD)
    with filled.connect() as connection:
        before = contents(connection)
    assert upgrade_schema(filled) == Upgrade(HEAD, HEAD)
    with filled.connect() as connection:
        assert contents(connection) == before
