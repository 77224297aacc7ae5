"""What `oldphoto db check` finds, each by doing the damage first."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from flows.cli.app import run_command
from storage.catalog import Catalogue
from storage.catalog.checks import CatalogueState, catalogue_state, check_catalogue, upgrade_catalogue
from storage.catalog.engine import open_engine
from storage.catalog.schema_version import HEAD
from storage.errors import CatalogueMissing, CatalogueTooNew
from storage.records import EventRecord
from tests.store.makers import failed, restored, rows, with_photos
from tests.store.migrated import REVISIONS, fill, go_to
from tests.store.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def owner_url(request: pytest.FixtureRequest) -> str:
    """URL of a catalogue with a few rows, on each database, as its owner."""
    name = "catalogue_path" if request.param == "sqlite" else "postgres_url"
    url = str(request.getfixturevalue(name))
    with Catalogue.open(url) as catalogue:
        with_photos(catalogue, "a.jpg", "b.jpg")
        catalogue.record_restorations([restored("a.jpg"), failed("b.jpg")])
    return url


def wrong(url: str) -> dict[str, tuple[str, str]]:
    """What is found that is not as it should be."""
    return {found.what: (found.verdict, found.detail) for found in check_catalogue(url) if found.verdict != "ok"}


def execute(url: str, *statements: str) -> None:
    """Does the damage, as a program that knows nothing of our rules."""
    engine: Engine = open_engine(url, create=False)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
    engine.dispose()


def test_a_sound_catalogue_is_found_sound(owner_url: str) -> None:
    """On both, with everything looked at, and nothing left behind by the look."""
    before = [tuple(finding.__dict__.items()) for finding in check_catalogue(owner_url)]
    assert wrong(owner_url) == {}
    kinds = {"catalogue", "revision", "append-only", "schema", "words", "events", "rows"}
    more = {"roles", "rights"} if owner_url.startswith("postgresql") else {"file", "references"}
    assert {dict(finding)["what"] for finding in before} == kinds | more
    if owner_url.startswith("postgresql"):
        assert rows(owner_url, "SELECT COUNT(*) FROM pg_namespace WHERE nspname LIKE 'oldphoto%%'") == [(0,)]


ASLEEP = {
    "sqlite": (
        "DROP TRIGGER event_no_delete",
        "DROP TRIGGER event_object_no_replace",
        "CREATE TRIGGER quiet AFTER INSERT ON event BEGIN DELETE FROM lease; END",
    ),
    "postgresql": (
        "DROP TRIGGER event_append_only ON event",
        "ALTER TABLE event DISABLE TRIGGER event_append_only",
        "ALTER TABLE event ENABLE TRIGGER event_append_only",
        "CREATE RULE quiet AS ON DELETE TO event DO INSTEAD NOTHING",
        "CREATE OR REPLACE FUNCTION oldphoto_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NULL; END $$",
    ),
}


def kind_of(url: str) -> str:
    """sqlite or postgresql."""
    return "postgresql" if url.startswith("postgresql") else "sqlite"


@pytest.mark.slow
def test_a_trigger_that_is_gone_asleep_or_strange_is_found(
    catalogue_path: Path, postgres_server: PostgresServer
) -> None:
    """Dropped, disabled, no longer ALWAYS, its function hollowed out, a rule beside it, another trigger."""
    for kind, statements in ASLEEP.items():
        for statement in statements:
            if kind == "sqlite":
                url = str(catalogue_path.with_name("damaged.db"))
                shutil.copyfile(catalogue_path, url)
                found = damaged(url, statement)
            else:
                with postgres_server.catalogue() as url:
                    found = damaged(url, statement)
            assert [what for what, (verdict, _) in found.items() if verdict == "bad"] == ["append-only"], statement


def damaged(url: str, *statements: str) -> dict[str, tuple[str, str]]:
    """What is found after these statements."""
    execute(url, *statements)
    return wrong(url)


def test_events_that_were_deleted_leave_a_gap(owner_url: str) -> None:
    """On SQLite a sure sign, even where it was the last; on PostgreSQL writers that gave up leave gaps too: a note."""
    with Catalogue.open(owner_url) as catalogue:
        for number in range(3):
            catalogue.record_event(EventRecord(type="export", agent="Ada", uid=f"u{number}"))
    last = "DELETE FROM event WHERE id = (SELECT MAX(id) FROM event)"
    if kind_of(owner_url) == "sqlite":
        execute(owner_url, "DROP TRIGGER event_no_delete", last, NO_DELETE)
        assert wrong(owner_url) == {"events": ("bad", wrong(owner_url)["events"][1])}
        return
    first = "DELETE FROM event WHERE uid = 'u0'"
    sleep, wake = (f"ALTER TABLE event {how} TRIGGER event_append_only" for how in ("DISABLE", "ENABLE ALWAYS"))
    execute(owner_url, sleep, first, wake)
    assert wrong(owner_url) == {"events": ("note", wrong(owner_url)["events"][1])}


NO_DELETE = (
    "CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'event is append-only'); END"
)

BENT = {
    "sqlite": ("DROP INDEX ix_restoration_run_id", "DROP VIEW photo_latest", "ALTER TABLE event ADD COLUMN more TEXT"),
    "postgresql": (
        "DROP INDEX ix_restoration_run_id",
        "DROP VIEW object_outcome",
        "ALTER TABLE photo DROP CONSTRAINT ck_photo_size",
        "ALTER TABLE photo ALTER COLUMN format DROP NOT NULL",
        "CREATE OR REPLACE VIEW photo_metadata AS SELECT p.sha256 AS photo_sha256, c.url AS source_url, "
        "o.key AS source_key, m.field, m.position, 'x'::text AS value, k.key AS sidecar_key, "
        "s.format AS sidecar_format, s.read_at, s.day FROM object_metadata AS m "
        "JOIN source_object AS o ON o.id = m.source_object_id JOIN collection AS c ON c.id = o.collection_id "
        "LEFT JOIN photo AS p ON p.id = o.photo_id JOIN sidecar AS s ON s.id = m.sidecar_id "
        "JOIN source_object AS k ON k.id = s.source_object_id",
    ),
}


@pytest.mark.slow
def test_a_schema_that_somebody_bent_is_found(catalogue_path: Path, postgres_server: PostgresServer) -> None:
    """An index, a view, a constraint, a column: by name."""
    for kind, statements in BENT.items():
        for statement in statements:
            if kind == "sqlite":
                url = str(catalogue_path.with_name("damaged.db"))
                shutil.copyfile(catalogue_path, url)
                found = damaged(url, statement)
            else:
                with postgres_server.catalogue() as url:
                    found = damaged(url, statement)
            assert found["schema"][0] == "bad", statement


BROKEN_ROWS = (
    ("bad", "another photo's folder", "UPDATE restoration SET restored_key = 'x.png' WHERE outcome = 'restored'"),
    ("bad", "weights", f"UPDATE restoration SET weights_hash = '{'c' * 64}' WHERE outcome = 'restored'"),
    ("bad", "failed and yet", "UPDATE restoration SET outcome = 'failed', error = 'x'"),
    ("bad", "times", "UPDATE photo SET first_seen_at = '31.1.2026'"),
    ("note", "no label has", f"UPDATE restoration SET mask_source = 'label', supplied_mask_sha256 = '{'c' * 64}'"),
    ("note", "withdrawn", "UPDATE photo SET state = 'withdrawn', state_by = 'Ada', state_reason = 'x'"),
)


@pytest.mark.parametrize(("verdict", "words", "statement"), BROKEN_ROWS, ids=[words for _, words, _ in BROKEN_ROWS])
def test_rows_that_no_constraint_refuses_are_found(owner_url: str, verdict: str, words: str, statement: str) -> None:
    """Each rule, broken by a program that writes past ours."""
    found = damaged(owner_url, statement)
    assert set(found) == {"rows"}
    assert found["rows"][0] == verdict
    assert words in found["rows"][1]


def test_rows_whose_references_are_gone_are_found_on_sqlite(catalogue_path: Path) -> None:
    """A program that did not ask SQLite to look at foreign keys can leave such."""
    with Catalogue.open(catalogue_path) as catalogue:
        with_photos(catalogue, "a.jpg")
    found = damaged(str(catalogue_path), "DELETE FROM photo")
    assert found["references"] == ("bad", "1 rows name rows that are not there, in source_object")


def test_a_damaged_file_is_found(catalogue_path: Path) -> None:
    """A page of the file written over, as by a failing disk."""
    with Catalogue.open(catalogue_path) as catalogue:
        with_photos(catalogue, *(f"{number}.jpg" for number in range(200)))
    with sqlite3.connect(catalogue_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_source_object_key'"
        page = connection.execute(root).fetchone()[0]
    with catalogue_path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 8)
        file.write(b"\x00" * 2000)
    assert wrong(str(catalogue_path))["file"][0] == "bad"


def test_words_of_another_version_are_found(owner_url: str) -> None:
    """In catalogue_doc; upgrading writes them anew."""
    found = damaged(owner_url, "UPDATE catalogue_doc SET description = 'x' WHERE column_name = 'bit_depth'")
    assert set(found) == {"words"}
    upgrade_catalogue(owner_url)
    assert wrong(owner_url) == {}


def test_an_older_revision_is_told_and_looked_at_all_the_same(tmp_path: Path) -> None:
    """Its triggers and schema are compared with those of its own time."""
    path = tmp_path / "old.db"
    engine = open_engine(path, create=True)
    go_to(engine, REVISIONS[0])
    fill(engine)
    engine.dispose()
    assert set(wrong(str(path))) == {"revision"}
    assert catalogue_state(path) == CatalogueState(str(path), f"SQLite {sqlite3.sqlite_version}", REVISIONS[0], HEAD)
    assert damaged(str(path), "DROP TRIGGER event_no_update").keys() == {"revision", "append-only"}


def test_what_is_no_catalogue_of_ours_is_said(tmp_path: Path, catalogue_path: Path) -> None:
    """None at all, and one of a newer version."""
    with pytest.raises(CatalogueMissing):
        check_catalogue(tmp_path / "none.db")
    execute(str(catalogue_path), "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueTooNew):
        check_catalogue(catalogue_path)


def test_the_commands_upgrade_tell_and_check(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`oldphoto db upgrade`, `current` and `check`, on both databases, from an older revision and twice."""
    monkeypatch.setenv("OLDPHOTO_HOME", str(tmp_path))
    with postgres_server.database() as name:
        for url in (f"sqlite:///{tmp_path}/catalogue.db", postgres_server.url(name)):
            monkeypatch.setenv("OLDPHOTO_CATALOGUE_URL", url)
            engine = open_engine(url, create=True)
            go_to(engine, REVISIONS[0])
            assert run_command(["db", "check"]) == 1
            assert run_command(["db", "current"]) == 0
            assert "0001 (this version's newest is" in capsys.readouterr().out
            assert run_command(["db", "upgrade"]) == 0
            assert f"from revision 0001 to {HEAD}" in capsys.readouterr().out
            assert run_command(["db", "upgrade"]) == 0
            assert "nothing to do" in capsys.readouterr().out
            assert run_command(["db", "check"]) == 0
            assert run_command(["db", "current"]) == 0
            assert f"{HEAD} (the newest)" in capsys.readouterr().out
            with engine.begin() as connection:
                connection.execute(sa.text("DROP INDEX ix_restoration_run_id"))
            engine.dispose()
            assert run_command(["db", "check"]) == 1
            assert "index ix_restoration_run_id is missing" in " ".join(capsys.readouterr().out.split())
