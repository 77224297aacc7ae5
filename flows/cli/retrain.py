"""`oldphoto retrain`: trains the networks on the archive's own labels, and promotes what is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.archive import flows_ready
from flows.cli.options import EXIT_CODE_HELP, Home, given
from flows.errors import RunInterrupted
from flows.settings import Settings
from flows.summary import INTERRUPTED

if TYPE_CHECKING:
    from flows.training.dry_run import RetrainDryRun
    from flows.training.summary import RetrainSummary

_HOW, _WHETHER = "How to train", "Whether to train"
_STAGES = "detector|vaes|translation"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    example = "Example: oldphoto retrain --home archive/ --minutes 60. Ctrl-C ends it at a checkpoint. "
    app.command("retrain", epilog=example + EXIT_CODE_HELP)(retrain)


def retrain(
    home: Home = None,
    from_stage: Annotated[
        str | None,
        typer.Option("--from", help="Begin with this stage; those before it stay as they are.", metavar=_STAGES,
                     rich_help_panel=_HOW),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help=r"Budget over all stages. \[default: training_minutes]", rich_help_panel=_HOW),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Budget in steps, in place of minutes: repeatable.", rich_help_panel=_HOW)
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(help=r"Release to start from. \[default: the active one]", metavar="RELEASE",
                     rich_help_panel=_HOW),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Retraining whose stages before --from are taken, such as one of the VAEs alone.",
                     metavar="RETRAINING", rich_help_panel=_HOW),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_HOW)] = None,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="GPUs of this machine to train on.", rich_help_panel=_HOW)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train though fewer new labels wait than retrain_after.",
                           rich_help_panel=_WHETHER)
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Give up a retraining that was left unfinished, and begin anew.",
                           rich_help_panel=_WHETHER)
    ] = False,
    promote: Annotated[
        bool | None,
        typer.Option("--promote/--no-promote", help=r"Whether the rules promote it, or you. \[default: promotion]",
                     rich_help_panel=_WHETHER),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained on, and write nothing at all.",
                           rich_help_panel=_WHETHER)
    ] = False,
) -> None:
    """Train on the archive's own labels, and make the result the active release where it is better.

    Detector, VAEs and translation in order; then candidate and active release are judged on photos that neither was
    trained on. What an earlier retraining left unfinished is gone on with first.
    """
    overrides = given(training_device=device, training_gpus=gpus)
    from flows.training.opening import Wish
    from flows.training.plan import stages_from

    wish = Wish(
        stages=stages_from(from_stage), minutes=minutes, steps=steps, force=force, fresh=fresh, promote=promote,
        parent=parent, after=after,
    )  # fmt: skip
    settings = Settings.load(home, **overrides)
    if dry_run:
        from flows.training.dry_run import retrain_dry_run

        return _print_dry_run(retrain_dry_run(settings, wish))
    from flows.cli.training_display import TrainingBars

    with flows_ready(home, overrides, bars=TrainingBars()) as settings:
        from flows.training.retrain import retrain as retrain_flow

        try:
            summary = retrain_flow(
                home=str(settings.home), from_stage=from_stage, minutes=minutes, steps=steps, force=force, fresh=fresh,
                promote=promote, parent=parent, after=after, settings=overrides or None,
            )  # type: ignore[call-overload]  # fmt: skip
        except RunInterrupted as stopped:
            typer.echo(f"oldphoto: {stopped}", err=True)
            raise typer.Exit(INTERRUPTED) from None
    _print_summary(summary)


def _print_summary(summary: RetrainSummary) -> None:
    """What became of it; where nothing was trained, that was told already."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from flows.training.artifacts import headline

    console = Console(highlight=False)
    if summary.candidate is None:
        console.print(escape(summary.note or summary.outcome), soft_wrap=True)
        return
    table = Table(title=f"Retraining {summary.retrain_id}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in (
        ("candidate", summary.candidate), ("parent", summary.parent), ("verdict", summary.outcome),
        ("photos", f"{summary.photos:,}, {summary.labels:,} of them labelled"),
    ):  # fmt: skip
        table.add_row(name, escape(str(value)))
    console.print(table)
    console.print(escape(f"{headline(summary)}."), soft_wrap=True)
    for reason in summary.reasons:
        console.print(f"  {escape(reason)}", soft_wrap=True)
    for key, why in summary.left_out[:20]:
        console.print(f"  left out of training: {escape(key)}: {escape(why)}", soft_wrap=True)
    if summary.report_path is not None:
        console.print(f"Report: {escape(str(summary.report_path))}", soft_wrap=True)


def _print_dry_run(found: RetrainDryRun) -> None:
    """The table of what would be done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title="Dry run: nothing was written", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, value, note in found.rows():
        table.add_row(name, escape(value), escape(note))
    console.print(table)
    console.print(escape(found.words), soft_wrap=True)
