"""A museum's night: scans in one S3 server's bucket, restorations in another's, the catalogue in PostgreSQL."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest

from tests.e2e.test_run_command import table
from tests.orchestration.archives import make_scans
from tests.orchestration.fixtures import oldphoto
from tests.store.postgres import PostgresServer
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@dataclass(frozen=True)
class Night:
    """Two runs, one after the other.

    Attributes:
        environment: what the commands were told: nothing but addresses and keys.
        masters: ETag and time of every scan before the first run.
    """

    scans: str
    home: Path
    environment: dict[str, str]
    masters: dict[str, tuple[str, str]]
    first: CompletedProcess[str]
    second: CompletedProcess[str]


def objects_in(server: S3Server, url: str) -> dict[str, tuple[str, str]]:
    """ETag and time by key."""
    return {entry.key: (str(entry.etag), str(entry.modified_at)) for entry in server.source(url).list()}


@pytest.fixture(scope="module")
def night(
    prefect_server: str,
    dask_scheduler: str,
    release_folder: Path,
    moto: S3Server,
    rclone: S3Server,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Night:
    folder = tmp_path_factory.mktemp("museum")
    scans, restored = moto.new_bucket(), rclone.new_bucket()
    for path in sorted(make_scans(folder / "scans").rglob("*.*")):
        moto.store(f"{scans}/1912").write_bytes_atomic(str(path.relative_to(folder / "scans")), path.read_bytes())
    postgres_server.execute("CREATE DATABASE museum TEMPLATE template0")
    environment = {
        "OLDPHOTO_RELEASE": str(release_folder),
        "OLDPHOTO_SCHEDULER": dask_scheduler,
        "OLDPHOTO_CATALOGUE_URL": postgres_server.url("museum"),
        "OLDPHOTO_DERIVATIVES_URL": f"{restored}/all",
        "OLDPHOTO_S3_ACCESS_KEY": ACCESS_KEY,
        "OLDPHOTO_S3_SECRET_KEY": SECRET_KEY,
        "OLDPHOTO_S3_REGION": REGION,
        "OLDPHOTO_SOURCES_S3_ENDPOINT_URL": moto.endpoint_url,
        "OLDPHOTO_DERIVATIVES_S3_ENDPOINT_URL": rclone.endpoint_url,
    }
    masters = objects_in(moto, scans)
    home = folder / "home"
    first, second = (
        oldphoto("run", f"{scans}/1912", "--home", home, "--accept-quarantine", environment=environment)
        for _ in range(2)
    )
    assert objects_in(moto, scans) == masters
    return Night(f"{scans}/1912", home, environment, masters, first, second)


def ask(night: Night, sql: str) -> list[list[str]]:
    """Rows of `oldphoto sql`, without the header."""
    asked = oldphoto("sql", sql, "--format", "csv", "--home", night.home, environment=night.environment)
    assert asked.returncode == 0, asked.stderr
    return list(csv.reader(io.StringIO(asked.stdout)))[1:]


def test_the_first_run_restores_every_photo_and_the_second_does_nothing(night: Night) -> None:
    assert night.first.returncode == 0, night.first.stderr
    counts = table(night.first.stdout)
    assert int(counts["restored"]) + int(counts["unchanged"]) == 5
    assert counts["failed"] == "0"
    assert (night.second.returncode, night.second.stderr.strip()) == (0, "nothing is left to restore")
    assert "Nothing to do" in night.second.stdout
    assert not (night.home / "catalogue.db").exists()


def test_the_derivatives_are_those_of_the_catalogue_and_none_besides(night: Night, rclone: S3Server) -> None:
    """Six objects a restoration, whose bytes have the hashes that PostgreSQL holds."""
    url = night.environment["OLDPHOTO_DERIVATIVES_URL"]
    columns = "restored_key, restored_sha256, mask_key, mask_sha256, found_key, found_sha256"
    rows = ask(night, f"SELECT {columns} FROM restoration_history")
    assert len(rows) == 5
    store = rclone.store(url)
    for row in rows:
        for key, sha256 in zip(row[::2], row[1::2], strict=True):
            assert hashlib.sha256(store.read_bytes(key)).hexdigest() == sha256
    assert len(list(store.list())) == 30


def test_the_server_was_tried_once_for_conditional_writes(night: Night, rclone: S3Server) -> None:
    """rclone ignores the condition in silence; that is known now, and no probe is left behind."""
    rows = ask(night, "SELECT endpoint, conditional_writes FROM store_endpoint")
    assert [(rclone.endpoint_url in endpoint, honoured) for endpoint, honoured in rows] == [(True, "0")]


def test_the_export_has_the_same_totals(night: Night, tmp_path: Path) -> None:
    """Read back by DuckDB."""
    wrote = oldphoto("export", "history", tmp_path / "out", "--home", night.home, environment=night.environment)
    assert wrote.returncode == 0, wrote.stderr
    parquet = duckdb.sql(
        f"SELECT outcome, COUNT(*) FROM read_parquet('{tmp_path}/out/restoration_history/**/*.parquet') "
        "GROUP BY outcome ORDER BY outcome"
    ).fetchall()
    assert [[name, str(count)] for name, count in parquet] == ask(
        night, "SELECT outcome, COUNT(*) FROM restoration_history GROUP BY outcome ORDER BY outcome"
    )
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_the_catalogue_is_found_in_order(night: Night) -> None:
    examined = oldphoto("db", "check", "--home", night.home, environment=night.environment)
    assert examined.returncode == 0, examined.stdout + examined.stderr
