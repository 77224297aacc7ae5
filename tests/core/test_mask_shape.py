"""What is mended of what was found: hysteresis, islands, margins, faces, lost pieces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core.models.faces import Face
from oldphoto_core.restoration.mask import (
    ISLAND_PX,
    MARGIN_PX,
    REACH_PX,
    WIDEST_MARGIN_PX,
    MaskShape,
    codes_of,
    probabilities_of,
    regions,
    shape_mask,
)

GREY = np.full((160, 200), 120, np.uint8)
FACE = Face((20, 20, 120, 120), ((55, 52, 10, 12), (55, 88, 10, 12), (95, 70, 8, 16)))


def found(*strokes: tuple[slice, slice, float]) -> np.ndarray:
    """(160, 200) uint8 of probabilities in boxes, 0 elsewhere."""
    probability = np.zeros(GREY.shape, np.float32)
    for rows, columns, value in strokes:
        probability[rows, columns] = value
    return codes_of(probability)


def shaped(codes: np.ndarray, luma: np.ndarray = GREY, **given) -> MaskShape:
    return shape_mask(codes, luma, **{"mending": "normal", **given})


def test_codes_keep_an_order_and_what_a_detector_is_nearly_sure_of() -> None:
    probability = np.float32([0, 1e-3, 0.01, 0.3, 0.5, 0.9, 0.99, 0.999, 1])
    again = probabilities_of(codes_of(probability))
    assert (np.diff(again) > 0).all() and again[0] == 0 and again[-1] == 1
    assert np.abs(again - probability).max() < 0.02 and abs(again[-2] - 0.999) < 1e-4
    assert np.array_equal(codes_of(probabilities_of(np.arange(256, dtype=np.uint8))), np.arange(256))


def test_a_crack_goes_on_from_where_it_is_sure_along_what_is_half_believed() -> None:
    codes = found((slice(80, 82), slice(20, 60), 0.96), (slice(80, 82), slice(60, 150), 0.4))
    assert shaped(codes).mended[80:82, 20:150].all()
    assert not shaped(found((slice(80, 82), slice(60, 150), 0.6))).mended.any(), "nothing sure begins it"


def test_how_much_is_mended_is_asked_for() -> None:
    codes = found((slice(40, 42), slice(20, 90), 0.95), (slice(100, 102), slice(20, 90), 0.98))
    sure, normal = (shaped(codes, mending=name).mended for name in ("sure", "normal"))
    assert not sure[30:50].any() and sure[100:102, 20:90].all()
    assert normal[40:42, 20:90].all() and (normal >= sure).all()


def test_a_small_island_is_closed_and_a_ring_around_much_is_not() -> None:
    small, large = found(), found()
    cv2.circle(small, (100, 80), 8, 230, 3)
    cv2.circle(large, (100, 80), 40, 230, 3)
    assert shaped(small).mended[80, 100]
    assert not shaped(large).mended[80, 100]
    assert 3.14 * 5**2 < ISLAND_PX < 3.14 * 30**2


def test_the_margin_grows_with_the_stroke() -> None:
    def margin(width: int) -> int:
        mended = shaped(found((slice(60, 60 + width), slice(20, 180), 0.95)), mending="everything").mended
        return int(np.flatnonzero(mended[:60, 100]).size)

    assert MARGIN_PX <= margin(2) <= margin(12) <= margin(30) <= WIDEST_MARGIN_PX
    assert margin(2) < margin(30)


def test_a_wide_finding_and_one_on_a_face_need_more_evidence() -> None:
    wide = found((slice(40, 70), slice(40, 90), 0.95))
    thin = found((slice(40, 43), slice(40, 90), 0.95))
    assert not shaped(wide).mended[50:60, 50:80].any()
    assert shaped(thin).mended[40:43, 40:90].all()
    assert not shaped(thin, faces=[FACE]).mended.any()
    assert shaped(found((slice(40, 43), slice(40, 90), 0.98)), faces=[FACE]).mended[41, 40:90].all()


def test_a_finding_within_an_eye_or_a_mouth_is_that_and_a_crack_goes_through_it() -> None:
    eye, crack = (slice(53, 57), slice(46, 58), 0.999), (slice(54, 56), slice(0, 120), 0.999)
    assert not shaped(found(eye), faces=[FACE]).mended.any()
    assert shaped(found(eye), faces=[FACE], mending="everything").mended[54, 50], "whoever asks for everything gets it"
    assert shaped(found(eye)).mended[54, 50], "where no face is found there is no eye"
    through = shaped(found(eye, crack), faces=[FACE]).mended
    assert through[54:56, :120].all() and through[53:57, 46:58].all()
    assert not shaped(found((slice(93, 97), slice(60, 80), 0.999)), faces=[FACE]).mended.any(), "the mouth"


def test_a_lost_piece_is_filled_where_all_around_is_calm_or_where_it_is_asked_for() -> None:
    codes = found((slice(0, 60), slice(0, 70), 0.99))
    busy = (np.random.default_rng(0).integers(0, 2, GREY.shape) * 160 + 40).astype(np.uint8)
    calm = shaped(codes)
    assert calm.mended[:60, :70].all() and calm.lost_share > 0.1 and calm.left_share == 0
    left = shaped(codes, busy)
    assert left.mended[:50, :60].mean() < 0.2 and left.left_share == pytest.approx(left.lost_share)
    painted = np.zeros(GREY.shape, bool)
    painted[:70, :80] = True
    assert shaped(codes, busy, given=painted).left_share == 0, "what a person painted is mended in any case"
    asked = shaped(codes, busy, mending="everything")
    assert asked.mended[:60, :70].all() and asked.left_share == 0 < asked.lost_share


def test_specks_of_a_pixel_or_two_are_none() -> None:
    assert not shaped(found((slice(50, 51), slice(50, 52), 0.9))).mended.any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_is_mended_of_one_finding_does_not_depend_on_another_far_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = found(), found()
    for codes, middle in ((first, (40, 40)), (second, (40, 40 + 3 * REACH_PX))):
        for _ in range(4):
            y, x = rng.integers(-14, 14, 2) + middle
            cv2.line(codes, (int(x), int(y)), tuple(int(v) for v in rng.integers(-14, 14, 2) + middle[::-1]), 230, 2)
    together = shaped(np.maximum(first, second)).mended
    assert np.array_equal(together, shaped(first).mended | shaped(second).mended)


def test_each_marked_pixel_belongs_to_one_region_with_room_around_it() -> None:
    marked = np.zeros((300, 420), bool)
    marked[10:14, 5:400] = marked[150, 200] = marked[290:, 400:] = True
    seen = np.zeros(marked.shape, int)
    for (top, left, bottom, right), own in regions(marked):
        assert own.shape == (bottom - top, right - left)
        seen[top:bottom, left:right] += own
    assert (seen[cv2.dilate(marked.astype(np.uint8), np.ones((2 * REACH_PX + 1,) * 2)) > 0] == 1).all()
