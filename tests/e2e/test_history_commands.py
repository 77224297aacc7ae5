"""`oldphoto sql`, `history` and `export history`, as a person uses them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.app import run_command
from storage.catalog import Catalogue
from tests.store.history_makers import BROKEN, NEW, OLD, fill_catalogue

NUMBERS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) SELECT n FROM c"


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose catalogue has something in every table."""
    home = tmp_path_factory.mktemp("filled") / "home"
    home.mkdir()
    Catalogue.open(home / "catalogue.db").close()
    fill_catalogue(f"sqlite:///{home}/catalogue.db")
    return home


@pytest.fixture
def ask(filled_home: Path, capfd: pytest.CaptureFixture[str]):
    """Runs a command on the home and gives its code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = run_command([*map(str, arguments), "--home", str(filled_home)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def test_a_query_comes_from_the_command_line_a_file_or_stdin(
    ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them; the answers are the same."""
    query = "SELECT COUNT(*) AS n FROM photo"
    (tmp_path / "q.sql").write_text(f"\ufeff{query};\n", encoding="utf-8")
    wanted = (0, "n\n10\n", "")
    assert ask("sql", query, "--format", "csv") == wanted
    assert ask("sql", "--file", tmp_path / "q.sql", "--format", "csv") == wanted
    monkeypatch.setattr("sys.stdin", io.StringIO(query))
    assert ask("sql", "-", "--format", "csv") == wanted
    for arguments in ((), (query, "--file", tmp_path / "q.sql"), ("--file", tmp_path / "none.sql")):
        code, out, err = ask("sql", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_table_shows_what_a_person_can_read_and_says_that_there_is_more(ask) -> None:
    code, out, err = ask("sql", NUMBERS.format(500))
    assert (code, out.count("│ ")) == (0, 200)
    assert err == "first 200 of more rows; --format csv has them all, or raise --limit\n"
    code, out, err = ask("sql", NUMBERS.format(500), "--limit", "500")
    assert (code, out.count("│ "), err) == (0, 500, "")


def test_every_row_goes_to_another_program(ask) -> None:
    for format, count in (("csv", 5001), ("jsonl", 5000)):
        code, out, err = ask("sql", NUMBERS.format(5000), "--format", format)
        assert (code, len(out.splitlines()), err) == (0, count, "")
    code, out, _ = ask("sql", NUMBERS.format(5000), "--format", "json")
    assert (code, len(json.loads(out))) == (0, 5000)


def test_values_cannot_steer_the_terminal(ask) -> None:
    code, out, _ = ask("sql", "SELECT char(27) || '[31m' || char(10) AS t, x'00ff' AS b, NULL AS n, '[red]' AS m")
    assert code == 0
    assert "\x1b" not in out
    for text in (r"\x1b[31m\n", "0x00ff", "[red]"):
        assert text in out


@pytest.mark.parametrize("format", ["table", "csv", "json", "jsonl", "parquet"])
def test_a_file_is_written_whole_and_never_over_another(ask, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    query = "SELECT source_key, mask_coverage FROM restoration_history ORDER BY restoration_id"
    assert ask("sql", query, "--format", format, "--output", path) == (0, "", "")
    before = path.read_bytes()
    if format == "parquet":
        assert pd.read_parquet(path)["source_key"].tolist()[0] == "1931/wedding.jpg"
    else:
        assert b"1931/wedding.jpg" in before
    code, out, err = ask("sql", query, "--format", format, "--output", path)
    assert (code, out) == (2, "")
    assert "--overwrite" in err
    assert path.read_bytes() == before
    assert ask("sql", "SELECT 1 AS x", "--format", format, "--output", path, "--overwrite") == (0, "", "")
    assert path.read_bytes() != before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_query_that_fails_in_its_middle_leaves_no_file(ask, tmp_path: Path) -> None:
    """Nor half of one, and what stood there stays."""
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    (tmp_path / "old.csv").write_text("old")
    for name in ("new.csv", "old.csv", "new.parquet"):
        path = tmp_path / name
        format = path.suffix[1:]
        code, out, err = ask("sql", endless, "--format", format, "--output", path, "--overwrite", "--timeout-s", "0.3")
        assert (code, out) == (1, "")
        assert "0.3 s" in err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.csv": "old"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "parquet"], "name a file"),
        (["--format", "parquet", "--output", "-"], "name a file"),
        (["--output", "/dev/null", "--overwrite"], "is no file"),
        (["--output", "/no/such/folder/x.csv"], "/no/such/folder is not there"),
        (["--format", "csv", "--limit", "3"], "LIMIT"),
    ],
)
def test_output_that_cannot_be_is_told_before_anything_is_asked(ask, arguments: list[str], words: str) -> None:
    code, out, err = ask("sql", "SELECT 1", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (["--limit", 2], [10, 9]),
        (["--photo", "1931/wedding.jpg"], [6, 1]),
        (["--photo", "wedding.jpg", "--release", OLD], [1]),
        (["--since", "2026-11-05"], [10, 9, 8, 7, 6]),
        (["--until", "2026-10-12"], [5, 4, 3, 2, 1]),
        (["--since", "2026-11-05", "--until", "2026-11-05"], [9, 8, 7, 6]),
        (["--outcome", "failed"], [10]),
        (["--release", NEW, "--source", "s3://museum/plates/"], [10, 8]),
        (["--source", "/scans/albums", "--until", "2026-10-31"], [2, 1]),
        (["--photo", "nobody.jpg"], []),
    ],
)
def test_history_gives_what_is_asked_for_latest_first(ask, arguments: list[object], found: list[int]) -> None:
    code, out, err = ask("history", *arguments, "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err, [row["restoration_id"] for row in rows]) == (0, "", found)
    assert all(row["run_id"] == BROKEN for row in rows if row["outcome"] == "failed")


def test_history_as_a_table_has_a_limit_and_says_so(ask) -> None:
    code, out, err = ask("history", "--limit", "3")
    assert (code, out.count("│ 2026-")) == (0, 3)
    assert "first 3 of more rows" in err
    code, out, err = ask("history", "--since", "2027-01-01")
    assert (code, err) == (0, "no restoration on record is so\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--since", "yesterday"], 2, "2026-11-23"),
        (["--until", "2026-13-01"], 2, "--until 2026-13-01"),
        (["--outcome", "lost"], 2, "restored, unchanged or failed"),
        (["--source", "/no/scans"], 1, "it knows file:///scans/albums, s3://museum/plates"),
    ],
)
def test_what_history_does_not_know_is_told(ask, arguments: list[str], code: int, words: str) -> None:
    found, out, err = ask("history", *arguments)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert words in err


def test_the_history_is_exported_and_nowhere_into_a_source(ask, tmp_path: Path) -> None:
    code, out, err = ask("export", "history", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "restoration_history" in out
    assert len(pd.read_parquet(tmp_path / "out/restoration_history")) == 10
    code, out, err = ask("export", "history", "/scans/albums/history")
    assert (code, out) == (2, "")
    assert "lies in the source file:///scans/albums" in err
    (tmp_path / "mine.txt").write_text("mine")
    code, out, err = ask("export", "history", tmp_path)
    assert (code, out) == (2, "")
    assert "name an empty place" in err


def test_sql_as_csv_is_read_back(ask) -> None:
    """Commas, quotes and umlauts in notes."""
    code, out, _ = ask("sql", "SELECT note FROM review WHERE note IS NOT NULL ORDER BY id", "--format", "csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert (code, rows) == (0, [["note"], ["the mast is gone"], ["crack over the face"], ["moiré in the curtain"]])
