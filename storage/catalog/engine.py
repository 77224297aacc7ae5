"""Opening the catalogue's database: SQLite embedded, PostgreSQL in production."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from storage.catalog.database_errors import advice
from storage.errors import CatalogueMissing, CatalogueUnreadable, NetworkShareRefused
from storage.urls import masked_url, sqlite_path

BUSY_TIMEOUT_S = 60.0
"""How long SQLite waits for another program's write lock."""

_POSTGRESQL_OPTIONS = {
    # A host that does not answer is given up soon; one that vanished from the network is noticed within a minute.
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "oldphoto",
}
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "ceph", "fuse.ceph", "lustre",
     "glusterfs", "fuse.glusterfs", "beegfs", "gpfs", "fuse.rclone", "fuse.s3fs"}
)  # fmt: skip


class utc_now(GenericFunction[str]):
    """The database's clock as ISO-8601 UTC text, ``offset_s`` seconds later: the catalogue's only clock for leases."""

    type = sa.Text()
    inherit_cache = True

    def __init__(self, offset_s: int | sa.ColumnElement[int] = 0) -> None:
        super().__init__(sa.literal(offset_s, sa.Integer()) if isinstance(offset_s, int) else offset_s)


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(element: utc_now, compiler: Any, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ({offset}) || ' seconds')"


@compiles(utc_now, "postgresql")
def _utc_now_postgresql(element: utc_now, compiler: Any, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    moment = f"(clock_timestamp() AT TIME ZONE 'UTC') + make_interval(secs => ({offset}))"
    return f"""to_char({moment}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


def open_engine(url: str | Path, *, create: bool, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """An engine for the URL; a SQLite file is made where ``create`` says so.

    Args:
        busy_timeout_s: how long SQLite waits for another program's write lock.

    Raises:
        CatalogueMissing, CatalogueUnreadable, NetworkShareRefused.
    """
    path = sqlite_path(url)
    if path is not None:
        return _open_sqlite(path, create=create, busy_timeout_s=busy_timeout_s)
    try:
        parsed = sa.make_url(str(url))
        if parsed.get_backend_name() != "postgresql":
            raise ArgumentError(f"{parsed.get_backend_name()!r} is not supported")
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        options = {name: value for name, value in _POSTGRESQL_OPTIONS.items() if name not in parsed.query}
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args=options)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise CatalogueUnreadable(
            f"catalogue URL {masked_url(url)}: {error}; expected sqlite:////path/catalogue.db or postgresql+psycopg://..."
        ) from error
    except ModuleNotFoundError as error:
        raise CatalogueUnreadable(
            f"catalogue URL {masked_url(url)} needs the module {error.name!r}; install oldphoto[postgres]"
        ) from error


def _open_sqlite(path: Path, *, create: bool, busy_timeout_s: float) -> Engine:
    if not create and not path.is_file():
        raise CatalogueMissing(f"no catalogue at {path}; run `oldphoto ingest` first, or name another --home")
    refuse_network_share(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogueUnreadable(f"cannot make the folder of {path}: {error.strerror}") from error
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=os.path.abspath(path)), connect_args={"timeout": busy_timeout_s}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    try:
        _use_wal(path, busy_timeout_s)
    except sqlite3.Error as error:
        engine.dispose()
        raise CatalogueUnreadable(
            f"{path} cannot be opened as a SQLite catalogue: {error}; {advice(error)}"
        ) from error
    return engine


def _use_wal(path: Path, busy_timeout_s: float) -> None:
    """Write-ahead logging, so that readers and a writer do not wait for each other; kept in the file once set.

    SQLite does not wait for a lock when it changes the journal mode; two runs that make a catalogue at once meet here.
    """
    deadline = time.monotonic() + busy_timeout_s
    while True:
        connection = sqlite3.connect(path, timeout=busy_timeout_s)
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """The busy timeout is the driver's own argument ``timeout``."""
    connection.isolation_level = None  # the driver would begin transactions of its own, too late
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: whole after a crash, at most the last commits lost


def _begin_sqlite(connection: Connection) -> None:
    """Writers lock at once: a transaction that reads first and writes later would fail where another wrote between."""
    writes = connection.get_execution_options().get("oldphoto_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def refuse_network_share(path: Path) -> None:
    """Raises where the folder lies on a network file system that is known by name (Linux: /proc/mounts)."""
    kind = _file_system(path)
    if kind in NETWORK_FILE_SYSTEMS:
        raise NetworkShareRefused(
            f"{path} lies on a network share ({kind}), where SQLite's locks cannot be trusted; put --home on a local "
            "disk (OLDPHOTO_DERIVATIVES_URL may stay on the share), or use PostgreSQL (OLDPHOTO_CATALOGUE_URL)"
        )


def _file_system(path: Path) -> str | None:
    """Type of the file system that holds the path, or would; None where the system does not say."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    resolved = os.path.realpath(path)
    best, kind = "", None
    for line in mounts:
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount on the same point covers the earlier
            best, kind = point, name
    return kind
