"""The scripts that train the default release, again or further, say what the command line understands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from flows.cli.train import train_app
from oldphoto_core.evaluation.sheet import save_picture
from oldphoto_core.releases.card import read_card
from oldphoto_core.training.data import resize
from oldphoto_core.training.schedule import seeded
from tests.core.reviewed_archive import archive

SCRIPT = Path(__file__).parents[2] / "infra" / "train-release.sh"
MORE = SCRIPT.with_name("train-more.sh")
FOLDERS = ("clean", "old", "textures", "run", "release")


def said(*arguments: str, script: Path = SCRIPT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("machine", "device"), [("cpu", "cpu"), ("h200", "cuda")])
def test_every_option_is_one_of_the_command_lines(machine: str, device: str) -> None:
    found = said(machine, *FOLDERS, "1.5", "2", "2.5", "3", "4", COMMAND="echo oldphoto")
    lines = [line.split() for line in found.stdout.splitlines() if line.startswith("oldphoto train")]
    assert [line[2] for line in lines] == ["look", "detector", "mender", "vaes", "translation", "release"]
    group = get_command(train_app)
    parsed = []
    for _, _, stage, *options in lines:
        command = group.get_command(None, stage)  # type: ignore[attr-defined,arg-type]
        parsed.append(command.make_context(stage, options).params)
    assert [stage["minutes"] for stage in parsed[:5]] == [1.5, 2, 2.5, 3, 4]
    assert all(stage["device"] == device and stage["compiled"] == (machine == "h200") for stage in parsed[:5])
    assert (parsed[3]["old"], parsed[5]["out"]) == (Path("old"), Path("release"))


def test_what_it_is_not_told_it_asks_for() -> None:
    for arguments in ((), ("tpu", *FOLDERS), ("cpu", "clean")):
        found = said(*arguments)
        assert found.returncode == 2
        assert "usage: infra/train-release.sh cpu|h200 PHOTOS" in found.stderr


@pytest.mark.parametrize("start", ["default", "imagenet"])
def test_training_further_asks_for_what_the_command_line_has(start: str) -> None:
    found = said("data", "run", "release", "7", "8", script=MORE, COMMAND="echo oldphoto", START=start)
    lines = [line.split() for line in found.stdout.splitlines() if line.startswith("oldphoto train")]
    group = get_command(train_app)
    laid, detector, mender, release = (
        group.get_command(None, name).make_context(name, options).params  # type: ignore[attr-defined]
        for _, _, name, *options in lines
    )
    assert (laid["out"], laid["review"]) == (Path("run/material"), Path("data/review/REVIEW.csv"))
    assert (detector["minutes"], detector["start"], detector["labelled"]) == (7, start, laid["out"])
    assert (mender["minutes"], mender["start"], mender["run"]) == (8, "default", Path("run"))
    assert (release["out"], release["parent"], release["last"]) == (Path("release"), "default", True)
    refused = said("clean", script=MORE)
    assert refused.returncode == 2
    assert "usage: infra/train-more.sh DATA" in refused.stderr


def photos_on_disk(folder: Path, count: int) -> None:
    generator = seeded(5, "photos on disk", 0)
    for number in range(count):
        field = resize(torch.rand(1, 3, 9, 9, generator=generator), 96)[0].permute(1, 2, 0)
        save_picture(folder / f"{number:02d}_x{number}.png", (field * 255).round().byte().numpy())


def command_in(folder: Path) -> str:
    command = folder / "oldphoto"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from flows.cli.app import main; main()" "$@"\n')
    command.chmod(0o755)
    return str(command)


@pytest.mark.slow
def test_a_release_comes_out_of_it(tmp_path: Path) -> None:
    """And goes on from there: detector and mender are others, all else is the first one's."""
    data = archive(tmp_path / "data")
    photos_on_disk(data / "clean", 24)
    (data / "texture").mkdir()
    environment = {"STEPS": "2", "COMMAND": command_in(tmp_path), "PYTHONPATH": str(SCRIPT.parents[1])}
    folders = [str(place) for place in (data / "clean", data / "old", data / "texture", tmp_path / "run")]
    folders.append(str(tmp_path / "release"))
    found = said("cpu", *folders, PRESET="tiny", **environment)
    assert found.returncode == 0, found.stderr
    first = read_card(tmp_path / "release")
    assert first.preset == "tiny"

    folders = [str(data), str(tmp_path / "more"), str(tmp_path / "further")]
    found = said(*folders, script=MORE, START=str(tmp_path / "release"), **environment)
    assert found.returncode == 0, found.stderr
    further = read_card(tmp_path / "further")
    changed = {name for name in first.files if first.files[name] != further.files[name]}
    assert changed == {"detector.safetensors", "mender.safetensors"}
    assert further.card["parent"]["name"] == first.name
