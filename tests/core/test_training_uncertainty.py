"""The uncertainty head's stage: it sees what `Restorer` makes, learns, resumes to the bit, and joins its release."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from oldphoto_core import Restorer
from oldphoto_core.evaluation.second_generator import damage
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import DEFAULT_FOLDER, find_release, read_card
from oldphoto_core.releases.uncertainty import load_uncertainty
from oldphoto_core.training.checkpoint import CHECKPOINT, Checkpoint
from oldphoto_core.training.loop import RunOptions, train
from oldphoto_core.training.restored_photos import FrozenRelease, in_tone_of
from oldphoto_core.training.schedule import Budget, Clock
from oldphoto_core.training.uncertainty import UncertaintySettings, UncertaintyStage, main
from tests.core.training_photos import tiny_material

SETTINGS = UncertaintySettings("archive", batch=3, crop=96, chunk_photos=3, steps_a_chunk=1000, pool_chunks=1)
SEED = 5


def stage(kind: type[UncertaintyStage] = UncertaintyStage, **changes: int) -> UncertaintyStage:
    settings = UncertaintySettings(**{**vars(SETTINGS), **changes})
    return kind(settings, tiny_material(), load_release(find_release()), seed=SEED)


def options(folder: Path, steps: int, **changes: float) -> RunOptions:
    return RunOptions(folder, Budget(steps=steps), seed=SEED, log_every=2, evaluate_every=4, progress=False, **changes)


class Killed(UncertaintyStage):
    """A stage whose process dies at its third step."""

    def step(self, clock: Clock, generator: torch.Generator):
        if clock.step == 3:
            raise KeyboardInterrupt
        return super().step(clock, generator)


def test_the_frozen_release_restores_as_a_restorer_does() -> None:
    small = np.random.default_rng(1).integers(20, 235, (8, 8, 3)).astype(np.uint8)
    image = damage(cv2.resize(small, (128, 128)), 7).image
    expected = Restorer.from_release(device="cpu", precision="float32").restore(image)
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    release = FrozenRelease(load_release(find_release()), device=torch.device("cpu"))
    restored, found, mended = release.restore(photo)
    assert np.array_equal(((restored[0].permute(1, 2, 0).numpy() + 1) * 127.5).round(), expected.image)
    assert np.array_equal(found[0, 0].numpy(), expected.found) and np.array_equal(mended[0, 0].numpy(), expected.mask)
    assert np.abs(expected.image.astype(int) - image).max() > 5


def test_a_truth_in_a_restoration_of_another_tone_differs_by_the_picture_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand(2, 3, 48, 48, generator=generator) * 1.2 - 0.6
    mask = torch.zeros(2, 1, 48, 48)
    mask[:, :, 10:20, 10:20] = 1
    faded = 0.6 * truth.flip(1) + 0.2
    scratched = torch.where(mask > 0, 1.0, faded)
    found = in_tone_of(scratched, truth, mask)
    assert (found - faded).abs().max() < 1e-4
    assert (truth - faded).abs().mean() > 0.1


def test_the_head_learns_and_what_it_restores_from_is_damaged(tmp_path: Path) -> None:
    result = train(stage(), options(tmp_path, 30))
    likelihood = pq.read_table(result.folder / "curves.parquet")["likelihood"].drop_null().to_pylist()
    assert max(likelihood[-2:]) > likelihood[0] + 0.12, likelihood
    assert {"second/likelihood", "second/fitted", "second/factor"} <= set(result.figures)
    assert result.figures["second/fitted"] >= result.figures["second/likelihood"]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    moving = {"chunk_photos": 1, "steps_a_chunk": 2, "pool_chunks": 2}
    whole = train(stage(**moving), options(tmp_path / "whole", 4))
    with pytest.raises(KeyboardInterrupt):
        train(stage(Killed, **moving), options(tmp_path / "killed", 4, checkpoint_minutes=0.0))
    resumed = train(stage(**moving), options(tmp_path / "killed", 4))
    first, second = (Checkpoint.load(r.folder / CHECKPOINT, "cpu").averages["uncertainty"] for r in (whole, resumed))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_command_trains_a_head_and_puts_it_into_a_release(tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(DEFAULT_FOLDER, release)
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in (*range(30), 137, 147):  # the last two are held out to choose by
        small = np.random.default_rng(k).integers(20, 235, (6, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(photos / f"{k:04d}_scene{k}.png"), cv2.resize(small, (96, 96)))
    common = ["--photos", str(photos), "--run", str(tmp_path / "run"), "--release", str(release)]
    small_pool = ["--chunk-photos", "1", "--pool-chunks", "1", "--threads", "1", "--calibrate-on", "2"]
    assert main([*common, *small_pool, "--steps", "1", "--attach"]) == 0
    card = read_card(release)
    assert card.weights_hash == find_release().weights_hash
    assert card.card["uncertainty"]["training"]["step"] == 1
    head = load_uncertainty(card)
    assert card.card["uncertainty"]["fitted_on"]["photos"] == 2
    for knots in (head.asked, head.answered):
        assert (knots.diff() > 0).all()
    again = tmp_path / "again"
    shutil.copytree(DEFAULT_FOLDER, again)
    common[common.index(str(release))] = str(again)
    assert main([*common, "--start", str(release), "--calibrate-on", "2", "--attach"]) == 0
    assert read_card(again).card["uncertainty"]["sha256"] == card.card["uncertainty"]["sha256"]
    assert main(["--photos", str(tmp_path / "nothing"), *common[2:], "--steps", "1"]) == 2
