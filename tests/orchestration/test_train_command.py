"""`oldphoto train`: what its subcommands accept, where a run goes that nobody named, and from what it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from flows.cli.train import train_app
from flows.cli.train_options import releases_folder, run_folder
from oldphoto_core.evaluation.sheet import save_picture
from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.releases.bundle import save_release
from oldphoto_core.releases.card import read_card
from oldphoto_core.training.material_folder import read_labelled
from tests.core.reviewed_archive import archive

SUBCOMMANDS = ["look", "detector", "vaes", "translation", "release"]


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_takes_a_home(subcommand: str) -> None:
    parser = typer.main.get_command(train_app).commands[subcommand]  # type: ignore[attr-defined]
    options = {name for parameter in parser.params for name in parameter.opts}
    assert {"--home"} <= options
    needed = {parameter.name for parameter in parser.params if parameter.required}
    assert needed == (set() if subcommand == "release" else {"photos"})


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_says_where_a_run_goes_by_default(subcommand: str) -> None:
    shown = CliRunner().invoke(train_app, [subcommand, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Default: {home}/work/training" in shown.output


def test_a_run_goes_into_the_home_unless_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_folder(None, home) == home / "work/training"
    assert run_folder(Path("runs/a"), home) == Path("runs/a")
    monkeypatch.setenv("OLDPHOTO_HOME", str(home / "other"))
    assert run_folder(None, None) == home / "other/work/training"


def test_a_release_goes_where_the_settings_keep_releases(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert releases_folder(home) == home / "releases"
    monkeypatch.setenv("OLDPHOTO_RELEASES_URL", "s3://releases/ours")
    with pytest.raises(typer.BadParameter, match="OUT"):
        releases_folder(home)


def test_a_hint_of_an_extra_is_shown_whole() -> None:
    shown = CliRunner().invoke(train_app, ["detector", "--help"], env={"COLUMNS": "300"})
    assert "pip install 'oldphoto[train]'" in shown.output


def test_material_says_how_many_photos_are_for_training_and_for_validation(tmp_path: Path) -> None:
    data, out = archive(tmp_path / "data"), tmp_path / "out"
    table = data / "review/REVIEW.csv"
    arguments = ["material", str(out), "--old", str(data / "old"), "--review", str(table), "--film", str(data / "film")]
    laid = CliRunner().invoke(train_app, arguments)
    assert laid.exit_code == 0, laid.output
    train, validation = (len(list(read_labelled(out, s, kind="reviewed"))) for s in ("train", "validation"))
    said = f"40 verdicts read; {train} photos are for training, {validation} for validation, 0 kept for testing"
    assert train and validation and said in laid.output
    table.write_text("file,answer\n0.png,clean\n")
    refused = CliRunner().invoke(train_app, arguments)
    assert refused.exit_code == 1 and "REVIEW.csv: column verdict, where" in refused.output


@pytest.mark.slow
def test_a_stage_begun_from_a_release_needs_nothing_in_its_run_folder(tmp_path: Path, home: Path) -> None:
    """The release gives what comes before, and what the run did not train when it is packed."""
    torch.manual_seed(0)
    tiny = preset("tiny")
    parent = save_release(
        tmp_path / "parent", sizes=tiny, detector=build_detector(tiny), network=build_restoration(tiny),
        card={"operating": {"mask_from": 0.6, "mask_sure": 0.9}},
    )  # fmt: skip
    for number in range(24):
        save_picture(tmp_path / "clean" / f"{number:02d}.png", torch.randint(0, 256, (64, 64, 3)).byte().numpy())
    run, out = str(tmp_path / "run"), str(tmp_path / "packed")
    common = ["--home", str(home)]
    trained = CliRunner().invoke(
        train_app,
        ["translation", "--photos", str(tmp_path / "clean"), "--run", run, "--start", str(parent.folder),
         "--steps", "1", "--batch", "2", "--threads", "1", *common],
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    packed = CliRunner().invoke(train_app, ["release", run, out, "--last", "--parent", str(parent.folder), *common])
    assert packed.exit_code == 0, packed.output
    card = read_card(tmp_path / "packed")
    assert card.files["detector.safetensors"] == parent.files["detector.safetensors"]
    assert card.files["vae_x.safetensors"] == parent.files["vae_x.safetensors"]
    assert card.files["translation.safetensors"] != parent.files["translation.safetensors"]
    assert card.card["operating"] == parent.card["operating"]
