"""Masters and derivatives in buckets, on a real S3 server (moto's): the same flow, and sources are only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flows.settings import Settings
from storage.objects import ObjectStore
from tests.orchestration.archives import make_photos


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An S3 server, named by the environment as a person would; gives fsspec's options for it."""
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "S3_ENDPOINT_URL": f"http://{host}:{port}",
        "S3_REGION": "eu-west-1",
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
    }.items():
        monkeypatch.setenv(f"OLDPHOTO_{name}", value)
    yield Settings.load("unused").store_options("s3://scans")
    server.stop()


def test_a_bucket_is_restored_into_a_bucket(
    prefect_server: str, dask_scheduler: str, release_folder: Path, s3: dict[str, Any], tmp_path: Path
) -> None:
    from flows.run import run

    fs = fsspec.filesystem("s3", **s3)
    fs.mkdir("scans")
    fs.mkdir("restored")
    for path in make_photos(tmp_path / "photos", 2):
        fs.pipe_file(f"scans/box 1/{path.name}", path.read_bytes())
    fs.pipe_file("scans/box 1/letter.jpg", b"Dear Sir")
    before = {entry["Key"]: entry["ETag"] for entry in fs.find("scans", detail=True).values()}

    home = tmp_path / "home"
    settings = {"release": str(release_folder), "scheduler": dask_scheduler, "derivatives_url": "s3://restored/all"}
    summary = run("s3://scans/box 1", home=str(home), settings=settings)

    made = summary.restore
    assert made is not None
    assert (made.restored + made.unchanged, made.failed, summary.exit_code()) == (2, (), 3)
    keys = [entry.key for entry in ObjectStore("s3://restored/all", s3).list()]
    assert sorted(key.rsplit("/", 1)[1] for key in keys) == sorted(
        2 * ["difference.png", "found.png", "mask.png", "preview.jpg", "provenance.json", "restored.png"]
    )
    assert sorted(path.name for path in (home / "browse").iterdir()) == ["photo-000.png.png", "photo-001.png.png"]
    assert not (home / "derivatives").exists()
    assert {entry["Key"]: entry["ETag"] for entry in fs.find("scans", detail=True).values()} == before
    assert summary.report_path is not None
    assert "photo-001.png" in summary.report_path.read_text()
