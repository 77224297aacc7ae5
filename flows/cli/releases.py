"""`oldphoto releases`: what releases there are, how they compare, which one is in use, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.cli.row_output import Format, FormatOption, OutputOption, OverwriteOption, check_output, give_rows
from flows.settings import Settings
from flows.wording import counted

if TYPE_CHECKING:
    from flows.releases import Changed, Compared, ReleaseLine
    from storage.records import ReleaseLineage, ReleaseRecord

releases_app = typer.Typer(
    name="releases",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Releases of the networks: list and compare them, put another one to use, go back.",
    epilog="A release is one bundle of networks under a name that never stands for anything else. None is ever "
    "deleted, nor is what it restored.",
)

_COLUMNS = (
    "name", "status", "parent", "registered_at", "labels", "photos", "figures", "rejected_reason",
)  # fmt: skip
_SHORT = 60

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A release's name, the start of it or of its weights' hash, or: active.",
        show_default=False,
    ),
]
By = Annotated[str | None, typer.Option(help=r"Who says so; kept in the catalogue. \[default: your user name]")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the catalogue.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="All of it as one JSON document.")]


@releases_app.command("list", epilog="Example: oldphoto releases list --format json. " + EXIT_CODE_HELP)
def list_(
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Show all releases, newest first: what they are trained on, how good, and why one was rejected."""
    from flows.releases import release_lines
    from storage.catalog.catalogue import Catalogue
    from storage.query_rows import QueryRows

    check_output(format, output, overwrite=overwrite)
    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        lines = release_lines(catalogue)
    short = format is Format.table
    rows = [_row(line, short=short) for line in lines]
    give_rows(QueryRows(_COLUMNS, iter([rows])), format, output, overwrite=overwrite, table_rows=len(rows))
    if not rows and short:
        typer.echo("No release is registered yet; the first run registers the packaged one.", err=True)


@releases_app.command(epilog="Example: oldphoto releases show active. " + EXIT_CODE_HELP)
def show(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Show one release: its figures, how it was judged, and what it learned from, down to the labels' authors."""
    from flows.releases import figures_of, find_release_record, lineage_of
    from storage.catalog.catalogue import Catalogue

    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        release = find_release_record(catalogue, name)
        lineage = lineage_of(catalogue, release)
    if as_json:
        typer.echo(json.dumps({**asdict(release), "lineage": asdict(lineage)}, indent=2, ensure_ascii=False))
        return
    _print_pairs(release.name, _facts(release))
    _print_table("Judged", ("rule", "found", "needed", ""), _rules(release))
    _print_table("Figures", ("figure", "value"), figures_of(release.metrics))
    _print_table("Training runs", ("run", "stage", "status", "seed", "device", "oldphoto", "began"), _runs(lineage))
    _print_table("Labels", ("author", "labels"), lineage.labels_by_author.items())
    if not lineage.runs:
        typer.echo("No training run of it is on record in this catalogue.", err=True)


@releases_app.command(epilog="Example: oldphoto releases compare active archive-0a1b2c3d. " + EXIT_CODE_HELP)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A release, as for show.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show two releases side by side; the better figure of each line is marked, where more or less of it is better."""
    from flows.releases import compare_releases, find_release_record
    from storage.catalog.catalogue import Catalogue

    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        one, other = find_release_record(catalogue, a), find_release_record(catalogue, b)
        facts, figures = compare_releases(catalogue, one, other)
    if as_json:
        names = {"A": one.name, "B": other.name}
        document = {**names, "facts": list(map(asdict, facts)), "figures": list(map(asdict, figures))}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    _print_table("", ("", one.name, other.name), ((row.name, row.a, row.b) for row in facts))
    _print_table("Figures (* is better)", ("figure", one.name, other.name), map(_marked, figures))


@releases_app.command(
    epilog="The release's files are read and compared with its card first. A release that was rejected is promoted "
    "with --force alone. Of two promotions at once one wins, and the other ends with 1 and says which.\n\n"
    "Example: oldphoto releases promote archive-0a1b2c3d --by Ada --reason 'better on glass plates'. " + EXIT_CODE_HELP
)
def promote(
    name: Name,
    by: By = None,
    reason: Reason = None,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Promote it though it was rejected, and why.", show_default=False),
    ] = None,
    home: Home = None,
) -> None:
    """Put a release to use: what is restored from now on is restored by it."""
    from flows.releases import find_release_record
    from flows.releases import promote as promote_release
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        release = find_release_record(catalogue, name)
        changed = promote_release(catalogue, settings, release, by=by or _user(), reason=reason, force=force)
    typer.echo(f"{changed.now} is active; it replaces {changed.before or 'none'}")
    _tell_stale(changed)


@releases_app.command(
    epilog="Nothing is deleted, of either release: what the earlier one restored is shown and published again at "
    "once.\n\nExample: oldphoto releases rollback --by Ada --reason 'faces suffer'. " + EXIT_CODE_HELP
)
def rollback(
    to: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=r"The release to go back to. \[default: the one before the active one]"),
    ] = None,
    by: By = None,
    reason: Reason = None,
    home: Home = None,
) -> None:
    """Go back to the release that was in use before."""
    from flows.releases import find_release_record, roll_back
    from storage.catalog.catalogue import Catalogue

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        target = find_release_record(catalogue, to) if to is not None else None
        changed = roll_back(catalogue, settings, to=target, by=by or _user(), reason=reason)
    typer.echo(f"{changed.now} is active again; {changed.before} is retired and kept")
    _tell_stale(changed)


def _tell_stale(changed: Changed) -> None:
    if changed.stale:
        verb = "is" if changed.stale == 1 else "are"
        typer.echo(f"{counted(changed.stale, 'photo')} {verb} stale; `oldphoto restore --stale` restores them again")
    else:
        typer.echo("no photo is stale")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


def _row(line: ReleaseLine, *, short: bool) -> tuple[Any, ...]:
    from flows.releases import main_figures

    release = line.release
    figures = main_figures(line) if short else json.dumps(line.figures, ensure_ascii=False)
    reason = release.rejected_reason
    if short and reason is not None and len(reason) > _SHORT:
        reason = f"{reason[: _SHORT - 1]}…"
    return (
        release.name, release.status, release.parent, release.registered_at, line.labels, line.photos, figures, reason,
    )  # fmt: skip


def _facts(release: ReleaseRecord) -> list[tuple[str, Any]]:
    card = release.card
    facts = [
        ("status", release.status), ("rejected", release.rejected_reason), ("title", card.get("title")),
        ("preset", release.preset), ("weights", release.weights_hash), ("parent", release.parent),
        ("registered", release.registered_at), ("active since", release.activated_at), ("retired", release.retired_at),
        ("kept in", release.url), ("operating point", card.get("operating")), ("data", card.get("data")),
        ("known limits", card.get("known limits")),
    ]  # fmt: skip
    return [(name, value) for name, value in facts if value]


def _rules(release: ReleaseRecord) -> list[tuple[Any, ...]]:
    rules = release.verdict.get("rules", [])
    return [
        (one.get("rule"), one.get("found"), one.get("needed"), "passed" if one.get("passed") else "broken")
        for one in rules
    ]


def _runs(lineage: ReleaseLineage) -> list[tuple[Any, ...]]:
    return [
        (run.run_id, run.stage, run.status, run.seed, run.device, run.code_version, run.started_at)
        for run in lineage.runs
    ]


def _marked(row: Compared) -> tuple[Any, ...]:
    values = {side: _value(value) for side, value in (("A", row.a), ("B", row.b))}
    if row.better is not None:
        values[row.better] += " *"
    return row.name, values["A"], values["B"]


def _print_pairs(title: str, pairs: Iterable[tuple[str, Any]]) -> None:
    _print_table(title, None, pairs)


def _print_table(title: str, columns: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout; nothing where there are no rows."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = [[escape(_value(value)) for value in row] for row in rows]
    if not shown:
        return
    table = Table(title=escape(title) or None, title_justify="left", show_header=columns is not None)
    for name in columns or ("", ""):
        table.add_column(escape(name), overflow="fold", style="bold" if columns is None and not table.columns else None)
    for row in shown:
        table.add_row(*row)
    Console(highlight=False).print(table)


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(map(_value, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    return str(value)
