"""Fixtures of whole runs, for tests/orchestration and tests/e2e alike."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from tests.orchestration.archives import make_tiny_release

REPOSITORY = Path(__file__).resolve().parents[2]


@cache
def server_folder() -> Path:
    """Where the tests' Prefect server keeps its database; asked for first while the environment is as it was set up."""
    return Path(os.environ["PREFECT_HOME"]) / "server"


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real Prefect server, one for all tests: a second user of its folder joins it."""
    from flows.embedded_prefect import embedded_prefect

    with embedded_prefect(server_folder()) as url:
        yield url


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real release of toy size."""
    return make_tiny_release(tmp_path_factory.mktemp("releases") / "tiny")


@pytest.fixture(scope="session")
def dask_scheduler() -> Iterator[str]:
    """Address of a running Dask scheduler with one worker."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test started; none outlives it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def warm_prefect(folder: Path) -> None:
    """Lays a Prefect database with its tables into a new home: making them takes many seconds."""
    folder.mkdir(parents=True)
    with (
        closing(sqlite3.connect(server_folder() / "prefect.db")) as source,
        closing(sqlite3.connect(folder / "prefect.db")) as target,
    ):
        source.backup(target)


def oldphoto(
    *arguments: str | Path, environment: dict[str, str] | None = None, timeout_s: float = 500
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.app", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "200"} | (environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
