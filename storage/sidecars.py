"""Sidecars, files of metadata beside photos: bytes in, fields out. XMP, JSON and tables; which photo is meant is not
decided here.

What cannot be taken is told in a line; nothing is passed over in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from storage.sidecar_fields import (
    MAX_DEPTH,
    MAX_SIDECAR_BYTES,
    MAX_TABLE_BYTES,
    FieldCollector,
    Problems,
    Reading,
    SidecarFormat,
    Subject,
)
from storage.sidecar_tables import TableRefused, naming_columns, read_table
from storage.sidecar_xmp import XmpRefused, read_xmp

SIDECAR_PATTERNS = ("*.xmp", "*.json", "*.csv", "*.tsv")
"""An object that one of these ignores is read as a sidecar."""

_FORMATS: Mapping[str, SidecarFormat] = {"xmp": "xmp", "json": "json", "csv": "csv", "tsv": "csv"}
_FILE_NAME = re.compile(r"[^\0]*\.[A-Za-z0-9]{2,5}")
_TAKEOUT = re.compile(r"\.su(?:p(?:p(?:l(?:e(?:m(?:e(?:n(?:t(?:a(?:l(?:-m\w*)?)?)?)?)?)?)?)?)?)?)?\Z")
"""Google's `photo.jpg.supplemental-metadata.json`, which it cuts to fit 46 characters."""


def sidecar_format(key: str) -> SidecarFormat | None:
    """The format that the name tells, None for what is no sidecar."""
    return _FORMATS.get(key.rpartition(".")[2].lower())


def size_limit(format: SidecarFormat) -> int:
    """Bytes of a sidecar of this format at most."""
    return MAX_SIDECAR_BYTES if format == "xmp" else MAX_TABLE_BYTES


def named_after(key: str) -> str:
    """Name of the photo that a sidecar is named after, with its extension or without: `photo.tif`, `photo`."""
    name = key.rpartition("/")[2].rpartition(".")[0]
    return _TAKEOUT.sub("", name) if key.lower().endswith(".json") and "." in _TAKEOUT.sub("", name) else name


def read_sidecar(data: bytes, format: SidecarFormat) -> Reading:
    """What the sidecar says, of which photos. Never raises because of what the bytes hold."""
    problems = Problems()
    readers = {"xmp": read_xmp, "json": _read_json, "csv": read_table}
    return Reading(format=format, subjects=_safely(readers[format](data, problems), problems), problems=problems)


def _safely(subjects: Iterator[Subject], problems: Problems) -> Iterator[Subject]:
    try:
        yield from subjects
    except (XmpRefused, TableRefused, _JsonRefused) as error:
        problems.add(str(error))


class _JsonRefused(ValueError):
    """No JSON that says anything of photos."""


def _read_json(data: bytes, problems: Problems) -> Iterator[Subject]:
    """One subject for an object of one photo; one a record for a list or an object of records that name files."""

    def noticed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            problems.add("a name stands twice in one object; its last value was taken")
        return found

    try:  # numbers stay the digits that they are
        document = json.loads(data, object_pairs_hook=noticed, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _JsonRefused(f"not whole JSON: {what}") from error
    if isinstance(document, dict) and len(document) == 1 and _is_records(only := next(iter(document.values()))):
        document = only
    if isinstance(document, list):
        yield from _records(document, problems)
    elif not isinstance(document, dict):
        raise _JsonRefused(f"holds a {type(document).__name__}; expected an object or a list of records")
    elif document and all(isinstance(value, dict) and _FILE_NAME.fullmatch(key) for key, value in document.items()):
        for number, (key, record) in enumerate(document.items(), 1):
            yield _subject(record, (key,), f"record {number}", problems)
    else:
        yield _subject(document, (), "", problems)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _records(records: list[Any], problems: Problems) -> Iterator[Subject]:
    if not _is_records(records):
        raise _JsonRefused("a list, but not of records; expected objects that name files")
    for number, record in enumerate(records, 1):
        keys = list(record)
        values = [record[keys[index]] for index in naming_columns(keys)]
        names = tuple(value for value in values if isinstance(value, str) and value.strip())
        if names or len(records) == 1:
            yield _subject(record, names, f"record {number}", problems)
        else:
            problems.add(f"record {number}: names no file")


def _subject(record: Mapping[str, Any], names: tuple[str, ...], place: str, problems: Problems) -> Subject:
    collector = FieldCollector(problems, place)
    too_deep = False
    stack: list[tuple[str, Any, int]] = [("", record, 0)]
    while stack:
        name, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            too_deep = True
        elif isinstance(value, dict):
            stack.extend((f"{name}.{key}" if name else key, value[key], depth + 1) for key in reversed(value))
        elif isinstance(value, list):
            stack.extend((name, item, depth + 1) for item in reversed(value))
        elif value is not None:
            collector.add(name, str(value).lower() if isinstance(value, bool) else str(value))
    if too_deep:
        problems.add(f"{place or 'it'}: values more than {MAX_DEPTH} deep were left out")
    return Subject(names=names, fields=collector.values(), place=place)
