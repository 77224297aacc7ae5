"""Two runs of the same flow at once, as two processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.catalog import Catalogue
from tests.orchestration.installations import install, summary
from tests.orchestration.processes import dask_cluster
from tests.store.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]

PHOTOS = 8


@pytest.mark.parametrize("database", [pytest.param("SQLite", marks=pytest.mark.slow), "PostgreSQL"])
def test_two_runs_at_once_restore_each_photo_once(
    database: str, prefect_server: str, release_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each tells its own part, and the other's as already done."""
    environment = {"OLDPHOTO_RELEASE": str(release_folder), "OLDPHOTO_BATCH_SIZE": "1"}
    if database == "PostgreSQL":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.execute("CREATE DATABASE two_runs TEMPLATE template0")
        environment["OLDPHOTO_CATALOGUE_URL"] = server.url("two_runs")
        Catalogue.open(server.url("two_runs")).close()
    with dask_cluster(tmp_path, workers=2, BAD_WORKER_SLOW_S="0.3") as cluster:
        archive = install(tmp_path, photos=PHOTOS, OLDPHOTO_SCHEDULER=cluster.address, **environment)
        both = [run.end() for run in [archive.start_run(), archive.start_run()]]
    for ended in both:
        assert ended.returncode == 0, ended.stdout
    told = [summary(ended) for ended in both]
    made = [counts.get("restored", 0) + counts.get("unchanged", 0) for counts in told]
    assert sum(made) == PHOTOS, told
    assert [counts["already done"] for counts in told] == [PHOTOS - count for count in made]
    assert archive.ask("SELECT COUNT(*) FROM event WHERE type = 'restoration'") == [(PHOTOS,)]
    archive.assert_accounted()
