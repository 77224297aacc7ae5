"""The figures: each against a value that is known or that another library gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.detection import ScoreHistogram


def noise(seed: int, shape: tuple[int, ...] = (48, 64, 3)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 0.7, shape)


def test_psnr_of_a_known_offset() -> None:
    picture = noise(0)
    assert metrics.psnr(picture + 0.1, picture) == pytest.approx(20)
    assert metrics.psnr(np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)) == pytest.approx(0)
    assert metrics.psnr(picture, picture) == metrics.PSNR_CAP_DB


def test_psnr_of_known_noise() -> None:
    picture = noise(1, (200, 200, 3))
    noisy = picture + np.random.default_rng(2).normal(0, 0.05, picture.shape)
    assert metrics.psnr(noisy, picture) == pytest.approx(-20 * math.log10(0.05), abs=0.1)


def test_psnr_over_a_mask_sees_the_masked_pixels_alone() -> None:
    picture, mask = noise(3), np.zeros((48, 64), bool)
    mask[:10] = True
    other = picture.copy()
    other[:10] += 0.1
    assert metrics.psnr(other, picture, where=mask) == pytest.approx(20)
    assert metrics.psnr(other, picture, where=~mask) == metrics.PSNR_CAP_DB
    assert math.isnan(metrics.psnr(other, picture, where=np.zeros_like(mask)))


def test_eight_bits_and_floats_are_the_same_picture() -> None:
    levels = np.random.default_rng(4).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert metrics.psnr(levels, levels / 255) == metrics.PSNR_CAP_DB


def test_pictures_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(np.zeros((4, 4)), np.zeros((4, 5)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.15, 0.15), min_size=12, max_size=12))
def test_aligned_psnr_forgives_any_invertible_affine_change_of_colour(numbers: list[float]) -> None:
    matrix = np.eye(3) * 0.7 + np.array(numbers[:9]).reshape(3, 3)
    picture = noise(5)
    noisy = picture + np.random.default_rng(6).normal(0, 0.02, picture.shape)
    moved = noisy @ matrix + np.array(numbers[9:])
    plain = metrics.aligned_psnr(noisy, picture, None)
    assert metrics.aligned_psnr(moved, picture, None) == pytest.approx(plain, abs=1e-3)
    assert metrics.aligned_psnr(picture @ matrix + 0.1, picture, None) > 55


def test_the_fit_of_tone_looks_at_unmasked_pixels_alone() -> None:
    picture, mask = noise(7), np.zeros((48, 64), bool)
    mask[:, :20] = True
    scratched = picture * 0.8 + 0.05
    scratched[mask] = 1.0
    aligned = metrics.align_tone(scratched, picture, mask)
    assert metrics.psnr(aligned, picture, where=~mask) > 55
    assert metrics.psnr(aligned, picture, where=mask) < 15


def test_alignment_of_a_grey_picture_and_of_a_wholly_masked_one_is_finite() -> None:
    grey = np.repeat(noise(8)[..., :1], 3, axis=2)
    assert metrics.aligned_psnr(grey * 0.5 + 0.1, grey, None) > 55
    assert math.isfinite(metrics.aligned_psnr(grey, noise(9), np.ones((48, 64), bool)))


def test_ssim_is_one_for_the_same_and_falls_with_noise() -> None:
    picture = noise(10)
    assert metrics.ssim(picture, picture) == pytest.approx(1)
    assert metrics.ssim(picture + np.random.default_rng(11).normal(0, 0.2, picture.shape), picture) < 0.7
    assert metrics.ssim(picture[..., 0], picture[..., 0]) == pytest.approx(1)


def test_delta_e_of_black_and_white_is_a_hundred() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert metrics.delta_e(black, black) == pytest.approx(0)
    assert metrics.delta_e(white, black) == pytest.approx(100, abs=0.1)


def test_mean_leaves_nan_out() -> None:
    assert metrics.mean_finite([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(metrics.mean_finite([math.nan]))


def detections(seed: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 40, 50)) < 0.1
    scores = np.clip(rng.normal(0.35, 0.15, mask.shape) + 0.25 * mask, 0, 1).astype(np.float32)
    return scores, mask, rng.random(mask.shape) < 0.2


def test_streamed_auc_equals_scikit_learns_with_ignored_pixels_left_out() -> None:
    scores, mask, ignore = detections()
    histogram = ScoreHistogram()
    for k in range(len(mask)):
        histogram.add(scores[k], mask[k], ignore=ignore[k])
    assert histogram.auc() == pytest.approx(roc_auc_score(mask[~ignore], scores[~ignore]), abs=2e-4)


def test_auc_of_perfect_useless_and_constant_scores() -> None:
    mask = np.arange(100) < 30
    for scores, expected in ((mask * 1.0, 1.0), (~mask * 1.0, 0.0), (np.full(100, 0.3), 0.5)):
        histogram = ScoreHistogram()
        histogram.add(scores, mask)
        assert histogram.auc() == pytest.approx(expected)


def test_auc_without_damage_is_not_a_number() -> None:
    histogram = ScoreHistogram()
    histogram.add(np.full((4, 4), 0.5), np.zeros((4, 4), bool))
    assert math.isnan(histogram.auc())


def test_best_f1_is_reached_at_its_threshold() -> None:
    scores, mask, _ = detections()
    histogram = ScoreHistogram()
    histogram.add(scores, mask)
    best = histogram.best_f1()
    found = scores >= best.threshold
    assert best.value == pytest.approx(f1_score(mask.ravel(), found.ravel()), abs=1e-6)
    iou = histogram.best_iou()
    found = scores >= iou.threshold
    assert iou.value == pytest.approx((found & mask).sum() / (found | mask).sum(), abs=1e-6)


def test_roc_rises_from_nothing_to_everything() -> None:
    scores, mask, _ = detections()
    histogram = ScoreHistogram()
    histogram.add(scores, mask)
    false_rate, true_rate, thresholds = histogram.roc()
    assert false_rate[0] == true_rate[0] == 0
    assert false_rate[-1] == true_rate[-1] == 1
    assert (np.diff(false_rate) >= 0).all()
    assert (np.diff(true_rate) >= 0).all()
    assert (np.diff(thresholds) < 0).all()


def test_scores_that_are_true_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(13)
    scores = rng.random(200_000)
    honest, boastful = ScoreHistogram(), ScoreHistogram()
    truth = rng.random(scores.shape) < scores
    honest.add(scores, truth)
    boastful.add(scores**0.3, truth)
    assert honest.calibration_error() < 0.01 < 0.1 < boastful.calibration_error()
    assert sum(count for *_, count in honest.calibration()) == scores.size


@pytest.mark.parametrize("bad", [np.full((4, 4), np.nan), np.zeros((4, 5))])
def test_scores_that_cannot_be_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"NaN|shapes differ"):
        ScoreHistogram().add(bad, np.zeros((4, 4), bool))
