"""`oldphoto hold`, `withdraw`, `reopen`, `publish`: what may be done with a photo, and where it is shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.settings import Settings
from flows.summary import DONE, FAILED

if TYPE_CHECKING:
    from rich.console import Console

    from flows.publish import PublishSummary
    from flows.states import WithdrawalSummary

_SHOWN = 20

What = Annotated[
    str,
    typer.Argument(
        help="A photo: its path in its source, its file's name, or its SHA-256 or the start of it; "
        "or a collection: its folder or URL.",
        show_default=False,
    ),
]
By = Annotated[str, typer.Option(help="Who says so; kept in the catalogue.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; kept in the catalogue.", show_default=False)]
IsCollection = Annotated[bool, typer.Option("--collection", help="A collection is meant, not a photo of this name.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    said = "--by Ada --reason"
    app.command("hold", epilog=f"Example: oldphoto hold album/letter.jpg {said} 'rights unclear'. {EXIT_CODE_HELP}")(
        hold
    )
    app.command("withdraw", epilog=f"Example: oldphoto withdraw album/a.jpg {said} 'family asked'. {EXIT_CODE_HELP}")(
        withdraw
    )
    app.command("reopen", epilog=f"Example: oldphoto reopen album/a.jpg {said} 'rights cleared'. {EXIT_CODE_HELP}")(
        reopen
    )
    app.command("publish", epilog=f"Example: oldphoto publish s3://reading-room/restored. {EXIT_CODE_HELP}")(publish)


def hold(what: What, by: By, reason: Reason, collection: IsCollection = False, home: Home = None) -> None:
    """Keep a photo or a collection from being restored; what was restored before stays."""
    _change(what, "held", by=by, reason=reason, is_collection=collection, home=home)
    typer.echo("held: it stays registered and is not restored; `oldphoto reopen` takes this back")


def reopen(what: What, by: By, reason: Reason, collection: IsCollection = False, home: Home = None) -> None:
    """Take a hold or a withdrawal back; the next run restores what was deleted once more."""
    _change(what, "open", by=by, reason=reason, is_collection=collection, home=home)
    typer.echo("open: the next `oldphoto restore` restores it")


def withdraw(
    what: What,
    by: By,
    reason: Reason,
    collection: IsCollection = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Delete every restoration of a photo or a collection, wherever it stands; masters, rows and labels are kept."""
    from flows.states import change_state, find_meant, finish_withdrawals
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        meant = find_meant(catalogue, what, is_collection=collection)
        if meant.kind == "photo" and len(places := catalogue.photo_places(meant.id)) > 1:
            typer.echo(f"The same photo lies at {len(places)} places, and is withdrawn at all of them:")
            _echo_some(places)
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Delete all restorations and published copies of the {meant.kind} {meant.name}?", abort=True)
        change_state(catalogue, meant, "withdrawn", by=by, reason=reason)
        summary = finish_withdrawals(catalogue, settings)
    typer.echo(f"withdrawn: {meant.kind} {meant.name}")
    _print_withdrawal(summary)
    raise typer.Exit(FAILED if summary.problems or summary.left else DONE)


def _echo_some(places: Sequence[str]) -> None:
    for place in places[:_SHOWN]:
        typer.echo(f"  {place}")
    if len(places) > _SHOWN:
        typer.echo(f"  and {len(places) - _SHOWN} more")


def publish(
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A folder or s3://bucket/prefix of its own.")],
    source: Annotated[str | None, typer.Option(help="Only this source; by default all that were ingested.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    home: Home = None,
) -> None:
    """Copy the latest restorations under their sources' own paths; what was published before is brought up to date."""
    from flows.cli.archive import flows_ready

    with flows_ready(home, {}) as settings:
        from flows.publish import publish as publish_flow

        summary = publish_flow(destination, home=str(settings.home), source=source, dry_run=dry_run)
    _print_publication(summary)
    raise typer.Exit(summary.exit_code())


def _change(what: str, state: str, *, by: str, reason: str, is_collection: bool, home: Path | None) -> None:
    from flows.states import change_state, find_meant
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        meant = find_meant(catalogue, what, is_collection=is_collection)
        change_state(catalogue, meant, state, by=by, reason=reason)
    typer.echo(f"{meant.kind} {meant.name}")


def _print_withdrawal(summary: WithdrawalSummary) -> None:
    console = _print_counts(
        "Deleted",
        [
            ("photos", summary.photos, "masters, rows, events and label masks are kept"),
            ("derivatives", summary.objects, "objects in the store of restorations"),
            ("browse", summary.browse, "paths in the home's browse/"),
            ("published copies", summary.published, ""),
        ],
    )
    _list(console, "Not deleted yet", summary.problems, "the next withdraw, restore or run tries again")
    _list(console, "Left", summary.left, "somebody changed these published copies; delete them by hand")


def _print_publication(summary: PublishSummary) -> None:
    console = _print_counts(
        f"{'Would publish' if summary.dry_run else 'Published'} to {summary.destination}",
        [
            ("new", summary.published, ""),
            ("replaced", summary.replaced, "by a later restoration"),
            ("unchanged", summary.unchanged, ""),
            ("removed", summary.removed, "gone, held, withdrawn or rejected since"),
            ("left out", summary.needs_review, "need a review: `oldphoto review list`"),
            ("rejected", summary.rejected, "by a reviewer; left out"),
            ("not ours", len(summary.foreign), "left alone"),
            ("failed", len(summary.failed), ""),
        ],
    )
    _list(console, "Not ours", summary.foreign, "move these away and publish again")
    _list(console, "Failed", summary.failed, "they are tried again by the next publish")


def _print_counts(title: str, rows: Sequence[tuple[str, int, str]]) -> Console:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, count, note in rows:
        table.add_row(name, str(count), note)
    console = Console(highlight=False)
    console.print(table)
    return console


def _list(console: Console, title: str, items: Sequence[tuple[str, str]], advice: str) -> None:
    from rich.markup import escape

    if not items:
        return
    console.print(f"{title} ({advice}):")
    for name, reason in items[:_SHOWN]:
        console.print(f"  {escape(name)}: {escape(reason)}", soft_wrap=True)
    if len(items) > _SHOWN:
        console.print(f"  and {len(items) - _SHOWN} more")
