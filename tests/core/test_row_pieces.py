"""Rows in pieces, work in order, and pictures that are computed row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given

from oldphoto_core.row_pieces import mapped_in_order, pieces_of
from oldphoto_core.scan import ArrayScan, DerivedScan, pixels_sha256
from tests.images import grey_picture
from tests.strategies import pictures


def test_pieces_have_the_rows_asked_for_except_the_last() -> None:
    pixels = grey_picture(103, 40)
    pieces = list(pieces_of(ArrayScan(pixels), 10))
    assert [len(piece) for piece in pieces] == [10] * 10 + [3]
    assert np.array_equal(np.concatenate(pieces), pixels)


def test_work_is_given_in_order_and_not_far_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for i in range(50):
            taken.append(i)
            yield i

    for number, result in enumerate(mapped_in_order(lambda i: i * i, items(), threads=3)):
        assert result == number * number
        assert len(taken) <= number + 5
    with pytest.raises(ZeroDivisionError):
        list(mapped_in_order(lambda i: 1 // i, [1, 0, 1], threads=2))


@given(pictures())
def test_the_hash_of_rows_is_that_of_the_pixels(pixels: np.ndarray) -> None:
    for one in (pixels, pixels[:, ::-1], pixels[::2, 1:]):
        assert pixels_sha256(ArrayScan(one)) == hashlib.sha256(np.ascontiguousarray(one)).hexdigest()


def test_derived_rows_are_computed_from_the_same_rows() -> None:
    one, two = grey_picture(), grey_picture(seed=9)
    scan = DerivedScan((ArrayScan(one), ArrayScan(two)), one.shape, one.dtype, np.maximum)
    assert np.array_equal(scan.rows(3, 9), np.maximum(one, two)[3:9])
