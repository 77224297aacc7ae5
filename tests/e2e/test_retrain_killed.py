"""A retraining that is killed without warning goes on where it was, and ends as one that was left alone."""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from pathlib import Path

import pytest

from flows.training.retrain import retrain
from tests.orchestration.museums import Museum, copied, environment_of, make_museum
from tests.orchestration.processes import kill, start_oldphoto, wait_for

KILLS_A_ROUND = 3
STEPS = 16


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, release_folder: Path) -> Museum:
    """Before any retraining; tests work on copies of it."""
    return make_museum(tmp_path_factory.mktemp("museum"), release_folder, steps=STEPS)


@pytest.fixture(scope="module")
def left_alone(museum: Museum, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], float]:
    """The figures of a retraining that nobody killed, and how many seconds it took."""
    mine = copied(museum, tmp_path_factory.mktemp("alone"))
    began = time.monotonic()
    with environment_of(mine):
        retrain(home=str(mine.home))
    return figures(mine), time.monotonic() - began


def figures(museum: Museum) -> dict[str, float]:
    """Every figure after training, and the candidate's in the verdict."""
    found: dict[str, float | None] = {}
    for stage, metrics in museum.ask("SELECT stage, metrics FROM training_run ORDER BY stage"):
        found |= {f"{stage}/{name}": value for name, value in json.loads(str(metrics))["after"].items()}
    (verdict,) = museum.ask("SELECT verdict FROM model_release WHERE verdict IS NOT NULL")
    found |= {f"verdict/{k}": v for k, v in json.loads(str(verdict[0]))["figures"]["candidate"].items()}
    return {name: math.nan if value is None else value for name, value in found.items()}


@pytest.mark.slow  # one that is interrupted goes on in test_retrain_command
@pytest.mark.parametrize("round_", range(7))
def test_killed_at_random_moments_it_ends_with_the_same_figures(
    museum: Museum, left_alone: tuple[dict[str, float], float], tmp_path: Path, round_: int
) -> None:
    """Once with its work folder gone, as on another machine. Seven rounds of three kills."""
    expected, seconds = left_alone
    mine = copied(museum, tmp_path)
    chance = random.Random(round_)
    for number in range(KILLS_A_ROUND):
        command = start_oldphoto(
            "retrain", "--home", mine.home, log_path=tmp_path / "said.log", environment=mine.environment
        )
        if number:  # it has to be seen at work at least once
            time.sleep(chance.uniform(0, 0.5) * seconds)
        else:
            wait_for(lambda: bool(mine.ask("SELECT id FROM training_run")), "a training run", seconds=120)
            time.sleep(chance.uniform(0, 0.3) * seconds)
        kill(command.process, group=True)
        if number == 1:
            shutil.rmtree(mine.home / "work" / "retraining", ignore_errors=True)
    done = start_oldphoto(
        "retrain", "--home", mine.home, log_path=tmp_path / "said.log", environment=mine.environment
    ).end()
    assert done.returncode == 0, done.stdout

    assert figures(mine) == pytest.approx(expected, rel=0.01, nan_ok=True)
    assert mine.ask("SELECT COUNT(*) FROM training_run WHERE status <> 'finished'") == [(0,)]
    assert mine.ask("SELECT COUNT(DISTINCT retrain_id), COUNT(*) FROM training_run") == [(1, 3)]
    assert mine.ask("SELECT COUNT(*) FROM model_release WHERE parent_id IS NOT NULL") == [(1,)], "one candidate"
    assert mine.ask("SELECT COUNT(*) FROM dataset_snapshot") == [(1,)]
    assert mine.ask("SELECT name FROM lease") == []
    (retrain_id,) = mine.ask("SELECT DISTINCT retrain_id FROM training_run")[0]
    keys = mine.trained_objects()
    assert {key.split("/")[1] for key in keys} == {retrain_id}
    assert not [key for key in keys if "/checkpoint/" in key]
    releases = {str(name) for (name,) in mine.ask("SELECT name FROM model_release")}
    assert {path.name for path in (mine.home / "releases").iterdir()} == {*releases, "training"}
    assert {path.name for path in (mine.home / "manifests" / "snapshots").rglob("*.parquet")} == {
        f"{sha256}.parquet" for (sha256,) in mine.ask("SELECT sha256 FROM dataset_snapshot")
    }
