"""`oldphoto export history`: the catalogue's history as Parquet, for DuckDB, pandas and whatever else reads it."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.errors import UsageError
from flows.settings import Settings

export_app = typer.Typer(no_args_is_help=True, help="Write what the catalogue knows for other programs.")


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.add_typer(export_app, name="export")


@export_app.command("history", epilog="Example: oldphoto export history archive-history/. " + EXIT_CODE_HELP)
def history(
    dest: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix, empty or with an earlier export.")],
    home: Home = None,
) -> None:
    """Write the whole history as partitioned Parquet, all of one moment."""
    from rich.console import Console
    from rich.table import Table

    from flows.run_records import agent, code_version
    from storage.catalog.catalogue import Catalogue
    from storage.history_export import export_history
    from storage.objects import ObjectStore
    from storage.urls import canonical_url

    settings = Settings.load(home)
    url = canonical_url(dest)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        for known in catalogue.collections():
            if f"{url}/".startswith(f"{known.policy.url}/"):
                raise UsageError(f"{url} lies in the source {known.policy.url}, where nothing is written; name another")
        store = ObjectStore(url, settings.store_options(url, "manifests"))
        done = export_history(catalogue, store, code_version=code_version(), agent=agent())
    table = Table("relation", "rows", "files")
    for relation, rows in done.rows.items():
        files = sum(file.key.startswith(f"{relation}/") for file in done.files)
        table.add_row(relation, str(rows), str(files))
    Console(highlight=False).print(table)
    typer.echo(f"Exported as of {done.snapshot_at} to {done.url}")
