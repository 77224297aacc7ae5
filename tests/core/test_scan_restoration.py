"""A scan restored row by row, put down as it comes, is the photo restored at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.restoration import scan_result
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.scan import ArrayScan


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_release(device="cpu", precision="float32", tile_px=64)


class Counting(ArrayScan):
    """Tells how many rows were asked for at most, and how often each was read."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(pixels)
        object.__setattr__(self, "most", 0)
        object.__setattr__(self, "times", np.zeros(len(pixels), int))

    def rows(self, top: int, bottom: int) -> np.ndarray:
        object.__setattr__(self, "most", max(self.most, bottom - top))
        self.times[top:bottom] += 1
        return super().rows(top, bottom)


def photo(height: int, width: int, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    most = np.iinfo(dtype).max
    down, across = np.mgrid[:height, :width]
    base = 0.5 + 0.3 * np.sin(down / 17) * np.cos(across / 23)
    colours = base[:, :, None] + np.array([0.0, 0.05, -0.08])
    noise = np.random.default_rng(seed).normal(0, 0.02, colours.shape)
    pixels = np.rint(np.clip(colours + noise, 0, 1) * most).astype(dtype)
    pixels[40:43, 10:90] = most
    return pixels


@pytest.mark.parametrize("mode", ["full", "scratches"])
@pytest.mark.parametrize("held_bytes", [0, 1 << 30])
def test_rows_put_down_are_the_whole_result(restorer, mode, held_bytes):
    pixels = photo(150, 170, np.uint16)
    whole = restorer.restore(pixels, mode=mode)
    result = restorer.restore_scan(ArrayScan(pixels), Wanted(mode=mode), held_bytes=held_bytes)
    assert result.held_bytes == (0 if held_bytes == 0 else pixels.nbytes + 2 * 150 * 170)
    assert np.array_equal(result.image.rows(0, 150), whole.image)
    assert np.array_equal(result.mask.rows(0, 150), np.rint(whole.mask * 255))
    assert np.array_equal(result.found.rows(0, 150), np.rint(whole.found * 255))
    left, right = (replace(report, seconds=0) for report in (result.report, whole.report))
    assert left == right
    result.close()


def test_each_row_is_read_a_few_times_and_no_more_than_a_row_of_tiles_at_once(restorer):
    """Once to look for damage, once to restore the photo, and where it is damaged three times to mend it."""
    scan = Counting(photo(1200, 40))
    restorer.restore_scan(scan, Wanted(), mask=ArrayScan(np.zeros((1200, 40), np.uint8))).close()
    assert scan.times.max() == 2 and scan.times.min() == 2
    scan = Counting(photo(1200, 40))
    restorer.restore_scan(scan, Wanted()).close()
    assert scan.times.max() <= 5
    assert scan.most <= 1200


def test_a_mask_of_another_size_is_refused(restorer):
    with pytest.raises(ConfigError, match=r"expected \(64, 64\), found \(64, 65\)"):
        restorer.restore_scan(ArrayScan(photo(64, 64)), Wanted(), mask=ArrayScan(np.zeros((64, 65), np.uint8)))


def test_a_photo_that_is_left_alone_is_the_scan_itself(restorer):
    scan = ArrayScan(photo(64, 64))
    result = restorer.restore_scan(scan, Wanted(strength=0))
    assert result.report.left_alone
    assert result.image is scan
    assert isinstance(result, scan_result.ScanResult)
    result.close()


@pytest.mark.parametrize("scale", [1, 4])
def test_detection_gives_the_rows_of_the_whole_mask(restorer, scale):
    pixels = photo(150, 170)
    found = restorer.detect_scan(ArrayScan(pixels), scale=scale)
    assert np.array_equal(found.rows(0, 150), np.rint(restorer.detect(pixels, scale=scale) * 255))
