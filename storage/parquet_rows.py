"""Rows of any query as a Parquet file, though nobody says what types its columns have.

A column's type is what its values so far need: whole numbers, doubles, flags, text or bytes; text while there are only
nulls. Where a later value does not fit, what was written is written again with a wider type:
whole numbers become doubles where each of them is exact as one, and all else becomes text. No value is lost or rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.row_formats import Batches, distinct_names

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 20_000
"""Rows in a row group: what is held in memory, and what the first guess of the types sees."""

_EXACT = 1 << 53
"""Whole numbers up to here are exact as doubles."""

_KINDS = {int: "int", float: "float", bool: "flag", str: "text", bytes: "bytes"}


def write_parquet(columns: Sequence[str], batches: Batches, path: Path, *, group_rows: int = GROUP_ROWS) -> int:
    """Writes the file and gives the number of rows; columns of one name get numbers."""
    writer = _GrowingFile(distinct_names(columns), path)
    try:
        rows: list[Sequence[Any]] = []
        for batch in batches:
            rows += batch
            while len(rows) >= group_rows:
                writer.write(rows[:group_rows])
                del rows[:group_rows]
        if rows or not writer.rows:
            writer.write(rows)
        return writer.rows
    finally:
        writer.close()


class _GrowingFile:
    """A Parquet file whose columns become wider as they must."""

    def __init__(self, names: list[str], path: Path) -> None:
        self.rows = 0
        self._names, self._path = names, path
        self._kinds = ["null"] * len(names)
        self._largest = [0] * len(names)
        self._writer: Any = None

    def write(self, rows: list[Sequence[Any]]) -> None:
        columns = [list(values) for values in zip(*rows, strict=True)] if rows else [[] for _ in self._names]
        kinds = [self._kind(place, values) for place, values in enumerate(columns)]
        if self._writer is None or kinds != self._kinds:
            self._widen(kinds)
        self._writer.write_table(self._table(columns))
        self.rows += len(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _kind(self, place: int, values: list[Any]) -> str:
        """What the column needs with these values too."""
        kinds = {_KINDS.get(type(value), "text") for value in values if value is not None}
        if "int" in kinds:
            largest = max(abs(value) for value in values if type(value) is int)
            self._largest[place] = max(self._largest[place], largest)
        kinds |= {self._kinds[place]} - {"null"}
        if "int" in kinds and self._largest[place] >= 1 << 63:
            return "text"
        if kinds == {"int", "float"}:
            return "float" if self._largest[place] <= _EXACT else "text"
        return "null" if not kinds else kinds.pop() if len(kinds) == 1 else "text"

    def _widen(self, kinds: list[str]) -> None:
        """Begins the file with these types; what it holds already is carried over."""
        import pyarrow.parquet as pq

        before = self._schema()
        self._kinds = kinds
        schema = self._schema()
        if self._writer is not None and schema == before:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
            return
        self._writer.close()
        narrow = self._path.with_name(f"{self._path.name}.narrow")
        self._path.replace(narrow)
        try:
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd")
            for columns in _groups(narrow):
                self._writer.write_table(self._table(columns))
        finally:
            narrow.unlink()

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        types = {
            "null": pa.string(), "int": pa.int64(), "float": pa.float64(), "flag": pa.bool_(), "text": pa.string(),
            "bytes": pa.binary(),
        }  # fmt: skip
        return pa.schema([(name, types[kind]) for name, kind in zip(self._names, self._kinds, strict=True)])

    def _table(self, columns: list[list[Any]]) -> pa.Table:
        import pyarrow as pa

        schema = self._schema()
        arrays = []
        for values, kind, field in zip(columns, self._kinds, schema, strict=True):
            if kind == "text":
                values = [_text(value) for value in values]
            elif kind == "float":
                values = [None if value is None else float(value) for value in values]
            arrays.append(pa.array(values, field.type, from_pandas=False))
        return pa.Table.from_arrays(arrays, schema=schema)


def _groups(path: Path) -> Iterator[list[list[Any]]]:
    """The columns of each row group of a file."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield [column.to_pylist() for column in file.read_row_group(number).columns]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
