"""A label's mask beside the detector's: both are mended, and the mask that is given back is both."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile

from oldphoto_core import Restorer
from oldphoto_core.images import open_image
from oldphoto_core.restoration.pages import restore_image
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.scan import ArrayScan

HEIGHT, WIDTH = 80, 112
SCRATCH, FAR = (slice(10, 70), slice(26, 28)), (slice(0, 20), slice(60, 112))


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    """The packaged release, which finds scratches."""
    return Restorer.from_release("default", device="cpu", precision="float32")


def photo(*, scratched: bool = True) -> np.ndarray:
    """(80, 112, 3) uint8, perhaps with one bright scratch down column 26 that the detector finds."""
    smooth = np.random.default_rng(4).random((4, 5, 3), dtype=np.float32) * 0.5 + 0.2
    image = np.rint(cv2.resize(smooth, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * 255).astype(np.uint8)
    if scratched:
        image[SCRATCH] = 250
    return image


def label() -> np.ndarray:
    """(80, 112) bool: what a person saw besides, across row 60 on the right."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:63, 60:100] = True
    return mask


def test_what_the_detector_finds_and_what_a_person_marked_are_both_mended(restorer: Restorer) -> None:
    """Where the label alone stands, as with a mask from the command line, what was detected stays unmended."""
    image, mask = photo(), label()
    detected = restorer.restore(image, mode="scratches")
    joined = restorer.restore(image, mask, mode="scratches", join=True)
    replaced = restorer.restore(image, mask, mode="scratches")
    assert detected.mask[SCRATCH].mean() > 0.9 and not detected.mask[mask].any()
    assert np.array_equal(joined.mask, np.maximum(detected.mask, mask))
    assert np.array_equal(replaced.mask, mask.astype(np.float32))
    changed = (joined.image != image).any(axis=2)
    assert changed[SCRATCH].mean() > 0.9 and changed[mask].mean() > 0.5 and not changed[FAR].any()
    assert np.array_equal(replaced.image[SCRATCH], image[SCRATCH])
    assert joined.report.mask_coverage > max(detected.report.mask_coverage, replaced.report.mask_coverage)


def test_a_joined_mask_is_the_same_in_tiles(restorer: Restorer) -> None:
    tiled = Restorer(restorer.release, device=restorer.device, tile_px=64)
    whole, parts = (one.restore(photo(), label(), join=True) for one in (restorer, tiled))
    assert np.abs(whole.mask - parts.mask).max() <= 1 / 255
    assert np.abs(whole.image.astype(int) - parts.image).max() <= 1


def test_a_label_is_mended_where_a_detector_alone_would_leave_the_photo_alone(restorer: Restorer) -> None:
    """However little it covers: a person said so. An empty one changes nothing."""
    image, mask = photo(scratched=False), np.zeros((HEIGHT, WIDTH), bool)
    alone = restorer.restore(image, mask, mode="scratches", join=True)
    assert alone.report.left_alone and np.array_equal(alone.image, image)
    mask[40, 50] = True
    image[40, 50] = 255
    joined = restorer.restore(image, mask, mode="scratches", join=True)
    assert not joined.report.left_alone and (joined.image[40, 50] < 255).all()


def test_a_large_scans_label_is_joined_at_its_working_scale(restorer: Restorer) -> None:
    image = cv2.resize(photo(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(label().astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) > 0
    joined = restorer.restore(image, mask, mode="scratches", scale=2, join=True)
    assert joined.mask[mask].min() > 0.5 and joined.mask[60:100, 53].mean() > 0.9
    changed = (joined.image != image).any(axis=2)
    assert changed[mask].mean() > 0.5 and changed[60:100, 53].mean() > 0.9


def test_a_label_over_several_pages_is_cut_by_page(restorer: Restorer) -> None:
    """The mask that is given back is of all pages, joined on each; a page without a mark is left to the detector."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for scratched in (True, False):
            writer.write(photo(scratched=scratched), photometric="rgb", metadata=None)
    mask = np.zeros((2 * HEIGHT, WIDTH), np.uint8)
    mask[:HEIGHT][label()] = 255
    with open_image(out, "album.tif") as image:
        result = restore_image(restorer, image, Wanted(mode="scratches"), mask=ArrayScan(mask), join=True)
        found = result.mask.rows(0, 2 * HEIGHT)
        assert [page.report.left_alone for page in result.pages] == [False, True]
        result.close()
    assert (found[mask > 0] == 255).all() and (found[:HEIGHT][SCRATCH] > 150).mean() > 0.9
