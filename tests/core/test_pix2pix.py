"""pix2pix learns, is resumed to the bit, and restores any size the same way each time."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.pix2pix import Pix2pixConfig, Pix2pixDiscriminator, Pix2pixGenerator
from oldphoto_core.training.checkpoint import CHECKPOINT, Checkpoint
from oldphoto_core.training.loop import RunOptions, train
from oldphoto_core.training.pix2pix import Pix2pixSettings, Pix2pixStage, trained_pix2pix
from oldphoto_core.training.schedule import Budget, Clock, seeded
from tests.core.test_models import photos
from tests.core.training_photos import tiny_material

STILL = Pix2pixSettings(
    width=4, critic_width=4, depth=4, batch=2, crop=64, larger_crops=False, rate=2e-3, chunk_photos=2,
    steps_a_chunk=1000, pool_chunks=1,
)  # fmt: skip


class Killed(Pix2pixStage):
    """A stage whose process dies at a step."""

    def step(self, clock: Clock, generator: torch.Generator):
        if clock.step == 5:
            raise KeyboardInterrupt
        return super().step(clock, generator)


def options(folder: Path, steps: int, **changes) -> RunOptions:
    return RunOptions(folder, Budget(steps=steps), seed=3, log_every=4, evaluate_every=1000, progress=False, **changes)


def test_the_published_sizes_are_the_published_ones():
    """54.4 M weights of the U-Net of eight levels, 2.8 M of the PatchGAN: as in the authors' code."""
    generator = Pix2pixGenerator(Pix2pixConfig(width=64, depth=8))
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(54.41e6, rel=0.001)
    critic = Pix2pixDiscriminator(64)
    assert sum(p.numel() for p in critic.parameters()) == pytest.approx(2.77e6, rel=0.005)
    image = photos(1, 256, 256)
    assert critic(image, image[:, :1], image).shape == (1, 1, 30, 30)  # patches of 70 x 70


def test_the_loss_falls_on_a_fixed_batch(tmp_path):
    result = train(Pix2pixStage(STILL, tiny_material(), seed=3), options(tmp_path, 48))
    losses = pq.read_table(result.folder / "curves.parquet")["l1"].drop_null().to_pylist()
    assert sum(losses[-2:]) < 0.7 * sum(losses[:2]), losses
    restorer = trained_pix2pix(result.folder)
    image, mask = photos(1, 50, 70), torch.zeros(1, 1, 50, 70)
    once, again = (restorer.restore(image, mask) for _ in range(2))
    assert once.shape == image.shape
    assert torch.equal(once, again)


def same(one, other) -> bool:
    """Whether two runs have learned the same, to the bit."""
    return all(
        torch.equal(value, getattr(other, part)[name][key])
        for part in ("networks", "averages", "critics")
        for name, network in getattr(one, part).items()
        for key, value in network.items()
    )


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    """To the bit: weights, critic, optimisers and figures."""
    whole = train(Pix2pixStage(STILL, tiny_material(), seed=3), options(tmp_path / "whole", 8))
    killed = Killed(STILL, tiny_material(), seed=3)
    with pytest.raises(KeyboardInterrupt):
        train(killed, options(tmp_path / "killed", 8, checkpoint_minutes=0.0))
    resumed = train(Pix2pixStage(STILL, tiny_material(), seed=3), options(tmp_path / "killed", 8))
    assert same(*(Checkpoint.load(run.folder / CHECKPOINT, "cpu") for run in (whole, resumed)))
    assert whole.figures == resumed.figures


def test_what_another_thread_does_changes_no_gradient():
    """A thread that goes in and out of autocast, as synthesis does, empties the cache of casts of every thread."""
    alone = critic_after_steps()
    stop = threading.Event()

    def in_and_out() -> None:
        while not stop.is_set():
            with torch.autocast("cpu", enabled=False):
                pass

    beside = threading.Thread(target=in_and_out)
    beside.start()
    try:
        disturbed = critic_after_steps()
    finally:
        stop.set()
        beside.join()
    assert all(torch.equal(alone[name], disturbed[name]) for name in alone)


def critic_after_steps(steps: int = 4) -> dict[str, torch.Tensor]:
    stage = Pix2pixStage(STILL, tiny_material(), seed=3)
    for step in range(steps):
        stage.step(Clock(step, step / steps), seeded(3, "step", step))
    return stage.critic.state_dict()


def test_dropout_is_the_generators_and_of_training_alone():
    network = Pix2pixGenerator(Pix2pixConfig(4)).train()
    image, mask = photos(2, 64, 64), torch.zeros(2, 1, 64, 64)
    first, same, other = (network(image, mask, seeded(0, "drop", number)) for number in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_crops_that_do_not_halve_often_enough_are_refused():
    with pytest.raises(TrainingError, match="crops of 48 px do not halve 5 times"):
        Pix2pixStage(Pix2pixSettings(crop=48, width=4), tiny_material())


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(TrainingError, match="holds no pix2pix"):
        trained_pix2pix(tmp_path)
