"""A real PostgreSQL server for tests, from the `pgserver` wheel: it starts in a second, as root too, and listens on a
socket file alone."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.catalog import Catalogue
from storage.catalog.roles import WRITER

NIGHTLY = "nightly"
"""A login that is a member of `oldphoto_writer` and nothing more, as the runs of an archive should have it."""


class PostgresServer:
    """A running server; each catalogue is a database of its own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs misses a variable that nothing here needs
            import pgserver

            self._server: Any = pgserver.get_server(folder, cleanup_mode="stop")
        self.folder = folder
        self._numbers = itertools.count()
        self._template: str | None = None

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """URL of a database of this server."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Runs statements outside any transaction, as the superuser."""
        import psycopg

        with psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Name of a new database, dropped in the end."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def catalogue(self) -> Iterator[str]:
        """URL of a new, migrated catalogue; migrated once, and copied for each."""
        if self._template is None:
            self.execute("CREATE DATABASE empty_catalogue TEMPLATE template0")
            Catalogue.open(self.url("empty_catalogue")).close()
            self.execute(f"CREATE ROLE {NIGHTLY} LOGIN IN ROLE {WRITER}")
            self._template = "empty_catalogue"
        with self.database(template=self._template) as name:
            yield self.url(name)

    def stop(self) -> None:
        """Pulls the plug, as a server that goes down does: clients lose their connections."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Starts it again on the same socket."""
        self._control("start", "-w", "-l", str(self.folder / "restarted.log"), "-o", f'-h "" -k "{self.folder}"')

    def _control(self, *arguments: str) -> None:
        from pgserver._commands import POSTGRES_BIN_PATH

        user = self._server.system_user
        before = ["runuser", "-u", user, "--"] if user else []
        subprocess.run(
            [*before, str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(self.folder), *arguments],
            check=True, stdout=subprocess.DEVNULL, timeout=60, cwd=self.folder,
        )  # fmt: skip

    def close(self) -> None:
        """Stops the server for good."""
        self._server.cleanup()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server in a folder of its own, whose path is short: a socket's may have about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="oldphoto-pg-"))
    server = PostgresServer(folder / "data")
    try:
        # A database for each test, and none of these pulls the plug of the machine: no need to wait for its disk.
        server.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests; they may not stop it, see `running_postgres`."""
    pytest.importorskip("pgserver", reason="no wheel for this Python: PostgreSQL is tested on 3.11 and 3.12")
    with running_postgres() as server:
        yield server
