"""A whole run: ingest a source, restore what is new in it, leave a page to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.ingest import ingest
from flows.planning import check_settings
from flows.reporting import write_report
from flows.restore import restore
from flows.run_records import recorded_run, title_of
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.summary import RunSummary


@flow(name="run")
def run(
    source: str,
    home: str | None = None,
    recursive: bool | None = None,
    recheck: bool = False,
    limit: Annotated[int, Field(ge=1)] | None = None,
    accept_empty: bool = False,
    settings: SettingsForm | None = None,
) -> RunSummary:
    """Ingests a source, restores its photos, and writes the run's report.

    Args:
        source: a folder or `s3://bucket/prefix`.
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        recursive: whether folders below are taken too; None: as before, at first True.
        recheck: reads objects again that have not changed by size, time and ETag.
        limit: objects read, and photos restored, at most; None: all.
        accept_empty: takes a source that shows nothing at its word, though photos are registered there.
        settings: what differs from the installation's settings in this run.
    """
    chosen = Settings.load(home, **given_settings(settings))
    check_settings(chosen)
    with recorded_run(chosen, kind="run", title=title_of(source), source=source) as this:
        shared: dict[str, Any] = {"home": str(chosen.home), "settings": given_settings(settings), "run_id": this.run_id}
        look = {"recursive": recursive, "recheck": recheck, "limit": limit, "accept_empty": accept_empty}
        this.summary = ingest(source, **look, **shared)
        this.summary = replace(this.summary, restore=restore(source=source, limit=limit, **shared).restore)
    return replace(this.summary, report_path=write_report(chosen, this.run_id))
