"""Read-only SQL over the catalogue, by the database's own means: people may write what they like, and harm nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from storage.query_rows import QueryResult, QueryRows
from storage.urls import sqlite_path

__all__ = ["QueryResult", "QueryRows", "open_query", "read_only_query"]


def open_query(
    catalogue_url: str | Path, sql: str, *, timeout_s: float = 30.0
) -> AbstractContextManager[QueryRows]:
    """Runs one SELECT and gives its rows as they come, however many there are.

    Args:
        catalogue_url: ``sqlite:////folder/catalogue.db``, a path, or ``postgresql+psycopg://...``.
        timeout_s: limit for the whole query, from its start to its last row.

    Raises (on entering; the timeout, wrong values and a lost server while rows are fetched too):
        QueryRefused: more than one statement, or one that does anything but read.
        QueryTimeout: ran longer than ``timeout_s``.
        QueryFailed: wrong SQL.
        CatalogueMissing: no catalogue at this URL.
        CatalogueUnreadable: a server that does not answer.
    """
    path = sqlite_path(catalogue_url)
    if path is not None:
        from storage.sqlite_query import open_sqlite_query

        return open_sqlite_query(path, sql, timeout_s=timeout_s)
    from storage.postgres_query import open_postgres_query

    return open_postgres_query(str(catalogue_url), sql, timeout_s=timeout_s)


def read_only_query(
    catalogue_url: str | Path, sql: str, *, timeout_s: float = 30.0, row_limit: int | None = None
) -> QueryResult:
    """Runs one SELECT and gives all its rows, or the first ``row_limit``; raises as `open_query` does."""
    rows: list[tuple] = []
    with open_query(catalogue_url, sql, timeout_s=timeout_s) as result:
        for batch in result.batches:
            rows += batch
            if row_limit is not None and len(rows) > row_limit:
                return QueryResult(result.columns, rows[:row_limit], truncated=True)
    return QueryResult(result.columns, rows)
