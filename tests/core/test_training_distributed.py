"""Two processes that train together have the same weights at every step, and learn as one does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.checkpoint import CHECKPOINT, WEIGHTS, save_weights
from oldphoto_core.training.detector import DetectorSettings, DetectorStage
from oldphoto_core.training.distributed import rank, together
from oldphoto_core.training.loop import RunOptions, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.stages import train_detector
from tests.core.retraining_material import labelled_material

SETTINGS = DetectorSettings(
    preset="tiny", batch=2, crop=48, rate=1e-2, chunk_photos=1, steps_a_chunk=12, pool_chunks=2
)
OPTIONS = {"budget": Budget(steps=12), "seed": 3, "log_every": 2, "evaluate_every": 6, "progress": False, "threads": 1}


def keep_weights(material: Material, folder: Path) -> None:
    """Trains, and keeps what this process holds at the end."""
    stage = DetectorStage(SETTINGS, material, seed=3)
    train(stage, RunOptions(folder / "run", **OPTIONS))
    save_weights(folder / f"{rank()}.safetensors", stage.networks, {})
    with DetectorStage(SETTINGS, material, seed=3).sources[0] as source:
        crops = source.at(0, crop_px=32, batch=2)
    save_weights(folder / f"crops-{rank()}.safetensors", {"a": torch.nn.ParameterList([crops.image])}, {})


def test_both_processes_end_with_the_same_weights_and_saw_other_crops(tmp_path: Path):
    material = labelled_material()
    together(
        lambda: keep_weights(material, tmp_path), keep_weights, (material, tmp_path), processes=2, cuda=False
    )
    first, second = (load_file(tmp_path / f"{number}.safetensors") for number in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    crops = [load_file(tmp_path / f"crops-{number}.safetensors")["a.0"] for number in range(2)]
    assert not torch.equal(*crops)
    assert not torch.distributed.is_initialized()


def test_two_processes_learn_as_one_and_the_leader_alone_keeps_the_run(tmp_path: Path):
    material, saved = labelled_material(), []
    options = RunOptions(tmp_path / "two", **OPTIONS, processes=2, saved=saved.append, checkpoint_steps=6)
    result = train_detector(material, SETTINGS, options)
    alone = train_detector(material, SETTINGS, replace(options, folder=tmp_path / "one", processes=1, saved=None))
    assert result.finished
    assert result.step == alone.step == 12
    assert saved == [result.folder] * 3
    for folder in (result.folder, alone.folder):
        losses = pq.read_table(folder / "curves.parquet")["focal"].drop_null().to_pylist()
        assert sum(losses[-2:]) < 0.9 * sum(losses[:2]), losses
        assert (folder / CHECKPOINT).is_file()
    first, second = (load_file(r.folder / WEIGHTS["last"]) for r in (result, alone))
    assert any(not torch.equal(value, second[name]) for name, value in first.items()), "two batches a step, not one"
    assert set(result.figures) == set(alone.figures)


def test_a_process_that_fails_ends_the_run(tmp_path: Path):
    with pytest.raises(RuntimeError):
        together(lambda: torch.distributed.barrier(), os._exit, (3,), processes=2, cuda=False)


def test_more_gpus_than_there_are_is_refused():
    if torch.cuda.device_count() >= 64:
        pytest.skip("this machine has them")
    with pytest.raises(TrainingError, match="64 GPUs were asked for"):
        together(lambda: None, print, (), processes=64, cuda=True)
