"""A run that somebody cancels on Prefect's page."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.orchestration.installations import Installation, install, summary
from tests.orchestration.processes import dask_cluster, kill, spawn, wait_for

PHOTOS = 10


def deploy_and_start(url: str, archive: Installation, pool: str, folder: Path) -> str:
    """Deploys whole runs to the pool, asks for one, and gives its id."""
    httpx.post(f"{url}/work_pools/", json={"name": pool, "type": "process"}).raise_for_status()
    parameters = json.dumps({"source": str(archive.scans), "home": str(archive.home)})
    (folder / "prefect.yaml").write_text(
        f"pull: []\ndeployments:\n  - name: {pool}\n    entrypoint: flows.run.run\n    work_pool: {{name: {pool}}}\n"
    )
    deployed = spawn(
        "prefect", "--no-prompt", "deploy", "--prefect-file", folder / "prefect.yaml", "--all", "--params", parameters,
        log_path=folder / "deploy.log", environment={"PREFECT_API_URL": url},
    )  # fmt: skip
    assert deployed.wait(60) == 0, (folder / "deploy.log").read_text()
    deployment = httpx.get(f"{url}/deployments/name/run/{pool}").raise_for_status().json()["id"]
    asked = httpx.post(f"{url}/deployments/{deployment}/create_flow_run", json={}).raise_for_status()
    return str(asked.json()["id"])


@pytest.mark.slow
def test_a_cancelled_run_ends_and_the_next_one_does_exactly_what_is_missing(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    with dask_cluster(tmp_path, workers=1, PREFECT_API_URL=prefect_server, BAD_WORKER_SLOW_S="0.7") as cluster:
        archive = install(
            tmp_path, photos=PHOTOS, OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=cluster.address,
            OLDPHOTO_BATCH_SIZE="1", OLDPHOTO_LEASE_S="10",
        )  # fmt: skip
        run_id = deploy_and_start(prefect_server, archive, "cancelled", tmp_path)

        def state() -> str:
            return str(httpx.get(f"{prefect_server}/flow_runs/{run_id}").raise_for_status().json()["state_type"])

        log = tmp_path / "prefect-worker.log"
        worker = spawn(
            "prefect", "worker", "start", "--pool", "cancelled", "--type", "process", log_path=log,
            environment=archive.environment | {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "INFO"},
        )  # fmt: skip
        try:
            wait_for(lambda: archive.done() >= 1, "a first restoration")
            cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            httpx.post(f"{prefect_server}/flow_runs/{run_id}/set_state", json=cancelling).raise_for_status()
            wait_for(lambda: state() == "CANCELLED", "the state Cancelled")
            wait_for(lambda: archive.ask("SELECT name FROM lease") == [], "free leases", seconds=15)
        finally:
            kill(worker, group=True)
        done = archive.done()
        assert done < PHOTOS, log.read_text()[-2000:]
        again = archive.run()
        assert again.returncode == 0, again.stdout
        counts = summary(again)
    assert (counts["restored"] + counts["unchanged"], counts["already done"]) == (PHOTOS - done, done)
    archive.assert_accounted()
