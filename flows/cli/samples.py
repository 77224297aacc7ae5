"""`oldphoto sample`: photos to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import EXIT_CODE_HELP
from flows.errors import UsageError

MARK = "README.txt"
"""The sample archive's own file; a folder that has it may be written again."""


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    app.command("sample", epilog="Example: oldphoto sample sample && oldphoto run sample. " + EXIT_CODE_HELP)(sample)


def sample(
    folder: Annotated[Path, typer.Argument(help="Where to; made if need be.")],
    seed: Annotated[int, typer.Option(help="Another seed gives other damage.")] = 0,
) -> None:
    """Make the sample archive: openly licensed pictures with damage of our own making."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise UsageError(f"{folder} holds other files; name an empty folder")
        typer.echo(f"{folder}: the sample archive is there already")
        return
    from oldphoto_core.sample_archive import make_sample_archive

    made = make_sample_archive(folder, seed=seed)
    typer.echo(f"{folder}: {len(made)} files")
