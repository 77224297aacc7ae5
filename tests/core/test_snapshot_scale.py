"""How far a scan is above snapshot scale: found on photos, enlarged or not, and never where a photo is sharp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from oldphoto_core.restoration.scale import empty_octaves, snapshot_scale
from oldphoto_core.sample_archive import SAMPLES, _read
from oldphoto_core.scan import ArrayScan


def picture(sample) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1], at most 400 x 450."""
    return _read(sample)[:400, :450].astype(np.float32) / 255


def codes(image: np.ndarray, noise: float) -> np.ndarray:
    """uint8 of the image with a scanner's noise."""
    random = np.random.default_rng(3)
    noisy = image + random.normal(0, noise, image.shape[:2])[:, :, None]
    return np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def enlarged(image: np.ndarray, times: int) -> np.ndarray:
    """uint8: the image enlarged, with grain a little finer than its own pixels, and a scanner's noise."""
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_LANCZOS4)
    grain = np.random.default_rng(2).normal(0, 1, large.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.35 * times)
    return codes(large + (0.02 / grain.std() * grain)[:, :, None], 0.006)


def sharp_print(side: int) -> np.ndarray:
    """(side, side, 3) float32: the sample photos beside each other, as large as a scan."""
    tiles = [picture(sample)[:300, :300] for sample in SAMPLES]
    across = -(-side // 300)
    rows = [np.hstack([tiles[(3 * row + column) % len(tiles)] for column in range(across)]) for row in range(across)]
    return np.ascontiguousarray(np.vstack(rows)[:side, :side])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_a_photo_as_it_is_has_no_empty_octave(sample):
    assert empty_octaves(ArrayScan(codes(picture(sample), 0.006))) == 0


@pytest.mark.parametrize("times", [4, 8])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_an_enlarged_photo_is_known_to_the_octave_and_never_taken_for_larger(sample, times):
    octaves = int(np.log2(times))
    assert octaves - 1 <= empty_octaves(ArrayScan(enlarged(picture(sample), times))) <= octaves


@pytest.mark.parametrize("noise", [0.0, 0.006, 0.03])
@pytest.mark.parametrize("blur_px", [0.0, 0.5, 0.7], ids=lambda blur: f"blur {blur}")
def test_a_sharp_large_photo_is_taken_as_it_is(blur_px, noise):
    image = sharp_print(2400)
    if blur_px:
        image = cv2.GaussianBlur(image, (0, 0), blur_px)
    assert snapshot_scale(ArrayScan(codes(image, noise))) == 1


def test_a_blurred_background_does_not_hide_a_sharp_subject():
    image = cv2.GaussianBlur(sharp_print(2400), (0, 0), 0.5)
    background = cv2.GaussianBlur(image, (0, 0), 9)
    background[500:1400, 600:1500] = image[500:1400, 600:1500]
    assert snapshot_scale(ArrayScan(codes(background, 0.006))) == 1


@pytest.mark.parametrize("period_px", [3.0, 4.3, 6.0, 8.5])
def test_a_halftone_is_taken_as_it_is(period_px):
    grey = cv2.resize(picture(SAMPLES[0]).mean(axis=2), (2400, 2200), interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[:2200, :2400].astype(np.float32) * (2 * np.pi / period_px / np.sqrt(2))
    screen = (np.cos(across + down) + np.cos(across - down)) / 4 + 0.5
    dots = np.clip((grey - screen) * period_px + 0.5, 0, 1) * 0.8 + 0.1
    assert snapshot_scale(ArrayScan(codes(np.repeat(dots[:, :, None], 3, axis=2), 0.006))) == 1


def test_small_sharp_print_is_taken_as_it_is():
    page = np.full((2200, 2400), 240, np.uint8)
    for line, top in enumerate(range(80, 2150, 34)):
        words = "the quick brown fox jumps over a lazy dog " * 4
        cv2.putText(page, words[line:], (60, top), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 25, 1, cv2.LINE_AA)
    image = np.repeat(page[:, :, None].astype(np.float32) / 255, 3, axis=2)
    assert snapshot_scale(ArrayScan(codes(image, 0.006))) == 1


def test_a_scan_is_not_averaged_down_below_half_a_snapshot():
    scan = ArrayScan(enlarged(picture(SAMPLES[0])[:280, :330], 8))
    assert empty_octaves(scan) >= 2
    assert snapshot_scale(scan) == 2  # 2640 pixels: a quarter would be 660


def test_a_narrow_strip_is_taken_as_it_is():
    assert snapshot_scale(ArrayScan(np.full((40, 3000, 3), 99, np.uint8))) == 1


def test_a_scan_without_any_detail_is_reduced_as_far_as_its_size_allows():
    assert snapshot_scale(ArrayScan(np.full((3000, 4200, 3), 99, np.uint8))) == 4
