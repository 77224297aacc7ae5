"""A night shift: Prefect's schedule starts a run on Dask workers, one of which is killed in the middle.

Scans lie in moto's bucket, restorations go to rclone's, the catalogue is PostgreSQL: processes, as in production.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from storage.catalog import Catalogue
from tests.orchestration.accounts import assert_accounted, catalogue_at, restorations
from tests.orchestration.archives import make_photos
from tests.orchestration.fixtures import REPOSITORY, oldphoto
from tests.orchestration.processes import DaskCluster, dask_cluster, kill, spawn, wait_for
from tests.store.postgres import PostgresServer
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server

PHOTOS = 12
COPIES = ("copy.png", "copies/again.png")
BAD, IGNORED = "letter.jpg", "Thumbs.db"
INTERVAL_S = 15


@dataclass
class Archive:
    """Where scans lie and restorations go.

    Attributes:
        environment: what the worker and the commands are told.
        keys: of every object of the source.
    """

    source: str
    restored: str
    home: Path
    environment: dict[str, str]
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def archive(
    release_folder: Path, moto: S3Server, rclone: S3Server, postgres_server: PostgresServer, tmp_path: Path
) -> Archive:
    """Twelve photos, two copies of one, a letter that says it is a photo, and a system file, in a bucket."""
    made = Archive(f"{moto.new_bucket()}/1912", f"{rclone.new_bucket()}/all", tmp_path / "home", {})
    photos = {path.name: path.read_bytes() for path in make_photos(tmp_path / "made", PHOTOS, height=240, width=320)}
    photos |= dict.fromkeys(COPIES, photos["photo-003.png"]) | {BAD: b"Dear Sir,\n" * 40, IGNORED: b"\xd0\xcf\x11\xe0"}
    for key, data in photos.items():
        moto.store(made.source).write_bytes_atomic(key, data)
    made.keys = list(photos)
    postgres_server.execute("CREATE DATABASE night_shift TEMPLATE template0")
    Catalogue.open(postgres_server.url("night_shift")).close()
    made.environment = {
        "OLDPHOTO_RELEASE": str(release_folder),
        "OLDPHOTO_BATCH_SIZE": "2",
        "OLDPHOTO_CATALOGUE_URL": postgres_server.url("night_shift"),
        "OLDPHOTO_DERIVATIVES_URL": made.restored,
        "OLDPHOTO_S3_ACCESS_KEY": ACCESS_KEY,
        "OLDPHOTO_S3_SECRET_KEY": SECRET_KEY,
        "OLDPHOTO_S3_REGION": REGION,
        "OLDPHOTO_SOURCES_S3_ENDPOINT_URL": moto.endpoint_url,
        "OLDPHOTO_DERIVATIVES_S3_ENDPOINT_URL": rclone.endpoint_url,
    }
    return made


@pytest.fixture
def cluster(prefect_server: str, tmp_path: Path) -> Iterator[DaskCluster]:
    """Two worker processes that take half a second more for each photo, so that there is a middle."""
    with dask_cluster(tmp_path, workers=2, PREFECT_API_URL=prefect_server, BAD_WORKER_SLOW_S="0.5") as cluster:
        yield cluster


@contextmanager
def prefect_worker(pool: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """`prefect worker start`, as infra/prefect.yaml says."""
    worker = spawn(
        "prefect", "worker", "start", "--pool", pool, "--type", "process", "--limit", "1",
        log_path=folder / "prefect-worker.log",
        environment=environment | {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "INFO"},
    )  # fmt: skip
    try:
        yield
    finally:
        kill(worker, group=True)


def deploy_nightly(url: str, archive: Archive, pool: str, folder: Path) -> str:
    """The repository's deployment of whole runs, every few seconds instead of every night; gives its id."""
    described = yaml.safe_load((REPOSITORY / "infra/prefect.yaml").read_text())["deployments"]
    [name] = [one["name"] for one in described if one["entrypoint"] == "flows.run.run"]
    deployed = spawn(
        "prefect", "--no-prompt", "deploy", "--prefect-file", "infra/prefect.yaml", "--name", name, "--pool", pool,
        "--interval", str(INTERVAL_S), "--params", json.dumps({"source": archive.source, "home": str(archive.home)}),
        log_path=folder / "deploy.log", environment={"PREFECT_API_URL": url},
    )  # fmt: skip
    assert deployed.wait(60) == 0, (folder / "deploy.log").read_text()
    return str(httpx.get(f"{url}/deployments/name/run/{name}").raise_for_status().json()["id"])


def runs_of(url: str, deployment: str) -> list[dict[str, Any]]:
    """The deployment's runs that have begun, in order."""
    asked = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found = httpx.post(f"{url}/flow_runs/filter", json=asked).raise_for_status().json()
    return [run for run in found if run["start_time"]]


def ask(archive: Archive, sql: str) -> list[list[str]]:
    """Rows of `oldphoto sql`, without the header."""
    asked = oldphoto("sql", sql, "--format", "csv", "--home", archive.home, environment=archive.environment)
    assert asked.returncode == 0, asked.stderr
    return list(csv.reader(io.StringIO(asked.stdout)))[1:]


def test_a_scheduled_night_outlives_a_killed_worker_and_accounts_for_everything(
    prefect_server: str, cluster: DaskCluster, archive: Archive, rclone: S3Server, tmp_path: Path
) -> None:
    environment = archive.environment | {"PREFECT_API_URL": prefect_server, "OLDPHOTO_SCHEDULER": cluster.address}
    catalogue = catalogue_at(archive.environment["OLDPHOTO_CATALOGUE_URL"])
    httpx.post(f"{prefect_server}/work_pools/", json={"name": "night-shift", "type": "process"}).raise_for_status()
    deployment = deploy_nightly(prefect_server, archive, "night-shift", tmp_path)
    log = tmp_path / "prefect-worker.log"
    with prefect_worker("night-shift", environment, tmp_path):
        wait_for(lambda: bool(runs_of(prefect_server, deployment)), "the schedule's first run")
        httpx.post(f"{prefect_server}/deployments/{deployment}/pause_deployment").raise_for_status()
        wait_for(lambda: restorations(catalogue) >= 1, "a first restoration")
        kill(cluster.workers[0])
        assert restorations(catalogue) < PHOTOS - 2
        [first, *_] = runs_of(prefect_server, deployment)
        wait_for(lambda: runs_of(prefect_server, deployment)[0]["state_type"] not in ("RUNNING", "PENDING"), "its end")
    [first, *_] = runs_of(prefect_server, deployment)
    assert first["state_type"] == "COMPLETED", log.read_text()[-4000:]
    assert first["auto_scheduled"]

    outcomes = assert_accounted(
        lambda sql: ask(archive, sql),
        keys=archive.keys,
        stored=[entry.key for entry in rclone.store(archive.restored).list()],
        others=(BAD, IGNORED),
    )
    assert (outcomes[BAD], outcomes[IGNORED]) == ("quarantined", "ignored")
    statuses = ask(archive, "SELECT status, flow_run_id FROM run ORDER BY number")
    assert statuses[0] == ["finished", first["id"]]
