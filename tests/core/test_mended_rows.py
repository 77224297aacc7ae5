"""What would be mended, at the scan's scale, without anything being restored."""

from __future__ import annotations

import numpy as np
import pytest

from oldphoto_core.restoration import fine_scratches, scan_restoration
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.row_spool import RowSpool
from oldphoto_core.scan import ArrayScan
from tests.core.test_scan_restoration import photo


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_release(device="cpu", precision="float32", tile_px=64)


@pytest.mark.parametrize("scale", [1, 3])
def test_a_working_pixel_is_all_of_its_square(restorer: Restorer, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_restoration, "_MASK_BLOCK_PIXELS", 170 * 30)
    begun = restorer.begin(ArrayScan(photo(150, 170)), Wanted(), scale=scale)
    parts = list(begun.mended_rows())
    assert len(parts) > 2 and [top for top, _ in parts] == list(np.cumsum([0, *(len(p) for _, p in parts)])[:-1])
    rows = np.concatenate([part for _, part in parts])
    assert rows.shape == (150, 170) and rows.dtype == np.float32
    down, across = np.arange(150) // scale, np.arange(170) // scale
    assert np.array_equal(rows > 0, begun.found.mended[np.ix_(down, across)]) and 0 < rows.mean() < 1
    if scale == 1:
        assert np.array_equal(rows, restorer.restore(photo(150, 170), scale=1).mask)


def test_fine_marks_are_in_it(restorer: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = np.zeros((150, 170), np.uint8)
    marks[100:102, 20:150] = 255
    spool = RowSpool(marks.shape, np.uint8)
    spool.append(marks)
    found = fine_scratches.FineMarks(spool, some=True)
    monkeypatch.setattr(scan_restoration, "find_fine_scratches", lambda *_, **__: found)
    begun = restorer.begin(ArrayScan(photo(150, 170)), Wanted(), scale=4)
    rows = np.concatenate([part for _, part in begun.mended_rows()])
    assert (rows[100:102, 20:150] == 1).all() and rows[110:, 20:150].max() == 0
