"""Servers that go away in a run: the Dask scheduler, the Prefect server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.orchestration.installations import install, summary
from tests.orchestration.processes import dask_cluster, kill, own_prefect_server

PHOTOS = 8


@pytest.mark.slow
def test_a_scheduler_that_is_started_again_costs_no_photo(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """The run goes on, or ends with one clear line and its leases given back; the next one does what is missing."""
    with dask_cluster(tmp_path, workers=1, BAD_WORKER_SLOW_S="0.3") as cluster:
        archive = install(
            tmp_path, photos=PHOTOS, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="1",
        )  # fmt: skip
        at_work = archive.start_run()
        archive.wait_for_done(at_work, 2)
        assert cluster.scheduler is not None
        kill(cluster.scheduler)
        kill(cluster.workers[0])  # it would end by itself now: whoever looks after it starts it again
        cluster.start_scheduler()
        cluster.start_worker()
        ended = at_work.end()
        assert archive.ask("SELECT name FROM lease") == []
        done = archive.done()
        if ended.returncode != 0:
            assert ended.returncode == 1, ended.stdout
            assert "scheduler" in ended.stdout.strip().splitlines()[-1]
            assert "Traceback" not in ended.stdout
            again = archive.run()
            assert again.returncode == 0, again.stdout
            assert summary(again)["restored"] + summary(again)["unchanged"] == PHOTOS - done
    assert archive.ask("SELECT COUNT(*) FROM restoration WHERE outcome = 'failed' OR tries > 0") == [(0,)]
    archive.assert_accounted()


@pytest.mark.slow
@pytest.mark.parametrize("gone_s", [8, 60])
def test_a_prefect_server_that_is_gone_for_a_while_costs_no_photo(
    gone_s: int, prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """Whatever becomes of Prefect's states, the photos are on record, and the outcome is told."""
    with (
        own_prefect_server(tmp_path / "prefect") as server,
        dask_cluster(tmp_path, workers=1, PREFECT_API_URL=server.url, BAD_WORKER_SLOW_S="0.5") as cluster,
    ):
        archive = install(
            tmp_path, photos=PHOTOS, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="1", PREFECT_API_URL=server.url,
        )  # fmt: skip
        at_work = archive.start_run()
        archive.wait_for_done(at_work)
        server.kill()
        time.sleep(gone_s)
        server.start()
        ended = at_work.end(seconds=180)
        assert archive.ask("SELECT name FROM lease") == []
        assert "Traceback" not in ended.stdout
        if ended.returncode != 0:
            assert ended.returncode == 1, ended.stdout
            assert "Prefect" in ended.stdout.strip().splitlines()[-1]
            again = archive.run()
            assert again.returncode == 0, again.stdout
    assert archive.ask("SELECT COUNT(*) FROM restoration WHERE outcome = 'failed' OR tries > 0") == [(0,)]
    archive.assert_accounted()
