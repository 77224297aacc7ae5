"""Rows on the terminal, to another program, or in a file: how `sql` and `history` give what they found."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from flows.errors import UsageError
from storage.local_files import name_if_absent
from storage.query_rows import QueryRows


class Format(StrEnum):
    """How rows are given."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


FormatOption = Annotated[
    Format, typer.Option("--format", help="table is for people; the others have every row, streamed.")
]
OutputOption = Annotated[
    Path | None, typer.Option(help="File to write; - is stdout. Parquet needs one.", show_default=False)
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the file where it is there.")]

WIDE = 10_000
"""Where nobody's terminal is the limit, rows are whole."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def give_rows(
    rows: QueryRows, format: Format, output: Path | None = None, *, overwrite: bool = False, table_rows: int = 200
) -> int:
    """Writes the rows, nothing else to stdout, and gives how many.

    Args:
        table_rows: what a table shows; where there are more, a line on stderr says so.
    """
    from storage import row_formats
    from storage.parquet_rows import write_parquet

    counted = _Counted(rows)
    if format is Format.parquet:
        with part_of(_parquet_path(output), overwrite=overwrite) as part:
            write_parquet(rows.columns, counted, part)
        return counted.rows
    write = {
        Format.csv: row_formats.write_csv, Format.json: row_formats.write_json, Format.jsonl: row_formats.write_jsonl,
    }.get(format)  # fmt: skip
    with _text_file(output, overwrite=overwrite) as file:
        if write is not None:
            write(rows.columns, counted, file)
        else:
            _write_table(rows.columns, counted, file, table_rows)
    return counted.rows


def check_output(format: Format, output: Path | None, *, overwrite: bool) -> None:
    """Raises UsageError where the rows could not be written in the end: before anything is asked."""
    if format is Format.parquet:
        _parquet_path(output)
    if output is not None and str(output) != "-":
        _refuse_taken(output, overwrite=overwrite)


class _Counted:
    """The batches, counted as they go by."""

    def __init__(self, rows: QueryRows) -> None:
        self.rows = 0
        self._batches = rows.batches

    def __iter__(self) -> Iterator[Sequence[Sequence[Any]]]:
        for batch in self._batches:
            self.rows += len(batch)
            yield batch


def _parquet_path(output: Path | None) -> Path:
    if output is None or str(output) == "-":
        raise UsageError("Parquet is not for a terminal or a pipe; name a file: --output history.parquet")
    return output


def _refuse_taken(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not path.is_file():
        raise UsageError(f"--output {path} is there and is no file; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"--output {path} is there already and was left alone; name another, or add --overwrite")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--output {path}: the folder {path.absolute().parent} is not there; make it first")


@contextmanager
def part_of(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file to write beside ``path`` that takes its name in the end; after an error there is neither.

    Raises:
        UsageError: the name is taken, and ``overwrite`` is off.
    """
    _refuse_taken(path, overwrite=overwrite)
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        if overwrite:
            os.replace(part, path)
        else:
            try:
                name_if_absent(part, path)
            except FileExistsError:  # somebody was faster
                _refuse_taken(path, overwrite=False)
                raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _text_file(output: Path | None, *, overwrite: bool) -> Iterator[TextIO]:
    if output is None or str(output) == "-":
        yield sys.stdout
        return
    with part_of(output, overwrite=overwrite) as part, open(part, "x", encoding="utf-8", newline="") as file:
        yield file


def _write_table(columns: Sequence[str], batches: _Counted, file: TextIO, table_rows: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown: list[Sequence[Any]] = []
    for batch in batches:
        shown += batch
        if len(shown) > table_rows:
            break
    table = Table(*map(escape, map(_cell, columns)))
    for row in shown[:table_rows]:
        table.add_row(*(escape(_cell(value)) for value in row))
    Console(file=file, highlight=False, width=None if file.isatty() else WIDE).print(table)
    if len(shown) > table_rows:
        more = f"first {table_rows} of more rows; --format csv has them all, or raise --limit"
        typer.echo(more, err=True)


def _cell(value: Any) -> str:
    """A value as a person reads it; nothing in it may steer the terminal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)
