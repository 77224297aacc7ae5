"""`oldphoto db`: the catalogue's database: bring it up to date, say what it is, examine it."""

from __future__ import annotations

import typer

from flows.cli.findings import show_findings
from flows.cli.options import EXIT_CODE_HELP, Home
from flows.settings import Settings

database_app = typer.Typer(
    name="db",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The catalogue's database: bring it up to date, say what it is, examine it.",
    epilog="OLDPHOTO_CATALOGUE_URL names it: sqlite:////folder/catalogue.db or postgresql://user@host/name. "
    "Without it, it is catalogue.db in the home.",
)


@database_app.command(
    epilog="On PostgreSQL this is done by the owner, while nothing else is at work in it; SQLite catalogues are "
    "brought up to date by whatever command opens them. The descriptions of tables and columns are written anew, and "
    "on PostgreSQL the roles oldphoto_reader and oldphoto_writer with their rights. Run twice, it changes nothing.\n\n"
    "Example: oldphoto db upgrade --home archive/. " + EXIT_CODE_HELP
)
def upgrade(home: Home = None) -> None:
    """Make the catalogue, or bring its tables and views up to date. Nothing that it holds is lost."""
    from storage.catalog.checks import catalogue_state, upgrade_catalogue

    settings = Settings.load(home)
    done = upgrade_catalogue(settings.catalogue_url)
    where = catalogue_state(settings.catalogue_url)
    if done.before is None:
        typer.echo(f"{where.url}: made, revision {done.after}")
    elif done.before == done.after:
        typer.echo(f"{where.url}: revision {done.after} already; nothing to do")
    else:
        typer.echo(f"{where.url}: from revision {done.before} to {done.after}")
    if done.refused:
        typer.echo("This user may not do all that the roles need. Let a superuser run, in this database:", err=True)
        for statement in done.refused:
            typer.echo(f"    {statement};", err=True)
        typer.echo("and then `oldphoto db upgrade` once more.", err=True)


@database_app.command(epilog="Example: oldphoto db current. " + EXIT_CODE_HELP)
def current(home: Home = None) -> None:
    """Say where the catalogue is, on what database, and of which revision its tables are."""
    from storage.catalog.checks import catalogue_state

    state = catalogue_state(Settings.load(home).catalogue_url)
    newest = "the newest" if state.revision == state.newest else f"this version's newest is {state.newest}"
    typer.echo(f"catalogue  {state.url}")
    typer.echo(f"database   {state.database}")
    typer.echo(f"revision   {state.revision or 'none: the database is empty'} ({newest})")


@database_app.command(
    epilog="Every table, view, index, constraint and trigger is compared with what the migrations make; events are "
    "counted; rows are held against rules that no constraint can say. A large SQLite file is read as a whole, which "
    "takes its time.\n\nExample: oldphoto db check && echo all is well. " + EXIT_CODE_HELP
)
def check(home: Home = None) -> None:
    """Examine the catalogue: schema, triggers, roles, events, rows. Nothing is changed; exits with 1 if it is bad."""
    from storage.catalog.checks import check_catalogue

    show_findings(check_catalogue(Settings.load(home).catalogue_url))
