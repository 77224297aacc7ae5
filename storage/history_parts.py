"""Rows of one table or view as Parquet parts in an object store: typed, in row groups, a folder a month."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.history_schema import Relation
from storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 100_000
PART_ROWS = 1_000_000
_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class ExportedFile:
    """One Parquet file of an export."""

    key: str
    rows: int
    size_bytes: int
    sha256: str


class PartWriter:
    """Writes the parts of one relation; `files` has what is stored.

    Args:
        suffix: what sets this export's files apart from an earlier one's.
        work: folder for the part that is being written.
    """

    def __init__(self, relation: Relation, schema: pa.Schema, store: ObjectStore, *, suffix: str, work: Path) -> None:
        self.files: list[ExportedFile] = []
        self._relation, self._schema, self._store, self._suffix = relation, schema, store, suffix
        self._path = work / "part.parquet"
        self._number = 0
        self._month: str | None = None
        self._writer: Any = None
        self._rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def write(self, batches: Iterable[Sequence[Sequence[Any]]]) -> int:
        """Stores all rows and gives their number. They come by month, where the relation is parted by it."""
        total = 0
        for batch in batches:
            for month, rows in self._by_month(batch):
                if month != self._month or self._rows + self._waiting_rows >= PART_ROWS:
                    self._store_part()
                    self._number = 0 if month != self._month else self._number
                    self._month = month
                self._add(rows)
            total += len(batch)
        if not total and self._relation.month_of is None:
            self._flush()  # no rows, but a file: whoever reads it finds the columns
        self._store_part()
        return total

    def _by_month(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str | None, Sequence[Sequence[Any]]]]:
        if self._relation.month_of is None:
            yield None, rows
            return
        place = self._schema.get_field_index(self._relation.month_of)
        start = 0
        for end in range(1, len(rows) + 1):
            month = rows[start][place][:7]
            if end == len(rows) or rows[end][place][:7] != month:
                yield month, rows[start:end]
                start = end

    def _add(self, rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting_rows += len(rows)
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        """What waits becomes a row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._rows += table.num_rows
        self._waiting, self._waiting_rows = [], 0

    def _store_part(self) -> None:
        """What was written becomes an object."""
        if self._waiting:
            self._flush()
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        folder = self._relation.name + (f"/month={self._month}" if self._month else "")
        key = f"{folder}/part-{self._number}-{self._suffix}.parquet"
        digest = hashlib.sha256()
        self._store.write_stream(key, _chunks(self._path, digest))
        size_bytes = self._path.stat().st_size
        self.files.append(ExportedFile(key, self._rows, size_bytes, digest.hexdigest()))
        self._path.unlink()
        self._number += 1
        self._rows = 0

    def close(self) -> None:
        """Gives the unfinished part up, after an error."""
        if self._writer is not None:
            self._writer.close()


def _chunks(path: Path, digest: Any) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            yield chunk
