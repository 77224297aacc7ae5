"""Servers of infra/compose.yaml that need no container: its S3 servers, and what its PostgreSQL is given at first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.catalog import Catalogue
from storage.catalog.checks import check_catalogue, upgrade_catalogue
from storage.errors import StorageError
from storage.objects import ObjectStore, SourceStore
from storage.records import CollectionRecord
from storage.settings import StorageSettings
from tests.infra.manifests import K8S, services
from tests.orchestration.processes import free_port, listens, wait_for
from tests.store.postgres import PostgresServer

RCLONE = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")


@contextmanager
def running(name: str, folder: Path) -> Iterator[int]:
    """A service's own command, on a port and a folder of ours."""
    service, port = services()[name], free_port()
    ours = {":8333": f"127.0.0.1:{port}", "/srv/sources": str(folder), "/srv/objects": str(folder)}
    assert RCLONE is not None
    process = subprocess.Popen(
        [RCLONE, *(ours.get(word, word) for word in service["command"])], env=os.environ | service["environment"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: listens(port), name)
        yield port
    finally:
        process.kill()  # politely asked, it would wait for requests that it never answers
        process.wait(10)


def options(name: str, port: int) -> dict[str, Any]:
    """What a store of this service is opened with, by the environment of the flows."""
    told = services()["flows"]["environment"]
    prefix = "OLDPHOTO_SOURCES_S3_" if name == "scans" else "OLDPHOTO_S3_"
    said = {
        "endpoint_url": f"http://127.0.0.1:{port}", "region": told["OLDPHOTO_S3_REGION"], "attempts": 1,
        "access_key": told[f"{prefix}ACCESS_KEY"], "secret_key": told[f"{prefix}SECRET_KEY"], "read_timeout_s": 1.0,
    }  # fmt: skip
    return StorageSettings.load(s3=said).store_options("s3://any")


@pytest.mark.skipif(RCLONE is None, reason="no rclone: install the test extra")
def test_masters_are_read_and_cannot_be_written(tmp_path: Path) -> None:
    master = tmp_path / "scans/1912/photo.tif"
    master.parent.mkdir(parents=True)
    master.write_bytes(b"a master")
    with running("scans", tmp_path) as port:
        source = SourceStore("s3://scans/1912", options("scans", port))
        assert [entry.key for entry in source.list()] == ["photo.tif"]
        assert source.read_bytes("photo.tif") == b"a master"
        with pytest.raises(StorageError):  # rclone refuses, and leaves the asker without an answer
            ObjectStore("s3://scans/1912", options("scans", port)).write_bytes_atomic("photo.tif", b"other bytes")
        with pytest.raises(StorageError):
            list(SourceStore("s3://scans/1912", options("objects", port)).list())
    assert master.read_bytes() == b"a master"


@pytest.mark.skipif(RCLONE is None, reason="no rclone: install the test extra")
def test_results_are_written_into_the_buckets_that_are_made(tmp_path: Path) -> None:
    for path in services()["buckets"]["command"][2:]:
        (tmp_path / Path(path).relative_to("/srv/objects")).mkdir()
    urls = [value for value in services()["flows"]["environment"].values() if str(value).startswith("s3://")]
    assert len(urls) == 4
    with running("objects", tmp_path) as port:
        for url in [*urls, "s3://reading-room/restored"]:
            ObjectStore(url, options("objects", port)).write_bytes_atomic("a/b.txt", b"bytes")
            assert (tmp_path / url.removeprefix("s3://") / "a/b.txt").read_bytes() == b"bytes"


def test_postgres_gets_roles_that_do_for_an_upgrade_and_a_run(bare_postgres: PostgresServer) -> None:
    """The script of both deployments, then `oldphoto db upgrade` as the owner, then a run's writes as `nightly`."""
    owner = bare_postgres.url("archive", user="archive_owner")
    assert upgrade_catalogue(owner).refused == ()
    findings = list(check_catalogue(owner))
    assert not [finding for finding in findings if finding.verdict == "bad"]
    with Catalogue.open(bare_postgres.url("archive", user="nightly")) as catalogue:
        assert catalogue.upsert_collection(CollectionRecord(url="s3://scans/1912"))


def test_prefect_cannot_look_into_the_archive(bare_postgres: PostgresServer) -> None:
    import psycopg

    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(f"host={bare_postgres.folder} user=prefect dbname=archive")
    psycopg.connect(f"host={bare_postgres.folder} user=prefect dbname=prefect").close()


def test_the_script_is_for_the_superuser_of_the_image() -> None:
    """The image of PostgreSQL runs what lies in this folder, on an empty data folder alone."""
    (mounted,) = [volume for volume in services()["postgres"]["volumes"] if "postgres-init.sh" in volume]
    assert mounted.split(":")[1].startswith("/docker-entrypoint-initdb.d/")
    asked = {line.split()[2] for line in (K8S / "base/postgres-init.sh").read_text().splitlines() if "getenv" in line}
    assert asked <= set(services()["postgres"]["environment"])
