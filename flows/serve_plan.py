"""What `oldphoto serve` has run, and when: deployments and their schedules, as plain data.

The plan crosses to the process that runs it as JSON, so nothing here needs Prefect.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.errors import UsageError
from storage.urls import canonical_url, local_folder

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHORTEST_S = 10

Lane = Literal["work", "training", "told"]
LANES: tuple[Lane, ...] = get_args(Lane)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When something runs: at times of a calendar (cron), or again and again after so many seconds."""

    cron: str | None = None
    time_zone: str = "UTC"
    every_s: float | None = None

    def words(self) -> str:
        """As a person says it."""
        if self.every_s:
            return f"every {timedelta(seconds=self.every_s)}"
        minute, hour, *_, weekday = (self.cron or "").split()
        if hour == "*":
            return f"every hour at :{int(minute):02}"
        day = {"*": "every day", "0": "every Sunday", "6": "every Saturday"}[weekday]
        return f"{day} at {int(hour):02}:{int(minute):02}, {self.time_zone}"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A deployment.

    Attributes:
        flow: the flow's name on Prefect's page.
        entrypoint: module and function.
        timing: None: runs when somebody asks for it on the page.
        lane: which runs it waits for a place among: `work` for the nights' runs, `training` for what takes hours and
            must not hold up a night, `told` for what is done in seconds.
        active: whether its schedule is on; one that is not waits for a person to switch it on.
    """

    name: str
    flow: str
    entrypoint: str
    description: str
    parameters: dict[str, Any]
    timing: Timing | None = None
    lane: Lane = "work"
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class ServePlan:
    """Everything that one `oldphoto serve` has run."""

    home: Path
    at_once: int
    planned: tuple[Planned, ...] = field(default=())

    def to_json(self) -> str:
        """For another process."""
        return json.dumps({**asdict(self), "home": str(self.home)})

    @classmethod
    def from_json(cls, text: str) -> ServePlan:
        """The plan that `to_json` wrote."""
        values = json.loads(text)
        planned = [
            Planned(**{**entry, "timing": Timing(**entry["timing"]) if entry["timing"] else None})
            for entry in values["planned"]
        ]
        return cls(home=Path(values["home"]), at_once=values["at_once"], planned=tuple(planned))


def plan_serving(
    home: Path,
    sources: Sequence[str],
    *,
    at: str = "02:00",
    time_zone: str | None = None,
    every: str | None = None,
    summary_at: str = "07:30",
    at_once: int = 1,
) -> ServePlan:
    """The deployments of these sources, and when each runs.

    Args:
        home: of the installation.
        sources: folders or `s3://` URLs, each with a nightly run of its own.
        at: HH:MM of the nightly runs.
        time_zone: such as Europe/Berlin; None: this machine's, or UTC where it names none.
        every: instead of nightly, again after so long: 90s, 30m, 2h. For trying out.
        summary_at: HH:MM of the morning summary.
        at_once: runs at work at the same time.

    Raises:
        UsageError: something of it cannot be meant.
    """
    zone = checked_time_zone(time_zone)
    nightly = Timing(every_s=seconds_of(every), time_zone=zone) if every else _daily(at, zone, "--at")
    weekly = Timing(cron=_weekly(_daily(at, zone, "--at")), time_zone=zone)
    whole = {"home": str(home)}
    planned = [
        Planned(
            name=f"nightly-{slug}", flow="run", entrypoint="flows.run.run",
            description=f"Ingests {source}, restores what is new in it, and writes the report.",
            parameters={"source": source, **whole}, timing=nightly,
        )
        for slug, source in _named(sources).items()
    ]  # fmt: skip
    planned += [
        Planned(
            name="weekly-audit", flow="audit", entrypoint="flows.audit.audit",
            description="Reads masters and restorations again and compares them with the catalogue. Set `limit` or "
            "`share` where all of them in one go is too much.",
            parameters=whole, timing=weekly,
        ),
        Planned(
            name="restore-now", flow="restore", entrypoint="flows.restore.restore",
            description="Restores what is registered and not restored yet; press Run. No look at the sources.",
            parameters=whole,
        ),
        Planned(
            name="morning-summary", flow="morning-summary", entrypoint="flows.morning.morning_summary",
            description="One message about everything since the last one, what needs a person first.",
            parameters=whole, timing=_daily(summary_at, zone, "--summary-at"), lane="told",
        ),
        *training_deployments(whole, zone),
    ]  # fmt: skip
    return ServePlan(home=home, at_once=at_once, planned=tuple(planned))


def training_deployments(whole: dict[str, Any], zone: str) -> list[Planned]:
    """Retraining as a whole, the hourly check that begins it, and each stage by itself.

    Args:
        whole: parameters that name the home.
        zone: time zone of the stages' schedules, which are off.
    """
    stages = {
        "detector": "Trains the scratch detector on labelled photos; its candidate waits for a person.",
        "vaes": "Trains both VAEs on the photos of the archive, for a translation that is trained on them.",
        "translation": "Trains the translation between the VAEs; its candidate waits for a person.",
    }
    return [
        Planned(
            name="retrain", flow="retrain", entrypoint="flows.training.retrain.retrain",
            description="Retrains detector, VAEs and translation where enough new labels wait, and promotes what is "
            "better. New labels begin it by themselves; press Run to look at once.",
            parameters=whole, lane="training",
        ),
        Planned(
            name="retrain-check", flow="retrain-check", entrypoint="flows.training.trigger.retrain_check",
            description="Has the retraining run where enough new labels wait, should the event have got lost.",
            parameters=whole, timing=Timing(cron="17 * * * *", time_zone=zone), lane="told",
        ),
        *(
            Planned(
                name=f"train-{stage}", flow=f"train-{stage}",
                entrypoint=f"flows.training.train_{stage}.train_{stage}", description=description,
                parameters=whole, timing=Timing(cron="0 12 * * 6", time_zone=zone), lane="training", active=False,
            )
            for stage, description in stages.items()
        ),
    ]  # fmt: skip


def checked_time_zone(name: str | None) -> str:
    """The time zone of this name; None: this machine's.

    Raises:
        UsageError: there is no such zone.
    """
    wanted = name or _machine_time_zone()
    try:
        ZoneInfo(wanted)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"--time-zone {wanted!r} is unknown; expected a name such as Europe/Berlin or UTC") from error
    return wanted


def seconds_of(span: str) -> float:
    """Seconds of `90s`, `30m`, `2h` or `1d`; a bare number is minutes.

    Raises:
        UsageError: it is none of these, or too short.
    """
    found = re.fullmatch(r"(\d+)([smhd]?)", span.strip())
    if not found:
        raise UsageError(f"--every {span!r} is no span of time; expected such as 90s, 30m or 2h")
    seconds = int(found[1]) * _UNITS_S[found[2] or "m"]
    if seconds < _SHORTEST_S:
        raise UsageError(f"--every {span!r} is too short; expected {_SHORTEST_S}s or more")
    return float(seconds)


def _daily(clock: str, zone: str, option: str) -> Timing:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", clock.strip())
    if not found:
        raise UsageError(f"{option} {clock!r} is no time of day; expected HH:MM from 00:00 to 23:59")
    return Timing(cron=f"{int(found[2])} {int(found[1])} * * *", time_zone=zone)


def _weekly(nightly: Timing) -> str:
    """Sundays, half a day from the nightly runs."""
    minute, hour = (nightly.cron or "").split()[:2]
    return f"{minute} {(int(hour) + 12) % 24} * * 0"


def _machine_time_zone() -> str:
    named = os.environ.get("TZ", "").lstrip(":")
    if named:
        return named
    _, _, zone = os.path.realpath("/etc/localtime").partition("zoneinfo/")
    return zone or "UTC"


def _named(sources: Sequence[str]) -> dict[str, str]:
    """The sources by a short name each, as their deployments are called; the same name twice gets a number."""
    named: dict[str, str] = {}
    for source in sources:
        url = str(local_folder(canonical_url(source)) or canonical_url(source))
        if url in named.values():
            raise UsageError(f"{source} is given twice; name each source once")
        last = url.rstrip("/").rsplit("/", 1)[-1]
        slug = re.sub(r"[^\w.]+", "-", last).strip("-").lower() or "source"
        numbered = [slug, *(f"{slug}-{number}" for number in range(2, len(sources) + 2))]
        named[next(name for name in numbered if name not in named)] = url
    return named
