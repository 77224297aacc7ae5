"""`oldphoto bench`: how fast this machine restores, and how much memory it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Device
from flows.errors import UsageError

_WHAT, _PRESETS = ("model", "end-to-end", "worker"), ("archive", "paper")


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    example = "Example: oldphoto bench --sizes 0.3,2 --preset archive,paper --plot rate.png. "
    app.command("bench", epilog=example + EXIT_CODE_HELP)(bench)


def bench(
    sizes: Annotated[str, typer.Option(help="Megapixels of the photos, commas between.")] = "0.3,2",
    batch: Annotated[str, typer.Option(help="Photos at a time, commas between.")] = "1",
    what: Annotated[
        str,
        typer.Option(help="model, end-to-end (files one by one), worker (a batch, as in runs), commas between."),
    ] = "model,end-to-end",
    preset: Annotated[
        str, typer.Option(help="archive, or archive,paper to compare with the method's own sizes: 5 GB, a minute.")
    ] = "archive",
    repeats: Annotated[int, typer.Option(min=0, help="Measurements after the first; 0: the first alone.")] = 2,
    release: Annotated[str, typer.Option(help="Of archive: default, a name or a folder.")] = "default",
    device: Device = None,
    precision: Annotated[str, typer.Option(help="Of model and worker: auto, float32 or bfloat16.")] = "auto",
    paper_px: Annotated[int, typer.Option(min=64, help="Height and width at which paper is compared.")] = 512,
    paper_widths: Annotated[int | None, typer.Option(min=1, hidden=True, help="Channels of a toy paper.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw the rates, .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Measure megapixels a second and peak memory, each row in a process of its own."""
    from flows.benchmarking.pages import plot as draw
    from flows.benchmarking.pages import table
    from flows.benchmarking.rows import Plan, machine, measured

    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"--precision {precision}: expected auto, float32 or bfloat16")
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"{plot}: the picture is a PNG; give it a name that ends in .png")
    plan = Plan(
        sizes=tuple(_numbers(sizes, "--sizes")),
        batches=tuple(int(number) for number in _numbers(batch, "--batch")),
        what=_chosen(what, _WHAT, "--what"),
        presets=_chosen(preset, _PRESETS, "--preset"),
        repeats=repeats,
        release=release,
        device=device or "auto",
        precision=precision,
        paper_px=paper_px,
        paper_widths=paper_widths,
    )
    about = machine()
    rows = []
    for row in measured(plan):
        typer.echo(f"{row['what']} {row['megapixels']:g} MP: {row['megapixels_per_s']:.3g} MP/s", err=True)
        rows.append(row)
    typer.echo(json.dumps({"machine": about, "rows": rows}, indent=2) if as_json else table(rows, about))
    if plot is not None:
        draw(rows, plot)


def _numbers(text: str, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    whole = option != "--batch" or all(number == int(number) for number in numbers)
    if not numbers or min(numbers) <= 0 or not whole:
        raise UsageError(f"{option} {text}: expected numbers above zero with commas between, such as 1,4")
    return numbers


def _chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    for part in parts:
        if part not in known:
            raise UsageError(f"{option} {text}: expected {' or '.join(known)}, commas between; found {part!r}")
    return parts
