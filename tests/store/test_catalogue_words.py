"""Every table, view and column has its line: in the database, in PostgreSQL's comments and in docs/catalogue.md."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.catalog.documentation import (
    documentation,
    expected_words,
    with_reference,
    written_comments,
    written_words,
)
from storage.catalog.tables import metadata
from storage.catalog.views import VIEWS
from tests.store.makers import rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"


def test_every_table_view_and_column_has_its_words(catalogue: Catalogue) -> None:
    """As the database has them, in its order; and no words are left over for what is gone."""
    with catalogue.connected() as connection:
        inspected = sa.inspect(connection)
        found = {
            name: {column["name"] for column in inspected.get_columns(name)}
            for name in (*inspected.get_table_names(), *inspected.get_view_names())
        }
    assert {relation.name: set(relation.columns) for relation in documentation()} == found
    assert {relation.name for relation in documentation() if relation.kind == "view"} == set(VIEWS)
    assert {relation.name for relation in documentation() if relation.kind == "table"} == {
        *metadata.tables,
        "alembic_version",
    }


def test_words_are_one_plain_line_each() -> None:
    """A sentence, short enough for a table, without what Markdown would take for its own."""
    for (relation, column), words in expected_words().items():
        where = f"{relation}.{column}: {words}"
        assert words.endswith("."), where
        assert 5 < len(words) <= 160, where
        assert not set(words) & set("\n|`<>"), where


def test_words_of_columns_that_can_be_null_say_what_null_means() -> None:
    """And those of the others do not speak of it; columns that the database itself writes are never null."""
    words = expected_words()
    for table in metadata.tables.values():
        for column in table.columns:
            told = words[table.name, column.name]
            says_null = "null" in told or (column.foreign_keys and "Kept when it vanishes" in told)
            expected = column.nullable and column.computed is None
            assert bool(says_null) == bool(expected), f"{table.name}.{column.name}: {told}"


def test_the_database_holds_the_words_itself(catalogue: Catalogue) -> None:
    """In catalogue_doc, and on PostgreSQL as comments too."""
    with catalogue.connected() as connection:
        assert written_words(connection) == expected_words()
        if connection.dialect.name == "postgresql":
            assert written_comments(connection) == expected_words()
    ((told,),) = rows(
        catalogue,
        "SELECT description FROM catalogue_doc WHERE relation = 'photo' AND column_name = 'bit_depth'",
    )
    assert told == "Bits a channel: 8 or 16."


def test_the_docs_hold_the_words_of_now() -> None:
    """Else write them anew: `rewrite_page` of storage.catalog.documentation."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_reference(page) == page
