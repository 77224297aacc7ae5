"""Read-only SQL on PostgreSQL: one statement, in a read-only transaction, as a role that may only read.

What holds, from the outside in:

- The statement goes into ``DECLARE ... CURSOR FOR`` by the extended protocol, which takes one statement and no more; a
  cursor takes nothing but a SELECT (or VALUES, TABLE).
- The transaction is READ ONLY and is always rolled back: no row, sequence, large object or notification changes.
- It runs as `oldphoto_reader`, and is refused where that role is more than a plain reader.
- ``SELECT set_config('role', ...)`` could climb back to the user who connected. `oldphoto db upgrade` by a superuser
  takes that function away from everybody; a superuser's connection is refused where it is not. Another catalogue user
  may not take it away, so that the functions which climb, run SQL from a text, or reach into other sessions are refused
  by name as well: no statement can call a function without naming it.
- One limit of time for the whole query, set anew before every fetch; the server ends a query whose client is gone.
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from storage.catalog.engine import open_engine
from storage.catalog.roles import READER
from storage.errors import CatalogueMissing, CatalogueUnreadable, QueryFailed, QueryRefused, QueryTimeout, StorageError
from storage.query_rows import BATCH_ROWS, QueryRows
from storage.urls import masked_url

if TYPE_CHECKING:
    import psycopg

TEMP_FILE_LIMIT = "4GB"
"""Most that a query's sorts may put on the server's disk, where the catalogue's user may say so (a superuser)."""

LOCK_TIMEOUT_MS = 5000
"""How long a query waits for a migration that holds a table."""

REFUSED_FUNCTIONS = (
    "set_config",  # would climb out of the role
    "query_to_xml", "cursor_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml", "ts_stat", "ts_rewrite",
    "dblink", "crosstab", "connectby", "xpath_table",  # run SQL from a text
    "pg_terminate_backend", "pg_cancel_backend", r"pg_(?:try_)?advisory", "pg_notify", "pg_export_snapshot",
    "pg_logical", "pg_replication", r"pg_(?:create|drop|copy)_\w+", r"pg_ls_\w+", r"pg_read_\w+", "pg_stat_file",
    r"lo_\w+", "loread", "lowrite",  # reach into other sessions, the log, files
)  # fmt: skip

_REFUSED = re.compile(rf"(?<!\w)(?:{'|'.join(REFUSED_FUNCTIONS)})", re.IGNORECASE)
_SPELLED_OUT = re.compile(r'(?<!\w)u&"', re.IGNORECASE)
"""``U&"\\0073et_config"`` is another way to write an identifier; nobody needs it for columns in ASCII."""

_BEGINNING = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\(|\w+|.)?", re.DOTALL)
"""Blanks and comments, then the first word."""

_CHANGES = re.compile(r'syntax error at or near "(?:insert|update|delete|merge)"', re.IGNORECASE)

FILE_ROLES = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program", "pg_signal_backend")
"""Roles of PostgreSQL that reach beyond the database."""
_PLAIN_OIDS = frozenset({16, 17, 18, 19, 20, 21, 23, 25, 26, 700, 701, 1042, 1043})
"""bool, bytea, text and plain numbers: their values are what they should be already."""


@contextmanager
def open_postgres_query(url: str, sql: str, *, timeout_s: float) -> Iterator[QueryRows]:
    """See `storage.queries.open_query`."""
    import psycopg

    _refuse_by_words(sql)
    engine = open_engine(url, create=False)
    deadline = time.monotonic() + timeout_s
    raw: Any = None
    try:
        with _errors(url, timeout_s):
            raw = engine.raw_connection()
            connection = raw.driver_connection
            assert isinstance(connection, psycopg.Connection)
            _become_reader(connection, url, timeout_s)
            cursor = connection.cursor()
            _limit(cursor, deadline, timeout_s)
            # `binary` makes psycopg use the extended protocol. No parameters, so that % stays %.
            cursor.execute(f"DECLARE question NO SCROLL CURSOR FOR {sql}".encode(), binary=True)
            _limit(cursor, deadline, timeout_s)
            cursor.execute(f"FETCH {BATCH_ROWS} FROM question")
            columns = tuple(column.name for column in cursor.description or ())
        yield QueryRows(columns, _batches(cursor, url, deadline, timeout_s))
    finally:
        if raw is not None:
            raw.invalidate()  # closes it, which rolls back: nothing that was set lives on in a pool
        engine.dispose()


def _batches(cursor: psycopg.Cursor, url: str, deadline: float, timeout_s: float) -> Iterator[list[tuple[Any, ...]]]:
    """The batch that is there already, then those that are still to be fetched."""
    convert = {
        place: _plain for place, column in enumerate(cursor.description or ()) if column.type_code not in _PLAIN_OIDS
    }
    while True:
        with _errors(url, timeout_s):
            rows = cursor.fetchall()
        if not rows:
            return
        yield [_converted(row, convert) for row in rows] if convert else rows
        if len(rows) < BATCH_ROWS:
            return
        with _errors(url, timeout_s):
            _limit(cursor, deadline, timeout_s)
            cursor.execute(f"FETCH {BATCH_ROWS} FROM question")


def _refuse_by_words(sql: str) -> None:
    """Looks into texts and comments too: what they hold could be run by a function that nobody thought of."""
    if "\0" in sql:
        raise QueryFailed("the query cannot be run: it holds a NUL character")
    beginning = _BEGINNING.match(sql)
    word = beginning.group(1) if beginning else None
    if word is None:
        raise QueryRefused("expected one SELECT statement, found none")
    if word.upper() not in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        raise _refused(f"found {word!r} at its start")
    found = _REFUSED.search(sql)
    if found:
        raise _refused(f"found {found.group()!r}")
    if _SPELLED_OUT.search(sql):
        raise _refused('found U&"...", and names have to be written as they are')


def _become_reader(connection: psycopg.Connection, url: str, timeout_s: float) -> None:
    """Begins the transaction, takes the role, and makes sure of it."""
    import psycopg

    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    cursor = connection.cursor()
    user, superuser, missing = cursor.execute(
        "SELECT quote_ident(session_user), rolsuper, to_regclass('alembic_version') IS NULL"
        " FROM pg_catalog.pg_roles WHERE rolname = session_user"
    ).fetchone() or ("", True, True)
    if missing:
        raise CatalogueMissing(f"no catalogue in {masked_url(url)}; run `oldphoto ingest` first")
    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {int(timeout_s * 1000) + 60_000}")
    # Not known before version 14, nor possible on every system.
    with suppress(psycopg.Error), connection.transaction():
        cursor.execute("SET LOCAL client_connection_check_interval = '2s'")
    if superuser:
        cursor.execute(f"SET LOCAL temp_file_limit = '{TEMP_FILE_LIMIT}'")
    try:
        cursor.execute(f"SET LOCAL ROLE {READER}")
    except psycopg.errors.InvalidParameterValue as error:
        raise QueryRefused(
            f"the role {READER} is missing, and queries run as it alone; a superuser has to run "
            f"`CREATE ROLE {READER} NOLOGIN; CREATE ROLE oldphoto_writer NOLOGIN; GRANT {READER} TO {user};`, "
            "then run `oldphoto db upgrade`"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise QueryRefused(
            f"{user} may not take the role {READER}, and queries run as it alone; a superuser has to run "
            f"`GRANT {READER} TO {user};`"
        ) from error
    _require_plain_reader(cursor, user)


def _require_plain_reader(cursor: psycopg.Cursor, user: str) -> None:
    """Raises QueryRefused where the role may do more than read, or the query could leave it for a mightier one."""
    roles = ", ".join(f"'{role}'" for role in FILE_ROLES)
    now, superuser, powers, climbs, above = cursor.execute(
        f"""SELECT current_user, rolsuper,
                   (SELECT string_agg(g.rolname, ', ') FROM pg_catalog.pg_roles AS g
                     WHERE g.rolname IN ({roles}) AND pg_has_role(current_user, g.oid, 'MEMBER')),
                   has_function_privilege('pg_catalog.set_config(text, text, boolean)', 'EXECUTE'),
                   (SELECT bool_or(s.rolsuper OR pg_has_role(s.oid, g.oid, 'MEMBER'))
                      FROM pg_catalog.pg_roles AS s, pg_catalog.pg_roles AS g
                     WHERE s.rolname = session_user AND g.rolname IN ({roles}))
              FROM pg_catalog.pg_roles WHERE rolname = current_user"""
    ).fetchone() or ("nobody", True, None, True, True)
    if now != READER or superuser or powers:
        raise QueryRefused(
            f"the query would run as {now} with more rights than reading ({powers or 'superuser'}); a superuser has "
            f"to run `ALTER ROLE {READER} NOSUPERUSER; REVOKE {', '.join(FILE_ROLES)} FROM {READER};`"
        )
    if climbs and above:
        raise QueryRefused(
            f"{user} is a superuser or may reach the server's files, and {READER} could climb to it; a superuser has "
            "to run `REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;` in this "
            "database (`oldphoto db upgrade` as a superuser does), or name a catalogue user with fewer rights"
        )


def _limit(cursor: psycopg.Cursor, deadline: float, timeout_s: float) -> None:
    """Gives the next statement the time that is left."""
    left_ms = int((deadline - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise _timeout(timeout_s)
    cursor.execute(f"SET LOCAL statement_timeout = {left_ms}")


def _timeout(timeout_s: float) -> QueryTimeout:
    return QueryTimeout(f"the query ran past its limit of {timeout_s:g} s; narrow it, or raise the limit")


@contextmanager
def _errors(url: str, timeout_s: float) -> Iterator[None]:
    """The server's errors in one line of ours."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, url, timeout_s) from error


def _translated(error: psycopg.Error, url: str, timeout_s: float) -> StorageError:
    text = error.diag.message_primary or " ".join(str(error).split())
    state = error.sqlstate
    if state is None or state.startswith(("08", "57P")):
        return CatalogueUnreadable(f"{masked_url(url)} does not answer: {text}; is the server up?")
    if state == "57014":
        return _timeout(timeout_s)
    if "multiple commands" in text:
        return QueryRefused("only one statement is allowed; take away what follows the first semicolon")
    if state in ("42501", "25006", "0A000") or _CHANGES.search(text):
        # No privilege, a read-only transaction, not possible in a cursor.
        return _refused(text)
    return QueryFailed(f"the query cannot be run: {text}")


def _refused(what: str) -> QueryRefused:
    return QueryRefused(f"only one SELECT that reads tables and calls plain functions is allowed ({what})")


def _converted(row: tuple[Any, ...], convert: dict[int, Callable[[Any], Any]]) -> tuple[Any, ...]:
    return tuple(convert[place](value) if place in convert else value for place, value in enumerate(row))


def _plain(value: Any) -> Any:
    """The value as SQLite would give it: numbers, texts, bytes.

    A ``numeric`` is an int where it has no fraction (SUM) and a double where it has (AVG); no column holds any.
    """
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
