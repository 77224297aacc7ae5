"""Scans far above snapshot scale: found out, repaired at their own scale, and their detail kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from oldphoto_core import Restorer
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.restoration import finishing
from oldphoto_core.restoration.blending import LUMA
from oldphoto_core.restoration.carrying import CARRY_REACH_PX, carried_change
from oldphoto_core.restoration.scale import snapshot_scale
from oldphoto_core.restoration.tone_fit import fit_tone
from oldphoto_core.restoration.working import as_float, working_photo
from oldphoto_core.sample_archive import SAMPLES, _read
from oldphoto_core.scan import ArrayScan, RollingRows
from tests import icc


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_release("default", device="cpu", tile_px=256)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1] with detail at every scale, as scenes have: each octave as strong as the next."""
    random = np.random.default_rng(seed)
    image = np.full((height, width), 0.5, np.float32)
    for octave in range(8):
        side = (max(2, width >> octave), max(2, height >> octave))
        layer = random.normal(0, 0.04, side[::-1]).astype(np.float32)
        image += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.repeat(image[:, :, None], 3, axis=2), 0.02, 0.98)


def scanned(image: np.ndarray, times: int, dtype: type = np.uint8) -> np.ndarray:
    """The photo enlarged, with grain of the print and noise of the scanner."""
    random = np.random.default_rng(1)
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(random.normal(0, 1, large.shape[:2]).astype(np.float32), (0, 0), float(times))
    large += (0.02 / grain.std() * grain + random.normal(0, 0.004, grain.shape))[:, :, None].astype(np.float32)
    return np.rint(np.clip(large, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def test_a_snapshot_is_never_averaged_down():
    assert snapshot_scale(ArrayScan(scanned(photo(250, 300), 4))) == 1


def test_a_scratch_of_a_large_scan_is_mended_at_the_working_scale(restorer):
    before = scanned(photo(160, 200), 4)
    mask = np.zeros(before.shape[:2], np.float32)
    mask[:, 380:392] = 1
    before[:, 380:392] = 250
    result = restorer.restore(before, mask=mask, tone="keep", scale=4)
    assert result.report.working_scale == 4
    assert result.image[:, 384:388].mean() < 200


def test_scratches_mode_keeps_every_pixel_that_is_not_damaged_at_any_scale(restorer):
    before = scanned(photo(100, 130), 3)
    mask = np.zeros(before.shape[:2], np.float32)
    mask[100:110, 50:300] = 1
    result = restorer.restore(before, mask=mask, mode="scratches", scale=3)
    far = cv2.dilate(mask, np.ones((61, 61))) == 0
    assert np.array_equal(result.image[far], before[far])
    assert not np.array_equal(result.image[102:108, 60:290], before[102:108, 60:290])


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_scratches_mode_changes_no_pixel_outside_the_mask_that_was_given(restorer, scale, dtype):
    before = scanned(photo(120, 150), scale, dtype)
    mask = np.zeros(before.shape[:2], np.float32)
    cv2.line(mask, (5, 9), (mask.shape[1] - 8, mask.shape[0] - 7), 1, 3)
    result = restorer.restore(before, mask=mask, mode="scratches", scale=scale)
    assert np.array_equal(result.image[mask == 0], before[mask == 0])
    assert not np.array_equal(result.image, before) and result.report.change_outside_mask == 0
    found = restorer.restore(before, mask=mask, join=True, mode="scratches", scale=scale)
    assert np.array_equal(found.image[found.mask == 0], before[found.mask == 0])
    assert found.mask[mask > 0].all()


@pytest.mark.parametrize("mode", ["full", "scratches"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strength_0_gives_the_scan_back_whatever_its_profile(restorer, mode, dtype):
    before = scanned(photo(64, 64), 1, dtype)
    before[10:40, 10:40] = np.array([0, 1, 0]) * np.iinfo(dtype).max  # outside sRGB in this profile
    mask = np.zeros(before.shape[:2], np.float32)
    mask[20:45, 5:60] = 1
    for profile in (None, icc.adobe_rgb()):
        result = restorer.restore(before, mask=mask, mode=mode, strength=0, icc_profile=profile)
        assert np.array_equal(result.image, before) and result.report.left_alone and not result.mask.any()
        assert result.report.mask_coverage == 0


def test_tiles_leave_no_seam_in_a_scan_that_was_averaged_down(restorer):
    before = scanned(photo(120, 150), 4)
    whole = Restorer(restorer.release, device=restorer.device, tile_px=4096).restore(before, scale=4).image
    tiled = Restorer(restorer.release, device=restorer.device, tile_px=64).restore(before, scale=4).image
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


def test_blocks_of_any_height_leave_no_seam_in_a_scan_that_was_averaged_down(restorer, monkeypatch):
    before = scanned(photo(120, 150), 4)
    whole = restorer.restore(before, scale=4).image
    monkeypatch.setattr(finishing, "_BLOCK_PIXELS", 600 * 4 * 7)
    blocks = restorer.restore(before, scale=4).image
    assert np.abs(whole.astype(int) - blocks.astype(int)).max() <= 1


def test_what_was_done_to_damage_does_not_spread_into_the_coarse_change_around_it():
    change, share = np.zeros((60, 60, 3), np.float32), np.zeros((60, 60), np.float32)
    share[25:35, 25:35] = 1
    change[25:35, 25:35] = 0.7
    carried = carried_change(change, share)
    assert np.allclose(carried[27:33, 27:33], 0.7)
    assert np.abs(carried[cv2.dilate(share, np.ones((11, 11))) == 0]).max() == 0


def test_a_change_as_fine_as_grain_is_carried_on_damage_alone_and_a_coarse_one_everywhere():
    random = np.random.default_rng(0)
    fine = random.normal(0, 0.05, (80, 80, 3)).astype(np.float32)
    share = np.zeros((80, 80), np.float32)
    share[:, :30] = 1
    carried = carried_change(fine, share)
    assert np.allclose(carried[:, :30], fine[:, :30], atol=1e-6)
    assert carried[:, 40:].std() < 0.25 * fine.std()
    coarse = np.repeat(np.sin(np.arange(80, dtype=np.float32) / 8)[:, None, None] * np.ones((1, 80, 1)), 3, axis=2)
    kept = carried_change(coarse.astype(np.float32), share)[CARRY_REACH_PX:-CARRY_REACH_PX]
    assert np.abs(kept - coarse[CARRY_REACH_PX:-CARRY_REACH_PX]).max() < 0.05


@pytest.mark.parametrize("sample", SAMPLES[::2], ids=lambda sample: sample.file)
def test_a_photo_enlarged_four_times_with_grain_keeps_its_sharpness_outside_the_mask(restorer, sample):
    """Within 4 % of the scan's: gradients, the finest two octaves of the scan, and of the photo in it."""
    picture = _read(sample)[:320, :360].astype(np.float32) / 255
    before = scanned(picture, 4, np.uint16)  # in 8 bits, rounding adds 3 % to the finest octave of so quiet a scan
    result = restorer.restore(before, scale=4)
    outside = cv2.dilate((result.mask > 0.5).astype(np.uint8), np.ones((25, 25))) == 0
    intact, after = as_float(before), as_float(result.image)
    tone = fit_tone(intact[outside][::17], after[outside][::17])
    for name, sharpness in measured_sharpness(tone(intact), outside).items():
        assert measured_sharpness(after, outside)[name] == pytest.approx(sharpness, rel=0.04), name


def measured_sharpness(image: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Mean squares, of the luma's gradient and of its four finest octaves, each a difference of two Gaussian blurs."""
    luma = image @ LUMA
    down, across = np.gradient(luma)
    squares = {"gradient": float((down**2 + across**2)[where].mean())}
    for octave in range(1, 5):
        smoother = cv2.GaussianBlur(image @ LUMA, (0, 0), 0.75 * 2 ** (octave - 1))
        squares[f"octave {octave}"] = float(((luma - smoother) ** 2)[where].mean())
        luma = smoother
    return squares


@pytest.mark.parametrize("size", [(64, 64), (65, 67), (101, 33)])
def test_edges_that_fill_no_square_are_averaged_too(size):
    scan = ArrayScan(np.full((*size, 3), 77, np.uint8))
    reduced = working_photo(scan, WorkingColour.of(None, channels=3), 4)
    assert (reduced.height, reduced.width) == (-(-size[0] // 4), -(-size[1] // 4))
    assert np.allclose(reduced.seen(reduced.codes(0, reduced.height), 0), 77 / 255, atol=1e-4)


def test_rows_are_read_once_as_the_place_moves_down():
    class Counting(ArrayScan):
        read: list[tuple[int, int]] = []

        def rows(self, top: int, bottom: int) -> np.ndarray:
            self.read.append((top, bottom))
            return super().rows(top, bottom)

    pixels = np.arange(60, dtype=np.uint8).reshape(20, 3)
    rolling = RollingRows(Counting(pixels))
    for top, bottom in [(0, 6), (2, 10), (8, 12), (12, 20)]:
        assert np.array_equal(rolling.between(top, bottom), pixels[top:bottom])
    assert np.array_equal(rolling.held(14, 17), pixels[14:17])
    assert Counting.read == [(0, 0), (0, 6), (6, 10), (10, 12), (12, 20)]
    with pytest.raises(ValueError, match="begin again"):
        rolling.between(3, 5)
