"""`oldphoto labels`: scratches that people marked, brought in, counted, reviewed; and which photos to mark next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.cli.row_output import Format, FormatOption, OutputOption, OverwriteOption, check_output, give_rows
from flows.settings import Settings
from flows.summary import DONE, FAILED
from flows.wording import counted

if TYPE_CHECKING:
    from flows.labels.importing import LabelImport
    from flows.labels.status import LabelStatus

labels_app = typer.Typer(
    name="labels",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Scratches that people marked: bring them in, and the next restore mends them; training learns from them.",
    epilog="Which tool, and what to export from it: docs/labels.md.",
)

_LABEL_TABLE = (
    "label_id", "source_key", "state", "author", "tool", "coverage", "disagreement", "split", "is_new",
    "labelled_at",
)  # fmt: skip
_SUGGESTION_TABLE = ("source_key", "score", "why")
_TABLE_ROWS = 200
_SIDES = {
    "test": "which judges releases, and never trains", "excluded": "looks like photos of two sides: on neither",
    "undecided": "decided with the next import or retraining",
}  # fmt: skip


class ExportFormat(StrEnum):
    """What labels were exported as."""

    png = "png"
    label_studio = "label-studio"
    coco = "coco"
    cvat = "cvat"


By = Annotated[str, typer.Option(help="Who looked; kept in the catalogue.", show_default=False)]
Note = Annotated[str | None, typer.Option(help="A remark; kept in the catalogue.", show_default=False)]


@labels_app.command(
    "import",
    epilog="Example: oldphoto labels import export.json --format label-studio --home archive/. " + EXIT_CODE_HELP,
)
def import_(
    source: Annotated[str, typer.Argument(help="The export: its file, its folder, or s3://. It is only ever read.")],
    format: Annotated[ExportFormat, typer.Option("--format", help="What it was exported as.", show_default=False)],
    author: Annotated[
        str | None, typer.Option(help="Who painted what does not say so itself.", show_default=False)
    ] = None,
    tool: Annotated[str | None, typer.Option(help="With what, such as 'napari 0.6'.", show_default=False)] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only shapes of this label; may be repeated.", metavar="NAME")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Use them for nothing until `oldphoto labels review`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check them all, and write nothing.")] = False,
    home: Home = None,
) -> None:
    """Bring in what people marked as damaged; the next `oldphoto restore` mends it. Twice adds nothing."""
    from flows.cli.display import TerminalProgress
    from flows.labels.importing import LabelWishes, import_labels
    from flows.progress import telling
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    wishes = LabelWishes(
        format=format.value, author=_tidy(author), tool=_tidy(tool), wanted=tuple(label or ()), reviewed=not unreviewed
    )  # fmt: skip
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue, TerminalProgress() as bars, telling(bars):
        summary = import_labels(catalogue, settings, source, wishes, dry_run=dry_run)
    _print_import(summary, settings, dry_run=dry_run, reviewed=wishes.reviewed)
    raise typer.Exit(FAILED if summary.problems else DONE)


@labels_app.command(epilog="Example: oldphoto labels status --all --format csv --output labels.csv. " + EXIT_CODE_HELP)
def status(
    each: Annotated[bool, typer.Option("--all", help="A row a label, instead of the counts.")] = False,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Show what is labelled, by whom, and how much of it the release in use was not trained with."""
    from flows.labels.status import label_rows, label_status
    from storage.catalog.catalogue import Catalogue
    from storage.records import LabelRow

    check_output(format, output, overwrite=overwrite)
    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        if not each and format is Format.table and output is None:
            return _print_status(label_status(catalogue), settings.retrain_after)
        columns = _LABEL_TABLE if format is Format.table else tuple(field.name for field in fields(LabelRow))
        rows = (tuple(asdict(row)[name] for name in columns) for row in label_rows(catalogue))
        _give(columns, rows, format, output, overwrite=overwrite)


@labels_app.command(epilog="Example: oldphoto labels suggest 20 --home archive/. " + EXIT_CODE_HELP)
def suggest(
    count: Annotated[int, typer.Argument(metavar="N", min=1, max=10_000, help="How many photos.", show_default=False)],
    look_at: Annotated[int, typer.Option(min=1, help="Masks to look at, at most.")] = 2000,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False,
            help="A new folder for these photos, with what was detected to begin from, for Label Studio and others.",
        ),
    ] = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """List the photos most worth labelling: where the detector is unsure, no two alike, none labelled yet."""
    from flows.cli.display import TerminalProgress
    from flows.labels.suggesting import Suggestion
    from flows.labels.suggesting import suggest as find
    from flows.progress import telling
    from oldphoto_core.errors import one_line
    from storage.catalog.catalogue import Catalogue

    check_output(format, output, overwrite=overwrite)
    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue, TerminalProgress() as bars, telling(bars):
        found, problems = find(catalogue, settings, count, look_at=look_at)
        if export is not None:
            from flows.labels.exporting import export_photos

            problems += export_photos(settings, found, export)
    columns = _SUGGESTION_TABLE if format is Format.table else tuple(field.name for field in fields(Suggestion))
    _give(columns, (tuple(asdict(one)[name] for name in columns) for one in found), format, output, overwrite=overwrite)
    if not found:
        typer.echo(
            "No photo to suggest: of those that are restored all are labelled, held or withdrawn. Where none is "
            "restored yet, run `oldphoto restore` first.",
            err=True,
        )
    elif export is not None:
        typer.echo(
            f"Photos to mark are in {export}, with what was detected; bring the marks back by `oldphoto labels import`",
            err=True,
        )
    for where, why in problems:
        typer.echo(one_line(f"{where}: {why}", 600), err=True)
    raise typer.Exit(FAILED if problems else DONE)


@labels_app.command(epilog="Example: oldphoto labels review album/a.jpg --by Ada --reject. " + EXIT_CODE_HELP)
def review(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...", show_default=False,
            help="Photos: each its path in its source, its file's name, or its SHA-256 or the start of it.",
        ),
    ],
    by: By,
    reject: Annotated[bool, typer.Option("--reject", help="Use the label for nothing, from now on.")] = False,
    label_id: Annotated[
        int | None, typer.Option("--id", help="This label; by default the latest that waits.", show_default=False)
    ] = None,
    note: Note = None,
    home: Home = None,
) -> None:
    """Accept photos' labels, so that they are used, or reject them; a label that waits comes before one in use."""
    from flows.errors import UsageError
    from flows.labels.reviewing import review_label
    from storage.catalog.catalogue import Catalogue

    if label_id is not None and len(photos) > 1:
        raise UsageError("--id is of one label; name its photo alone")
    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        for photo in photos:
            row = review_label(catalogue, settings, photo, accepted=not reject, by=by, note=note, label_id=label_id)
            verdict = "rejected" if reject else "accepted"
            typer.echo(f"{verdict}: label {row.label_id} of {row.source_key or row.photo_sha256} by {row.author}")
    typer.echo("The next `oldphoto restore` makes what this changes; what was made so before is shown again at once.")


def _tidy(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def _give(
    columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]], format: Format, output: Path | None, *, overwrite: bool
) -> None:
    from storage.query_rows import BATCH_ROWS, QueryRows

    batches: Iterator[list[tuple[Any, ...]]] = iter(lambda: list(islice(rows, BATCH_ROWS)), [])
    give_rows(QueryRows(columns, batches), format, output, overwrite=overwrite, table_rows=_TABLE_ROWS)


def _print_import(summary: LabelImport, settings: Settings, *, dry_run: bool, reviewed: bool) -> None:
    from oldphoto_core.errors import one_line

    use = "the next `oldphoto restore` mends them" if reviewed else "used for nothing until `oldphoto labels review`"
    rows = [
        ("new", summary.new, use if summary.new else ""),
        ("of several", summary.several, "annotators, merged by majority"),
        ("joined", summary.joined, "with what others marked of the photo before"),
        ("older", summary.older, "than the same person's on record: kept, and not used"),
        ("known", summary.known, "were there already"),
        ("wait", summary.unreviewed, "known, but waiting or rejected: `oldphoto labels review` takes them"),
        ("left out", summary.left_out, "files that are no labels" + _such_as(summary.others)),
        ("not taken", len(summary.problems), ""),
    ]
    title = "Would import" if dry_run else "Imported labels"
    console = _print_counts(title, [row for row in rows if row[1]] or rows[:1])
    for where, why in summary.problems:
        console.print(one_line(f"{where}: {why}", 600), soft_wrap=True, markup=False)
    if summary.waiting is not None:
        told = "; Prefect's server was told" if summary.announced else ""
        console.print(
            f"{counted(summary.waiting, 'label')} new to the release in use; "
            f"{summary.untried} of {settings.retrain_after} that begin a retraining{told}",
            soft_wrap=True,
        )


def _such_as(names: Sequence[str]) -> str:
    from oldphoto_core.errors import one_line

    return f": {', '.join(one_line(name, 60) for name in names)}…" if names else ""


def _print_status(found: LabelStatus, retrain_after: int) -> None:
    rows: list[tuple[str, Any, str]] = [
        ("in use", found.states["in use"], f"marking {found.coverage:.2%} of their photos on average"),
        *((state, found.states[state], "") for state in ("waits for review", "replaced", "rejected")),
    ]
    if found.several:
        rows.append(("by several", found.several, f"who differ on {found.disagreement:.2%} of the pixels"))
    rows += [(f"by {author}", count, "") for author, count in found.authors.most_common(20)]
    rows += [(f"with {tool}", count, "") for tool, count in found.tools.most_common()]
    rows += [(f"for {split}", count, _SIDES.get(split, "")) for split, count in sorted(found.splits.items())]
    since = f"since {found.release} was trained" if found.release else "no release is active"
    rows.append(("new", found.waiting, since))
    rows.append(("untried", found.untried, f"of {retrain_after} that begin a retraining"))
    _print_counts("Labels", rows)


def _print_counts(title: str, rows: list[tuple[str, Any, str]]) -> Any:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, count, note in rows:
        table.add_row(escape(name), str(count), escape(note))
    console = Console(highlight=False)
    console.print(table)
    return console
