"""What the subcommands of `oldphoto train` share: their options, and the way from options to a run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.settings import Settings
from storage.urls import local_folder

if TYPE_CHECKING:
    from oldphoto_core.releases import ReleaseCard
    from oldphoto_core.training.loop import RunOptions, RunResult
    from oldphoto_core.training.material import Material

Photos = Annotated[Path, typer.Option(help="Folder of clean photos; about a tenth of them is kept for measuring.")]
Old = Annotated[Path | None, typer.Option(help="Folder of real old photos, for VAE1. Without it: damaged ones alone.")]
Textures = Annotated[Path | None, typer.Option(help="Folder of scratch, dust and paper textures. Without it: drawn.")]
Run = Annotated[
    Path | None,
    typer.Option(
        help="Run folder: each stage keeps checkpoints, curves and weights there. Default: {home}/work/training.",
        show_default=False,
    ),
]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset", help="Sizes and losses: archive, paper or tiny. Default: the --start release's, else archive.",
        show_default=False,
    ),
]  # fmt: skip
Steps = Annotated[int | None, typer.Option(min=1, help="Budget in steps: repeatable to the bit, also over a kill.")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Budget in minutes; the schedule follows the clock.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Photos or crops a step. Default: the preset's.")]
Crop = Annotated[int | None, typer.Option(min=16, help="Side of the crops, a multiple of 16. Default: the preset's.")]
Rate = Annotated[float | None, typer.Option("--lr", min=0, help="Peak learning rate. Default: the preset's.")]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Resume = Annotated[bool, typer.Option("--resume/--fresh", help="Go on from the last checkpoint, or start over.")]
Start = Annotated[
    str | None,
    typer.Option(
        help="Release to train on from: `default`, a name in the home, or a folder. It also gives the stages before."
    ),
]
DetectorStart = Annotated[
    str | None,
    typer.Option(
        help=r"`imagenet` for a fresh detector whose encoder knows ImageNet (pip install 'oldphoto\[train]'); or a "
        "release to train on from: `default`, a name in the home, or a folder."
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of the networks; synthesis has one of its own.")]
Compiled = Annotated[
    bool, typer.Option("--compile", help="Compile look, detector, T and critics: a minute or more, then faster steps.")
]
Gpus = Annotated[int, typer.Option(min=1, help="GPUs of this machine to train on, a process and a batch each.")]
Labelled = Annotated[
    Path | None,
    typer.Option(help="Material folder of real photos (docs/training.md; `oldphoto train material` lays one down)."),
]
EvaluateEvery = Annotated[int, typer.Option(min=1, help="Steps between two evaluations on held-out photos.")]


class reported:
    """Logs to standard error, and turns the core's errors into one line and exit code 1."""

    def __enter__(self) -> None:
        from rich.console import Console
        from rich.logging import RichHandler

        package = logging.getLogger("oldphoto_core")
        if not package.handlers:
            package.addHandler(RichHandler(console=Console(stderr=True), show_path=False))
            package.setLevel(logging.INFO)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from oldphoto_core.errors import CoreError

        if isinstance(error, CoreError):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error


def run_folder(run: Path | None, home: Path | None) -> Path:
    """Gives the run folder: the one that was named, else the home's."""
    return run if run is not None else Settings.load(home).layout.work / "training"


def chosen_preset(name: str | None, start: str | None, home: Path | None) -> str:
    """Gives the preset that was named, else that of the release to go on from, else `archive`."""
    if name is not None:
        return name
    return "archive" if start is None else known_release(start, home).preset


def known_release(name: str, home: Path | None) -> ReleaseCard:
    """Gives the card of a release: `default`, a folder, or a name in the home."""
    from oldphoto_core.releases import find_release

    known = local_folder(Settings.load(home).releases_url)
    return find_release(name, search=[known] if known else [])


def releases_folder(home: Path | None) -> Path:
    """Gives the folder that a home keeps its releases in."""
    url = Settings.load(home).releases_url
    folder = local_folder(url)
    if folder is None:
        raise typer.BadParameter(f"releases go to {url}, which is no folder here: name the folder to write to as OUT")
    return folder


def changed(settings: Any, **given: Any) -> Any:
    """Gives the settings with those options replaced that were given."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def run_options(
    stage: str,
    run: Path | None,
    start: str | None,
    home: Path | None,
    *,
    steps: int | None,
    minutes: float | None,
    seed: int,
    resume: bool,
    threads: int | None,
    gpus: int,
    compiled: bool,
    evaluate_every: int,
) -> RunOptions:
    """Gives the options of a stage's run, whose budget is steps or minutes.

    Where it goes on from a release, what comes before the stage and is not in the run folder is laid into it from
    there.
    """
    if (steps is None) == (minutes is None):
        raise typer.BadParameter("give the budget as --steps or as --minutes, one of them")
    from oldphoto_core.training.loop import RunOptions
    from oldphoto_core.training.retraining import begin_run
    from oldphoto_core.training.schedule import Budget

    folder, card = run_folder(run, home), None if start is None else known_release(start, home)
    if card is not None:
        card.verify()
        if stage in ("vaes", "translation"):
            begin_run(folder, card, first=stage)
    return RunOptions(
        folder=folder,
        budget=Budget(steps=steps, minutes=minutes),
        seed=seed,
        start=None if card is None else card.folder,
        fresh=not resume,
        threads=threads,
        processes=gpus,
        compiled=compiled,
        evaluate_every=evaluate_every,
    )


def material(
    photos: Path, old: Path | None, textures: Path | None, device: str, labelled: Path | None = None
) -> Material:
    """Loads what a run learns from, to the device; `auto` is a GPU where there is one."""
    import torch

    from oldphoto_core.training.material import Material

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Material.load(photos, old=old, textures=textures, labelled=labelled, device=device)


def print_result(result: RunResult) -> None:
    """Says on one line how far a stage came, and its figures on held-out photos."""
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result.figures.items())
    state = "done" if result.finished else "stopped, resume with the same command"
    typer.echo(f"{result.folder.name}: {state}, {result.step} steps in {result.elapsed_s / 60:.1f} min; {figures}")
