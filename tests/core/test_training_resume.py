"""A run that was killed and resumed gives the same weights as one that was not, to the bit."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.checkpoint import CHECKPOINT, Checkpoint
from oldphoto_core.training.detector import DetectorSettings, DetectorStage
from oldphoto_core.training.loop import RunOptions, train
from oldphoto_core.training.schedule import Budget, Clock
from tests.core.training_photos import tiny_material

SETTINGS = DetectorSettings(preset="tiny", batch=2, crop=32, chunk_photos=1, steps_a_chunk=2, pool_chunks=2)


class Killed(DetectorStage):
    """A detector stage whose process dies at a step."""

    killed_at = 5

    def step(self, clock: Clock, generator: torch.Generator):
        if clock.step == self.killed_at:
            raise KeyboardInterrupt
        return super().step(clock, generator)


def options(folder: Path, **changes) -> RunOptions:
    given = {"budget": Budget(steps=8), "seed": 3, "log_every": 4, "evaluate_every": 4}
    return RunOptions(folder, progress=False, **(given | changes))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = train(DetectorStage(SETTINGS, tiny_material(), seed=3), options(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(Killed(SETTINGS, tiny_material(), seed=3), options(tmp_path / "killed", checkpoint_minutes=0.0))
    assert Checkpoint.load(tmp_path / "killed/detector" / CHECKPOINT, "cpu").step == 4
    resumed = train(DetectorStage(SETTINGS, tiny_material(), seed=3), options(tmp_path / "killed"))

    first, second = (Checkpoint.load(r.folder / CHECKPOINT, "cpu") for r in (whole, resumed))
    assert first.step == second.step == 8
    for part in ("networks", "averages"):
        for name, value in getattr(first, part)["detector"].items():
            assert torch.equal(value, getattr(second, part)["detector"][name]), f"{part} {name} differ"
    assert whole.figures == resumed.figures
    assert all(0 <= figure <= 1 for figure in whole.figures.values())  # and not NaN, which equals nothing
    rows = [pq.read_table(r.folder / "curves.parquet").select(["step", "focal", "dice"]) for r in (whole, resumed)]
    assert rows[0].equals(rows[1])
    assert rows[0]["step"].to_pylist() == [4, 8]
    assert (whole.folder / "curves.png").stat().st_size > 1000


def test_a_finished_run_is_left_as_it_is(tmp_path):
    short = options(tmp_path, budget=Budget(steps=2))
    train(DetectorStage(SETTINGS, tiny_material(), seed=3), short)
    again = train(DetectorStage(SETTINGS, tiny_material(), seed=3), short)
    assert again.step == 2


def test_other_settings_are_refused_and_named(tmp_path):
    train(DetectorStage(SETTINGS, tiny_material(), seed=3), options(tmp_path, budget=Budget(steps=2)))
    other = DetectorSettings(preset="tiny", batch=3, crop=32, chunk_photos=1, steps_a_chunk=2, pool_chunks=2)
    with pytest.raises(TrainingError, match="batch was 2, is 3"):
        train(DetectorStage(other, tiny_material(), seed=3), options(tmp_path))
    fresh = train(DetectorStage(other, tiny_material(), seed=3), options(tmp_path, fresh=True, budget=Budget(steps=1)))
    assert fresh.step == 1


def test_a_file_that_is_no_checkpoint_is_refused_with_advice(tmp_path):
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="--fresh"):
        train(DetectorStage(SETTINGS, tiny_material(), seed=3), options(tmp_path))
