"""What an export of the history holds: which tables and views, in which order, and the Arrow types of their columns.

Types come from the catalogue's tables, not from the rows, so that two exports of two archives always fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.catalog.tables import metadata

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Relation:
    """A table or view of an export.

    Attributes:
        order_by: columns that its rows are sorted by; none where the order says nothing.
        month_of: column with a time whose month parts the files; it comes first in ``order_by``.
    """

    name: str
    order_by: tuple[str, ...] = ()
    month_of: str | None = None


RELATIONS = (
    Relation("restoration_history", ("finished_at", "restoration_id"), month_of="finished_at"),
    Relation("event_history", ("at", "event_id"), month_of="at"),
    Relation("object_outcome"),
    Relation("photo_latest"),
    Relation("photo_metadata"),
    Relation("photo_near_duplicates"),
    Relation("release_lineage"),
    Relation("model_release", ("id",)),
    Relation("training_run", ("started_at", "id")),
    Relation("dataset_snapshot", ("id",)),
    Relation("dataset_snapshot_photo", ("snapshot_id", "photo_id")),
    Relation("label", ("id",)),
    Relation("review", ("id",)),
    Relation("run", ("number", "id")),
    Relation("collection", ("id",)),
    Relation("catalogue_doc", ("relation", "column_name")),
)

_OF_VIEWS = {
    "restoration_id": "int64", "photo_id": "int64", "label_id": "int64", "snapshot_id": "int64", "event_id": "int64",
    "source_count": "int64", "snapshot_photos": "int32", "snapshot_labels": "int32",
    "by_release": "int32", "by_label": "int32",
}  # fmt: skip
"""Columns of views that no table has under this name; all others that no table has are text."""


def arrow_schema(relation: str, columns: Sequence[str]) -> pa.Schema:
    """The schema of a table or view, given the names of its columns.

    A column of a view has the type of the tables' columns of the same name.
    """
    import pyarrow as pa

    table = metadata.tables.get(relation)
    names = {"int64": pa.int64(), "int32": pa.int32(), "float64": pa.float64(), "string": pa.string()}
    found = {column.name: _type_name(column) for column in table.columns} if table is not None else _view_types()
    return pa.schema([(column, names[found.get(column, "string")]) for column in columns])


def _view_types() -> dict[str, str]:
    """Type by column name, where all tables agree on it."""
    found: dict[str, set[str]] = {}
    for table in metadata.tables.values():
        for column in table.columns:
            found.setdefault(column.name, set()).add(_type_name(column))
    return {name: kinds.pop() for name, kinds in found.items() if len(kinds) == 1} | _OF_VIEWS


def _type_name(column: sa.Column) -> str:
    if isinstance(column.type, sa.BigInteger):
        return "int64"
    if isinstance(column.type, sa.Integer):
        return "int32"
    return "float64" if isinstance(column.type, sa.Float) else "string"
