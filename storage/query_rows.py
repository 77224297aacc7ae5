"""What a query gives: its columns, and rows as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BATCH_ROWS = 1000
"""Rows fetched at once: what a streamed result holds in memory."""


@dataclass(frozen=True)
class QueryRows:
    """An open result; it ends with the query's ``with``.

    Attributes:
        columns: names, in the order of the values; two may be the same.
        batches: lists of at most `BATCH_ROWS` rows, once. Values are None, int, float, str, bytes or bool.
    """

    columns: tuple[str, ...]
    batches: Iterator[list[tuple[Any, ...]]]


@dataclass(frozen=True)
class QueryResult:
    """Columns and rows; ``truncated`` where a row limit cut them."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
