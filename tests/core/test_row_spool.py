"""Rows that are put down and read again."""

from __future__ import annotations

import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.row_spool import RowSpool
from oldphoto_core.scan import ArrayScan, blocks_of


@pytest.mark.parametrize("held_bytes", [0, 1 << 30])
@pytest.mark.parametrize(("shape", "dtype"), [((50, 7, 3), np.uint16), ((50, 7), np.uint8), ((50, 7), np.float32)])
def test_rows_come_back_as_they_were_put_down_in_any_order(held_bytes, shape, dtype):
    values = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    spool = RowSpool(shape, dtype, held_bytes=held_bytes)
    for top in range(0, 50, 13):
        spool.append(values[top : top + 13])
        assert np.array_equal(spool.rows(0, top + 1), values[: top + 1])  # read while it is written
    assert spool.held_bytes == (values.nbytes if held_bytes else 0)
    for top, bottom in ((40, 50), (0, 50), (3, 3), (12, 14)):
        assert np.array_equal(spool.rows(top, bottom), values[top:bottom])
    spool.restart()
    for top in range(0, 50, 25):
        spool.append(values[::-1][top : top + 25])
    assert np.array_equal(spool.rows(0, 50), values[::-1])
    spool.close()


def test_a_full_disk_is_told_with_what_to_do(monkeypatch):
    spool = RowSpool((1000, 1000), np.uint8, held_bytes=0)
    spool._file.close()
    spool._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(ConfigError, match=r"No space left on device; free 0\.0 GB there, or set TMPDIR"):
        spool.append(np.zeros((1000, 1000), np.uint8))


def test_blocks_cover_a_scan_once():
    values = np.arange(70).reshape(10, 7).astype(np.uint8)
    blocks = list(blocks_of(ArrayScan(values), 21))
    assert [top for top, _ in blocks] == [0, 3, 6, 9]
    assert np.array_equal(np.concatenate([rows for _, rows in blocks]), values)
