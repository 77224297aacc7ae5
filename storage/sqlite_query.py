"""Read-only SQL on SQLite: opened for reading alone, an authorizer that knows only reading, a time limit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from storage.errors import CatalogueMissing, QueryFailed, QueryRefused, QueryTimeout
from storage.query_rows import BATCH_ROWS, QueryRows

VALUE_LIMIT_BYTES = 4 << 20
"""Longest text or blob that a query may make: ``printf('%*d')`` could ask for a gigabyte in one step."""

SAFE_FUNCTIONS = frozenset((
    # aggregates and windows
    "avg", "count", "cume_dist", "dense_rank", "first_value", "group_concat", "lag", "last_value", "lead", "max",
    "median", "min", "nth_value", "ntile", "percent_rank", "percentile", "rank", "row_number", "string_agg",
    "sum", "total",
    # numbers
    "abs", "ceil", "ceiling", "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power", "random",
    "round", "sign", "sqrt", "trunc",
    # text
    "char", "concat", "concat_ws", "format", "glob", "hex", "instr", "length", "like", "lower", "ltrim",
    "octet_length", "printf", "quote", "replace", "rtrim", "substr", "substring", "trim", "unicode", "unistr",
    "upper",
    # choices
    "coalesce", "ifnull", "iif", "likelihood", "likely", "nullif", "typeof", "unlikely",
    # times
    "current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time",
    "timediff", "unixepoch",
    # JSON
    "->", "->>", "json", "json_array", "json_array_length", "json_each", "json_extract", "json_group_array",
    "json_group_object", "json_object", "json_patch", "json_quote", "json_remove", "json_replace", "json_set",
    "json_tree", "json_type", "json_valid",
))  # fmt: skip


@contextmanager
def open_sqlite_query(path: Path, sql: str, *, timeout_s: float) -> Iterator[QueryRows]:
    """See `storage.queries.open_query`."""
    connection = _connect(path)
    deadline = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
    try:
        with _errors(deadline, timeout_s):
            cursor = connection.execute(sql)
        if cursor.description is None:
            raise QueryRefused("expected one SELECT statement, found none")
        columns = tuple(column[0] for column in cursor.description)
        yield QueryRows(columns, _batches(cursor, deadline, timeout_s))
    finally:
        connection.close()


def _batches(cursor: sqlite3.Cursor, deadline: float, timeout_s: float) -> Iterator[list[tuple[Any, ...]]]:
    while True:
        with _errors(deadline, timeout_s):
            rows = cursor.fetchmany(BATCH_ROWS)
        if not rows:
            return
        yield rows


def _connect(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise CatalogueMissing(f"no catalogue at {path}; run `oldphoto ingest` first, or name another --home")
    try:
        uri = f"file:{quote(bytes(path.absolute()))}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, cached_statements=0)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        # SQLite sets these two up at first use, by a step that the authorizer must not allow in general.
        connection.execute("SELECT 1 FROM sqlite_master, json_each('[]'), json_tree('[]')").fetchone()
    except sqlite3.Error as error:
        raise QueryFailed(f"{path} cannot be read as a SQLite catalogue: {error}") from error
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_LIMIT_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, database: str | None, inside: str | None) -> int:
    """Allows reading, and what is needed for it; all that SQLite may learn to do later is denied as well."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second is not None and second.lower() in SAFE_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


@contextmanager
def _errors(deadline: float, timeout_s: float) -> Iterator[None]:
    """SQLite's errors in one line of ours."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        text = " ".join(str(error).split())
        if text == "interrupted" and time.monotonic() <= deadline:
            # Ctrl-C, which Python delivered inside the progress handler and SQLite turned into this.
            raise KeyboardInterrupt from error
        raise _translated(text, timeout_s) from error


def _translated(text: str, timeout_s: float) -> Exception:
    if text == "interrupted":
        return QueryTimeout(f"the query ran past its limit of {timeout_s:g} s; narrow it, or raise the limit")
    if "authoriz" in text or "prohibited" in text or "readonly" in text:
        return QueryRefused(f"only one SELECT that reads tables and calls plain functions is allowed ({text})")
    if "one statement at a time" in text:
        return QueryRefused("only one statement is allowed; take away what follows the first semicolon")
    return QueryFailed(f"the query cannot be run: {text}")
