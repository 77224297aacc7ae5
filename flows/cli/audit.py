"""`oldphoto audit`: are masters, restorations and labels still what the catalogue says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.summary import DONE

if TYPE_CHECKING:
    from flows.audit_summary import AuditSummary

_SHOWN = 20

_TITLES = {
    "changed": "Changed",
    "gone": "Gone",
    "unreadable": "Not read (nothing is known of these; audit again when they can be read)",
}


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("audit", epilog=f"Example: oldphoto audit --limit 5000 --home archive/. {EXIT_CODE_HELP}")(audit)


def audit(
    source: Annotated[str | None, typer.Option(help="Only photos of this source; by default of all.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many photos; the next audit goes on with those behind them."),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="At most this part of the photos, such as 0.02.", show_default=False)
    ] = 1.0,
    accept_empty: Annotated[
        bool,
        typer.Option("--accept-empty", help="A store that shows nothing is empty indeed, and not just unmounted."),
    ] = False,
    home: Home = None,
) -> None:
    """Read masters, restorations and labels again and compare them with the catalogue, byte for byte by SHA-256.

    Masters and labels are only read. A restoration with a damaged file is made again by the next `oldphoto restore`.
    """
    from flows.cli.archive import flows_ready

    with flows_ready(home, {}) as settings:
        from flows.audit import audit as audit_flow

        summary = audit_flow(
            home=str(settings.home), source=source, limit=limit, share=share, accept_empty=accept_empty
        )
    print_audit(summary)
    raise typer.Exit(summary.exit_code())


def print_audit(summary: AuditSummary) -> None:
    """The table that an audit ends with, and every finding that a person should know of."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from flows.audit_summary import KINDS

    table = Table(title=f"Audit {summary.run_id}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    finished = "the rest of an audit that was stopped" if summary.went_on else ""
    table.add_row("photos", f"{summary.photos:,}", finished)
    table.add_row("masters sound", f"{summary.masters:,}", "")
    table.add_row("derivatives sound", f"{summary.derivatives:,}", "")
    table.add_row("labels sound", f"{summary.labels:,}", "files of masks that people painted")
    for verdict in ("changed", "gone", "unreadable"):
        by_kind = [(kind, summary.found[kind, verdict]) for kind in KINDS]
        note = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in by_kind if count)
        table.add_row(verdict, f"{summary.of(verdict):,}", note)
    if summary.to_be_made_again:
        table.add_row("to be made again", f"{summary.to_be_made_again:,}", "restorations, by `oldphoto restore`")
    if summary.absent:
        table.add_row("stores not there", f"{len(summary.absent):,}", "nothing of them was audited")
    if summary.left:
        table.add_row("not audited yet", f"{summary.left:,}", "photos, left for the next audit")
    console = Console(highlight=False)
    console.print(table)
    for _, reason in summary.absent:
        console.print(f"Not there: {escape(reason)}", soft_wrap=True)
    for verdict, title in _TITLES.items():
        messages = [message for found, message in summary.findings if found == verdict]
        if messages:
            console.print(f"{title}:")
        for message in messages[:_SHOWN]:
            shown = message if message.isprintable() else message.encode("unicode_escape").decode()
            console.print(f"  {escape(shown)}", soft_wrap=True)
        if summary.of(verdict) > _SHOWN and messages:
            asked = f"SELECT note FROM event WHERE run_id = '{summary.run_id}'"
            console.print(f'  and {summary.of(verdict) - _SHOWN:,} more: oldphoto sql "{asked}"', soft_wrap=True)
    if summary.exit_code() == DONE and summary.photos:
        console.print("Everything that was read is as it is on record.")
