"""`oldphoto evaluate`: how good a release is, beside the classical ways, on photos that nothing was trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Device, Home, Release, given
from flows.errors import UsageError
from flows.settings import Settings

_PROTOCOLS = ("quick", "default")
_PARTS = ("real",)


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    example = "Example: oldphoto evaluate --photos clean --textures textures --old old --protocol quick --out figures. "
    app.command("evaluate", epilog=example + EXIT_CODE_HELP)(evaluate)


def evaluate(
    photos: Annotated[Path, typer.Option(help="Folder of clean photos; only held-out ones are used.")],
    out: Annotated[Path, typer.Option(help="Folder for figures.parquet, summary.json and evaluation.html.")],
    textures: Annotated[
        Path | None, typer.Option(help="Folder of damage textures, of which held-out ones are used; else drawn.")
    ] = None,
    old: Annotated[Path | None, typer.Option(help="Folder of real old photos, restored without a reference.")] = None,
    review: Annotated[
        Path | None,
        typer.Option(help="CSV file of what a person found in the photos of OLD: what is acted on in clean ones."),
    ] = None,
    film: Annotated[
        Path | None, typer.Option(help="Folder of film frames with masks; those of the held-out film are used.")
    ] = None,
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="Material folder: the detector is also measured on its labelled test photos. "
            r"\[default: the photos in OLD that the makers of oldphoto have marked]"
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="quick: minutes, for a look. default: hours, for figures to quote.", metavar="quick|default"
        ),
    ] = "default",
    only: Annotated[
        str | None,
        typer.Option(help="real: real photos and pure inpainting alone, some minutes.", metavar="real"),
    ] = None,
    release: Release = None,
    no_release: Annotated[bool, typer.Option("--no-release", help="Measure the classical ways alone.")] = False,
    harm: Annotated[bool, typer.Option(help="Also measure photos with nothing wrong.")] = True,
    prior_photos: Annotated[
        int | None,
        typer.Option(
            min=0, help=r"Photos for deep image prior, minutes each; 0 leaves it out. \[default: 6; quick: 0]"
        ),
    ] = None,
    prior_steps: Annotated[
        int | None, typer.Option(min=1, help=r"Steps of each of its fits. \[default: 600]")
    ] = None,
    baseline: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a trained network to compare with: pix2pix, a run, a release. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the damage.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; each loads the release.")] = 1,
    device: Device = None,
    home: Home = None,
) -> None:
    """Measure a release on held-out photos, by kind of damage and severity, beside the classical ways.

    Figures that lie in OUT already, of the same release, code version and settings, are not computed again.
    """
    if protocol not in _PROTOCOLS:
        raise UsageError(f"--protocol {protocol}: expected {' or '.join(_PROTOCOLS)}")
    if only is not None and only not in _PARTS:
        raise UsageError(f"--only {only}: expected {' or '.join(_PARTS)}")
    settings = Settings.load(home, **given(release=release, device=device))

    from dataclasses import replace

    from rich.console import Console
    from rich.progress import Progress

    from flows.evaluation.run import evaluate_release
    from flows.evaluation.telling import result_tables
    from flows.release_store import release_without_catalogue
    from oldphoto_core.evaluation.comparison.release_methods import FolderRelease
    from oldphoto_core.evaluation.comparison.settings import ComparisonSettings
    from oldphoto_core.evaluation.comparison.trained_methods import TrainedFolder
    from oldphoto_core.evaluation.hand_marks import lay_marked

    if labelled is None and old is not None and lay_marked(old, out / "marked"):
        labelled = out / "marked"

    measured = ComparisonSettings.for_protocol(
        protocol, photos, textures_dir=textures, old_dir=old, labelled_dir=labelled,  # type: ignore[arg-type]
        review_table=review, film_dir=film,
    )  # fmt: skip
    measured = replace(
        measured,
        seed=seed,
        harm_count=measured.harm_count if harm else 0,
        prior_photos=measured.prior_photos if prior_photos is None else prior_photos,
        prior=measured.prior if prior_steps is None else replace(measured.prior, steps=prior_steps),
        prior_device=settings.device,
        baselines=tuple(TrainedFolder(folder) for folder in baseline or ()),
    )
    if only == "real":
        measured = measured.real_alone()
    card = None if no_release else release_without_catalogue(settings)
    choice = FolderRelease(card, settings.device) if card else None
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("cases", total=None)
        found = evaluate_release(
            measured, out, release=choice, jobs=jobs,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(*result_tables(found.summary))
    typer.echo(f"{found.rows} rows, {found.computed} of them computed now; the page: {found.page}")
