"""`oldphoto uncertainty`: how far an archive's restored photo may be from the truth, as a picture beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.files import refuse_overwriting, require_png
from flows.cli.options import EXIT_CODE_HELP, Device, Home, given
from flows.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("uncertainty", epilog="Example: oldphoto uncertainty album/a.jpg error.png. " + EXIT_CODE_HELP)(
        uncertainty
    )


def uncertainty(
    photo: Annotated[
        str, typer.Argument(help="A restored photo: its path in its source, its name, or the start of its SHA-256.")
    ],
    out: Annotated[Path, typer.Argument(help="Where the map goes: a grey PNG of 16 bits, 256 to a level of 255.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    device: Device = None,
    home: Home = None,
) -> None:
    """Write the error to expect of each pixel of a photo's latest restoration; nothing is restored anew."""
    settings = Settings.load(home, **given(device=device))
    require_png(out)
    refuse_overwriting(out, reading=[], overwrite=overwrite)

    from flows.derivatives import chunks_of, new_file
    from flows.uncertainty import write_expected_error
    from storage.catalog.catalogue import Catalogue
    from storage.local_files import write_atomically

    with Catalogue.open(settings.catalogue_url, create=False) as catalogue, new_file() as made:
        found = write_expected_error(settings, catalogue, photo, made)
        refuse_overwriting(out, reading=[found.source_path], overwrite=overwrite)
        write_atomically(out, chunks_of(made), overwrite=overwrite)
    typer.echo(f"{out}: the error to expect of {found.source_key} as {found.release} restored it")
