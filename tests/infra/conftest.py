"""A PostgreSQL server as the deployments make it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.infra.manifests import K8S, services
from tests.store.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres_commands() -> str:
    """PATH with psql, pg_dump and the like of the server's own version before all else."""
    pytest.importorskip("pgserver", reason="no wheel for this Python: PostgreSQL is tested on 3.11 and 3.12")
    from pgserver._commands import POSTGRES_BIN_PATH

    return f"{POSTGRES_BIN_PATH}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def bare_postgres(postgres_commands: str) -> Iterator[PostgresServer]:
    """A server on which the deployments' own script has run, and nothing else."""
    with running_postgres() as server:
        environment = {name: str(value) for name, value in services()["postgres"]["environment"].items()}
        subprocess.run(
            [K8S / "base/postgres-init.sh"], check=True, timeout=60, stdout=subprocess.DEVNULL,
            env=os.environ | environment | {"PATH": postgres_commands, "PGHOST": str(server.folder)},
        )  # fmt: skip
        yield server
