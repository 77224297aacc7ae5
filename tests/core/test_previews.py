"""Previews, masks and difference pictures."""

from __future__ import annotations

import io
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core import previews
from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ImageRefused
from oldphoto_core.previews import (
    DIFFERENCE_ZERO,
    area_mean,
    difference_png,
    eight_bits_of,
    mask_png,
    preview_jpeg,
    read_mask,
    read_mask_codes,
    to_eight_bits,
    write_difference_png,
    write_mask_png,
)
from oldphoto_core.scan import ArrayScan
from tests import icc
from tests.images import deep_grey_picture, deep_picture, deep_png, grey_picture, picture, save
from tests.strategies import masks, pictures


def read(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


@given(pictures())
def test_a_preview_is_eight_bits_and_never_larger(pixels: np.ndarray) -> None:
    preview = read(preview_jpeg(pixels, max_side_px=40))
    assert preview.dtype == np.uint8
    assert max(preview.shape[:2]) == min(40, max(pixels.shape[:2]))
    assert preview.ndim == pixels.ndim


def test_a_preview_shows_the_photo() -> None:
    photo = picture(400, 600)
    preview = read(preview_jpeg(photo, max_side_px=150))
    assert preview.shape == (100, 150, 3)
    assert np.abs(preview.astype(int) - photo[2::4, 2::4]).mean() < 3


@settings(max_examples=60)
@given(pictures(), st.integers(1, 31), st.integers(1, 31), st.integers(1, 3000))
def test_a_mean_over_rows_is_that_of_the_whole(pixels: np.ndarray, height: int, width: int, at_once: int) -> None:
    """OpenCV's own mean over areas is the second opinion; it sums in another order, so a level may differ."""
    wanted = cv2.resize(pixels.astype(np.float64), (width, height), interpolation=cv2.INTER_AREA)
    with patch.object(previews, "READ_PIXELS", at_once):
        small = area_mean(ArrayScan(pixels), (height, width))
    assert (small.shape, small.dtype) == ((height, width, *pixels.shape[2:]), pixels.dtype)
    assert np.abs(small - wanted).max() <= 0.51


def test_a_wide_gamut_preview_is_in_srgb() -> None:
    """The same colour in two encodings gives the same preview."""
    photo = picture(64, 96)
    wide = WorkingColour.of(icc.prophoto(), channels=3).from_srgb(photo / np.float32(255))
    deep = np.rint(wide * 65_535).astype(np.uint16)
    assert np.abs(deep / 257 - photo).max() > 30
    previews_of_both = preview_jpeg(deep, icc_profile=icc.prophoto()), preview_jpeg(photo)
    assert previews_of_both[0] == previews_of_both[1]


def test_sixteen_bits_are_divided_by_257_and_rounded() -> None:
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_eight_bits(values), np.rint(values / 257).astype(np.uint8))
    assert to_eight_bits(np.uint16([0, 65_535])).tolist() == [0, 255]
    assert to_eight_bits(grey_picture()) is not None


@settings(max_examples=30)
@given(masks())
def test_a_mask_comes_back_within_half_a_level(mask: np.ndarray) -> None:
    again = read_mask(mask_png(mask), mask.shape)
    assert again.dtype == np.float32
    assert np.abs(again - mask).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(again == 0, np.rint(mask * 255) == 0)


@settings(max_examples=30)
@given(masks())
def test_codes_of_a_mask_are_those_that_were_written(mask: np.ndarray) -> None:
    codes, out = np.rint(mask * 255).astype(np.uint8), io.BytesIO()
    write_mask_png(out, ArrayScan(codes))
    assert out.getvalue() == mask_png(mask)
    again = read_mask_codes(out.getvalue(), mask.shape)
    assert again.dtype == np.uint8
    assert np.array_equal(again, codes)


def test_a_mask_may_come_from_any_paint_program() -> None:
    wanted = grey_picture() > 128
    black_and_white = save(Image.fromarray(wanted), "PNG")
    deep = deep_png(wanted.astype(np.uint16) * 65_535)
    painted = save(np.dstack([np.full((*wanted.shape, 3), 255, np.uint8), wanted * np.uint8(255)]), "PNG")
    for data in (black_and_white, deep, painted):
        assert np.array_equal(read_mask(data, wanted.shape) > 0.5, wanted)
        with patch.object(previews, "_ROWS", 7):
            assert np.array_equal(read_mask_codes(data, wanted.shape), wanted * 255)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ImageRefused, match=r"mask\.png: wrong-size: expected a mask of 48 x 73 pixels") as caught:
        read_mask(mask_png(np.zeros((48, 72))), (48, 73, 3), "mask.png")
    assert caught.value.reason == "wrong-size"
    with pytest.raises(ImageRefused, match="wrong-size"):
        read_mask_codes(mask_png(np.zeros((48, 72))), (48, 73))


@given(pictures())
def test_no_change_is_mid_grey(pixels: np.ndarray) -> None:
    difference = read(difference_png(pixels, pixels.copy()))
    assert difference.shape == pixels.shape
    assert (difference == DIFFERENCE_ZERO).all()


def test_lighter_is_lighter_by_two_levels_a_level() -> None:
    before = np.full((40, 40), 100, np.uint8)
    after = before.copy()
    after[0, :4] = 101, 99, 255, 0
    assert read(difference_png(before, after))[0, :5].tolist() == [130, 126, 255, 0, 128]


def test_differences_of_sixteen_bits_are_on_the_same_scale() -> None:
    before = deep_grey_picture() // 2
    after = before + np.uint16(257 * 10)
    assert (read(difference_png(before, after)) == DIFFERENCE_ZERO + 20).all()


def test_pictures_of_rows_are_those_of_the_whole() -> None:
    before, after, out = deep_picture(), deep_picture(seed=3), io.BytesIO()
    write_difference_png(out, ArrayScan(before), ArrayScan(after))
    assert out.getvalue() == difference_png(before, after)
    assert np.array_equal(eight_bits_of(ArrayScan(before)).rows(5, 20), to_eight_bits(before)[5:20])
    plain = ArrayScan(picture())
    assert eight_bits_of(plain) is plain
