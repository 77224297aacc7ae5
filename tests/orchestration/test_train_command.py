"""`oldphoto train`: what its subcommands accept, and where a run goes that nobody named. Nothing is trained here."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.train import train_app
from flows.cli.train_options import releases_folder, run_folder

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
