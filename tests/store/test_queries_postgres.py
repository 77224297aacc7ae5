"""Read-only SQL on PostgreSQL, attacked: on a superuser's catalogue and on that of a user who may do little else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storage import postgres_query
from storage.catalog import Catalogue
from storage.catalog.engine import open_engine
from storage.catalog.schema_version import upgrade_schema
from storage.errors import CatalogueUnreadable, QueryFailed, QueryRefused, QueryTimeout
from storage.queries import open_query, read_only_query
from tests.store.makers import restored, with_photos
from tests.store.postgres import PostgresServer, running_postgres

KEEPER = "keeper_of_queries"
SET_CONFIG = "pg_catalog.set_config(text, text, boolean)"


@pytest.fixture(scope="module")
def urls(postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """A catalogue with a photo that a superuser made, and one of an owner who may do nothing else on the server."""
    with postgres_server.catalogue() as superusers, postgres_server.database() as kept:
        postgres_server.execute(
            f"CREATE ROLE {KEEPER} LOGIN",
            f"GRANT oldphoto_reader, oldphoto_writer TO {KEEPER} WITH ADMIN OPTION",
            f"ALTER DATABASE {kept} OWNER TO {KEEPER}",
        )
        postgres_server.execute(f"ALTER SCHEMA public OWNER TO {KEEPER}", database=kept)
        keepers = postgres_server.url(kept, KEEPER)
        for url in (superusers, keepers):
            with Catalogue.open(url) as catalogue:
                with_photos(catalogue, "a.jpg")
                catalogue.record_restorations([restored("a.jpg")])
        before = [read_only_query(url, STATE).rows for url in (superusers, keepers)]
        yield {"superuser": superusers, "owner": keepers}
        assert [read_only_query(url, STATE).rows for url in (superusers, keepers)] == before


@pytest.fixture(params=["superuser", "owner"])
def url(request: pytest.FixtureRequest, urls: dict[str, str]) -> str:
    """Each of the two catalogues."""
    return urls[request.param]


STATE = """
SELECT (SELECT COUNT(*) FROM photo), (SELECT COUNT(*) FROM restoration), (SELECT COUNT(*) FROM agent),
       (SELECT COUNT(*) FROM pg_catalog.pg_class), (SELECT COUNT(*) FROM pg_catalog.pg_roles WHERE rolsuper),
       (SELECT COUNT(*) FROM pg_catalog.pg_largeobject_metadata), (SELECT COUNT(*) FROM pg_catalog.pg_proc)
"""

STATEMENTS = [
    "INSERT INTO agent (name, type, first_seen_at) VALUES ('x', 'person', 'x')",
    "WITH x AS (INSERT INTO agent (name, type, first_seen_at) VALUES ('x', 'person', 'x') RETURNING id) TABLE x",
    "WITH x AS (DELETE FROM photo RETURNING id) SELECT * FROM x",
    "WITH x AS (SELECT 1) INSERT INTO agent (name, type, first_seen_at) SELECT 'x', 'person', 'x' FROM x",
    "UPDATE photo SET height = 1",
    "UPDATE pg_settings SET setting = 'postgres' WHERE name = 'role'",
    "DELETE FROM restoration",
    "TRUNCATE event CASCADE",
    "DROP TABLE photo",
    "CREATE TABLE x (y int)",
    "CREATE TEMP TABLE x AS SELECT * FROM photo",
    "SELECT * INTO x FROM photo",
    "SELECT * INTO TEMP x FROM photo",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION vector",
    "COPY photo TO '/tmp/stolen'",
    "COPY photo TO PROGRAM 'sh'",
    "COPY photo FROM '/etc/passwd'",
    "COPY photo TO STDOUT",
    "DO $$ BEGIN EXECUTE 'DROP TABLE photo'; END $$",
    "CALL x()",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "RESET ROLE",
    "RESET SESSION AUTHORIZATION",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET statement_timeout = 0",
    "SET TRANSACTION READ WRITE",
    "LOCK TABLE photo",
    "NOTIFY x",
    "LISTEN x",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "EXPLAIN ANALYZE DELETE FROM photo",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER ROLE oldphoto_reader SUPERUSER",
    "GRANT postgres TO oldphoto_reader",
    "VACUUM",
    "DECLARE y CURSOR FOR SELECT 1",
    "FETCH ALL FROM question",
    "LOAD 'x'",
    "SELECT * FROM photo FOR UPDATE",
    "TABLE photo FOR SHARE",
]
"""What is no reading."""

SEVERAL = [
    "SELECT 1; DELETE FROM photo",
    "SELECT 1; RESET ROLE; DELETE FROM photo",
    "SELECT 1;COMMIT;DELETE FROM photo",
    "SELECT 1;; SELECT 2",
    "SELECT 1 /* ; */ ; -- \n DELETE FROM photo",
    "SELECT $x$;$x$; DELETE FROM photo",
    "SELECT E'\\';'; DELETE FROM photo --'",
    "VALUES (1); DROP TABLE photo",
]
"""What hides a second statement behind the first."""

FUNCTIONS = [
    "SELECT set_config('role', 'postgres', true)",
    "SELECT SET_CONFIG('role', 'none', false)",
    "SELECT pg_catalog . set_config('statement_timeout', '0', false)",
    'SELECT "set_config"(\'role\', \'none\', true)',
    'SELECT pg_catalog."set_config"(\'role\', \'none\', true)',
    "SELECT U&\"\\0073et_config\"('role', 'none', true)",
    "SELECT u&\"set!005fconfig\" UESCAPE '!' ('role', 'none', true)",
    "SELECT set/**/_config('role', 'none', true)",
    "SELECT set_config/* */('role', 'none', true)",
    "SELECT query_to_xml('SELECT set_' || 'config(''role'', ''none'', true)', true, true, '')",
    "SELECT query_to_xmlschema('SELECT 1', true, true, '')",
    "SELECT cursor_to_xml('question', 1, true, true, '')",
    "SELECT table_to_xml('pg_authid', true, true, '')",
    "SELECT schema_to_xml('pg_catalog', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(set_' || 'config(''role'', ''none'', true))')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery')",
    "SELECT dblink('host=localhost', 'DROP TABLE photo')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT * FROM pg_ls_waldir()",
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/stolen')",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lo_unlink(1)",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
    "SELECT pg_advisory_lock(1869374576)",
    "SELECT pg_try_advisory_xact_lock(1869374576)",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_drop_replication_slot('x')",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_promote()",
    "SELECT pg_stat_reset()",
    "SELECT nextval('photo_id_seq')",
    "SELECT setval('photo_id_seq', 1)",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT * FROM pg_largeobject",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "SELECT current_setting('data_directory')",
]  # fmt: skip
"""Calls that reach beyond the catalogue, or out of the role."""


@pytest.mark.parametrize("sql", [*STATEMENTS, *SEVERAL, *FUNCTIONS])
def test_attacks_are_refused_in_one_line_and_change_nothing(url: str, sql: str) -> None:
    """That nothing changed is seen by the fixture, in the end."""
    with pytest.raises((QueryRefused, QueryFailed)) as caught:
        read_only_query(url, sql, timeout_s=10)
    assert "\n" not in str(caught.value)
    assert not Path("/tmp/stolen").exists()


@pytest.mark.parametrize("sql", SEVERAL)
def test_a_second_statement_is_named_as_what_is_wrong(url: str, sql: str) -> None:
    with pytest.raises(QueryRefused, match="only one statement"):
        read_only_query(url, sql)


CLIMBS = [
    "SELECT set_config('role', 'postgres', true)",
    "SELECT set_config('session_authorization', 'postgres', true)",
    "SELECT * FROM ts_stat('SELECT to_tsvector(set_config(''role'', ''postgres'', true))')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, set_config(''role'', ''postgres'', true)::tsquery')",
    "SELECT query_to_xml('SELECT set_config(''role'', ''postgres'', true)', true, true, '')",
    "SELECT * FROM ts_stat('DELETE FROM photo')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(pg_read_file(''/etc/passwd''))')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_cancel_backend(pg_backend_pid())",
]


@pytest.mark.parametrize("sql", CLIMBS)
def test_a_superusers_catalogue_is_safe_without_the_list_of_names(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """The database alone holds: the list is a second wall."""
    monkeypatch.setattr(postgres_query, "_refuse_by_words", lambda sql: None)
    with pytest.raises((QueryRefused, QueryFailed), match=r"permission|not allowed|as cursor|supported"):
        read_only_query(urls["superuser"], sql)


def test_an_owners_catalogue_can_be_climbed_out_of_but_for_the_list_of_names(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why there is one: no owner but a superuser may take set_config away. Even then nothing could be written."""
    monkeypatch.setattr(postgres_query, "_refuse_by_words", lambda sql: None)
    climbed = "SELECT set_config('role', 'none', true), (SELECT current_user::text WHERE random() < 2)"
    assert read_only_query(urls["owner"], climbed).rows == [("none", KEEPER)]
    with pytest.raises(QueryFailed, match="must be set before any query"):
        read_only_query(urls["owner"], "SELECT set_config('transaction_read_only', 'off', true)")


def test_plain_questions_about_the_server_are_answered(url: str) -> None:
    """As the reader, in a read-only transaction, with a time limit."""
    (row,) = read_only_query(
        url,
        "SELECT current_user::text, current_setting('transaction_read_only'), "
        "current_setting('statement_timeout') <> '0', upper('x') || lower('Y'), "
        "(SELECT COUNT(*) FROM pg_catalog.pg_roles WHERE rolname = 'oldphoto_reader')",
    ).rows
    assert row == ("oldphoto_reader", "on", True, "Xy", 1)
    assert read_only_query(url, "(SELECT 1) UNION (SELECT 2) ORDER BY 1").rows == [(1,), (2,)]


def test_values_that_sqlite_has_not_come_as_text_or_numbers(url: str) -> None:
    """Times in UTC with a Z, JSON as text."""
    (row,) = read_only_query(
        url,
        "SELECT TIMESTAMPTZ '2026-11-23 20:00:00+01', DATE '2026-11-23', '{\"a\": [1]}'::json, ARRAY[1, 2], "
        "10.50::numeric, 7::numeric, 'NaN'::numeric, '\\x00ff'::bytea, 1 = 1, INTERVAL '1 hour', NULL::date",
    ).rows
    assert row[:6] == ("2026-11-23T19:00:00Z", "2026-11-23", '{"a": [1]}', "[1, 2]", 10.5, 7)
    assert (str(row[6]), row[7:]) == ("nan", (b"\x00\xff", True, "1:00:00", None))


@pytest.mark.parametrize(
    "sql", ["SELECT pg_sleep(30)", "SELECT COUNT(*) FROM generate_series(1, 1000000000) AS a ORDER BY 1",
            "SELECT g FROM generate_series(1, 1000000000) AS g ORDER BY -g"],
)  # fmt: skip
def test_the_server_ends_what_runs_too_long(url: str, sql: str) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"0\.5 s"):
        read_only_query(url, sql, timeout_s=0.5)
    assert time.monotonic() - began < 4


def test_one_limit_holds_for_all_batches_together(url: str) -> None:
    """Each fetch takes 0.2 s: none alone is too long."""
    slow = "SELECT CASE WHEN g % 1000 = 0 THEN pg_sleep(0.2)::text END FROM generate_series(1, 1000000) AS g"
    began = time.monotonic()
    with pytest.raises(QueryTimeout), open_query(url, slow, timeout_s=1) as result:
        for _ in result.batches:
            pass
    assert 0.9 < time.monotonic() - began < 3


def sessions_end(url: str) -> bool:
    """Whether nobody else is connected to the database, at once or within two seconds: a server needs a moment."""
    others = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    for _ in range(20):
        if read_only_query(url, others).rows == [(0,)]:
            return True
        time.sleep(0.1)
    return False


def test_a_query_leaves_no_connection(url: str) -> None:
    """Also one that was left in its middle."""
    with open_query(url, "SELECT g, key FROM generate_series(1, 100000) AS g, source_object") as result:
        next(result.batches)
    assert sessions_end(url)


def test_a_migration_is_waited_for_no_longer_than_the_limit(url: str) -> None:
    """A table that somebody holds ends the query, in words; nothing hangs."""
    with psycopg.connect(url.replace("+psycopg", "")) as holder:
        holder.execute("LOCK TABLE photo IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(QueryTimeout):
            read_only_query(url, "SELECT COUNT(*) FROM photo", timeout_s=0.5)


def test_a_server_that_ends_the_session_is_told_in_one_line(
    urls: dict[str, str], postgres_server: PostgresServer
) -> None:
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND usename = '{KEEPER}'"
    ending = threading.Timer(0.5, postgres_server.execute, [end])
    ending.start()
    with pytest.raises(CatalogueUnreadable, match="is the server up") as caught:
        read_only_query(urls["owner"], "SELECT pg_sleep(9)", timeout_s=10)
    ending.join()
    assert "\n" not in str(caught.value)


def test_a_user_who_may_not_take_the_role_is_told_what_to_run(
    urls: dict[str, str], postgres_server: PostgresServer
) -> None:
    """And after that it works."""
    postgres_server.execute('CREATE ROLE "Ada L" LOGIN')
    url = urls["superuser"].replace("postgres@", "Ada%20L@")
    with pytest.raises(QueryRefused, match="superuser has to run") as caught:
        read_only_query(url, "SELECT 1")
    statement = str(caught.value).split("`")[1]
    assert statement == 'GRANT oldphoto_reader TO "Ada L";'
    postgres_server.execute(statement)
    assert read_only_query(url, "SELECT COUNT(*) FROM photo").rows == [(1,)]


def test_a_role_that_is_more_than_a_reader_is_refused(urls: dict[str, str], postgres_server: PostgresServer) -> None:
    """Somebody gave it too much."""
    postgres_server.execute("GRANT pg_read_server_files TO oldphoto_reader")
    try:
        with pytest.raises(QueryRefused, match="pg_read_server_files") as caught:
            read_only_query(urls["owner"], "SELECT 1")
    finally:
        postgres_server.execute("REVOKE pg_read_server_files FROM oldphoto_reader")
    assert "REVOKE" in str(caught.value)
    assert read_only_query(urls["owner"], "SELECT 1").rows == [(1,)]


def test_a_superusers_catalogue_that_could_be_climbed_is_refused(postgres_server: PostgresServer) -> None:
    """With the statement that ends it."""
    with postgres_server.catalogue() as url:
        database = url.partition("@/")[2].partition("?")[0]
        postgres_server.execute(f"GRANT EXECUTE ON FUNCTION {SET_CONFIG} TO PUBLIC", database=database)
        with pytest.raises(QueryRefused, match="could climb") as caught:
            read_only_query(url, "SELECT 1")
        postgres_server.execute(str(caught.value).split("`")[1], database=database)
        assert read_only_query(url, "SELECT 1").rows == [(1,)]


def test_a_missing_role_is_told_with_what_to_run() -> None:
    """On a server of its own: roles are the whole server's."""
    with running_postgres() as server:
        server.execute("CREATE ROLE poor LOGIN", "CREATE DATABASE kept OWNER poor TEMPLATE template0")
        url = server.url("kept", "poor")
        with Catalogue.open(url) as catalogue:
            with_photos(catalogue, "a.jpg")
        with pytest.raises(QueryRefused, match="oldphoto db upgrade") as caught:
            read_only_query(url, "SELECT 1")
        for statement in str(caught.value).split("`")[1].rstrip(";").split(";"):
            server.execute(statement)
        server.execute("GRANT oldphoto_reader, oldphoto_writer TO poor WITH ADMIN OPTION")
        engine = open_engine(url, create=False)
        upgrade_schema(engine)
        engine.dispose()
        assert read_only_query(url, "SELECT COUNT(*) FROM photo").rows == [(1,)]
