"""What every table, view and column means, kept inside the database too: `catalogue_doc`, comments on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.table_words import TABLE_WORDS
from storage.catalog.tables import catalogue_doc
from storage.catalog.view_words import VIEW_WORDS

BEGIN, END = "<!-- begin of the reference -->", "<!-- end of the reference -->"
"""Between these lines docs/catalogue.md holds the reference; ``rewrite_page`` writes it anew."""


@dataclass(frozen=True)
class RelationDoc:
    """A table or view, in words.

    Attributes:
        columns: description by column.
    """

    name: str
    kind: Literal["table", "view"]
    description: str
    columns: Mapping[str, str]


def documentation() -> Iterator[RelationDoc]:
    """Every table and view: the tables first, in an order to read them in."""
    for name, (description, columns) in TABLE_WORDS.items():
        yield RelationDoc(name, "table", description, columns)
    for name, (description, columns) in VIEW_WORDS.items():
        yield RelationDoc(name, "view", description, columns)


def written_words(connection: Connection) -> dict[tuple[str, str], str]:
    """The words that the database holds, by table or view and column (empty for the table or view itself)."""
    doc = catalogue_doc.c
    rows = connection.execute(sa.select(doc.relation, doc.column_name, doc.description))
    return {(relation, column): words for relation, column, words in rows}


def written_comments(connection: Connection) -> dict[tuple[str, str], str]:
    """The comments on PostgreSQL's tables, views and columns, by the same keys."""
    rows = connection.execute(
        sa.text("SELECT c.relname, coalesce(a.attname, ''), d.description "
                "FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass "
                "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0 "
                "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'p')")
    )  # fmt: skip
    return {(relation, column): words for relation, column, words in rows}


def expected_words() -> dict[tuple[str, str], str]:
    """The words that this version would write."""
    return {
        (relation.name, column): words
        for relation in documentation()
        for column, words in {"": relation.description, **relation.columns}.items()
    }


def reference() -> str:
    """Every view and table with its columns, in Markdown, for docs/catalogue.md."""
    parts = []
    for kind, title in (("view", "Views"), ("table", "Tables")):
        parts.append(f"### {title}\n")
        for relation in documentation():
            if relation.kind == kind:
                lines = [f"#### `{relation.name}`", "", relation.description, "", "| Column | Meaning |", "|---|---|"]
                lines += [f"| `{name}` | {words} |" for name, words in relation.columns.items()]
                parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def with_reference(page: str) -> str:
    """The page with the reference of now between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{reference()}{end}{after}"


def rewrite_page(path: Path) -> None:
    """Brings the reference in docs/catalogue.md up to date."""
    path.write_text(with_reference(path.read_text(encoding="utf-8")), encoding="utf-8")


def write_documentation(connection: Connection) -> None:
    """Puts the words into the database, in place of an earlier version's."""
    connection.execute(sa.delete(catalogue_doc))
    for relation in documentation():
        rows = [{"column_name": "", "description": relation.description}]
        rows += [{"column_name": name, "description": words} for name, words in relation.columns.items()]
        connection.execute(
            sa.insert(catalogue_doc), [{"relation": relation.name, "kind": relation.kind, **row} for row in rows]
        )
        if connection.dialect.name == "postgresql":
            _comment(connection, relation)


def _comment(connection: Connection, relation: RelationDoc) -> None:
    """Comments, where `psql`'s \\d+ and graphical clients show them; a utility statement takes no bound values."""
    literal = sa.Text().literal_processor(connection.dialect)
    assert literal is not None
    connection.exec_driver_sql(
        f"COMMENT ON {relation.kind.upper()} {relation.name} IS {literal(relation.description)}".replace("%", "%%")
    )
    for name, words in relation.columns.items():
        connection.exec_driver_sql(
            f"COMMENT ON COLUMN {relation.name}.{name} IS {literal(words)}".replace("%", "%%")
        )

