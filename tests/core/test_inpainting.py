"""Pure inpainting: what is lost, how wide it is, and what is measured inside it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from oldphoto_core.evaluation.inpainting import SURFACES, Lost, by_width, figures_in_mask, inpainted, lose


def scene(seed: int = 5) -> np.ndarray:
    small = np.random.default_rng(seed).integers(20, 235, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (192, 160), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("surface", SURFACES)
def test_what_is_lost_says_nothing_of_the_photo_and_the_rest_is_the_photo(surface: str) -> None:
    one, other = (lose(photo, 5, surface) for photo in (scene(1), scene(2)))
    assert np.array_equal(one.mask, other.mask) and 0.01 <= one.mask.mean() <= 0.25
    assert np.array_equal(one.image[one.mask], other.image[one.mask])
    grain = (one.image.astype(float) - one.truth)[~one.mask]
    assert grain.std() == pytest.approx(8 if surface == "grain" else 0, abs=0.5)
    assert np.array_equal(one.truth, scene(1))


def test_the_same_seed_loses_the_same_and_another_something_else() -> None:
    first = lose(scene(), 7, "clean")
    assert np.array_equal(lose(scene(), 7, "clean").image, first.image)
    assert np.array_equal(lose(scene(), 7, "grain").mask, first.mask)
    assert not np.array_equal(lose(scene(), 8, "clean").mask, first.mask)


def test_places_are_told_apart_by_their_width() -> None:
    mask = np.zeros((200, 200), bool)
    for left, width in ((10, 3), (40, 10), (100, 30)):
        mask[:, left : left + width] = True
    parts = by_width(mask)
    assert sum(part.astype(int) for part in parts.values()).max() == 1
    assert parts["narrow"][:, 10:13].all() and parts["narrow"].sum() == 600
    assert parts["middle"][:, 40:50].all() and parts["wide"][:, 100:130].all()


def test_figures_are_of_the_mask_alone_and_of_no_width_that_is_not_there() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:, 10:13] = True
    truth = np.full((40, 40, 3), 100, np.uint8)
    result = np.where(mask[..., None], truth + np.uint8(26), np.uint8(0))  # a tenth of the range off, wrong outside
    found = figures_in_mask(result, Lost(result, mask, truth))
    assert found["mask"] == found["narrow"] == pytest.approx(-20 * math.log10(26 / 255))
    assert math.isnan(found["middle"]) and math.isnan(found["wide"])


@pytest.mark.parametrize("algorithm", ["telea", "navier-stokes"])
def test_opencv_fills_what_was_lost_and_leaves_the_rest(algorithm: str) -> None:
    lost = lose(scene(), 3, "clean")
    result = inpainted(lost, algorithm)
    assert np.array_equal(result[~lost.mask], lost.image[~lost.mask])
    assert figures_in_mask(result, lost)["mask"] > figures_in_mask(lost.image, lost)["mask"] + 5
