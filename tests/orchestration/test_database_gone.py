"""A PostgreSQL server that goes down in a run and comes back: the run waits, and nothing is lost or done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from tests.orchestration.archives import make_photos
from tests.store.postgres import PostgresServer, running_postgres

PHOTOS = 6
DOWN_S = 2.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own, since it is stopped."""
    pytest.importorskip("pgserver", reason="no wheel for this Python")
    with running_postgres() as running:
        yield running


def restart_after_first_restoration(server: PostgresServer, url: str, times: list[float]) -> None:
    """Pulls the plug as soon as one restoration is on record, and starts the server again a little later."""
    with Catalogue.open(url) as catalogue:
        while not catalogue.history(limit=1):
            time.sleep(0.02)
    server.stop()
    times.append(time.monotonic())
    time.sleep(DOWN_S)
    server.start()
    times.append(time.monotonic())


def test_a_run_outlives_its_database(
    prefect_server: str, dask_scheduler: str, release_folder: Path, server: PostgresServer, tmp_path: Path
) -> None:
    """Each photo has one restoration and one event for it; the run ends as if nothing had been."""
    from flows.run import run

    server.execute("CREATE DATABASE archive TEMPLATE template0")
    url = server.url("archive")
    Catalogue.open(url).close()
    make_photos(tmp_path / "scans", PHOTOS)
    times: list[float] = []
    watcher = threading.Thread(target=restart_after_first_restoration, args=(server, url, times))
    watcher.start()
    settings = {
        "release": str(release_folder), "scheduler": dask_scheduler, "catalogue_url": url, "batch_size": 1,
    }  # fmt: skip
    summary = run(str(tmp_path / "scans"), home=str(tmp_path / "home"), settings=settings)
    ended = time.monotonic()
    watcher.join(timeout=60)

    went, came_back = times
    assert came_back - went >= DOWN_S
    assert ended > came_back, "the run was over before the server was back, so it never had to wait"
    made = summary.restore
    assert made is not None
    assert (made.restored + made.unchanged, made.failed, summary.exit_code()) == (PHOTOS, (), 0)
    with Catalogue.open(url) as catalogue, catalogue.connected() as connection:
        count = connection.exec_driver_sql(
            "SELECT (SELECT COUNT(*) FROM restoration), (SELECT COUNT(*) FROM event WHERE type = 'restoration'), "
            "(SELECT COUNT(*) FROM lease), (SELECT COUNT(*) FROM run WHERE status = 'finished')"
        ).one()
    assert tuple(count) == (PHOTOS, PHOTOS, 0, 1)
