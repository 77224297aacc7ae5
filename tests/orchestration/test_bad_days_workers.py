"""Workers that die in a run: killed from outside, by a photo, or for lack of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.installations import BAD_PHOTO, BAD_WORKER_SIZE, add_bad_photo, install, summary
from tests.orchestration.processes import dask_cluster, kill

QUICK_DEATHS = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


@pytest.mark.slow  # the night shift of tests/e2e kills one too
def test_a_killed_worker_costs_no_photo(prefect_server: str, release_folder: Path, tmp_path: Path) -> None:
    """The other one takes over what it was at."""
    with dask_cluster(tmp_path, workers=2, BAD_WORKER_SLOW_S="0.3") as cluster:
        archive = install(
            tmp_path, photos=8, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="2",
        )  # fmt: skip
        at_work = archive.start_run()
        archive.wait_for_done(at_work)
        kill(cluster.workers[0])
        ended = at_work.end()
    assert ended.returncode == 0, ended.stdout
    assert summary(ended)["restored"] + summary(ended)["unchanged"] == 8
    archive.assert_accounted()


@pytest.mark.slow  # one that fails every night is set aside in test_set_aside
def test_a_photo_that_kills_its_workers_is_blamed_alone_and_set_aside(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """Its neighbours in the batch, and those that wait on the same worker, are restored; after its one try it rests."""
    with dask_cluster(
        tmp_path, workers=2, options=("--nanny",), BAD_WORKER_KILLS=BAD_WORKER_SIZE, BAD_WORKER_SLOW_S="0.1"
    ) as cluster:
        archive = install(
            tmp_path, photos=6, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="3", OLDPHOTO_TRIES="1",
        )  # fmt: skip
        add_bad_photo(archive)
        first = archive.run()
        assert first.returncode == 1, first.stdout
        assert summary(first)["failed"] == 1
        assert archive.done() == 6
        [(key, tries, aside, error)] = archive.ask(
            "SELECT source_key, tries, set_aside_at, error FROM restoration_history WHERE outcome = 'failed'"
        )
        assert (key, tries) == (BAD_PHOTO, 1)
        assert aside
        assert "worker process died" in error

        second = archive.run()
        assert summary(second)["set aside"] == 1, second.stdout
        assert "failed" not in summary(second) or summary(second)["failed"] == 0
    assert archive.ask("SELECT COUNT(*) FROM event WHERE type = 'restoration' AND outcome = 'failure'") == [(1,)]
    assert archive.assert_accounted(failed=[BAD_PHOTO])[BAD_PHOTO] == "quarantined"


@pytest.mark.slow
def test_a_photo_too_large_for_its_worker_fails_alone(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """The nanny ends a worker whose memory runs full, and starts it again."""
    with dask_cluster(
        tmp_path, workers=1, options=("--nanny", "--memory-limit", "1500MB"), BAD_WORKER_FILLS=BAD_WORKER_SIZE
    ) as cluster:
        archive = install(
            tmp_path, photos=3, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="2",
        )  # fmt: skip
        add_bad_photo(archive)
        ended = archive.run()
    assert ended.returncode == 1, ended.stdout
    assert archive.done() == 3
    [(key, error)] = archive.ask("SELECT source_key, error FROM restoration_history WHERE outcome = 'failed'")
    assert key == BAD_PHOTO
    assert "memory" in error
    archive.assert_accounted(failed=[BAD_PHOTO])
