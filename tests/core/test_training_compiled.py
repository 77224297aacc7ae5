"""Compiled networks train as they are: the same weights, under the same names, but for rounding."""

from __future__ import annotations

import pytest
import torch

from oldphoto_core.training.checkpoint import CHECKPOINT, Checkpoint
from oldphoto_core.training.detector import DetectorStage
from oldphoto_core.training.loop import train
from oldphoto_core.training.schedule import Budget
from tests.core.test_training_resume import SETTINGS, options
from tests.core.training_photos import tiny_material


@pytest.mark.slow
def test_a_compiled_run_ends_where_another_does(tmp_path):
    results = []
    for compiled in (False, True):
        stage = DetectorStage(SETTINGS, tiny_material(), seed=3)
        given = options(tmp_path / f"{compiled}", budget=Budget(steps=4), compiled=compiled)
        results.append(train(stage, given))
    plain, compiled = (Checkpoint.load(r.folder / CHECKPOINT, "cpu").networks["detector"] for r in results)
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        assert torch.allclose(value.float(), compiled[name].float(), atol=0.02), name
