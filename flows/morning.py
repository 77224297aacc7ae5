"""The morning summary: one message about everything that ran since the last one, what needs a person first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from flows.morning_message import MorningMessage, compose, told_run
from flows.notify import NotDelivered, deliver
from flows.run_records import recorded_run
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from storage.catalog.catalogue import Catalogue
from storage.records import utc_text

KIND = "summary"
"""Kind of this flow's own runs in the catalogue: the next summary begins where the last one that was delivered did."""
FIRST_HOURS = 24


@flow(name="morning-summary")
def morning_summary(
    home: str | None = None,
    hours: Annotated[int, Field(ge=1, le=24 * 366)] | None = None,
    settings: SettingsForm | None = None,
) -> MorningMessage:
    """Tells what ran since the last summary: one message, as an artifact and wherever settings say.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        hours: how far to look back; None: to the last summary that was delivered, at first 24 hours.
        settings: what differs from the installation's settings; `notify_block` and `notify_webhook` say who is told.
    """
    chosen = Settings.load(home, **given_settings(settings))
    log = get_run_logger()
    with recorded_run(chosen, kind=KIND, title="morning summary") as run:
        message = look_back(chosen, run.catalogue, hours=hours)
        run.summary = message
        create_markdown_artifact(
            key="morning-summary", markdown=f"# {message.subject}\n\n{message.body}", description=message.subject
        )
        try:
            ways = deliver(chosen, message.subject, message.body, message.facts())
        except NotDelivered as error:
            raise NotDelivered(f"the morning summary was not delivered: {error}") from error
        if ways:
            log.info("%s; told to %s", message.subject, " and ".join(ways))
        else:
            log.warning("%s; told to nobody: neither notify_block nor notify_webhook is set", message.subject)
        return message


def look_back(settings: Settings, catalogue: Catalogue, *, hours: int | None = None) -> MorningMessage:
    """The message about what ran in so many hours, or since the last summary."""
    last = catalogue.last_finished(KIND)
    since = utc_text(datetime.now(UTC) - timedelta(hours=hours or FIRST_HOURS))
    if hours is None and last is not None and last.started_at is not None:
        since = last.started_at
    runs_folder = settings.layout.work / "runs"
    found = [told_run(record, runs_folder) for record in catalogue.runs_since(since, without=KIND)]
    told = [run for run in found if run.goes_on or (run.record.finished_at or run.record.started_at or "") >= since]
    told_to = bool(settings.notify_block or settings.notify_webhook)
    return compose(told, since=since, reports=settings.layout.reports, told_to_somebody=told_to)
