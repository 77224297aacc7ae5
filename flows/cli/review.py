"""`oldphoto review`: what waits for a person, and what the person says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.cli.row_output import Format, FormatOption, OutputOption, OverwriteOption, check_output, give_rows
from flows.errors import UsageError
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.records import Verdict

review_app = typer.Typer(
    name="review",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Restorations that changed more than the limits allow: list them, accept or reject them.",
    epilog="They are kept and on record; `oldphoto publish` leaves them out until somebody accepts them. "
    "The limits are settings (\\[fidelity]).",
)

_TABLE = ("source_key", "reasons", "verdict", "reviewer", "release", "photo_sha256")
_TABLE_ROWS = 200

Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO...",
        help="Photos: each its path in its source, its file's name, or its SHA-256 or the start of it.",
        show_default=False,
    ),
]
By = Annotated[str, typer.Option(help="Who looked; kept in the catalogue.", show_default=False)]
Note = Annotated[str | None, typer.Option(help="A remark; kept in the catalogue.", show_default=False)]


@review_app.command(
    "list", epilog="Example: oldphoto review list --format csv --output waiting.csv. " + EXIT_CODE_HELP
)
def list_(
    source: Annotated[str | None, typer.Option(help="Only photos of this source, a folder or URL.")] = None,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="What was accepted or rejected instead.")] = False,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Show photos whose latest restoration waits for a person, and why."""
    from flows.collections import find_collection
    from flows.reviews import waiting
    from storage.catalog.catalogue import Catalogue
    from storage.catalog.review_queries import Reviewable
    from storage.query_rows import BATCH_ROWS, QueryRows

    check_output(format, output, overwrite=overwrite)
    columns = _TABLE if format is Format.table else tuple(field.name for field in fields(Reviewable))
    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        known = find_collection(catalogue, source) if source is not None else None
        if source is not None and known is None:
            raise UsageError(f"{source} is not in this catalogue; run `oldphoto ingest {source}` first")
        found = waiting(catalogue, known.id if known is not None else None, reviewed=reviewed)
        rows = (tuple(asdict(item)[name] for name in columns) for item in found)
        batches: Iterator[list[tuple[Any, ...]]] = iter(lambda: list(islice(rows, BATCH_ROWS)), [])
        count = give_rows(QueryRows(columns, batches), format, output, overwrite=overwrite, table_rows=_TABLE_ROWS)
    if not count and format is Format.table:
        typer.echo("Nothing was reviewed yet." if reviewed else "Nothing waits for a review.", err=True)


@review_app.command(
    epilog="Example: oldphoto review accept album/grandma.jpg --by Ada --note 'compared with the print'. "
    + EXIT_CODE_HELP
)
def accept(photos: Photos, by: By, note: Note = None, home: Home = None) -> None:
    """Accept the latest restoration of photos: the next `oldphoto publish` takes them."""
    _say(photos, "accepted", by=by, note=note, home=home)


@review_app.command(epilog="Example: oldphoto review reject album/a.jpg --by Ada --note 'face'. " + EXIT_CODE_HELP)
def reject(photos: Photos, by: By, note: Note = None, home: Home = None) -> None:
    """Reject the latest restoration of photos: it is kept and never published; the next publish takes a copy back."""
    _say(photos, "rejected", by=by, note=note, home=home)


@review_app.command(epilog="Example: oldphoto review judge --home archive/. " + EXIT_CODE_HELP)
def judge(home: Home = None) -> None:
    """Judge all restorations again after the limits in the settings were changed, from the figures on record."""
    from flows.reviews import judge_all
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        found = judge_all(catalogue, settings.fidelity)
    typer.echo(
        f"{found.restorations:,} restorations judged: {found.need_review:,} are past a limit, {found.asked:,} of them "
        f"were not before; {found.cleared:,} are not any more"
    )


def _say(photos: list[str], verdict: Verdict, *, by: str, note: str | None, home: Path | None) -> None:
    from flows.reviews import give_verdict
    from storage.catalog.catalogue import Catalogue

    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        for what in photos:
            item = give_verdict(catalogue, what, verdict, by=by, note=note)
            typer.echo(f"{verdict}: {item.source_key or item.photo_sha256}, restored by release {item.release}")
