"""`oldphoto retrain` as a person has it: dry run, Ctrl-C at a checkpoint, one line for what is wrong, stages alone."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from flows.cli.app import run_command
from flows.training.retrain import retrain
from flows.training.train_vaes import train_vaes
from tests.orchestration.museums import Museum, copied, environment_of, make_museum
from tests.orchestration.processes import spawn, wait_for


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, release_folder: Path) -> Museum:
    return make_museum(tmp_path_factory.mktemp("museum"), release_folder, steps=3)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    museum: Museum, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = copied(museum, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in mine.home.rglob("*") if path.is_file()}
    with environment_of(mine):
        assert run_command(["retrain", "--dry-run", "--home", str(mine.home)]) == 0
        said = capfd.readouterr().out
        assert run_command(["retrain", "--dry-run", "--minutes", "5", "--force", "--home", str(mine.home)]) == 0
    for words in ("Dry run: nothing was written", "labels waiting", "tiny-", "3 steps", "It would train, with"):
        assert words in said
    assert "5 minutes" in capfd.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in mine.home.rglob("*") if path.is_file()}
    assert {path: when for path, when in after.items() if "catalogue.db" not in path.name} == {
        path: when for path, when in before.items() if "catalogue.db" not in path.name
    }
    assert mine.ask("SELECT * FROM training_run") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "look"], "there is no stage 'look'; expected detector, vaes, translation"),
        (["--minutes", "5", "--steps", "5"], "one of them"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    museum: Museum, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["retrain", *arguments, "--home", str(museum.home)]) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_home_without_a_catalogue_is_told_what_to_do_first(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["retrain", "--dry-run", "--home", str(home)]) == 2
    assert "run `oldphoto ingest FOLDER` first" in capfd.readouterr().err
    assert not home.exists()


def test_ctrl_c_ends_at_a_checkpoint_and_says_how_to_go_on(
    museum: Museum, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = copied(museum, tmp_path)
    process = spawn(
        "flows.cli.app", "retrain", "--steps", "100000", "--home", mine.home, log_path=tmp_path / "said.log",
        environment=mine.environment,
    )  # fmt: skip
    run = mine.home / "work/retraining"
    judged = "*/run/detector/best.safetensors"  # which the first step comes right after
    wait_for(lambda: any(run.glob(judged)) or process.poll() is not None, "training", seconds=120)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, (tmp_path / "said.log").read_text()
    said = (tmp_path / "said.log").read_text()
    assert "stopped at a checkpoint of detector" in said
    assert "run the same command again and it goes on where it was" in said
    assert any("/detector/checkpoint/detector-" in key for key in mine.trained_objects())
    assert {row[0] for row in mine.ask("SELECT status FROM training_run")} == {"running"}
    assert mine.ask("SELECT * FROM lease") == []
    with environment_of(mine):
        capfd.readouterr()
        assert run_command(["retrain", "--dry-run", "--home", str(mine.home)]) == 0
    assert "would be gone on with" in capfd.readouterr().out


def test_vaes_by_themselves_wait_for_a_translation_that_is_trained_on_them(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    with environment_of(mine):
        alone = train_vaes(home=str(mine.home))
        assert alone.outcome == "trained" and alone.candidate is None
        assert f"--after {alone.retrain_id}" in str(alone.note)
        ended = retrain(
            home=str(mine.home), from_stage="translation", after=alone.retrain_id, force=True, promote=False
        )
    assert ended.outcome in ("kept", "rejected")
    assert ended.parent == alone.parent
    card = json.loads((mine.home / "releases" / str(ended.candidate) / "card.json").read_text())
    parent = json.loads((mine.home / "releases" / str(ended.parent) / "card.json").read_text())
    for part, same in (("detector", True), ("vae_x", False), ("translation", False)):
        name = f"{part}.safetensors"
        assert (card["files"][name] == parent["files"][name]) is same, part
    stages = mine.ask(f"SELECT DISTINCT stage FROM release_lineage WHERE release = '{ended.candidate}'")
    assert sorted(stages) == [("translation",), ("vaes",)]
