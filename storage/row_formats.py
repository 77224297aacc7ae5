"""Rows as text for other programs: CSV, a JSON array, JSON lines. All stream: a row is written and forgotten."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from typing import IO, Any

Batches = Iterable[Sequence[Sequence[Any]]]
"""Rows in lists, as a query gives them."""


def write_csv(columns: Sequence[str], batches: Batches, file: IO[str]) -> None:
    """A header line, then a line a row; null is an empty field, bytes are hexadecimal."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for rows in batches:
        writer.writerows([value.hex() if isinstance(value, bytes) else value for value in row] for row in rows)


def write_json(columns: Sequence[str], batches: Batches, file: IO[str]) -> None:
    """One array of objects, a line each."""
    file.write("[")
    separator = "\n"
    for line in _objects(columns, batches):
        file.write(separator + line)
        separator = ",\n"
    file.write("]\n" if separator == "\n" else "\n]\n")


def write_jsonl(columns: Sequence[str], batches: Batches, file: IO[str]) -> None:
    """An object a line."""
    for line in _objects(columns, batches):
        file.write(line + "\n")


def _objects(columns: Sequence[str], batches: Batches) -> Iterable[str]:
    names = distinct_names(columns)
    for rows in batches:
        for row in rows:
            yield json.dumps(dict(zip(names, map(_json_value, row), strict=True)), ensure_ascii=False)


def _json_value(value: Any) -> Any:
    """Bytes as hexadecimal, and numbers that JSON does not know as their names."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def distinct_names(columns: Sequence[str]) -> list[str]:
    """The names, those that come again with a number (``n``, ``n_2``), so that no column hides another."""
    taken = set(columns)
    used: set[str] = set()
    names = []
    for column in columns:
        name, number = column, 2
        while name in used or (name != column and name in taken):
            name, number = f"{column}_{number}", number + 1
        used.add(name)
        names.append(name)
    return names
