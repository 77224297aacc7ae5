"""Ctrl-C in the middle of a statement leaves the catalogue free for what has to be written on the way out."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from flows.run_records import recorded_run
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue

LONG_INSERT = """
INSERT INTO agent (name, type, first_seen_at)
WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 300000)
SELECT 'agent ' || n, 'software', 'now' FROM counter RETURNING id
"""


def test_an_interrupted_run_is_recorded_as_failed_at_once(home: Path) -> None:
    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            recorded_run(Settings.load(home), kind="run", title="scans") as run,
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            run.catalogue.write(lambda connection: connection.exec_driver_sql(LONG_INSERT))
            pytest.fail("the statement was done before it could be interrupted")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 30  # a lock that nobody lets go is waited for twice as long
    with Catalogue.open(home / "catalogue.db") as catalogue:
        found = catalogue.get_run(run.run_id)
        assert found is not None
        assert found.status == "failed"
