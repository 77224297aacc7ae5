"""`oldphoto run` and what reads its catalogue, as a person uses them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flows.cli.app import run_command
from tests.orchestration.archives import IGNORED, PHOTOS, QUARANTINED, fingerprints, make_scans
from tests.orchestration.fixtures import oldphoto


@dataclass(frozen=True)
class Ran:
    """An archive after `oldphoto run`, and what the command said."""

    source: Path
    home: Path
    environment: dict[str, str]
    done: CompletedProcess[str]


@pytest.fixture(scope="module")
def ran(
    prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    folder = tmp_path_factory.mktemp("ran")
    source, home = make_scans(folder / "my scans"), folder / "home"
    environment = {"OLDPHOTO_RELEASE": str(release_folder), "OLDPHOTO_SCHEDULER": dask_scheduler}
    before = fingerprints(source)
    done = oldphoto("run", source, "--home", home, environment=environment)
    assert fingerprints(source) == before
    return Ran(source, home, environment, done)


def table(stdout: str) -> dict[str, str]:
    """The summary's rows, name to count."""
    rows = [[cell.strip() for cell in line.split("│")] for line in stdout.splitlines() if line.startswith("│")]
    return {cells[1]: cells[2] for cells in rows}


def test_a_run_ends_with_a_table_a_report_and_a_code_for_quarantine(ran: Ran) -> None:
    assert ran.done.returncode == 3, ran.done.stderr
    counts = table(ran.done.stdout)
    assert (counts["registered"], counts["ignored"]) == (str(len(PHOTOS)), str(len(IGNORED)))
    assert (counts["quarantined"], counts["failed"]) == (str(len(QUARANTINED)), "0")
    assert int(counts["restored"]) + int(counts["unchanged"]) == 5
    for name, reason in QUARANTINED.items():
        assert f"{name}: {reason}" in ran.done.stdout
    report = ran.done.stdout.rsplit("Report: ", 1)[1].strip()
    assert Path(report).read_text().startswith("<!doctype html>")


def test_a_run_says_nothing_but_what_a_person_needs(ran: Ran) -> None:
    assert ran.done.stderr == ""
    for word in ("Traceback", "distributed", "prefect", "INFO"):
        assert word not in ran.done.stdout


def test_a_second_run_says_that_nothing_is_left_and_quarantine_can_be_accepted(ran: Ran) -> None:
    again = oldphoto("run", ran.source, "--home", ran.home, "--accept-quarantine", environment=ran.environment)
    assert (again.returncode, again.stderr.strip()) == (0, "nothing is left to restore")
    assert "Nothing to do" in again.stdout
    assert table(again.stdout)["already done"] == "5"


def test_sql_gives_data_alone_on_stdout(ran: Ran, capfd: pytest.CaptureFixture[str]) -> None:
    query = "SELECT status, COUNT(*) AS n FROM source_object GROUP BY status ORDER BY status"
    assert run_command(["sql", query, "--format", "csv", "--home", str(ran.home)]) == 0
    rows = list(csv.reader(io.StringIO(capfd.readouterr().out)))
    assert rows == [["status", "n"], ["ignored", "3"], ["quarantined", "4"], ["registered", "9"]]
    assert run_command(["sql", query, "--format", "json", "--home", str(ran.home)]) == 0
    assert json.loads(capfd.readouterr().out)[0] == {"status": "ignored", "n": 3}
    assert run_command(["sql", query, "--home", str(ran.home)]) == 0
    assert "quarantined" in capfd.readouterr().out


@pytest.mark.parametrize(
    "query",
    ["DROP TABLE photo", "ATTACH 'other.db' AS other", "SELECT 1; DELETE FROM photo", "PRAGMA user_version", "SELEC 1"],
)
def test_sql_that_does_more_than_read_is_refused(ran: Ran, query: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = (ran.home / "catalogue.db").read_bytes()
    assert run_command(["sql", query, "--format", "csv", "--home", str(ran.home)]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("oldphoto: ")
    assert said.err.count("\n") == 1
    assert (ran.home / "catalogue.db").read_bytes() == before


def test_history_finds_a_photo_by_its_path(ran: Ran, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["history", "--photo", "sepia photo.jpg", "--format", "json", "--home", str(ran.home)]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert row["source_key"] == "sepia photo.jpg"
    assert run_command(["history", "--photo", "nobody.jpg", "--home", str(ran.home)]) == 0
    assert "no restoration of 'nobody.jpg'" in capfd.readouterr().err


def test_report_writes_the_page_again(ran: Ran, capfd: pytest.CaptureFixture[str]) -> None:
    page = Path(ran.done.stdout.rsplit("Report: ", 1)[1].strip())
    run_id = page.stem
    page.unlink()
    assert run_command(["report", "--run", run_id, "--home", str(ran.home)]) == 0
    assert capfd.readouterr().out.strip() == str(page)
    assert "bad/half.jpg" in page.read_text()
    assert run_command(["report", "--run", "nosuch", "--home", str(ran.home)]) == 1
    assert "nosuch" in capfd.readouterr().err


def test_doctor_examines_everything_and_shows_no_secret(
    ran: Ran, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLDPHOTO_RELEASE", ran.environment["OLDPHOTO_RELEASE"])
    monkeypatch.setenv("OLDPHOTO_S3_SECRET_KEY", "hunter2")
    assert run_command(["doctor", "--home", str(ran.home)]) == 0
    said = capfd.readouterr().out
    for what in ("versions", "device", "home", "release", "catalogue", "prefect", "disk", "settings"):
        assert f"│ {what}" in said
    assert "weights as on its card" in said
    assert "9 registered" in said
    assert "hunter2" not in said


def test_doctor_finds_an_altered_release(
    release_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    altered = tmp_path / "release"
    altered.mkdir()
    for path in release_folder.iterdir():
        (altered / path.name).write_bytes(path.read_bytes())
    weights = altered / "detector.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/oldphoto.toml").write_text(f'release = "{altered}"\n')
    assert run_command(["doctor", "--home", str(tmp_path / "home")]) == 1
    assert "altered" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "/no/such/folder"], 2, "/no/such/folder is not there"),
        (["run", __file__], 2, "restore-file"),
        (["run"], 2, "see `oldphoto run --help`"),
        (["ru"], 2, "see `oldphoto --help`"),
        (["run", "/", "--strength", "2"], 2, "strength"),
        (["run", "/", "--mode", "scratch"], 2, "mode"),
        (["run", "/", "--tone", "sepia"], 2, "tone"),
        (["run", "/", "--mending", "all"], 2, "mending"),
        (["run", "/", "--release", "nosuch"], 1, "no release 'nosuch'"),
        (["sql", "SELECT 1"], 1, "oldphoto ingest"),
        (["report"], 1, "no catalogue"),
        (["sample", __file__], 2, "is a file"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line_with_what_to_do(
    arguments: list[str], code: int, words: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with_home = [*arguments, "--home", str(home)] if arguments[0] in ("run", "sql", "report") else arguments
    assert run_command(with_home) == code
    said = capfd.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not home.exists()


@pytest.mark.parametrize(
    "command",
    ["run", "ingest", "restore", "retrain", "restore-file", "detect", "history", "sql", "report", "doctor", "sample"],
)
def test_every_command_has_help_with_an_example_and_its_exit_codes(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command([command, "--help"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert f"Example: oldphoto {command}" in said
    assert "Exit codes: 0 all done, 1 something failed, 2" in said
