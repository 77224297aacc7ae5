"""What `oldphoto serve` is to run, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.serve_plan import ServePlan, checked_time_zone, plan_serving, seconds_of

HOME = Path("/archive")


def test_every_source_has_a_nightly_run_and_all_share_audit_and_summary() -> None:
    plan = plan_serving(HOME, ["s3://scans/1912", "s3://other/1912", "/scans/Glass plates"], time_zone="Europe/Berlin")
    named = {planned.name: planned for planned in plan.planned}
    assert list(named)[:3] == ["nightly-1912", "nightly-1912-2", "nightly-glass-plates"]
    assert named["nightly-1912-2"].parameters == {"source": "s3://other/1912", "home": "/archive"}
    timing = named["nightly-1912"].timing
    assert timing is not None and (timing.cron, timing.time_zone) == ("0 2 * * *", "Europe/Berlin")
    audit = named["weekly-audit"].timing
    assert audit is not None and audit.words() == "every Sunday at 14:00, Europe/Berlin"
    assert named["morning-summary"].lane == "told"
    assert ServePlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(("span", "seconds"), [("90s", 90), ("30", 1800), ("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_a_span_of_time_is_understood(span: str, seconds: float) -> None:
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["soon", "-5m", "1.5h", "", "9s", "0"])
def test_a_span_that_cannot_be_meant_is_refused(span: str) -> None:
    with pytest.raises(UsageError, match="--every"):
        seconds_of(span)


@pytest.mark.parametrize("clock", ["25:00", "2", "02:60", "noon"])
def test_a_time_of_day_that_is_none_is_refused(clock: str) -> None:
    with pytest.raises(UsageError, match="--at .* expected HH:MM"):
        plan_serving(HOME, ["/scans"], at=clock)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="'Europe/Berln' is unknown"):
        checked_time_zone("Europe/Berln")


def test_a_source_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        plan_serving(HOME, ["/scans", "/scans/"])
