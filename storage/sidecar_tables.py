"""Tables of metadata in a folder: CSV as spreadsheets and collection software export it, a row a photo."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

from storage.sidecar_fields import FieldCollector, Problems, Subject

NAMING_COLUMNS = (
    "sourcefile", "path", "filepath", "relativepath", "key", "objectkey", "file", "filename", "imagefile", "imagename",
    "originalfilename", "image", "photo", "datei", "dateiname", "fichier", "nomdufichier", "identifier",
    "dcidentifier", "objectid", "objectidentifier", "id",
)  # fmt: skip
"""What a column or field is called that names a photo's file, the surest first; letters and digits alone count."""

_DELIMITERS = (",", ";", "\t")


class TableRefused(ValueError):
    """The file is no table that names photos; the message says why."""


def read_table(data: bytes, problems: Problems) -> Iterator[Subject]:
    """A subject for each row, as the rows are read. Rows count from 1, the header's.

    Raises:
        TableRefused: no header, or none of its columns names a file.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding=_encoding(data), errors="replace", newline="")
    first = text.readline()
    declared = re.fullmatch(r"sep=([,;\t])\s*", first)  # Excel's own hint
    header_line = text.readline() if declared else first
    text.seek(0)
    if declared:
        text.readline()
    delimiter = declared[1] if declared else _delimiter(header_line)
    rows = enumerate(csv.reader(text, delimiter=delimiter), start=2 if declared else 1)
    try:
        header = next(rows, (0, []))[1]
    except csv.Error as error:
        raise TableRefused(f"not a table: {error}") from error
    naming = naming_columns(header)
    if not naming:
        raise TableRefused("no column names a file; expected one called file, filename, path, key or identifier")
    yield from _subjects(rows, header, naming, problems)


def naming_columns(names: Sequence[str]) -> list[int]:
    """Which of the names say that a file is named there, the surest first."""
    plain = [re.sub(r"[\W_]+", "", name.casefold()) for name in names]
    found = [(NAMING_COLUMNS.index(name), index) for index, name in enumerate(plain) if name in NAMING_COLUMNS]
    return [index for _, index in sorted(found)]


def _subjects(
    rows: Iterator[tuple[int, list[str]]], header: Sequence[str], naming: Sequence[int], problems: Problems
) -> Iterator[Subject]:
    columns = [name.strip() or f"column {index}" for index, name in enumerate(header, 1)]
    while True:
        try:
            number, row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(f"the table cannot be read further: {error}")
            return
        if not any(cell.strip() for cell in row):
            continue
        place = f"row {number}"
        if len(row) > len(columns):
            problems.add(f"{place}: {len(row)} values for {len(columns)} columns; the surplus was left out")
        names = tuple(row[index].strip() for index in naming if index < len(row) and row[index].strip())
        if not names:
            problems.add(f"{place}: names no file")
            continue
        collector = FieldCollector(problems, place)
        for column, cell in zip(columns, row, strict=False):
            collector.add(column, cell)
        yield Subject(names=names, fields=collector.values(), place=place)


def _encoding(data: bytes) -> str:
    """UTF-8 or UTF-16 by its mark, UTF-8 where it is that, else Windows-1252, in which Excel writes."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _delimiter(header: str) -> str:
    """The likeliest one: what stands most often in the header, outside quotes."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)
