"""A store that is throttled in a run: 503 SlowDown, on reads and on writes, for a while or for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.accounts import assert_accounted
from tests.orchestration.installations import Installation, install
from tests.orchestration.processes import DaskCluster, dask_cluster, wait_for
from tests.store.fault_proxy import FaultProxy, running_proxy
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server

PHOTOS = 4
THROTTLED_S = 6.0
WITHIN = {"GET": "/scans/", "PUT": "/all/"}
"""Where the requests of a method go that are throttled: masters are read, results are written."""


@pytest.fixture(scope="module")
def workers(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """One worker for all tests here."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), workers=1) as cluster:
        yield cluster


@pytest.fixture
def proxy(moto: S3Server) -> Iterator[FaultProxy]:
    """In front of the server that holds both buckets."""
    with running_proxy(moto) as running:
        yield running


@pytest.fixture
def archive(workers: DaskCluster, proxy: FaultProxy, release_folder: Path, tmp_path: Path) -> Installation:
    """Photos in a bucket, ingested; what is restored goes to another bucket of the same server."""
    server = proxy.server
    made = install(
        tmp_path, photos=PHOTOS,
        OLDPHOTO_RELEASE=str(release_folder), OLDPHOTO_SCHEDULER=workers.address, OLDPHOTO_BATCH_SIZE="2",
        OLDPHOTO_DERIVATIVES_URL=f"{server.new_bucket()}/all", OLDPHOTO_S3_ENDPOINT_URL=proxy.url,
        OLDPHOTO_S3_ACCESS_KEY=ACCESS_KEY, OLDPHOTO_S3_SECRET_KEY=SECRET_KEY, OLDPHOTO_S3_REGION=REGION,
        OLDPHOTO_S3_ATTEMPTS="1",
    )  # fmt: skip
    source = f"{server.new_bucket()}/scans"
    for path in made.scans.iterdir():
        server.store(source).write_bytes_atomic(path.name, path.read_bytes())
    ingested = made.start("ingest", source).end()
    assert ingested.returncode == 0, ingested.stdout
    return made


def throttle(proxy: FaultProxy, method: str) -> None:
    """Every such request for photos or results is answered with SlowDown from now on."""
    proxy.add("error", method=method, within=WITHIN[method], times=None, status=503, code="SlowDown")


def is_throttled(request: str, method: str) -> bool:
    """Whether it is one of those requests."""
    return request.startswith(f"{method} ") and WITHIN[method] in request


def assert_all_accounted(archive: Installation, server: S3Server) -> None:
    assert_accounted(
        archive.ask,
        keys=[path.name for path in archive.scans.iterdir()],
        stored=[entry.key for entry in server.store(archive.environment["OLDPHOTO_DERIVATIVES_URL"]).list()],
    )


@pytest.mark.parametrize("method", ["GET", pytest.param("PUT", marks=pytest.mark.slow)])
def test_photos_are_restored_once_the_store_lets_them(
    method: str, archive: Installation, proxy: FaultProxy, moto: S3Server
) -> None:
    throttle(proxy, method)
    seen = len(proxy.requests)
    at_work = archive.start("restore")
    wait_for(lambda: any(is_throttled(request, method) for request in proxy.requests[seen:]), "a request to refuse")
    time.sleep(THROTTLED_S)
    assert archive.done() == 0
    proxy.faults.clear()
    ended = at_work.end()
    assert ended.returncode == 0, ended.stdout
    assert archive.ask("SELECT COUNT(*) FROM restoration WHERE tries > 0 OR outcome = 'failed'") == [(0,)]
    assert_all_accounted(archive, moto)


@pytest.mark.parametrize("method", [pytest.param("GET", marks=pytest.mark.slow), "PUT"])
def test_a_store_that_stays_busy_ends_the_run_within_the_patience_and_blames_no_photo(
    method: str, archive: Installation, proxy: FaultProxy, moto: S3Server
) -> None:
    """One clear line; the next run does what is missing."""
    throttle(proxy, method)
    started = time.monotonic()
    ended = archive.start("restore", OLDPHOTO_STORE_PATIENCE_S="3").end(seconds=150)
    took_s = time.monotonic() - started
    assert ended.returncode == 1, ended.stdout
    assert "SlowDown" in ended.stdout or "busy" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert took_s < 60, f"{took_s:.0f} s for a patience of 3 s"
    assert archive.ask("SELECT COUNT(*) FROM restoration WHERE tries > 0 OR set_aside_at IS NOT NULL") == [(0,)]
    assert archive.ask("SELECT name FROM lease") == []
    proxy.faults.clear()
    again = archive.start("restore").end()
    assert again.returncode == 0, again.stdout
    assert_all_accounted(archive, moto)
