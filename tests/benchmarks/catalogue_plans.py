"""Which indexes a question uses: EXPLAIN of every statement that it sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

SMALL = frozenset({"collection", "model_release", "agent", "run", "training_run", "dataset_snapshot", "lease", "review",
                   "model_release_run", "dataset_snapshot_label", "label", "listing"})  # fmt: skip
"""Tables that may be read whole."""

Statement = tuple[str, Any]


@contextmanager
def recorded_statements(engine: Engine) -> Iterator[list[Statement]]:
    """The reading statements that the driver is given meanwhile, with the values of the first of each."""
    found: dict[str, Any] = {}
    statements: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not many and statement.lstrip().upper().startswith(("SELECT", "WITH")) and statement not in found:
            found[statement] = parameters
            statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def indexes(connection: Connection, statements: list[Statement]) -> list[str]:
    """Names of the indexes, and tables that are read whole."""
    found: dict[str, None] = {}
    for statement, parameters in statements:
        names = _postgresql if connection.dialect.name == "postgresql" else _sqlite
        found.update(dict.fromkeys(names(connection, statement, parameters)))
    return list(found)


def _sqlite(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    tables = _sqlite_names(statement)
    for *_, line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all():
        index = re.search(r"USING (?:COVERING )?INDEX (\w+)", line)
        scanned = re.match(r"SCAN (\w+)(?! CONSTANT)", line)
        if index:
            yield f"{index[1]} (whole)" if scanned else index[1]
        elif scanned and tables.get(scanned[1], scanned[1]) not in SMALL:
            yield f"whole {tables.get(scanned[1], scanned[1])}"
        elif "AUTOMATIC" in line:
            yield "automatic index"


def _sqlite_names(statement: str) -> dict[str, str]:
    """Tables by alias, in the statement and in the views."""
    from storage.catalog.views import VIEWS

    pairs = re.findall(r"(?:FROM|JOIN) (\w+) AS (\w+)", " ".join((statement, *VIEWS.values())))
    return {alias: table for table, alias in reversed(pairs)}


def _postgresql(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    yield from _nodes(plan["Plan"] if isinstance(plan, dict) else json.loads(plan)["Plan"])


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"] + ("" if "Index Cond" in plan or "Limit" in plan else " (ordered)")
    elif plan["Node Type"] == "Seq Scan" and plan["Relation Name"] not in SMALL:
        yield f"whole {plan['Relation Name']}"
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
