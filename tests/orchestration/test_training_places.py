"""Clean photos and checkpoints in buckets, on a real S3 server; and photos that lie elsewhere on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flows.errors import UsageError
from flows.settings import Settings
from flows.training.checkpoints import fetch_checkpoints, keep_checkpoint, releases_store, sweep_checkpoints
from flows.training.clean_photos import fetched, fetched_photos, require_clean_photos
from flows.training.plan import TrainingPlan
from flows.training.stage import place_of
from oldphoto_core.training.checkpoint import save_weights
from storage.objects import ObjectStore
from tests.orchestration.museums import make_clean_photos
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@pytest.fixture
def bucket(moto: S3Server) -> str:
    return moto.new_bucket()


@pytest.fixture
def settings(moto: S3Server, bucket: str, home: Path) -> Settings:
    s3 = {"endpoint_url": moto.endpoint_url, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return Settings.load(home, s3=s3, releases_url=f"{bucket}/releases", training_photos=f"{bucket}/clean")


def fill(settings: Settings, bucket: str, folder: Path, count: int) -> None:
    store = ObjectStore(f"{bucket}/clean", settings.store_options(bucket))
    for path in make_clean_photos(folder, count).iterdir():
        store.write_bytes_atomic(f"box 1/{path.name}", path.read_bytes())
    store.write_bytes_atomic("list.pdf", b"%PDF")


def test_a_bucket_of_clean_photos_is_fetched_once_and_again_where_it_changed(
    settings: Settings, bucket: str, tmp_path: Path
) -> None:
    fill(settings, bucket, tmp_path / "clean", 9)
    url = require_clean_photos(settings)
    folder = fetched_photos(settings, url)
    photos = sorted(folder.rglob("*.*"))
    assert [path.name for path in photos] == [f"clean-{number:03d}.png" for number in range(9)]
    when = {path: path.stat().st_mtime_ns for path in photos}
    assert fetched(settings, url) == folder
    assert {path: path.stat().st_mtime_ns for path in photos} == when
    photos[3].unlink()  # as where the first fetch was killed
    assert len(sorted(fetched(settings, url).rglob("*.png"))) == 9
    store = ObjectStore(f"{bucket}/clean", settings.store_options(bucket))
    store.write_bytes_atomic("box 1/clean-000.png", (tmp_path / "clean/clean-001.png").read_bytes())
    assert fetched(settings, url) != folder


def test_a_bucket_with_too_few_is_told_as_such(settings: Settings, bucket: str, tmp_path: Path) -> None:
    fill(settings, bucket, tmp_path / "clean", 3)
    with pytest.raises(UsageError, match="holds 3 photos, and 8 are the fewest"):
        fetched_photos(settings, require_clean_photos(settings))


def test_checkpoints_go_to_a_bucket_and_come_back_on_another_machine(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "detector"
    folder.mkdir(parents=True)
    store = releases_store(settings)
    for step in (1, 2):
        save_weights(folder / "last.safetensors", {"detector": torch.nn.Linear(1, 1)}, {"step": step})
        (folder / "checkpoint.pt").write_bytes(b"c" * step)
        keep_checkpoint(store, "r1", "detector", folder)
    assert fetch_checkpoints(store, "r1", tmp_path / "elsewhere") == ["detector"]
    assert (tmp_path / "elsewhere/detector/checkpoint.pt").read_bytes() == b"cc"
    assert sweep_checkpoints(store, going_on=set(), known={"r1"}) == 1
    assert not [entry for entry in store.list() if entry.key.startswith("training/")]


def test_photos_of_a_plan_are_looked_for_where_this_machine_has_them(home: Path, tmp_path: Path) -> None:
    plan = TrainingPlan(
        retrain_id="r1", stages=("detector",), parent="p", snapshot_sha256="0" * 64, snapshot_key="k", seed=1, steps=1,
        photos=str(tmp_path / "not here"),
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"not here, which is not there; bring it back"):
        place_of(Settings.load(home), plan)
    here = str(make_clean_photos(tmp_path / "clean", 8))
    assert place_of(Settings.load(home, training_photos=here), plan) == here
