"""`oldphoto history`, `sql`, `report`: what was done, read from the catalogue alone."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.settings import Settings


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="csv has a header line; data alone goes to stdout.")]

_HISTORY = ("finished_at", "source_key", "outcome", "release", "mode", "mask_coverage", "mean_change", "error")
"""Columns of the table; csv and json have them all."""


_WIDE = 10_000
"""Where nobody's terminal is the limit, rows are whole."""


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("history", epilog="Example: oldphoto history --photo album/grandma.jpg. " + EXIT_CODE_HELP)(history)
    sql_example = 'Example: oldphoto sql "SELECT outcome, COUNT(*) FROM restoration_history GROUP BY outcome". '
    tables = "Views: restoration_history, photo_latest, restoration_stale, release_lineage. "
    app.command("sql", epilog=sql_example + tables + EXIT_CODE_HELP)(sql)
    app.command("report", epilog="Example: oldphoto report --home archive/. " + EXIT_CODE_HELP)(report)


def history(
    photo: Annotated[
        str | None, typer.Option(help="A file's path in its source, its name, or the start of its SHA-256.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    format: FormatOption = Format.table,
    home: Home = None,
) -> None:
    """Show restorations, latest first."""
    from dataclasses import asdict, fields

    from storage.catalog.catalogue import Catalogue
    from storage.records import RestorationRow

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        rows = [asdict(row) for row in catalogue.history(photo, limit=limit)]
    columns = _HISTORY if format is Format.table else tuple(field.name for field in fields(RestorationRow))
    print_rows(columns, [tuple(row[column] for column in columns) for row in rows], format)
    if not rows and format is Format.table:
        _note("nothing was restored yet" if photo is None else f"no restoration of {photo!r} is on record")


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    format: FormatOption = Format.table,
    timeout_s: Annotated[float | None, typer.Option(min=0.1, help=r"Time limit in seconds. \[default: 30]")] = None,
    home: Home = None,
) -> None:
    """Ask the catalogue, read-only."""
    from storage.queries import read_only_query

    settings = Settings.load(home)
    result = read_only_query(settings.catalogue_url, query, timeout_s=timeout_s or settings.query_timeout_s)
    print_rows(result.columns, result.rows, format)


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


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], format: Format) -> None:
    """Rows to stdout, and nothing else."""
    if format is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_plain(value) for value in row] for row in rows)
    elif format is Format.json:
        json.dump([dict(zip(columns, map(_plain, row), strict=True)) for row in rows], sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*map(escape, columns))
        for row in rows:
            table.add_row(*("" if value is None else escape(_short(value)) for value in row))
        Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(table)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(_plain(value))


def _note(text: str) -> None:
    typer.echo(text, err=True)
