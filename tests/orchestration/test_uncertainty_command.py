"""`oldphoto uncertainty`: the map of an archive's photo, made afterwards, is the one that `restore-file` makes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from flows.cli.app import run_command
from oldphoto_core.models.uncertainty import UncertaintyHead
from oldphoto_core.releases.uncertainty import attach_uncertainty
from tests.orchestration.archives import picture


@pytest.fixture
def with_head(release_folder: Path, tmp_path: Path) -> Path:
    """The toy release with a head whose answer depends on what it sees."""
    folder = tmp_path / "with-head"
    shutil.copytree(release_folder, folder)
    head, generator = UncertaintyHead(), torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    attach_uncertainty(folder, head, {})
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A photo, and a TIFF of two pages of different widths."""
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.fromarray(picture(3)).save(folder / "a.png")
    with tifffile.TiffWriter(folder / "pages.tif") as file:
        file.write(picture(4, height=64, width=80), photometric="rgb")
        file.write(picture(5, height=48, width=64), photometric="rgb")
    return folder


def levels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened).astype(np.int64)


@pytest.mark.parametrize("name", ["a.png", "pages.tif"])
def test_the_map_of_an_archives_photo_is_that_of_restoring_the_file(
    name: str,
    scans: Path,
    with_head: Path,
    prefect_server: str,
    dask_scheduler: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flows.run import run

    home = tmp_path / "home"
    choices = {"release": str(with_head), "precision": "float32", "scheduler": dask_scheduler}
    run(str(scans), home=str(home), settings=choices)
    before = {path: path.read_bytes() for path in scans.iterdir()}
    made, direct = tmp_path / "made.png", tmp_path / "direct.png"
    assert run_command(["uncertainty", name, str(made), "--home", str(home), "--device", "cpu"]) == 0
    assert f"the error to expect of {name}" in capsys.readouterr().out
    restored = str(tmp_path / f"restored{Path(name).suffix}")
    arguments = ["restore-file", str(scans / name), restored, "--release", str(with_head), "--device", "cpu"]
    assert run_command([*arguments, "--uncertainty-out", str(direct)]) == 0
    assert np.ptp(levels(made)) > 0
    assert levels(made).shape == levels(direct).shape
    assert np.abs(levels(made) - levels(direct)).max() <= 256  # a level: restore-file computes as a probe decides
    assert {path: path.read_bytes() for path in scans.iterdir()} == before


def test_what_cannot_be_had_is_said_and_masters_are_never_written(
    scans: Path,
    with_head: Path,
    release_folder: Path,
    prefect_server: str,
    dask_scheduler: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flows.run import run

    home = str(tmp_path / "home")

    def command(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return run_command(["uncertainty", *arguments, "--home", home, "--device", "cpu"]), capsys.readouterr().err

    run(str(scans), home=home, settings={"release": str(release_folder), "scheduler": dask_scheduler})
    code, said = command("a.png", str(tmp_path / "map.png"))
    assert code == 1 and "has no uncertainty head" in said
    run(str(scans), home=home, settings={"release": str(with_head), "scheduler": dask_scheduler})
    assert command("nothing.png", str(tmp_path / "map.png"))[0] == 2
    assert command("a.png", str(tmp_path / "map.jpg"))[0] == 2
    master = scans / "a.png"
    before = master.read_bytes()
    code, said = command("a.png", str(master), "--overwrite")
    assert code == 2 and "masters are never overwritten" in said
    assert master.read_bytes() == before
    Image.fromarray(picture(9)).save(master)
    code, said = command("a.png", str(tmp_path / "map.png"))
    assert code == 1 and "is not what was restored" in said
    assert not (tmp_path / "map.png").exists()
