"""Read-only SQL on both databases: the same answers, streamed, ended in time."""

from __future__ import annotations

import os
import signal
import threading
import time
import tracemalloc

import psycopg
import pytest

from storage.catalog import Catalogue
from storage.errors import CatalogueMissing, CatalogueUnreadable, QueryFailed, QueryRefused, QueryTimeout
from storage.queries import open_query, read_only_query
from storage.query_rows import BATCH_ROWS
from tests.store.makers import restored, with_photos
from tests.store.postgres import PostgresServer

NUMBERS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c"


@pytest.fixture
def url(catalogue: Catalogue, catalogue_url: str) -> str:
    """A catalogue with two restorations, open by a run at the same time."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg")])
    return catalogue_url


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT COUNT(*) AS n FROM restoration_history", [(2,)]),
        ("select source_key, mode from restoration_history order by 1;", [("a.jpg", "full"), ("b.jpg", "full")]),
        ("SELECT SUM(height), AVG(height), MAX(dpi_x), '%s' FROM photo", [(600, 300.0, None, "%s")]),
        ("-- first\n/* then */ SELECT 1 WHERE 'a;b' LIKE '%;%' -- last", [(1,)]),
        ("VALUES (1, 'x')", [(1, "x")]),
        ("SELECT * FROM photo WHERE height = 0", []),
    ],
)  # fmt: skip
def test_both_databases_give_the_same_answer(url: str, sql: str, rows: list[tuple[object, ...]]) -> None:
    """Whole sums are whole numbers, averages are not, and % means nothing."""
    result = read_only_query(url, sql, timeout_s=10)
    assert result.rows == rows
    assert [type(value) for row in result.rows for value in row] == [type(value) for row in rows for value in row]


def test_columns_are_named_where_there_are_no_rows(url: str) -> None:
    assert read_only_query(url, "SELECT sha256 AS s, height FROM photo WHERE height = 0").columns == ("s", "height")


def test_row_limits_say_that_they_cut(url: str) -> None:
    assert not read_only_query(url, "SELECT * FROM photo", row_limit=2).truncated
    result = read_only_query(url, "SELECT * FROM photo", row_limit=1)
    assert (result.truncated, len(result.rows)) == (True, 1)


def test_every_row_of_a_large_result_comes_once_and_in_order(url: str) -> None:
    """Also where the last batch is full."""
    for count in (BATCH_ROWS - 1, BATCH_ROWS, 2 * BATCH_ROWS, 2 * BATCH_ROWS + 1):
        with open_query(url, NUMBERS.format(count=count)) as result:
            batches = list(result.batches)
        assert [n for batch in batches for (n,) in batch] == list(range(1, count + 1))
        assert max(map(len, batches)) <= BATCH_ROWS


def test_a_result_of_a_hundred_megabytes_is_never_held_whole(url: str) -> None:
    """100,000 rows of a kilobyte, in under 10 MB."""
    wide = NUMBERS.format(count=100_000).replace("SELECT n FROM", f"SELECT n, '{'x' * 1000}' FROM")
    tracemalloc.start()
    try:
        with open_query(url, wide) as result:
            assert sum(len(batch) for batch in result.batches) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c WHERE x < 0",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 - 1 FROM c) SELECT x FROM c",
    ],
)
def test_endless_queries_are_ended(url: str, sql: str) -> None:
    """Whether nothing comes or rows without end: one limit for all."""
    began = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"0\.5 s"), open_query(url, sql, timeout_s=0.5) as result:
        for _ in result.batches:
            pass
    assert time.monotonic() - began < 3


def test_ctrl_c_ends_the_query_in_the_database(url: str) -> None:
    """Not only here."""
    sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 - 1 FROM c) SELECT COUNT(*) FROM c"
    press = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    try:
        began = time.monotonic()
        press.start()
        with pytest.raises(KeyboardInterrupt):
            read_only_query(url, sql, timeout_s=20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 5
    if not url.startswith("sqlite"):
        with psycopg.connect(url.replace("+psycopg", "")) as superuser:
            at_work = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%'"
            assert superuser.execute(at_work).fetchone() == (0,)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT colour FROM photo", "colour"),
        ("SELECT 1 FROM", "syntax error|incomplete input"),
        ("SELECT '\0'", "NUL|null"),
        ("SELECT * FROM nothing", "nothing"),
    ],
)
def test_wrong_sql_is_told_in_one_line(url: str, sql: str, words: str) -> None:
    """With the database's own words."""
    with pytest.raises(QueryFailed, match=words) as caught:
        read_only_query(url, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing", "/* nothing */"])
def test_a_query_that_says_nothing_is_refused(url: str, sql: str) -> None:
    with pytest.raises(QueryRefused, match="found none"):
        read_only_query(url, sql)


def test_a_database_that_is_not_there_or_holds_no_catalogue_is_named(postgres_server: PostgresServer) -> None:
    """And its password is not."""
    nowhere = "postgresql+psycopg://ada:geheim@/nobase?host=/no/such/folder"
    with pytest.raises(CatalogueUnreadable, match="is the server up") as caught:
        read_only_query(nowhere, "SELECT 1")
    assert "geheim" not in str(caught.value)
    with postgres_server.database() as name, pytest.raises(CatalogueMissing, match="oldphoto ingest"):
        read_only_query(postgres_server.url(name), "SELECT 1")
