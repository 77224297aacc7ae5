"""The catalogue's schema: opened, migrated, constrained, refused where it is not ours."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from storage.catalog import Catalogue
from storage.catalog.engine import NETWORK_FILE_SYSTEMS, open_engine, refuse_network_share
from storage.catalog.schema_version import HEAD, alembic_config
from storage.catalog.tables import metadata
from storage.catalog.views import VIEWS
from storage.errors import CatalogueMissing, CatalogueTooNew, CatalogueUnreadable
from tests.store.makers import RELEASE, restored, rows, with_photos
from tests.store.migrated import empty_database, go_to
from tests.store.postgres import PostgresServer


def test_migrations_make_the_tables_and_views_of_the_code(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Neither is changed without the other: columns, indexes, keys, checks, views; on both databases."""
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
    for kind in ("sqlite", "postgresql"):
        with (
            empty_database(kind, tmp_path, postgres_server) as migrated,
            empty_database(kind, tmp_path / "made", postgres_server) as made,
        ):
            go_to(migrated, HEAD)
            with made.begin() as connection:
                metadata.create_all(connection)
                for view in VIEWS.values():
                    connection.exec_driver_sql(view.replace("%", "%%") if kind == "postgresql" else view)
            with migrated.connect() as connection, made.connect() as other:
                assert compare_metadata(MigrationContext.configure(connection), metadata) == []
                found, expected = _facts(connection), _facts(other)
            assert found == expected


def _facts(connection: sa.Connection) -> dict[str, object]:
    """Views and check constraints, which Alembic does not compare."""
    inspected = sa.inspect(connection)
    checks = {
        f"{table}.{check['name']}": " ".join(check["sqltext"].split())
        for table in inspected.get_table_names()
        for check in inspected.get_check_constraints(table)
    }
    return {**checks, **{name: inspected.get_view_definition(name) for name in inspected.get_view_names()}}


def test_a_catalogue_of_a_newer_version_is_refused(catalogue_path: Path) -> None:
    """And left as it is."""
    with sqlite3.connect(catalogue_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueTooNew, match=rf"'9999'.*'{HEAD}'"):
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


def test_the_database_itself_refuses_what_cannot_be(catalogue_url: str, catalogue: Catalogue) -> None:
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
        "UPDATE restoration SET tone = 'sepia'",
        "UPDATE restoration SET mending = 'all'",
        "UPDATE collection SET mending = NULL",
        "UPDATE photo SET state = 'held'",
        "UPDATE photo SET width = 0",
        "DELETE FROM photo",
        "UPDATE collection SET state = 'held'",
        "UPDATE model_release SET status = 'best'",
        "INSERT INTO near_duplicate (photo_id, other_photo_id, distance, found_at) SELECT id, id, 0, 'x' FROM photo",
        "INSERT INTO restoration (photo_id, work_hash, release, weights_hash, mode, tone, strength, mask_source, "
        "pixel_version, outcome, error, report, finished_at) SELECT photo_id, work_hash, release, weights_hash, mode, "
        "tone, strength, mask_source, 1, 'failed', 'x', '{}', 'x' FROM restoration",
    ]
    engine = open_engine(catalogue_url, create=False)
    for statement in wrong:
        with engine.connect() as connection, pytest.raises(IntegrityError):
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert rows(catalogue, "SELECT name, status FROM model_release") == [(RELEASE.name, "active")]


def test_local_disks_are_no_network_share(tmp_path: Path) -> None:
    """The file system of the tests is accepted; the names of network ones are as /proc/mounts spells them."""
    refuse_network_share(tmp_path / "not" / "there" / "catalogue.db")
    assert {"nfs4", "cifs", "fuse.sshfs"} <= NETWORK_FILE_SYSTEMS
