"""A whole run: ingest a source, restore what is new in it, leave a page to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prefect import flow

from flows.ingest import ingest
from flows.planning import check_settings
from flows.reporting import write_report
from flows.restore import restore
from flows.run_records import recorded_run, title_of
from flows.settings import Settings
from flows.summary import RunSummary


@flow(name="run")
def run(
    source: str,
    home: str | None = None,
    recursive: bool | None = None,
    recheck: bool = False,
    limit: int | None = None,
    accept_empty: bool = False,
    settings: dict[str, Any] | None = None,
) -> RunSummary:
    """Ingests a source, restores its photos, and writes the run's report.

    Args:
        source: a folder or `s3://bucket/prefix`.
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        recursive: whether folders below are taken too; None: as before, at first True.
        recheck: reads objects again that have not changed by size, time and ETag.
        limit: objects read, and photos restored, at most; None: all.
        accept_empty: takes a source that shows nothing at its word, though photos are registered there.
        settings: further settings, as in `oldphoto.toml`.
    """
    chosen = Settings.load(home, **(settings or {}))
    check_settings(chosen)
    with recorded_run(chosen, kind="run", title=title_of(source), source=source) as this:
        shared: dict[str, Any] = {"home": str(chosen.home), "settings": settings, "run_id": this.run_id}
        look = {"recursive": recursive, "recheck": recheck, "limit": limit, "accept_empty": accept_empty}
        this.summary = ingest(source, **look, **shared)
        this.summary = replace(this.summary, restore=restore(source=source, limit=limit, **shared).restore)
    return replace(this.summary, report_path=write_report(chosen, this.run_id))
