"""Deep image prior: a network fitted to one photo, on what is not damaged alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.comparison import prior_steps
from oldphoto_core.evaluation.comparison.deep_image_prior import Hourglass, fit_prior
from oldphoto_core.evaluation.comparison.prior_method import DeepImagePrior, PriorSettings

TINY = PriorSettings(steps=12, width=8, scales=2, input_channels=8)


def scene(height: int = 64, width: int = 64) -> np.ndarray:
    small = np.random.default_rng(5).integers(40, 215, (3, 3, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def holed(clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives the picture with a white hole, and its mask."""
    mask = np.zeros(clean.shape[:2], np.uint8)
    mask[24:36, 20:40] = 1
    return np.where(mask[..., None] > 0, np.uint8(255), clean), mask


def test_it_fills_a_hole_in_a_smooth_picture() -> None:
    clean = scene()
    damaged, mask = holed(clean)
    fitted = fit_prior(damaged, mask, PriorSettings(steps=80, width=16, scales=3, averaging=0.9))
    hole = mask > 0
    assert metrics.psnr(fitted, clean, where=hole) > metrics.psnr(damaged, clean, where=hole) + 6
    assert metrics.psnr(fitted, clean, where=~hole) > 20


def test_it_never_looks_at_what_is_damaged() -> None:
    damaged, mask = holed(scene())
    other = damaged.copy()
    other[mask > 0] = np.random.default_rng(0).integers(0, 256, (int(mask.sum()), 3))
    assert np.array_equal(fit_prior(damaged, mask, TINY), fit_prior(other, mask, TINY))
    beside = damaged.copy()
    beside[:8] = 255 - beside[:8]
    assert not np.array_equal(fit_prior(damaged, mask, TINY), fit_prior(beside, mask, TINY))


def test_a_seed_decides_it_and_the_world_of_random_numbers_is_left_alone() -> None:
    damaged, mask = holed(scene())
    before = torch.get_rng_state()
    one = fit_prior(damaged, mask, TINY)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert np.array_equal(one, fit_prior(damaged, mask, TINY))
    assert not np.array_equal(one, fit_prior(damaged, mask, replace(TINY, seed=1)))


@pytest.mark.parametrize("size", [(45, 70), (3, 9)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int]) -> None:
    clean = scene(*size)
    result = fit_prior(clean, np.zeros(size, np.uint8), TINY)
    assert result.shape == clean.shape and result.dtype == np.uint8
    everything = fit_prior(clean, np.ones(size, np.uint8), TINY)
    assert everything.shape == clean.shape


def test_the_picture_given_back_is_the_exponential_average_of_those_on_the_way() -> None:
    damaged, mask = holed(scene())
    seen: dict[int, np.ndarray] = {}
    last = fit_prior(damaged, mask, TINY, on_step=lambda step, picture: seen.update({step: picture()}))
    assert list(seen) == list(range(1, TINY.steps + 1))
    assert np.array_equal(last, seen[TINY.steps])
    assert np.array_equal(fit_prior(damaged, mask, replace(TINY, steps=5)), seen[5])
    without = fit_prior(damaged, mask, replace(TINY, averaging=0.0))
    assert not np.array_equal(without, last)


def test_the_hourglass_reaches_every_weight_and_draws_in_range() -> None:
    network = Hourglass(input_channels=4, width=6, skip=2, scales=3)
    drawn = network(torch.rand(1, 4, 32, 48))
    assert drawn.shape == (1, 3, 32, 48) and ((drawn >= 0) & (drawn <= 1)).all()
    drawn.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_other_settings_are_another_version_and_mistakes_are_named() -> None:
    method = DeepImagePrior(TINY)
    assert method.version != DeepImagePrior(replace(TINY, steps=13)).version
    damaged, mask = holed(scene())
    assert np.array_equal(method.restore(damaged, mask), fit_prior(damaged, mask, TINY))
    with pytest.raises(ConfigError, match="steps"):
        PriorSettings(steps=0)
    with pytest.raises(ConfigError, match="averaging"):
        PriorSettings(averaging=1.0)


def test_its_steps_are_chosen_by_a_table_of_photos_that_are_not_reported_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior_steps, "PRIOR_SIDE_PX", 64)
    for k in range(99):
        cv2.imwrite(str(tmp_path / f"{k:04d}_photo{k}.png"), scene())
    few = ["--count", "1", "--steps", "4", "--every", "2", "--width", "4"]
    assert prior_steps.main(["--photos", str(tmp_path), *few]) == 0
    rows = [line.split("│")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert rows == ["0", "2", "4"]
    assert prior_steps.main(["--photos", str(tmp_path / "none")]) == 2
    assert "no held-out photos for role 'select'" in capsys.readouterr().err
