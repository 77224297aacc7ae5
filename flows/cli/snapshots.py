"""`oldphoto snapshots`: the lists of photos that training runs saw, and writing one anew from the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP, Home
from flows.cli.row_output import (
    Format,
    FormatOption,
    OutputOption,
    OverwriteOption,
    check_output,
    give_rows,
    part_of,
)
from flows.errors import UsageError
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.catalog.catalogue import Catalogue

snapshots_app = typer.Typer(
    name="snapshots",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="What training runs saw: lists of photos and labels, kept as Parquet files that never change.",
)

_TABLE = ("sha256", "created_at", "photo_count", "label_count", "written_with")
_COLUMNS = (*_TABLE, "rows_sha256", "key")


@snapshots_app.command("list", epilog="Example: oldphoto snapshots list. " + EXIT_CODE_HELP)
def list_(
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Show all snapshots, oldest first."""
    from storage.catalog.catalogue import Catalogue
    from storage.query_rows import QueryRows

    check_output(format, output, overwrite=overwrite)
    columns = _TABLE if format is Format.table else _COLUMNS
    with Catalogue.open(Settings.load(home).catalogue_url, create=False) as catalogue:
        rows = [tuple(getattr(one, name) for name in columns) for one in catalogue.snapshots()]
    give_rows(QueryRows(columns, iter([rows])), format, output, overwrite=overwrite, table_rows=len(rows))
    if not rows and format is Format.table:
        typer.echo("Nothing was trained on photos of this catalogue yet.", err=True)


@snapshots_app.command(
    epilog="The catalogue holds all that a snapshot is made of. Where another version of PyArrow wrote the file, the "
    "bytes would differ: that is told, and nothing is written.\n\n"
    "Example: oldphoto snapshots rebuild 0a1b2c3d. " + EXIT_CODE_HELP
)
def rebuild(
    sha256: Annotated[
        str, typer.Argument(metavar="SHA256", help="The snapshot's SHA-256, or the start of it.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(help=r"File to write. \[default: its place in the manifests store]", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    home: Home = None,
) -> None:
    """Write a snapshot's file anew from the catalogue, byte for byte."""
    from storage.catalog.catalogue import Catalogue
    from storage.objects import ObjectStore
    from storage.snapshots import rebuild_snapshot, snapshot_key

    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        whole = _find(catalogue, sha256)
        data = rebuild_snapshot(catalogue, whole)
    if output is not None:
        with part_of(output, overwrite=overwrite) as part:
            part.write_bytes(data)
        typer.echo(output)
        return
    url = settings.manifests_url
    store = ObjectStore(url, settings.store_options(url, "manifests"))
    store.write_bytes_atomic(snapshot_key(whole), data)
    typer.echo(store.object_url(snapshot_key(whole)))


def _find(catalogue: Catalogue, start: str) -> str:
    known = [one.sha256 for one in catalogue.snapshots()]
    found = [sha256 for sha256 in known if sha256.startswith(start.lower())]
    if len(found) != 1:
        raise UsageError(
            f"{start} is the start of {len(found)} snapshots in this catalogue, expected one; see `oldphoto snapshots "
            "list`"
        )
    return found[0]
