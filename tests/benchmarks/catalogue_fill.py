"""Builds the catalogue of `catalogue_rows` on SQLite or PostgreSQL, in the quickest way each of them has.

Indexes and checks are in place while the rows go in; foreign keys are not looked at, and nothing waits for the disk.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from storage.catalog import Catalogue
from tests.benchmarks.catalogue_rows import Archive
from tests.store.postgres import PostgresServer

DATABASE = "archive"

Tell = Callable[[str], None]


@contextmanager
def filled_sqlite(folder: Path, archive: Archive, tell: Tell) -> Iterator[str]:
    """URL of the catalogue in this folder; built where it is not there yet."""
    path = folder / f"catalogue-{archive.photos}.db"
    if not path.is_file():
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        _fill_sqlite(part, archive, tell)
        part.rename(path)
    yield f"sqlite:///{path}"


def _fill_sqlite(path: Path, archive: Archive, tell: Tell) -> None:
    Catalogue.open(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-3000000", "locking_mode=EXCLUSIVE"):
        connection.execute(f"PRAGMA {setting}").fetchone()
    for table, columns, rows in archive.tables():
        began, count = time.perf_counter(), 0
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        connection.execute("BEGIN")
        while batch := list(islice(rows, 10_000)):
            connection.executemany(statement, batch)
            count += len(batch)
        connection.execute("COMMIT")
        tell(f"sqlite: {table}, {count:,} rows, {time.perf_counter() - began:.0f} s")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.close()


@contextmanager
def filled_postgresql(folder: Path, archive: Archive, tell: Tell) -> Iterator[str]:
    """URL of the catalogue in a server of its own, which runs meanwhile; built where it is not there yet."""
    server = PostgresServer(folder / "postgresql")
    try:
        name = f"{DATABASE}_{archive.photos}"
        if not _has(server, name):
            server.execute(f"DROP DATABASE IF EXISTS {name}_part", f"CREATE DATABASE {name}_part TEMPLATE template0")
            _fill_postgresql(server, f"{name}_part", archive, tell)
            server.execute(f"ALTER DATABASE {name}_part RENAME TO {name}")
        yield server.url(name)
    finally:
        server.close()


def connect(url: str, *, autocommit: bool = False):  # type: ignore[no-untyped-def]
    """A plain connection to the PostgreSQL database of this SQLAlchemy URL."""
    import psycopg

    return psycopg.connect(re.sub(r"^postgresql\+psycopg", "postgresql", url), autocommit=autocommit)


def _has(server: PostgresServer, name: str) -> bool:
    with connect(server.url()) as connection:
        return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone())


def _fill_postgresql(server: PostgresServer, name: str, archive: Archive, tell: Tell) -> None:
    url = server.url(name)
    Catalogue.open(url).close()
    with connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET session_replication_role = replica")  # foreign keys are triggers
        for table, columns, rows in archive.tables():
            began, count = time.perf_counter(), 0
            with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
                    count += 1
            if columns[0] == "id" and table not in ("run", "training_run"):
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
                )
            tell(f"postgresql: {table}, {count:,} rows, {time.perf_counter() - began:.0f} s")
        connection.execute("VACUUM ANALYZE")
