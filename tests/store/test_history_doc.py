"""docs/history.md: every question is asked of both databases, and every result shown is what comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.catalog.tables import metadata
from storage.queries import read_only_query
from tests.store.history_makers import fill_catalogue
from tests.store.postgres import PostgresServer

DOC = (Path(__file__).parents[2] / "docs/history.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Question:
    """One question of the page.

    Attributes:
        asker: archivist, auditor or researcher.
        shown: the cells of the result below it, the header first.
    """

    asker: str
    title: str
    sql: str
    shown: tuple[tuple[str, ...], ...]


def questions() -> Iterator[Question]:
    """Every fenced block of SQL, with the headings above it and the table below it."""
    asker = title = ""
    for part in re.split(r"^(?=#)", DOC, flags=re.MULTILINE):
        heading = part.partition("\n")[0]
        if heading.startswith("## "):
            asker = next((who for who in ("archivist", "auditor", "researcher") if who in heading), "")
        title = heading.lstrip("# ")
        for sql, table in re.findall(r"```sql\n(.*?)```\n\n((?:\|[^\n]*\n)*)", part, flags=re.DOTALL):
            lines = [line.strip("|\n").split("|") for line in table.splitlines()]
            cells = [tuple(cell.strip() for cell in line) for line in lines]
            yield Question(asker, title, sql, tuple(cells[:1] + cells[2:]))


QUESTIONS = list(questions())


@pytest.fixture(scope="module")
def urls(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The same archive on each database."""
    path = tmp_path_factory.mktemp("history") / "catalogue.db"
    Catalogue.open(path).close()
    with postgres_server.catalogue() as postgres:
        urls = {"sqlite": f"sqlite:///{path}", "postgresql": postgres}
        for url in urls.values():
            fill_catalogue(url)
        yield urls


def test_five_questions_each_are_asked_by_three_people() -> None:
    askers = [question.asker for question in QUESTIONS]
    assert {asker: askers.count(asker) for asker in askers} == {"archivist": 5, "auditor": 5, "researcher": 5}
    assert len({question.title for question in QUESTIONS}) == len(QUESTIONS)


def test_the_archive_that_is_asked_has_something_in_every_table(urls: dict[str, str]) -> None:
    """So that no question is answered by nothing."""
    for url in urls.values():
        for table in metadata.tables:
            assert read_only_query(url, f"SELECT COUNT(*) FROM {table}").rows > [(0,)], table


@pytest.mark.parametrize("question", QUESTIONS, ids=[question.title for question in QUESTIONS])
def test_both_databases_answer_as_the_page_shows(question: Question, urls: dict[str, str]) -> None:
    """Columns, rows and their order."""
    answers = {name: read_only_query(url, question.sql) for name, url in urls.items()}
    assert answers["sqlite"] == answers["postgresql"]
    answer = answers["sqlite"]
    assert answer.columns == question.shown[0]
    assert len(answer.rows) > 0
    assert [tuple(_shown(value) for value in row) for row in answer.rows] == list(question.shown[1:])


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_page_names_every_function_that_it_says_is_refused(urls: dict[str, str]) -> None:
    """What it says of PostgreSQL is so."""
    from storage.errors import QueryRefused

    for name in ("set_config", "query_to_xml", "ts_stat", "pg_terminate_backend", "pg_advisory_lock", "lo_import"):
        assert f"`{name}`" in DOC
        with pytest.raises(QueryRefused, match=name.split("_")[0]):
            read_only_query(urls["postgresql"], f"SELECT '{name}()'")
