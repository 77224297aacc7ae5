"""Run lengths, brushes and polygons of labels: there and back, as the formats' own libraries do it; corrupt ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.brush_rle import Brush, decode_brush, encode_brush
from oldphoto_core.labels.polygons import Polygon, points_of
from oldphoto_core.labels.runs import Runs, counts_of, decode_runs, encode_runs, unpack_counts

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30)))
PAINTED = [
    0, 0, 0, 96, 57, 27, 254, 19, 0, 3, 252, 0, 0, 19, 64, 90, 140, 0, 15, 240, 0, 0, 77, 135, 252, 0, 0, 19, 97, 255,
    0, 0, 4, 216, 127, 192, 0, 1, 52, 15, 252, 38, 0, 7, 248, 0, 0, 38, 129, 255, 24, 0, 31, 224, 0, 0, 154, 4, 22, 19,
    0, 0,
]  # fmt: skip
"""As Label Studio's own converter (label-studio-sdk 2.1.2, `encode_rle`) packs 4 x 6 pixels of colour and alpha."""


def test_a_brush_that_label_studio_packed_is_read() -> None:
    """Alpha is the mask, whatever the colour; the soft rim of a stroke (130 of 255) counts, its last trace (90) not."""
    expected = np.zeros((4, 6), np.uint8)
    expected[1, 1:5] = expected[2, 4] = expected[3, 0] = 255
    assert np.array_equal(decode_brush(PAINTED, (4, 6)), expected)


@given(MASKS)
def test_a_brush_comes_back_as_it_was_painted(mask: np.ndarray) -> None:
    codes = mask.astype(np.uint8) * np.uint8(255)
    assert np.array_equal(decode_brush(encode_brush(codes), mask.shape), codes)


def test_a_long_stroke_takes_few_numbers() -> None:
    """A run is cut where 16 bits are full, no sooner."""
    mask = np.zeros((700, 600), np.uint8)
    mask[300:400] = 255
    packed = encode_brush(mask)
    assert len(packed) < 150
    assert np.array_equal(decode_brush(packed, (700, 600)), mask)


@pytest.mark.parametrize(
    ("packed", "size", "words"),
    [
        ([], (4, 6), "no bytes"),
        (PAINTED[:-8], (4, 6), "ends or goes astray"),
        (PAINTED, (4, 7), "a brush of 96 values"),
        ([255, 255, 255, 255, *PAINTED[4:]], (4, 6), "a brush of 4294967295 values"),
        ([*PAINTED[:-1], 256], (4, 6), "whole numbers from 0 to 255"),
        ([*PAINTED[:-1], -1], (4, 6), "whole numbers from 0 to 255"),
        ([*PAINTED[:-1], float("nan")], (4, 6), "whole numbers from 0 to 255"),
        ([*PAINTED[:-1], "x"], (4, 6), "other things than numbers"),
        ([PAINTED, [1]], (4, 6), "other things than numbers"),
    ],
)
def test_a_corrupt_brush_is_refused(packed: list[Any], size: tuple[int, int], words: str) -> None:
    """Also one that claims four thousand million pixels: nothing is set aside for them."""
    with pytest.raises(LabelRefused, match=words):
        decode_brush(packed, size)


@given(st.lists(st.integers(0, 255), min_size=7, max_size=60))
def test_a_brush_of_noise_is_a_mask_or_is_refused(numbers: list[int]) -> None:
    """Nothing else comes of it: no other error, no endless loop."""
    try:
        found = decode_brush([0, 0, 0, 96, *numbers], (4, 6))
    except LabelRefused:
        return
    assert found.shape == (4, 6)


@given(MASKS, st.booleans())
def test_run_lengths_come_back(mask: np.ndarray, columns_first: bool) -> None:
    counts = encode_runs(mask, columns_first=columns_first)
    assert (counts[1:] > 0).all()
    assert np.array_equal(decode_runs(counts, mask.shape, columns_first=columns_first), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@given(MASKS)
def test_what_cocos_library_packs_is_read_alike(mask: np.ndarray) -> None:
    """Its text, and its lists."""
    from pycocotools import mask as coco

    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    for text in (packed, packed.decode()):
        assert np.array_equal(decode_runs(unpack_counts(text), mask.shape, columns_first=True), mask)
    ours = {"counts": encode_runs(mask, columns_first=True).tolist(), "size": list(mask.shape)}
    assert np.array_equal(coco.decode(coco.frPyObjects(ours, *mask.shape)), mask)


def test_runs_mark_their_rectangle_alone() -> None:
    """Rows first, as CVAT has it: 2 intact, 3 damaged, 1 intact in two rows of three."""
    mask = np.zeros((5, 6), np.uint8)
    Runs(np.array([2, 3, 1]), (2, 3), columns_first=False, left=3, top=2).paint(mask)
    assert np.argwhere(mask).tolist() == [[2, 5], [3, 3], [3, 4]]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([5, -3, 4], "0 and above"),
        ([6, 1e30], "0 and above"),
        ([2.5, 3.5], "whole numbers"),
        ([float("inf")], "0 and above"),
        ([[1, 2], [3, 4]], "0 and above"),
        (["x"], "other things than numbers"),
        ([5], "5 pixels, expected 2 x 3 = 6"),
        ([2**39, 2**39], "expected 2 x 3 = 6"),
    ],
)
def test_corrupt_run_lengths_are_refused(counts: list[Any], words: str) -> None:
    with pytest.raises(LabelRefused, match=words):
        decode_runs(counts_of(counts), (2, 3), columns_first=False)


@pytest.mark.parametrize(("left", "top", "size"), [(-1, 0, (2, 3)), (4, 0, (2, 3)), (0, 4, (2, 3)), (0, 0, (0, 6))])
def test_runs_outside_the_photo_are_refused(left: int, top: int, size: tuple[int, int]) -> None:
    with pytest.raises(LabelRefused, match="does not lie in"):
        Runs(np.array([6]), size, columns_first=False, left=left, top=top).paint(np.zeros((5, 6), np.uint8))


@pytest.mark.parametrize("text", ["\x01", "é", "o" * 40, "5o", "0" * 3 + "E"])
def test_corrupt_packed_run_lengths_are_refused(text: str) -> None:
    """Strange characters, endless numbers, an end within one, less than nothing."""
    with pytest.raises(LabelRefused, match="is corrupt"):
        decode_runs(unpack_counts(text), (5, 7), columns_first=True)


@given(st.binary(max_size=40))
def test_packed_noise_is_counts_or_is_refused(data: bytes) -> None:
    try:
        assert (unpack_counts(data) >= 0).all()
    except LabelRefused:
        pass


def test_a_polygon_covers_what_it_encloses() -> None:
    """From the left edge of pixel 2 to the right edge of pixel 4, and so down."""
    mask = np.zeros((8, 8), np.uint8)
    Polygon(points_of([2, 1, 5, 1, 5, 6, 2, 6])).paint(mask)
    inside = np.zeros((8, 8), bool)
    inside[1:6, 2:5] = True
    assert (mask[inside] == 255).all()
    assert np.count_nonzero(mask[~inside]) <= 9  # pixels that its edges run along, on two of the four sides


def test_a_polygon_over_a_hairline_does_not_vanish() -> None:
    """Narrower than a pixel, so that no pixel's centre is inside."""
    mask = np.zeros((20, 20), np.uint8)
    Polygon(points_of([0.1, 0.1, 0.3, 0.1, 0.3, 1.0, 0.1, 1.0]) * 0.9, shares=True).paint(mask[:, :10])
    assert np.count_nonzero(mask.any(axis=1)) >= 15


def test_a_polygon_in_shares_is_as_large_as_the_photo_makes_it() -> None:
    mask = np.zeros((100, 200), np.uint8)
    Polygon(points_of([0.5, 0.5, 1, 0.5, 1, 1, 0.5, 1]), shares=True).paint(mask)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (50, 100, 99, 199)


@pytest.mark.parametrize(
    "numbers",
    [[1, 2, 3, 4], [1, 2, 3, 4, 5], ["a"] * 6, [1, 2, 3, 4, 5, float("nan")], [1e300, 0, 1, 1, 2, 2], [None] * 6],
)
def test_corrupt_polygons_are_refused(numbers: list[Any]) -> None:
    with pytest.raises(LabelRefused, match="is corrupt"):
        Polygon(points_of(numbers)).paint(np.zeros((9, 9), np.uint8))


def test_a_brush_of_another_size_than_its_drawing_is_refused() -> None:
    with pytest.raises(LabelRefused, match="is corrupt"):
        Brush(PAINTED, (4, 6)).paint(np.zeros((6, 4), np.uint8))
