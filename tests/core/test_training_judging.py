"""Checkpoints are judged by the metrics that figures are reported in, on photos to which something happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import nn

from oldphoto_core.evaluation import metrics
from oldphoto_core.training.detector import DetectorSettings, DetectorStage
from oldphoto_core.training.judging import figures_of, own_set
from oldphoto_core.training.loop import RunOptions, train
from oldphoto_core.training.schedule import Budget
from tests.core.training_photos import tiny_material


def test_photos_to_which_nothing_happened_are_not_counted():
    photos = own_set(tiny_material())
    noisy = photos.target + 0.1
    photos = replace(photos, image=noisy, kind=torch.tensor([0, 3, 3, 0]))
    halved = torch.where((photos.kind == 0)[:, None, None, None], noisy, photos.target + 0.05)
    figures = figures_of(halved, photos)
    target, result = (((x + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).numpy() for x in (photos.target, halved))
    assert figures["psnr"] == pytest.approx(sum(metrics.psnr(result[k], target[k]) for k in (1, 2)) / 2)
    assert 4 < figures["gain"] < 8  # half the error is 6 dB


def test_grey_photos_can_be_aligned():
    photos = own_set(tiny_material())
    grey = photos.target.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    photos = replace(photos, target=grey, image=grey * 0.5, mask=torch.zeros_like(photos.mask))
    figures = figures_of(grey * 0.5, photos)
    assert figures["aligned"] > 50 > 30 > figures["psnr"]


class UnsureAtFirst(DetectorStage):
    """A detector stage whose first score is not a number, as where no judged photo has a scratch."""

    judged = 0

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        self.judged += 1
        return {"second/auc": math.nan if self.judged == 1 else 0.5}


def test_a_score_that_is_not_a_number_is_not_kept_as_the_best(tmp_path):
    settings = DetectorSettings(preset="tiny", batch=2, crop=32, chunk_photos=1, steps_a_chunk=2, pool_chunks=2)
    options = RunOptions(tmp_path, Budget(steps=4), evaluate_every=2, progress=False)
    result = train(UnsureAtFirst(settings, tiny_material()), options)
    assert result.best_score == 0.5
    assert result.best_step == 4
