"""Small pieces of SQL that several query modules share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Table, TableClause
from sqlalchemy.dialects import postgresql, sqlite

from storage.catalog.tables import photo

T = TypeVar("T")

CHUNK = 500
"""Values in one IN list, rows in one statement: well below SQLite's 32,766 variables."""


def insert(connection: Connection, table: Table | TableClause) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def one_at_a_time(connection: Connection, what: str) -> None:
    """Lets one transaction after the other pass here, where they read first and write by what they read.

    SQLite has one writer at a time anyway. On PostgreSQL a lock of this name is held until the transaction ends.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"oldphoto {what}", 0))
        connection.execute(sa.select(lock))


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def json_text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON as the catalogue keeps it: sorted keys, UTF-8 as it is."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)


def photo_ids(connection: Connection, hashes: Iterable[str]) -> dict[str, int]:
    """Ids of those photos that are recorded, by SHA-256."""
    found: dict[str, int] = {}
    for chunk in chunks(set(hashes)):
        rows = connection.execute(sa.select(photo.c.sha256, photo.c.id).where(photo.c.sha256.in_(chunk)))
        found.update((sha256, photo_id) for sha256, photo_id in rows)
    return found

def latest_at(restoration: Any) -> sa.ColumnElement[str]:
    """On a restoration's columns: when it came to be its photo's latest, by being made or by being taken up again."""
    return sa.func.coalesce(restoration.taken_up_at, restoration.finished_at)


def latest_first(restoration: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """On a restoration's columns: the order in which the first is its photo's latest."""
    return latest_at(restoration).desc(), restoration.finished_at.desc(), restoration.id.desc()
