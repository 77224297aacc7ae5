"""`oldphoto history`, `sql`, `report`: what was done, read from the catalogue alone."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.cli.row_output import Format, FormatOption, OutputOption, OverwriteOption, check_output, give_rows
from flows.errors import UsageError
from flows.settings import Settings
from storage.query_rows import QueryRows

if TYPE_CHECKING:
    from storage.catalog.history_queries import HistoryFilter

_HISTORY = ("finished_at", "source_key", "outcome", "release", "mode", "mask_coverage", "mean_change", "error")
"""Columns of the table; the other formats have them all."""

TABLE_ROWS, HISTORY_ROWS = 200, 50
"""What a table shows where nobody says a limit."""


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("history", epilog="Example: oldphoto history --photo album/grandma.jpg. " + EXIT_CODE_HELP)(history)
    sql_example = 'Example: oldphoto sql "SELECT outcome, COUNT(*) FROM restoration_history GROUP BY outcome". '
    tables = "What there is to ask for: SELECT relation, description FROM catalogue_doc WHERE column_name = ''. "
    app.command("sql", epilog=sql_example + tables + EXIT_CODE_HELP)(sql)
    app.command("report", epilog="Example: oldphoto report --home archive/. " + EXIT_CODE_HELP)(report)


def history(
    photo: Annotated[
        str | None, typer.Option(help="A file's path in its source, its name, or the start of its SHA-256.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="First day, such as 2026-11-23 (UTC).")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Last day.")] = None,
    outcome: Annotated[str | None, typer.Option(metavar="restored|unchanged|failed", help="Only these.")] = None,
    release: Annotated[str | None, typer.Option(help="Only what this release made.")] = None,
    source: Annotated[str | None, typer.Option(help="Only photos of this source, a folder or URL.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=rf"Rows at most. \[default: {HISTORY_ROWS} in a table, else all]")
    ] = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Show restorations, latest first."""
    from storage.catalog.catalogue import Catalogue
    from storage.catalog.history_queries import HistoryFilter
    from storage.urls import canonical_url

    if outcome not in (None, "restored", "unchanged", "failed"):
        raise UsageError(f"--outcome {outcome} is none; expected restored, unchanged or failed")
    wanted = HistoryFilter(
        photo=photo, since=_day("--since", since), until=_day("--until", until), outcome=outcome, release=release,
        source_url=canonical_url(source) if source else None,
    )  # fmt: skip
    check_output(format, output, overwrite=overwrite)
    settings = Settings.load(home)
    shown = limit or HISTORY_ROWS
    asked = shown + 1 if format is Format.table else limit
    with (
        Catalogue.open(settings.catalogue_url, create=False) as catalogue,
        catalogue.open_history(wanted, limit=asked) as rows,
    ):
        if format is Format.table:
            rows = QueryRows(_HISTORY, _only(rows, _HISTORY))
        found = give_rows(rows, format, output, overwrite=overwrite, table_rows=shown)
    if not found and format is Format.table:
        _note("nothing was restored yet" if wanted == HistoryFilter() else _nothing_found(wanted))


def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT; - reads it from stdin.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option(help="File that holds the SELECT.", show_default=False)] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=rf"Rows that a table shows. \[default: {TABLE_ROWS}]")
    ] = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    timeout_s: Annotated[float | None, typer.Option(min=0.1, help=r"Time limit in seconds. \[default: 30]")] = None,
    home: Home = None,
) -> None:
    """Ask the catalogue, read-only."""
    from storage.queries import open_query

    if limit is not None and format is not Format.table:
        raise UsageError("--limit is for tables; write LIMIT into the query")
    statement = _statement(query, file)
    check_output(format, output, overwrite=overwrite)
    settings = Settings.load(home)
    with open_query(settings.catalogue_url, statement, timeout_s=timeout_s or settings.query_timeout_s) as rows:
        give_rows(rows, format, output, overwrite=overwrite, table_rows=limit or TABLE_ROWS)


def report(
    run: Annotated[str | None, typer.Option(help="A run's id; by default the latest run's.")] = None,
    home: Home = None,
) -> None:
    """Write a run's page again, and say where it is."""
    from flows.cli.display import TerminalProgress
    from flows.progress import telling
    from flows.reporting import write_report

    settings = Settings.load(home)
    with TerminalProgress() as bars, telling(bars):
        path = write_report(settings, run)
    typer.echo(path)


def _statement(query: str | None, file: Path | None) -> str:
    if (query is None) == (file is None):
        raise UsageError('give one query: as an argument ("SELECT ..."), from stdin (-) or from a file (--file)')
    if file is None:
        return sys.stdin.read() if query == "-" else query or ""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--file {file} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"--file {file} cannot be read: {error.strerror}") from error


def _day(option: str, text: str | None) -> str | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"{option} {text} is no day; expected one such as 2026-11-23") from None


def _only(rows: QueryRows, columns: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows with these columns alone."""
    places = [rows.columns.index(column) for column in columns]
    for batch in rows.batches:
        yield [tuple(row[place] for place in places) for row in batch]


def _nothing_found(wanted: HistoryFilter) -> str:
    if wanted.photo is not None:
        return f"no restoration of {wanted.photo!r} is on record"
    return "no restoration on record is so"


def _note(text: str) -> None:
    typer.echo(text, err=True)
