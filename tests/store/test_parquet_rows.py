"""Rows without known types as Parquet: no value is lost, however late the surprise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.parquet_rows import write_parquet


def written(path: Path, values: list[Any], *, group_rows: int = 2) -> pa.ChunkedArray:
    """One column, written two rows a group, so that surprises come late."""
    rows = write_parquet(["x"], [[(value,)] for value in values], path, group_rows=group_rows)
    assert rows == len(values)
    return pq.read_table(path)["x"]


@pytest.mark.parametrize(
    ("values", "type_", "wanted"),
    [
        ([1, 2, 3], pa.int64(), [1, 2, 3]),
        ([None] * 5, pa.string(), [None] * 5),
        ([None, None, None, 7], pa.int64(), [None, None, None, 7]),
        ([None, None, None, 0.5], pa.float64(), [None, None, None, 0.5]),
        ([None, None, None, "a"], pa.string(), [None, None, None, "a"]),
        ([None, None, None, b"\0"], pa.binary(), [None, None, None, b"\0"]),
        ([1, 2, 3, 0.5], pa.float64(), [1.0, 2.0, 3.0, 0.5]),
        ([0.5, 1.0, 3], pa.float64(), [0.5, 1.0, 3.0]),
        ([2**53 + 1, 1, 1, 0.5], pa.string(), ["9007199254740993", "1", "1", "0.5"]),
        ([0.1, 1, 1, 2**53 + 1], pa.string(), ["0.1", "1.0", "1", "9007199254740993"]),
        ([1, 2, 2**63], pa.string(), ["1", "2", "9223372036854775808"]),
        ([-(2**63), 2**63 - 1, None], pa.string(), ["-9223372036854775808", "9223372036854775807", None]),
        ([1, 2, 3, "x"], pa.string(), ["1", "2", "3", "x"]),
        (["x", "y", 1, 1.5, b"\xff"], pa.string(), ["x", "y", "1", "1.5", "ff"]),
        ([True, None, False], pa.bool_(), [True, None, False]),
        ([True, False, 1], pa.string(), ["True", "False", "1"]),
        ([0.5, math.inf, math.nan], pa.float64(), [0.5, math.inf, math.nan]),
        ([], pa.string(), []),
    ],
)  # fmt: skip
def test_a_column_becomes_as_wide_as_its_values_need(
    tmp_path: Path, values: list[Any], type_: pa.DataType, wanted: list[Any]
) -> None:
    column = written(tmp_path / "x.parquet", values)
    assert column.type == type_
    assert repr(column.to_pylist()) == repr(wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


VALUES = st.none() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))


@given(values=st.lists(VALUES, max_size=12), group_rows=st.integers(1, 5))
def test_no_value_is_lost_or_rounded(
    values: list[Any], group_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers that became text say the same number, and nulls stay nulls."""
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    back = written(path, values, group_rows=group_rows).to_pylist()
    assert [value is None for value in back] == [value is None for value in values]
    for value, found in zip(values, back, strict=True):
        if isinstance(found, str) and not isinstance(value, str):
            assert Decimal(found) == Decimal(repr(value))
        else:
            assert found == value


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    write_parquet(["n", "n", "n_2"], [[(1, 2, 3)]], tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [{"n": 1, "n_3": 2, "n_2": 3}]


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    """In groups: what was given is not kept."""
    path = tmp_path / "x.parquet"

    def batches() -> Iterator[list[tuple[int]]]:
        for start in range(0, 50_000, 1000):
            if start == 41_000:
                assert path.stat().st_size > 40_000
            yield [(n * 7919 % 100_003,) for n in range(start, start + 1000)]

    write_parquet(["n"], batches(), path)
    with pq.ParquetFile(path) as file:
        assert (file.metadata.num_rows, file.metadata.num_row_groups) == (50_000, 3)


def test_an_error_while_rows_come_is_the_callers(tmp_path: Path) -> None:
    """And the file is closed."""

    def batches() -> Iterator[list[tuple[int]]]:
        yield [(1,)]
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        write_parquet(["n"], batches(), tmp_path / "x.parquet")
