"""CSV, JSON and JSON lines: what other programs read back."""

from __future__ import annotations

import csv
import io
import json
import math

from storage.row_formats import distinct_names, write_csv, write_json, write_jsonl

COLUMNS = ("key", "n", "raw")
BATCHES = [[("a,\"b\"\nc", 1, b"\x00\xff")], [], [(None, 0.1, None), ("ä\U0001f4f7", math.inf, b"")]]
OBJECTS = [
    {"key": "a,\"b\"\nc", "n": 1, "raw": "00ff"}, {"key": None, "n": 0.1, "raw": None},
    {"key": "ä\U0001f4f7", "n": "inf", "raw": ""},
]  # fmt: skip


def test_csv_has_a_header_and_a_line_a_row() -> None:
    """Commas, quotes and line ends in a value are read back; null is empty."""
    file = io.StringIO(newline="")
    write_csv(COLUMNS, BATCHES, file)
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert rows == [list(COLUMNS), ["a,\"b\"\nc", "1", "00ff"], ["", "0.1", ""], ["ä\U0001f4f7", "inf", ""]]


def test_json_is_one_array_and_json_lines_an_object_a_line() -> None:
    """Numbers that JSON has not are named."""
    file = io.StringIO()
    write_json(COLUMNS, BATCHES, file)
    assert json.loads(file.getvalue()) == OBJECTS
    file = io.StringIO()
    write_jsonl(COLUMNS, BATCHES, file)
    assert [json.loads(line) for line in file.getvalue().splitlines()] == OBJECTS


def test_nothing_is_an_empty_array() -> None:
    file = io.StringIO()
    write_json(COLUMNS, [], file)
    assert json.loads(file.getvalue()) == []


def test_columns_of_one_name_get_numbers() -> None:
    """A number that is another column's name is passed over."""
    assert distinct_names(["n", "n", "n_2", "m"]) == ["n", "n_3", "n_2", "m"]
    assert distinct_names(["n", "n", "n"]) == ["n", "n_2", "n_3"]
