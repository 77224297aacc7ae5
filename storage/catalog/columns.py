"""What every table of the catalogue is made of: keys, days, references, checks, and the names of constraints.

Times are ISO-8601 UTC text with seconds; ``day`` is their first ten characters, written by the database itself. JSON is
text. Flags are 0 or 1. So a query reads the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, CheckConstraint, Column, Computed, ForeignKey, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""


def row_id() -> Column[int]:
    """The column ``id`` that the database numbers rows by."""
    return Column("id", BigId, primary_key=True)


def day(time_column: str) -> Column[str]:
    """The column ``day``: the date of another column's time."""
    return Column("day", Text, Computed(f"substr({time_column}, 1, 10)", persisted=True))


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """Only these values in the column."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    """A column that holds the id of another table's row."""
    return Column(name, BigId, ForeignKey(target), nullable=nullable)
