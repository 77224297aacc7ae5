"""`oldphoto train ...`: trains the networks stage by stage in one run folder, and packs it as a release.

Everything heavy is imported inside the commands, so that `oldphoto --help` stays quick.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import Home
from flows.settings import Settings
from storage.urls import local_folder

if TYPE_CHECKING:
    from oldphoto_core.training.loop import RunOptions, RunResult
    from oldphoto_core.training.material import Material

train_app = typer.Typer(
    name="train",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Train the networks: look, detector, vaes, translation, in this order and in one run folder; then release.",
    epilog="Example: oldphoto train detector --photos clean/ --textures texture/ --run runs/first --minutes 60",
)

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
PresetName = Annotated[str, typer.Option("--preset", help="Sizes and losses: archive, paper or tiny.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Budget in steps: repeatable to the bit, also over a kill.")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Budget in minutes; the schedule follows the clock.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Photos or crops a step. Default: the preset's.")]
Crop = Annotated[int | None, typer.Option(min=16, help="Side of the crops, a multiple of 16. Default: the preset's.")]
Rate = Annotated[float | None, typer.Option("--lr", min=0, help="Peak learning rate. Default: the preset's.")]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Resume = Annotated[bool, typer.Option("--resume/--fresh", help="Go on from the last checkpoint, or start over.")]
Start = Annotated[
    str | None, typer.Option(help="Release to train on from: `default`, a name in the home, or a folder.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of the networks; synthesis has one of its own.")]
Compiled = Annotated[
    bool, typer.Option("--compile", help="Compile look, detector, T and critics: a minute or more, then faster steps.")
]
Gpus = Annotated[int, typer.Option(min=1, help="GPUs of this machine to train on, a process and a batch each.")]
Labelled = Annotated[
    Path | None,
    typer.Option(help="Material folder of labelled and old photos (docs/training.md); for the detector and VAE1."),
]
EvaluateEvery = Annotated[int, typer.Option(min=1, help="Steps between two evaluations on held-out photos.")]


@train_app.command(epilog="Example: oldphoto train look --photos clean/ --textures texture/ --run runs/a --minutes 30")
def look(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = "archive",
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Rate = None,
    whole_px: Annotated[int, typer.Option(help="Side of the photos that are damaged; 128 is cheapest.")] = 128,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train the look at the whole photo, which undoes fading and toning (archive preset only)."""
    with _reported():
        from oldphoto_core.training.look import LookSettings
        from oldphoto_core.training.stages import train_look

        settings = _changed(LookSettings(preset=preset, whole_px=whole_px), batch=batch, rate=lr)
        options = _options(
            _run_folder(run, home), steps, minutes, seed, resume, _start(start, home), threads, gpus, compiled,
            evaluate_every,
        )  # fmt: skip
        _print(train_look(_material(photos, None, textures, device), settings, options))


@train_app.command(epilog="Example: oldphoto train detector --photos clean/ --run runs/a --minutes 60")
def detector(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = "archive",
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    focal: Annotated[float | None, typer.Option(min=0, help="Weight of the focal loss.")] = None,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="Focus of the focal loss; 0 is cross entropy, the paper has 2.")
    ] = None,
    dice: Annotated[float | None, typer.Option(min=0, help="Weight of the Dice loss.")] = None,
    labelled: Labelled = None,
    labelled_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of each batch from labelled photos. Default: half.")
    ] = None,
    distil: Annotated[
        float | None, typer.Option(min=0, help="Weight of staying near the --start detector's answers.")
    ] = None,
    optimiser: Annotated[
        str | None, typer.Option(help="adamw, adam, or muon (from fresh weights, --lr 0.02). Default: the preset's.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train the scratch detector: on synthetic damage, and on labelled real photos where there are any."""
    with _reported():
        from oldphoto_core.training.detector import DetectorSettings
        from oldphoto_core.training.stages import train_detector

        settings = _changed(
            DetectorSettings.for_preset(preset), batch=batch, crop=crop, rate=lr, focal=focal, gamma=gamma, dice=dice,
            labelled_share=labelled_share, distil=distil, optimiser=optimiser,
        )  # fmt: skip
        options = _options(
            _run_folder(run, home), steps, minutes, seed, resume, _start(start, home), threads, gpus, compiled,
            evaluate_every,
        )  # fmt: skip
        _print(train_detector(_material(photos, None, textures, device, labelled), settings, options))


@train_app.command(
    epilog="Example: oldphoto train vaes --photos clean/ --old old/ --textures texture/ --run runs/a --minutes 45"
)
def vaes(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    old: Old = None,
    textures: Textures = None,
    preset: PresetName = "archive",
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    alpha: Annotated[float | None, typer.Option(min=0.1, help="Weight of L1 against KL (eq. 2).")] = None,
    latent_adversary: Annotated[float | None, typer.Option(min=0, help="Weight of eq. 3; 0 leaves it out.")] = None,
    channel_adversary: Annotated[
        float | None, typer.Option(min=0, help="Weight of eq. 3 on channel statistics; 0 leaves it out.")
    ] = None,
    adversary: Annotated[float | None, typer.Option(min=0, help="Weight of the image LSGAN; 0 leaves it out.")] = None,
    labelled: Labelled = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 250,
) -> None:
    """Train VAE1 (old and damaged photos), then VAE2 (clean ones) from it. Needs the look in the run folder."""
    with _reported():
        from oldphoto_core.training.stages import train_vaes
        from oldphoto_core.training.vaes import VaeSettings

        settings = _changed(
            VaeSettings.for_preset(preset), batch=batch, crop=crop, rate=lr, alpha=alpha,
            latent_adversary=latent_adversary, channel_adversary=channel_adversary, adversary=adversary,
        )  # fmt: skip
        options = _options(
            _run_folder(run, home), steps, minutes, seed, resume, _start(start, home), threads, gpus, compiled,
            evaluate_every,
        )  # fmt: skip
        for result in train_vaes(_material(photos, old, textures, device, labelled), settings, options):
            _print(result)


@train_app.command(
    epilog="Example: oldphoto train translation --photos clean/ --textures texture/ --run runs/a --minutes 200"
)
def translation(
    photos: Photos,
    run: Run = None,
    home: Home = None,
    textures: Textures = None,
    preset: PresetName = "archive",
    steps: Steps = None,
    minutes: Minutes = None,
    batch: Batch = None,
    crop: Crop = None,
    lr: Rate = None,
    pixel: Annotated[float | None, typer.Option(min=0, help="Weight of Charbonnier on the image.")] = None,
    squared: Annotated[float | None, typer.Option(min=0, help="Weight of the squared error on the image.")] = None,
    latent: Annotated[float | None, typer.Option(min=0, help="Weight of the latent L1 (eq. 5).")] = None,
    gradient: Annotated[float | None, typer.Option(min=0, help="Weight of the gradient L1.")] = None,
    adversary: Annotated[float | None, typer.Option(min=0, help="Weight of the LSGAN (eq. 5).")] = None,
    matching: Annotated[float | None, typer.Option(min=0, help="Weight of feature matching (eq. 6).")] = None,
    vgg: Annotated[float | None, typer.Option(min=0, help="Weight of VGG features, where at hand.")] = None,
    tone: Annotated[float | None, typer.Option(min=0, help="Weight of the look's own loss.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = True,
    start: Start = None,
    threads: Threads = None,
    gpus: Gpus = 1,
    compiled: Compiled = False,
    evaluate_every: EvaluateEvery = 500,
) -> None:
    """Train the translation between the two latent spaces. Needs look and VAEs in the run folder."""
    with _reported():
        from oldphoto_core.training.stages import train_translation
        from oldphoto_core.training.translation import TranslationSettings

        settings = _changed(
            TranslationSettings.for_preset(preset), batch=batch, crop=crop, rate=lr, pixel=pixel, squared=squared,
            latent=latent,
            gradient=gradient, adversary=adversary, matching=matching, vgg=vgg, tone=tone,
        )  # fmt: skip
        options = _options(
            _run_folder(run, home), steps, minutes, seed, resume, _start(start, home), threads, gpus, compiled,
            evaluate_every,
        )  # fmt: skip
        _print(train_translation(_material(photos, None, textures, device), settings, options))


@train_app.command(epilog="Example: oldphoto train release runs/a releases/mine")
def release(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run folder with all stages trained. Default: {home}/work/training.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Argument(
            help="Folder to write the release into. Default: its name, in the home's releases.", show_default=False
        ),
    ] = None,
    home: Home = None,
    last: Annotated[bool, typer.Option("--last", help="Pack the last weights, not the best held-out ones.")] = False,
) -> None:
    """Pack a run's weights as a release: half-precision safetensors and a JSON card."""
    with _reported():
        from oldphoto_core.training.export import export_named_release, export_release

        which, folder = "last" if last else "best", _run_folder(run, home)
        if out is None:
            card = export_named_release(folder, _releases_folder(home), which=which)
        else:
            card = export_release(folder, out, which=which)
        typer.echo(f"release {card.name} written to {card.folder}")


class _reported:
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


def _run_folder(run: Path | None, home: Path | None) -> Path:
    """Gives the run folder: the one that was named, else the home's."""
    return run if run is not None else Settings.load(home).layout.work / "training"


def _start(release: str | None, home: Path | None) -> Path | None:
    """Gives the folder of the release to train on from, its files compared with its card."""
    if release is None:
        return None
    from oldphoto_core.releases import find_release

    known = local_folder(Settings.load(home).releases_url)
    card = find_release(release, search=[known] if known else [])
    card.verify()
    return card.folder


def _releases_folder(home: Path | None) -> Path:
    """Gives the folder that a home keeps its releases in."""
    url = Settings.load(home).releases_url
    folder = local_folder(url)
    if folder is None:
        raise typer.BadParameter(f"releases go to {url}, which is no folder here: name the folder to write to as OUT")
    return folder


def _changed(settings: Any, **given: Any) -> Any:
    """Gives the settings with those options replaced that were given."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _options(
    run: Path,
    steps: int | None,
    minutes: float | None,
    seed: int,
    resume: bool,
    start: Path | None,
    threads: int | None,
    gpus: int,
    compiled: bool,
    evaluate_every: int,
) -> RunOptions:
    if (steps is None) == (minutes is None):
        raise typer.BadParameter("give the budget as --steps or as --minutes, one of them")
    from oldphoto_core.training.loop import RunOptions
    from oldphoto_core.training.schedule import Budget

    return RunOptions(
        folder=run,
        budget=Budget(steps=steps, minutes=minutes),
        seed=seed,
        start=start,
        fresh=not resume,
        threads=threads,
        processes=gpus,
        compiled=compiled,
        evaluate_every=evaluate_every,
    )


def _material(
    photos: Path, old: Path | None, textures: Path | None, device: str, labelled: Path | None = None
) -> Material:
    import torch

    from oldphoto_core.training.material import Material

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Material.load(photos, old=old, textures=textures, labelled=labelled, device=device)


def _print(result: RunResult) -> None:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result.figures.items())
    state = "done" if result.finished else "stopped, resume with the same command"
    typer.echo(f"{result.folder.name}: {state}, {result.step} steps in {result.elapsed_s / 60:.1f} min; {figures}")


if __name__ == "__main__":
    train_app()
