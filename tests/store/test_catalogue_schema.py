"""The catalogue's schema: opened, migrated, constrained, refused where it is not ours."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from storage.catalog import Catalogue
from storage.catalog.engine import NETWORK_FILE_SYSTEMS, open_engine, refuse_network_share
from storage.catalog.schema_version import HEAD, alembic_config
from storage.catalog.tables import metadata
from storage.catalog.views import VIEWS
from storage.errors import CatalogueMissing, CatalogueTooNew, CatalogueUnreadable
from tests.store.makers import RELEASE, restored, rows, with_photos


def test_migrations_make_the_tables_and_views_of_the_code(catalogue_path: Path) -> None:
    """Neither is changed without the other."""
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
    engine = open_engine(catalogue_path, create=False)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        found = dict(
            connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'view'")).tuples().all()
        )
        tables = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).tuples().all()
    assert found == {name: text.strip() for name, text in VIEWS.items()}
    made = sa.create_engine("sqlite://")
    metadata.create_all(made)
    with made.connect() as connection:
        expected = dict(
            connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).tuples().all()
        )
    assert {name: _checks(sql) for name, sql in expected.items()} == {
        name: _checks(sql) for name, sql in tables if name != "alembic_version"
    }
    engine.dispose()


def _checks(sql: str) -> list[str]:
    """Check constraints, which Alembic does not compare."""
    return sorted(line.strip(", \t") for line in sql.split("\n") if "CHECK" in line)


def test_migrations_go_down_and_up_again(catalogue_path: Path) -> None:
    """An empty catalogue, to nothing and back."""
    engine = open_engine(catalogue_path, create=False)
    for go, target in ((command.downgrade, "base"), (command.upgrade, "head")):
        with engine.execution_options(oldphoto_write=True).begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            go(config, target)
            tables = set(sa.inspect(connection).get_table_names()) - {"alembic_version", "sqlite_sequence"}
        assert bool(tables) == (target == "head")
    engine.dispose()


def test_a_catalogue_of_a_newer_version_is_refused(catalogue_path: Path) -> None:
    """And left as it is."""
    with sqlite3.connect(catalogue_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueTooNew, match=r"'9999'.*'0001'"):
        Catalogue.open(catalogue_path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Another program's database, a file that is no database, a folder."""
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE invoice (id)")
    with pytest.raises(CatalogueUnreadable, match="'invoice'"):
        Catalogue.open(tmp_path / "other.db")
    (tmp_path / "text.db").write_text("not a database, whatever its name says" * 10)
    with pytest.raises(CatalogueUnreadable, match=r"text\.db"):
        Catalogue.open(tmp_path / "text.db")
    with pytest.raises(CatalogueUnreadable):
        Catalogue.open(tmp_path)
    with pytest.raises(CatalogueUnreadable, match=r"hidden|\*\*\*"):
        Catalogue.open("mysql://me:hush@host/db")


def test_reading_commands_leave_no_catalogue_behind(tmp_path: Path) -> None:
    """Where there is none, they say so."""
    with pytest.raises(CatalogueMissing, match="oldphoto ingest"):
        Catalogue.open(tmp_path / "home" / "catalogue.db", create=False)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["a b", "what?", "100%", "#1", "ünï"])
def test_homes_with_odd_names_open_as_path_and_as_url(tmp_path: Path, name: str, empty_catalogue_path: Path) -> None:
    """The file lies where the name says."""
    path = tmp_path / name / "catalogue.db"
    path.parent.mkdir()
    path.write_bytes(empty_catalogue_path.read_bytes())
    with Catalogue.open(f"sqlite:///{path}", create=False) as catalogue:
        with_photos(catalogue, "a.jpg")
    assert rows(path, "SELECT COUNT(*) FROM photo") == [(1,)]


def test_a_new_catalogue_opened_by_several_at_once_is_migrated_once(tmp_path: Path) -> None:
    """Two runs may start in the same second."""
    problems = []

    def open_it() -> None:
        try:
            Catalogue.open(tmp_path / "catalogue.db").close()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert rows(tmp_path / "catalogue.db", "SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_the_database_itself_refuses_what_cannot_be(catalogue_path: Path, catalogue: Catalogue) -> None:
    """Constraints hold for whoever writes."""
    collection_id = with_photos(catalogue, "a.jpg")
    catalogue.record_restorations([restored("a.jpg")])
    wrong = [
        f"UPDATE source_object SET collection_id = {collection_id + 1}",
        "UPDATE source_object SET status = 'lost'",
        "UPDATE source_object SET photo_id = NULL",
        "UPDATE source_object SET status = 'quarantined'",
        "UPDATE restoration SET outcome = 'perhaps'",
        "UPDATE restoration SET outcome = 'failed'",
        "UPDATE restoration SET restored_key = NULL",
        "UPDATE restoration SET release = 'unknown'",
        "UPDATE restoration SET mask_source = 'supplied'",
        "UPDATE restoration SET strength = 2",
        "UPDATE photo SET state = 'held'",
        "UPDATE photo SET width = 0",
        "DELETE FROM photo",
        "UPDATE model_release SET status = 'best'",
        "INSERT INTO restoration SELECT * FROM restoration",
    ]
    connection = sqlite3.connect(catalogue_path)
    connection.execute("PRAGMA foreign_keys=ON")
    for statement in wrong:
        with pytest.raises((sqlite3.IntegrityError, sqlite3.OperationalError)):
            connection.execute(statement)
    connection.close()
    assert rows(catalogue_path, "SELECT name, status FROM model_release") == [(RELEASE.name, "active")]


@pytest.mark.parametrize("change", ["UPDATE event SET outcome = 'x'", "DELETE FROM event", "DELETE FROM event_object",
                                    "UPDATE event_object SET role = 'x'",
                                    "INSERT OR REPLACE INTO event SELECT id,uid,type,at,agent_id,'x',detail FROM event",
                                    "INSERT OR REPLACE INTO event_object SELECT * FROM event_object"])  # fmt: skip
def test_events_are_append_only(catalogue_path: Path, catalogue: Catalogue, change: str) -> None:
    """Neither changed, nor deleted, nor replaced, by whoever connects."""
    with_photos(catalogue, "a.jpg")
    before = rows(catalogue_path, "SELECT * FROM event JOIN event_object ON event_id = id")
    assert before
    connection = sqlite3.connect(catalogue_path)
    if change.startswith("INSERT OR REPLACE INTO event SELECT"):
        change = change.replace("INTO event", "INTO event (id, uid, type, at, agent_id, outcome, detail)")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(change)
    connection.close()
    assert rows(catalogue_path, "SELECT * FROM event JOIN event_object ON event_id = id") == before


def test_local_disks_are_no_network_share(tmp_path: Path) -> None:
    """The file system of the tests is accepted; the names of network ones are as /proc/mounts spells them."""
    refuse_network_share(tmp_path / "not" / "there" / "catalogue.db")
    assert {"nfs4", "cifs", "fuse.sshfs"} <= NETWORK_FILE_SYSTEMS
