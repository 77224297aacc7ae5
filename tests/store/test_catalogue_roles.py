"""PostgreSQL's roles: who may read, who may write, who may migrate, and an owner who is no superuser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from storage.catalog import Catalogue
from storage.catalog.checks import check_catalogue, upgrade_catalogue
from storage.catalog.roles import READER, WRITER, found_grants, wanted_grants
from storage.catalog.tables import metadata
from storage.catalog.views import VIEWS
from storage.errors import CatalogueUnreadable
from storage.records import CollectionRecord, EventRecord, ReleaseRecord, RunRecord
from tests.store.makers import PARAMETERS, RELEASE, label, photo, restored, rows, seen, sha, with_photos
from tests.store.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own: roles belong to the whole server, and these tests take them away."""
    pytest.importorskip("pgserver")
    with running_postgres() as running:
        running.execute(
            "CREATE ROLE owner_with LOGIN CREATEROLE", "CREATE ROLE owner_without LOGIN", "CREATE ROLE ada LOGIN",
            "CREATE ROLE nightly LOGIN",
        )  # fmt: skip
        yield running


@pytest.fixture
def no_roles(server: PostgresServer) -> Iterator[None]:
    """The server without our roles, and without them again."""
    yield
    for name in ("archive", "small"):
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    for role in (READER, WRITER):
        server.execute(f"DROP ROLE IF EXISTS {role}")


def owned_by(server: PostgresServer, name: str, owner: str) -> str:
    """URL, as its owner, of a new database."""
    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER {owner}")
    return server.url(name, user=owner)


def wrong(url: str) -> dict[str, str]:
    """What `db check` finds that is not as it should be."""
    return {finding.what: finding.detail for finding in check_catalogue(url) if finding.verdict != "ok"}


def test_a_writer_does_a_whole_run_and_cannot_migrate(server: PostgresServer, no_roles: None) -> None:
    """A member of oldphoto_writer and nothing else, as which all tests on both databases run besides."""
    upgrade_catalogue(owned_by(server, "archive", "owner_with"))
    server.execute(f"GRANT {WRITER} TO nightly")
    url = server.url("archive", user="nightly")
    with Catalogue.open(url) as catalogue:
        collection = with_photos(catalogue, "a.jpg", "b.jpg")
        catalogue.start_run(RunRecord(run_id="r1", kind="run", collection_id=collection))
        catalogue.update_run("r1", title="Night of 3 May")
        catalogue.upsert_collection(CollectionRecord(url="file:///scans", tone="keep"))
        works = catalogue.photos_to_restore(None, PARAMETERS)
        mine = catalogue.claim_work(works, holder="r1", ttl_s=60)
        assert catalogue.renew_lease(["x"], holder="r1", ttl_s=60) == set()
        event = EventRecord(type="restoration", agent="nightly", objects=(("photo", sha("a.jpg"), "source"),))
        assert len(catalogue.record_restorations([restored("a.jpg", run_id="r1"), restored("b.jpg")], [event])) == 2
        catalogue.release_work(mine, holder="r1")
        catalogue.record_labels([label("a.jpg")])
        catalogue.set_photo_state(sha("b.jpg"), "held", by="Ada", reason="rights")
        catalogue.record_objects(collection, [seen("c.jpg")], [photo("c.jpg")])
        catalogue.register_release(ReleaseRecord(name="archive-bbbbbbbb", weights_hash="b" * 64, preset="archive"))
        catalogue.activate_release("archive-bbbbbbbb", agent="Ada")
        catalogue.activate_release(RELEASE.name, agent="Ada")
        catalogue.record_endpoint("https://s3.example", conditional_writes=True)
        catalogue.record_event(EventRecord(type="export", agent="Ada", agent_type="person"))
        catalogue.finish_run("r1", totals={"restored": 2})
        catalogue.release_all_leases(holder="r1")
        assert catalogue.run_report("r1").finished_at
    with pytest.raises(CatalogueUnreadable, match=r"permission denied.*(owner|writer)"):
        upgrade_catalogue(url)
    server.execute("UPDATE alembic_version SET version_num = '0001'", database="archive")
    with pytest.raises(CatalogueUnreadable, match="permission denied|must be owner"):
        upgrade_catalogue(url)


def test_a_reader_reads_everything_and_writes_nothing(server: PostgresServer, no_roles: None) -> None:
    """Neither rows nor tables nor sequences, in whatever table."""
    upgrade_catalogue(owned_by(server, "archive", "owner_with"))
    server.execute(f"GRANT {READER} TO ada")
    with Catalogue.open(server.url("archive", user="owner_with")) as catalogue:
        with_photos(catalogue, "a.jpg")
    engine = sa.create_engine(server.url("archive", user="ada"))
    with engine.connect() as connection:
        for name in (*metadata.tables, *VIEWS, "alembic_version"):
            connection.execute(sa.text(f"SELECT COUNT(*) FROM {name}"))
        refused = [f"DELETE FROM {name}" for name in metadata.tables]
        refused += [f"INSERT INTO {name} DEFAULT VALUES" for name in metadata.tables]
        refused += [f"UPDATE {name} SET {next(iter(table.c)).name} = NULL" for name, table in metadata.tables.items()]
        refused += ["CREATE TABLE x (id int)", "SELECT nextval('photo_id_seq')", "DROP VIEW photo_latest",
                    "COMMENT ON TABLE photo IS 'x'", "SELECT * FROM photo FOR UPDATE",
                    "COPY (SELECT 1) TO PROGRAM 'id'", "SELECT pg_read_file('/etc/passwd')"]  # fmt: skip
        for statement in refused:
            with pytest.raises(ProgrammingError, match="permission denied|must be owner"), connection.begin_nested():
                connection.execute(sa.text(statement))
    engine.dispose()


def test_an_owner_who_may_make_roles_needs_no_superuser(server: PostgresServer, no_roles: None) -> None:
    """Upgrade does all, and the examination finds nothing."""
    url = owned_by(server, "archive", "owner_with")
    assert upgrade_catalogue(url).refused == ()
    with Catalogue.open(url) as catalogue, catalogue.connected() as connection:
        assert found_grants(connection) == wanted_grants()
        connection.execute(sa.text(f"SET ROLE {READER}"))
    assert wrong(url) == {}


def test_an_owner_who_may_not_make_roles_gets_a_catalogue_and_the_sql_for_a_superuser(
    server: PostgresServer, no_roles: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The check says what is missing until somebody ran it; then one more upgrade gives the rights."""
    url = owned_by(server, "small", "owner_without")
    refused = upgrade_catalogue(url).refused
    assert [statement.split(" NOSUPERUSER")[0] for statement in refused] == [
        f"CREATE ROLE {READER}", f"CREATE ROLE {WRITER}",
        f"GRANT {READER} TO {WRITER}", f"GRANT {READER} TO owner_without",
    ]  # fmt: skip
    assert "superuser" in caplog.text
    with Catalogue.open(url) as catalogue:
        with_photos(catalogue, "a.jpg")
    assert all(statement in wrong(url)["roles"] for statement in refused)
    server.execute(*refused, database="small")
    assert set(wrong(url)) == {"rights"}
    assert upgrade_catalogue(url).refused == ()
    assert wrong(url) == {}
    with Catalogue.open(url) as catalogue:
        assert rows(catalogue, "SELECT COUNT(*) FROM photo") == [(1,)]


@pytest.mark.slow
def test_rights_that_somebody_added_are_found_and_taken_back(server: PostgresServer, no_roles: None) -> None:
    """Whole tables, single columns, and everybody."""
    url = owned_by(server, "archive", "owner_with")
    upgrade_catalogue(url)
    for grant in (f"UPDATE ON event TO {WRITER}", f"UPDATE (note) ON event TO {WRITER}", f"INSERT ON photo TO {READER}",
                  "SELECT ON label TO PUBLIC", f"TRUNCATE ON event_object TO {WRITER}"):  # fmt: skip
        server.execute(f"GRANT {grant}", database="archive")
        assert set(wrong(url)) == {"rights"}, grant
        upgrade_catalogue(url)
        assert wrong(url) == {}, grant
    server.execute(f"REVOKE INSERT ON event FROM {WRITER}", database="archive")
    assert set(wrong(url)) == {"rights"}


def test_a_superuser_as_owner_leaves_set_config_to_nobody(server: PostgresServer, no_roles: None) -> None:
    """Inside a SELECT it would turn a reader back into the superuser."""
    url = owned_by(server, "archive", "postgres")
    upgrade_catalogue(url)
    assert wrong(url) == {}
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        connection.execute(sa.text(f"SET ROLE {READER}"))
        with pytest.raises(ProgrammingError, match="permission denied for function set_config"):
            connection.execute(sa.text("SELECT set_config('role', 'postgres', true)"))
    engine.dispose()
    server.execute("GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO PUBLIC", database="archive")
    assert set(wrong(url)) == {"rights"}
