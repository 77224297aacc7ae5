"""Grain in what was filled: as strong and as coarse as beside it, and the same for the same seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from oldphoto_core.restoration import grain as grain_module
from oldphoto_core.restoration.filling import fill, filled
from oldphoto_core.restoration.grain import Grain, grained, lay_grain, measure_grain, unit_grain

_SIZE = (420, 500)


def _noise(spread: float, channels: int, seed: int = 0) -> np.ndarray:
    """(H, W, channels) of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(*_SIZE, channels))
    if spread:
        noise = cv2.GaussianBlur(noise, (0, 0), spread).reshape(noise.shape)
    return noise / noise.std()


def _shaded(noise: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: a smooth photo with this noise."""
    slope = np.add.outer(np.sin(np.arange(_SIZE[0]) / 70) * 0.08, np.linspace(0.3, 0.7, _SIZE[1]))
    return np.clip(slope[..., None] + noise * np.ones(3), 0, 1).astype(np.float32)


def _scratches(seed: int = 0) -> np.ndarray:
    dice = np.random.default_rng(seed)
    mask = np.zeros(_SIZE, np.uint8)
    for _ in range(30):
        ends = dice.integers(0, _SIZE[::-1], (2, 2))
        cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 1, int(dice.integers(3, 13)))
    return mask > 0


def _measured(image: np.ndarray, mask: np.ndarray) -> Grain:
    return measure_grain(lambda top, bottom: image[top:bottom], mask)


def _mended(image: np.ndarray, mask: np.ndarray, seed: int = 1) -> np.ndarray:
    filling = fill(lambda top, bottom: image[top:bottom], mask)
    result = image.copy()
    grained(filling, _measured(image, mask), seed=seed).put(0, result)
    return result


def _fine(image: np.ndarray) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), 1.5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spread", [0.0, 0.6, 1.1])
def test_grain_inside_is_as_strong_and_as_coarse_as_outside(spread: float, channels: int) -> None:
    image, mask = _shaded(_noise(spread, channels) * 8 / 255), _scratches()
    fine = _fine(_mended(image, mask))
    assert fine[mask].var() == pytest.approx(fine[~mask].var(), rel=0.2)
    wide = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for step in (1, 2):
        products = (fine[:, step:] * fine[:, :-step]).mean(2)
        inside = products[wide[:, step:]].mean() / (fine[wide] ** 2).mean()
        outside = products[~mask[:, step:]].mean() / (fine[~mask] ** 2).mean()
        assert inside == pytest.approx(outside, abs=0.1)


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.8, 1.2])
def test_the_spread_is_found(spread: float) -> None:
    found = _measured(_shaded(_noise(spread, 1) * 8 / 255), _scratches())
    assert found.spread_px == pytest.approx(spread, abs=0.1 if spread else 0.3)
    strength = np.median(found.tones) * np.median(found.places[found.places > 0])
    assert strength == pytest.approx(8 / 255, rel=0.15)  # the calmer cells speak


def test_grain_depends_on_tone_and_place() -> None:
    noise = _noise(0.6, 1)
    by_tone = _measured(_shaded(noise * np.linspace(2, 10, _SIZE[1])[:, None] / 255), _scratches())
    assert by_tone.tones[6] > 1.5 * by_tone.tones[2]
    flat = np.full((*_SIZE, 3), 0.5) + noise * np.linspace(3, 6, _SIZE[0])[:, None, None] / 255
    image, mask = flat.astype(np.float32), _scratches()
    fine = _fine(_mended(image, mask))
    for rows in (slice(0, 100), slice(-100, None)):
        assert fine[rows][mask[rows]].std() == pytest.approx(fine[rows][~mask[rows]].std(), rel=0.3)


def test_edges_are_no_grain() -> None:
    noise, mask = _noise(0.6, 1) * 4 / 255, _scratches()
    image = _shaded(noise)
    stripes = np.where(np.arange(_SIZE[1]) // 40 % 2, 0.15, -0.15)[:, None].astype(np.float32)
    striped = np.clip(image + stripes, 0, 1)
    strong = _measured(striped, mask)
    assert np.median(strong.tones[2:7]) == pytest.approx(4 / 255, rel=0.3)


@pytest.mark.parametrize("kind", ["smooth", "rounded", "constant"])
def test_a_photo_without_grain_gets_none(kind: str) -> None:
    image, mask = _shaded(np.zeros((*_SIZE, 1))), _scratches()
    if kind == "rounded":
        image = (np.rint(image * 255) / 255).astype(np.float32)
    elif kind == "constant":
        image = np.full_like(image, 0.4)
    assert np.array_equal(_mended(image, mask), filled(image, mask))


def test_a_grey_photo_gets_grey_grain_and_a_colour_photo_its_own() -> None:
    mask = _scratches()
    grey = _mended(_shaded(_noise(0.6, 1) * 8 / 255), mask)
    assert (grey == grey[..., :1]).all()
    noise = _noise(0.6, 3) @ np.array([[1, 0.8, 0.2], [0, 0.6, 0.2], [0, 0, 0.5]])
    fine = _fine(_mended(_shaded(noise * 6 / 255), mask))
    inside, outside = (np.cov(fine[where].T) for where in (mask, ~mask))
    assert np.allclose(inside, outside, atol=0.3 * outside.max())


def test_pixels_outside_stay_as_they_are() -> None:
    image, mask = _shaded(_noise(0.6, 1) * 8 / 255), _scratches()
    result = _mended(image, mask)
    assert np.array_equal(result[~mask], image[~mask])
    assert 0 <= result.min() and result.max() <= 1


def test_a_seed_gives_the_same_grain_and_another_seed_another() -> None:
    image, mask = _shaded(_noise(0.6, 3) * 8 / 255), _scratches()
    first = _mended(image, mask)
    assert np.array_equal(_mended(image, mask), first)
    other = _mended(image, mask, seed=2)
    plain = filled(image, mask)
    assert abs(np.corrcoef((first - plain)[mask].ravel(), (other - plain)[mask].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("mixing", [None, np.eye(3, dtype=np.float32) * np.sqrt(np.float32(3))])
def test_a_window_of_grain_is_as_the_whole(mixing: np.ndarray | None) -> None:
    grain = Grain(np.ones(9, np.float32), np.ones((9, 9), np.float32), 0.8, mixing)
    whole = unit_grain(0, 0, 120, 140, grain=grain, seed=5)
    window = unit_grain(31, 17, 40, 50, grain=grain, seed=5)
    assert np.allclose(window, whole[31:71, 17:67], atol=1e-5)
    assert whole.mean(2).var() == pytest.approx(1, rel=0.1)


def test_neither_rows_nor_columns_nor_channels_repeat() -> None:
    grain = Grain(np.ones(9, np.float32), np.ones((9, 9), np.float32), 0.0, np.eye(3, dtype=np.float32))
    planes = unit_grain(0, 0, 256, 256, grain=grain, seed=5).transpose(2, 0, 1)
    for other in (*planes, unit_grain(0, 0, 256, 256, grain=grain, seed=6)[..., 0]):
        spectrum = np.fft.fft2(planes[0]) * np.conj(np.fft.fft2(other))
        shifted = np.fft.ifft2(spectrum).real / planes[0].size
        shifted[0, 0] = 0  # a plane with itself
        assert np.abs(shifted).max() < 0.03


def test_strips_of_any_height_measure_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = _shaded(_noise(0.6, 1) * 8 / 255), _scratches()
    whole = _measured(image, mask)
    monkeypatch.setattr(grain_module, "STRIP_PIXELS", 64 * _SIZE[1])
    asked = []

    def read(top: int, bottom: int) -> np.ndarray:
        asked.append((top, bottom))
        return image[top:bottom]

    by_strips = measure_grain(read, mask)
    assert asked == [(top, min(top + 64, _SIZE[0])) for top in range(0, _SIZE[0], 64)]
    assert by_strips.tones == pytest.approx(whole.tones, rel=0.05)
    assert by_strips.spread_px == pytest.approx(whole.spread_px, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 5)])
def test_small_and_wholly_damaged_photos_are_measured(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 0.25, np.float32)
    for mask in (np.zeros(shape, bool), np.ones(shape, bool)):
        assert measure_grain(lambda top, bottom: image[top:bottom], mask).is_none


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_smooth_repair_carried_up_to_a_scan_gets_the_scans_own_grain(scale: int) -> None:
    noise = _noise(0.6, 1) * 8 / 255
    scan, (height, width) = _shaded(noise), _SIZE
    small = _scratches()[: -(-height // scale), : -(-width // scale)]
    large = small.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    grain = measure_grain(lambda top, bottom: scan[top:bottom], small, scale=scale, size=_SIZE)
    repaired = np.where(large[..., None], _shaded(noise * 0), scan)
    whole = repaired.copy()
    lay_grain(whole, 0, large.astype(np.float32), grain, seed=3)
    fine = _fine(whole)
    assert _fine(repaired)[large].std() < 0.5 * _fine(scan).std(), "it must be smooth for this to say anything"
    assert fine[large].var() == pytest.approx(fine[~large].var(), rel=0.25)
    assert (whole[~large] == scan[~large]).all()
    for top in range(0, height, 97):
        rows = repaired[top : top + 97].copy()
        lay_grain(rows, top, large[top : top + 97].astype(np.float32), grain, seed=3)
        assert np.array_equal(rows, whole[top : top + 97])
