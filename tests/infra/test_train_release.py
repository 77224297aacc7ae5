"""The script that trains the default release again says what the command line understands, on either machine."""

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

SCRIPT = Path(__file__).parents[2] / "infra" / "train-release.sh"
FOLDERS = ("clean", "old", "textures", "run", "release")


def said(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("machine", "device"), [("cpu", "cpu"), ("h200", "cuda")])
def test_every_option_is_one_of_the_command_lines(machine: str, device: str) -> None:
    found = said(machine, *FOLDERS, "1.5", "2", "3", "4", COMMAND="echo oldphoto")
    lines = [line.split() for line in found.stdout.splitlines() if line.startswith("oldphoto train")]
    assert [line[2] for line in lines] == ["look", "detector", "vaes", "translation", "release"]
    group = get_command(train_app)
    parsed = []
    for _, _, stage, *options in lines:
        command = group.get_command(None, stage)  # type: ignore[attr-defined,arg-type]
        parsed.append(command.make_context(stage, options).params)
    assert [stage["minutes"] for stage in parsed[:4]] == [1.5, 2, 3, 4]
    assert all(stage["device"] == device and stage["compiled"] == (machine == "h200") for stage in parsed[:4])
    assert (parsed[2]["old"], parsed[4]["out"]) == (Path("old"), Path("release"))


def test_what_it_is_not_told_it_asks_for() -> None:
    for arguments in ((), ("tpu", *FOLDERS), ("cpu", "clean")):
        found = said(*arguments)
        assert found.returncode == 2
        assert "usage: infra/train-release.sh cpu|h200 PHOTOS" in found.stderr


@pytest.mark.slow
def test_a_release_comes_out_of_it(tmp_path: Path) -> None:
    generator = seeded(5, "photos on disk", 0)
    for folder, count in (("clean", 24), ("old", 2)):
        for number in range(count):
            field = resize(torch.rand(1, 3, 9, 9, generator=generator), 96)[0].permute(1, 2, 0)
            save_picture(tmp_path / folder / f"{number:02d}_x{number}.png", (field * 255).round().byte().numpy())
    (tmp_path / "textures").mkdir()
    command = tmp_path / "oldphoto"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from flows.cli.app import main; main()" "$@"\n')
    command.chmod(0o755)
    found = said(
        "cpu", *(str(tmp_path / name) for name in FOLDERS), PRESET="tiny", STEPS="2",
        COMMAND=str(command), PYTHONPATH=str(SCRIPT.parents[1]),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert read_card(tmp_path / "release").preset == "tiny"
