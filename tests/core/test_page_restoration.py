"""Pages of a photo are restored one by one, and told of together and apart."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from oldphoto_core.errors import ConfigError
from oldphoto_core.images import OpenedImage, open_image
from oldphoto_core.restoration.fidelity import FidelityFigures, RestorationReport
from oldphoto_core.restoration.page_report import combined_report
from oldphoto_core.restoration.pages import restore_image
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.scan import ArrayScan
from tests.core.test_scan_restoration import photo


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_release(device="cpu", precision="float32", tile_px=64)


RECTO, VERSO = photo(90, 120, np.uint16), np.full((64, 150), 180, np.uint8)


def album() -> OpenedImage:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(RECTO, photometric="rgb", metadata=None)
        writer.write(VERSO, photometric="minisblack", metadata=None)
    return open_image(out, "album.tif")


def test_each_page_is_restored_as_it_would_be_alone(restorer: Restorer) -> None:
    with album() as image:
        result = restore_image(restorer, image, Wanted())
        for page, done in zip(image.pages, result.pages, strict=True):
            pixels = page.scan.rows(0, page.scan.shape[0])
            alone = restorer.restore(pixels, icc_profile=page.icc_profile)
            assert np.array_equal(done.image.rows(0, len(pixels)), alone.image)
            assert replace(done.report, seconds=0) == replace(alone.report, seconds=0)
        assert result.image.shape == image.scan.shape == (154, 150, 3)
        assert result.image.dtype == image.scan.dtype == np.uint8
        assert np.array_equal(result.image.rows(0, 154)[90:, :, 0], result.pages[1].image.rows(0, 64))
        assert result.mask.shape == (154, 150)
        assert not result.mask.rows(0, 154)[:90, 120:].any()
        assert not result.report.left_alone
        assert result.pixels == 90 * 120 + 64 * 150
        result.close()


def test_a_mask_painted_on_all_pages_is_each_pages_own(restorer: Restorer) -> None:
    mask = np.zeros((154, 150), np.uint8)
    mask[100:110, 20:40] = 255
    with album() as image:
        result = restore_image(restorer, image, Wanted(mode="scratches"), mask=ArrayScan(mask))
        first, second = result.pages
        assert first.report.left_alone
        assert np.array_equal(first.image.rows(0, 90), RECTO)
        assert second.report.mask_coverage == 200 / (64 * 150)
        assert np.array_equal(second.image.rows(0, 64)[:, 60:], VERSO[:, 60:])
        assert np.array_equal(result.mask.rows(0, 154), mask)
        with pytest.raises(ConfigError, match=r"all pages below each other: expected \(154, 150\)"):
            restore_image(restorer, image, Wanted(), mask=ArrayScan(mask[1:]))
        result.close()


def test_pages_that_are_all_left_alone_are_the_master(restorer: Restorer) -> None:
    with album() as image:
        result = restore_image(restorer, image, Wanted(strength=0))
        assert result.report.left_alone
        assert result.image is image.scan
        assert result.report.fidelity is None
        assert np.array_equal(result.pages[0].image.rows(0, 90), RECTO)
        result.close()


FIGURES = FidelityFigures(
    mask_coverage=0.1, delta_e_mean=1.0, delta_e_p95=2.0, tone_free_delta_e_mean=0.5, tone_free_delta_e_p95=1.0,
    gradient_correlation=0.99, clipped_black_growth=0.0, clipped_white_growth=0.0, added_chroma=0.0, changed_share=0.4,
    measured_px=100,
)  # fmt: skip
REPORT = RestorationReport(
    seconds=1.0, device="cpu", precision="float32", tiles=2, mask_coverage=0.1, change_outside_mask=2.0,
    mean_change=3.0, left_alone=False, monochrome="neutral", mode="full", tone="correct", strength=1.0,
    mending="normal", fidelity=FIGURES,
)  # fmt: skip


def test_the_report_of_all_is_weighted_by_pixels_and_as_bad_as_the_worst_page() -> None:
    second = replace(
        REPORT, mask_coverage=0.5, change_outside_mask=4.0, mean_change=6.0, monochrome="toned", device="gpu",
        notes=("memory ran out",), working_scale=3,
        fidelity=replace(FIGURES, tone_free_delta_e_mean=2.5, gradient_correlation=0.7, delta_e_mean=0.2),
    )  # fmt: skip
    untouched = replace(REPORT, fidelity=None, left_alone=True, mask_coverage=0.0, change_outside_mask=0, mean_change=0)
    report = combined_report([REPORT, second, untouched], [100, 300, 100])
    assert (report.seconds, report.tiles, report.device, report.working_scale) == (3.0, 6, "cpu, gpu", 3)
    assert report.mask_coverage == pytest.approx((0.1 * 100 + 0.5 * 300) / 500)
    assert report.change_outside_mask == pytest.approx((2.0 * 90 + 4.0 * 150) / (90 + 150 + 100))
    assert report.mean_change == pytest.approx((3.0 * 100 + 6.0 * 300) / 500)
    assert (report.left_alone, report.monochrome) == (False, "toned")
    worst = report.fidelity
    assert worst is not None
    assert (worst.delta_e_mean, worst.tone_free_delta_e_mean, worst.gradient_correlation) == (1.0, 2.5, 0.7)
    assert (worst.mask_coverage, worst.measured_px) == (report.mask_coverage, 200)
    assert report.notes == (
        "page 2: memory ran out",
        "page 1 is the worst by delta_e_mean",
        "page 2 is the worst by tone_free_delta_e_mean, gradient_correlation",
    )
    told = report.as_dict()
    assert told == json.loads(json.dumps(told))
    assert [page["mask_coverage"] for page in told["pages"]] == [0.1, 0.5, 0.0]
    assert told["pages"][1]["fidelity"]["gradient_correlation"] == 0.7
    assert "pages" not in REPORT.as_dict()
    assert combined_report([untouched, untouched], [10, 10]).left_alone
