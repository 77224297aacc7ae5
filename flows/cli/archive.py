"""`oldphoto ingest`, `restore`, `run`: whole archives, through Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import (
    EXIT_CODE_HELP,
    AcceptEmpty,
    AcceptQuarantine,
    BatchSize,
    Device,
    DryRun,
    Home,
    Ignore,
    Include,
    Limit,
    Mending,
    Mode,
    OutputFormat,
    Recheck,
    Recursive,
    Release,
    Retry,
    Scheduler,
    Stale,
    Strength,
    TilePx,
    Tone,
    Workers,
    given,
)
from flows.errors import PrefectUnavailable, UsageError
from flows.settings import Settings
from flows.summary import RunSummary
from storage.urls import local_folder

if TYPE_CHECKING:
    from flows.cli.display import TerminalProgress

Source = Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix. It is only ever read.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    example = "Example: oldphoto run scans/ --home archive/ --tone keep. "
    app.command("run", epilog=example + EXIT_CODE_HELP)(run)
    app.command("ingest", epilog="Example: oldphoto ingest scans/ --home archive/. " + EXIT_CODE_HELP)(ingest)
    app.command("restore", epilog="Example: oldphoto restore --home archive/. " + EXIT_CODE_HELP)(restore)


def run(
    source: Source,
    home: Home = None,
    mode: Mode = None,
    tone: Tone = None,
    mending: Mending = None,
    strength: Strength = None,
    output_format: OutputFormat = None,
    release: Release = None,
    device: Device = None,
    tile_px: TilePx = None,
    workers: Workers = None,
    batch_size: BatchSize = None,
    scheduler: Scheduler = None,
    recursive: Recursive = None,
    recheck: Recheck = False,
    include: Include = None,
    ignore: Ignore = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    accept_empty: AcceptEmpty = False,
    accept_quarantine: AcceptQuarantine = False,
) -> None:
    """Ingest a source, restore what is new in it, and write a report to look at.

    How to restore is remembered for a source: what is not given is as it was given for it before.
    """
    overrides = given(
        mode=mode,
        tone=tone,
        mending=mending,
        strength=strength,
        output_format=output_format,
        release=release,
        device=device,
        tile_px=tile_px,
        workers=workers,
        batch_size=batch_size,
        scheduler=scheduler,
        include_patterns=include,
        ignore_patterns=ignore,
    )
    look = {"recursive": recursive, "recheck": recheck, "limit": limit}
    if dry_run:
        return _tell_dry_run(home, overrides, source, restoring=True, **look)
    with flows_ready(home, overrides, source=source, restoring=True) as settings:
        from flows.run import run as run_flow

        summary = run_flow(
            source, home=str(settings.home), accept_empty=accept_empty, settings=overrides or None, **look
        )
    _end(summary, accept_quarantine)


def ingest(
    source: Source,
    home: Home = None,
    mode: Mode = None,
    tone: Tone = None,
    mending: Mending = None,
    strength: Strength = None,
    output_format: OutputFormat = None,
    recursive: Recursive = None,
    recheck: Recheck = False,
    include: Include = None,
    ignore: Ignore = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    accept_empty: AcceptEmpty = False,
    accept_quarantine: AcceptQuarantine = False,
) -> None:
    """Register and check every file of a source, without restoring; how to restore is remembered for it."""
    overrides = given(
        mode=mode,
        tone=tone,
        mending=mending,
        strength=strength,
        output_format=output_format,
        include_patterns=include,
        ignore_patterns=ignore,
    )
    look = {"recursive": recursive, "recheck": recheck, "limit": limit}
    if dry_run:
        return _tell_dry_run(home, overrides, source, restoring=False, **look)
    with flows_ready(home, overrides, source=source) as settings:
        from flows.ingest import ingest as ingest_flow

        summary = ingest_flow(
            source, home=str(settings.home), accept_empty=accept_empty, settings=overrides or None, **look
        )
    _end(summary, accept_quarantine)


def restore(
    source: Annotated[str | None, typer.Option(help="Only this source; by default all that were ingested.")] = None,
    home: Home = None,
    mode: Mode = None,
    tone: Tone = None,
    mending: Mending = None,
    strength: Strength = None,
    output_format: OutputFormat = None,
    release: Release = None,
    device: Device = None,
    tile_px: TilePx = None,
    workers: Workers = None,
    batch_size: BatchSize = None,
    scheduler: Scheduler = None,
    limit: Limit = None,
    retry: Retry = False,
    stale: Stale = False,
    accept_quarantine: AcceptQuarantine = False,
) -> None:
    """Restore every ingested photo that is not restored yet by the release in use; what was made before is kept.

    How to restore is as it was given when a source was ingested, where it is not given here.
    """
    overrides = given(
        mode=mode,
        tone=tone,
        mending=mending,
        strength=strength,
        output_format=output_format,
        release=release,
        device=device,
        tile_px=tile_px,
        workers=workers,
        batch_size=batch_size,
        scheduler=scheduler,
    )
    with flows_ready(home, overrides, restoring=True) as settings:
        from flows.restore import restore as restore_flow

        summary = restore_flow(
            home=str(settings.home), source=source, limit=limit, retry=retry, stale=stale, settings=overrides or None
        )
    _end(summary, accept_quarantine)


@contextmanager
def flows_ready(
    home: Path | None,
    overrides: dict[str, Any],
    *,
    source: str | None = None,
    restoring: bool = False,
    bars: TerminalProgress | None = None,
) -> Iterator[Settings]:
    """Settings, with a Prefect server to run flows on and progress on the terminal, on these bars or the usual ones.

    What can be seen to be wrong beforehand is refused before the seconds that a server takes to start.
    """
    settings = Settings.load(home, **overrides)
    if source is not None:
        _require_source(source)
    if restoring:
        from flows.planning import check_settings

        check_settings(settings)
    from flows.cli.display import TerminalProgress
    from flows.embedded_prefect import embedded_prefect
    from flows.progress import telling

    with bars or TerminalProgress() as shown, telling(shown):
        shown.begin("Starting Prefect")
        folder = settings.layout.prefect
        with embedded_prefect(folder, api_url=settings.prefect_api_url, quiet=not settings.debug) as url:
            import httpx  # what Prefect calls its server with, loaded by now

            try:
                yield settings
            except httpx.TransportError as error:
                raise PrefectUnavailable(
                    f"the Prefect server at {url} does not answer any more ({error}); "
                    "run the same command again and it goes on where it was"
                ) from error


def _tell_dry_run(
    home: Path | None, overrides: dict[str, Any], source: str, *, restoring: bool, **look: Any
) -> None:
    """Compares and tells, without Prefect, whose server would write into the home."""
    settings = Settings.load(home, **overrides)
    _require_source(source)
    from flows.cli.display import TerminalProgress, print_dry_run
    from flows.dry_run import dry_run
    from flows.progress import telling

    with TerminalProgress() as bars, telling(bars):
        found = dry_run(settings, source, restoring=restoring, **look)
    print_dry_run(found)


def _require_source(source: str) -> None:
    folder = local_folder(source)
    if folder is not None and not folder.is_dir():
        what = "is a file; for one photo there is `oldphoto restore-file`" if folder.exists() else "is not there"
        raise UsageError(f"{source} {what}; name a folder, or s3://bucket/prefix")


def _end(summary: RunSummary, accept_quarantine: bool) -> None:
    from flows.cli.display import print_summary

    print_summary(summary)
    raise typer.Exit(summary.exit_code(accept_quarantine=accept_quarantine))
