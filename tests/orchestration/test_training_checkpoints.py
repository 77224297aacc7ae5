"""Checkpoints in the releases store: the newest counts, whole or not at all, and nothing of them stays for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flows.training.checkpoints import (
    fetch_checkpoints,
    keep_checkpoint,
    keep_file,
    keep_weights,
    kept_checkpoints,
    lay_weights,
    step_of,
    sweep_checkpoints,
    training_keys,
    weights_keys,
)
from oldphoto_core.training.checkpoint import save_weights
from storage.objects import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "releases")


def stage_folder(run: Path, name: str, step: int) -> Path:
    """A stage's folder as training leaves it, with a checkpoint that names its step."""
    folder = run / name
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / "last.safetensors", {name: torch.nn.Linear(1, 1)}, {"step": step})
    (folder / "checkpoint.pt").write_text(f"checkpoint of step {step}")
    (folder / f"only-at-{step}.txt").touch()
    return folder


def test_the_newest_checkpoint_comes_back_whole_and_the_older_is_gone(store: ObjectStore, tmp_path: Path) -> None:
    folder = stage_folder(tmp_path / "run", "detector", 20)
    keep_checkpoint(store, "r1", "detector", folder)
    stage_folder(tmp_path / "run", "detector", 40)
    key = keep_checkpoint(store, "r1", "detector", folder)
    assert [one.key for one in kept_checkpoints(store)] == [key]
    assert fetch_checkpoints(store, "r1", tmp_path / "elsewhere") == ["detector"]
    assert step_of(tmp_path / "elsewhere/detector") == 40
    names = [{path.name for path in here.iterdir()} for here in (tmp_path / "elsewhere/detector", folder)]
    assert names[0] == names[1]


def test_what_is_newer_here_stays_and_what_is_older_is_replaced(store: ObjectStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    keep_checkpoint(store, "r1", "vaes", stage_folder(tmp_path / "other", "vae_x", 40))
    stage_folder(run, "vae_x", 60)
    assert fetch_checkpoints(store, "r1", run) == []
    stage_folder(tmp_path / "behind", "vae_x", 20)
    assert fetch_checkpoints(store, "r1", tmp_path / "behind") == ["vae_x"]
    assert not (tmp_path / "behind/vae_x/only-at-20.txt").exists()


def test_of_two_that_a_kill_left_the_newer_is_taken(store: ObjectStore, tmp_path: Path) -> None:
    older = keep_checkpoint(store, "r1", "detector", stage_folder(tmp_path / "a", "detector", 20))
    data = store.read_bytes(older)
    keep_checkpoint(store, "r1", "detector", stage_folder(tmp_path / "b", "detector", 40))
    store.write_bytes_atomic(older, data)
    fetch_checkpoints(store, "r1", tmp_path / "run")
    assert step_of(tmp_path / "run/detector") == 40


def test_a_folder_without_a_checkpoint_stands_at_no_step(tmp_path: Path) -> None:
    folder = stage_folder(tmp_path, "look", 0)
    (folder / "checkpoint.pt").unlink()
    assert step_of(folder) is None
    assert step_of(tmp_path / "nowhere") is None


def test_sweeping_leaves_what_goes_on_and_what_a_finished_one_shows(store: ObjectStore, tmp_path: Path) -> None:
    for retrain_id in ("goes-on", "finished", "unknown"):
        keep_checkpoint(store, retrain_id, "detector", stage_folder(tmp_path / retrain_id, "detector", 1))
        keep_file(store, retrain_id, "detector", "curves.png", b"png")
    assert sweep_checkpoints(store, going_on={"goes-on"}, known={"goes-on", "finished"}) == 3
    assert sorted(training_keys(store)) == [
        "training/finished/detector/curves.png",
        "training/goes-on/detector/checkpoint/detector-00000001.tar",
        "training/goes-on/detector/curves.png",
    ]


def test_a_home_that_kept_nothing_yet_has_nothing_to_sweep(store: ObjectStore) -> None:
    assert sweep_checkpoints(store, going_on=set(), known=set()) == 0
    assert not store.local_path("training").exists()  # type: ignore[union-attr]


def test_networks_without_a_release_are_kept_and_laid_into_another_run(store: ObjectStore, tmp_path: Path) -> None:
    keep_weights(store, "r1", "vaes", stage_folder(tmp_path / "run", "vae_x", 7))
    assert sweep_checkpoints(store, going_on=set(), known={"r1"}) == 0
    (key,) = weights_keys(store, "r1", "vaes")
    lay_weights(store, key, tmp_path / "next")
    assert (tmp_path / "next/vae_x/last.safetensors").is_file()
    assert not (tmp_path / "next/vae_x/checkpoint.pt").exists()
