"""Read-only SQL on SQLite: what people ask, and what attackers try."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.errors import CatalogueMissing, QueryFailed, QueryRefused, QueryTimeout
from storage.queries import read_only_query
from tests.store.makers import restored, with_photos


@pytest.fixture
def path(catalogue_path: Path) -> Iterator[Path]:
    """A catalogue with two restorations, open by a run at the same time."""
    with Catalogue.open(catalogue_path) as catalogue:
        with_photos(catalogue, "a.jpg", "b.jpg")
        catalogue.record_restorations([restored("a.jpg"), restored("b.jpg")])
        yield catalogue_path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM restoration_history",
        "select count(*) n from restoration;",
        "WITH x AS (SELECT 1 UNION ALL SELECT 2) SELECT COUNT(*) AS n FROM x",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2) SELECT MAX(x) AS n FROM c",
        "-- a comment\nSELECT COUNT(*) AS n FROM photo_latest WHERE day = strftime('%Y-%m-%d', finished_at)",
        "SELECT COUNT(json_extract(report, '$.x') IS NULL) AS n FROM restoration",
        "SELECT 2 AS n FROM sqlite_master LIMIT 1",
        "SELECT MAX(r) AS n FROM (SELECT ROW_NUMBER() OVER (ORDER BY day) AS r FROM restoration)",
        "SELECT COUNT(value) AS n FROM json_each('[1, 2]')",
        "EXPLAIN SELECT 1",
    ],
)
def test_questions_are_answered(path: Path, sql: str) -> None:
    """Views, CTEs, windows, JSON, dates; by path as by URL."""
    for url in (path, f"sqlite:///{path}"):
        result = read_only_query(url, sql, timeout_s=5)
        if not sql.startswith("EXPLAIN"):
            assert result.columns == ("n",)
            assert result.rows == [(2,)]


def test_row_limits_say_that_they_cut(path: Path) -> None:
    """A table on a screen is not the whole answer."""
    assert not read_only_query(path, "SELECT * FROM photo", row_limit=2).truncated
    result = read_only_query(path, "SELECT * FROM photo", row_limit=1)
    assert result.truncated
    assert len(result.rows) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{new}' AS x",
        "ATTACH 'file:{new}?mode=rwc' AS x",
        "DETACH main",
        "VACUUM INTO '{new}'",
        "VACUUM",
        "PRAGMA query_only=OFF",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA user_version=7",
        "PRAGMA writable_schema=ON",
        "SELECT * FROM pragma_table_info('photo')",
        "SELECT * FROM pragma_journal_mode('delete')",
        "INSERT INTO photo (sha256) VALUES ('x')",
        "WITH x AS (SELECT 1) INSERT INTO agent (name, type, first_seen_at) SELECT 'x', 'person', 'x' FROM x",
        "UPDATE photo SET height = 1",
        "DELETE FROM restoration",
        "REPLACE INTO agent (name, type, first_seen_at) VALUES ('x', 'person', 'x')",
        "DROP TABLE photo",
        "ALTER TABLE photo ADD COLUMN x",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP TABLE x AS SELECT * FROM photo",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON photo BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        "CREATE INDEX x ON photo (height)",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "SAVEPOINT x",
        "COMMIT",
        "SELECT 1; DELETE FROM photo",
        "SELECT 1; SELECT 2",
        "SELECT load_extension('{new}')",
        "SELECT writefile('{new}', 'x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT edit('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT randomblob(1000000000)",
        "SELECT sqlite_compileoption_get(1)",
        "EXPLAIN DELETE FROM photo",
        "",
        "-- nothing",
    ],
)
def test_attacks_are_refused_and_leave_nothing(path: Path, tmp_path: Path, sql: str) -> None:
    """In one line; no file is made, no row is changed."""
    before = read_only_query(path, "SELECT * FROM photo, restoration, agent, sqlite_master").rows
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises((QueryRefused, QueryFailed)) as caught:
        read_only_query(path, sql.format(new=tmp_path / "new.db"), timeout_s=5)
    unknown_here = any(name in sql for name in ("writefile", "readfile", "edit(", "fts3_tokenizer"))
    assert isinstance(caught.value, QueryRefused) or unknown_here
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == files
    assert read_only_query(path, "SELECT * FROM photo, restoration, agent, sqlite_master").rows == before


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0",
    ],
)
def test_endless_queries_are_ended(path: Path, sql: str) -> None:
    """At the time limit, whether they count or look for a row."""
    began = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"0\.3 s"):
        read_only_query(path, sql, timeout_s=0.3)
    assert time.monotonic() - began < 3


def test_values_that_would_fill_memory_are_not_made(path: Path) -> None:
    """A single step cannot be interrupted, so its result is bounded."""
    assert read_only_query(path, "SELECT printf('%999999999d', 1)").rows == [(None,)]
    grows = "WITH RECURSIVE c(x) AS (SELECT 'ab' UNION ALL SELECT x || x FROM c) SELECT MAX(length(x)) FROM c"
    with pytest.raises(QueryFailed, match="too big"):
        read_only_query(path, grows, timeout_s=5)


def test_wrong_sql_is_told_in_one_line(path: Path) -> None:
    """With the database's own words."""
    with pytest.raises(QueryFailed, match="no such column: colour"):
        read_only_query(path, "SELECT colour FROM photo")
    with pytest.raises(QueryFailed, match="syntax error"):
        read_only_query(path, "SELEC 1")
    with pytest.raises(QueryFailed):
        read_only_query(path, "SELECT '\0'")
    with pytest.raises(QueryFailed):
        read_only_query(path, "SELECT ?")


def test_a_catalogue_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Nor is a text file read as one."""
    with pytest.raises(CatalogueMissing):
        read_only_query(tmp_path / "catalogue.db", "SELECT 1")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.db").write_text("hello" * 1000)
    with pytest.raises(QueryFailed, match="cannot be read"):
        read_only_query(tmp_path / "x.db", "SELECT 1")


def test_a_closed_catalogue_in_a_folder_with_an_odd_name_is_read(tmp_path: Path, empty_catalogue_path: Path) -> None:
    """Names that mean something in a URI."""
    path = tmp_path / "a?b#c%41 d" / "catalogue.db"
    path.parent.mkdir()
    path.write_bytes(empty_catalogue_path.read_bytes())
    assert read_only_query(path, "SELECT COUNT(*) FROM photo").rows == [(0,)]
