"""The Dask cluster that a run starts for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask

from flows.runners import plan_workers, start_workers, task_runner
from flows.settings import Settings


def test_no_worker_of_ours_has_the_profiler_that_can_lock_it_up(home: Path) -> None:
    """`sys._current_frames` deadlocks with the garbage collector in Python 3.11."""

    def callbacks(dask_worker: Any) -> list[str]:
        return sorted(dask_worker.periodic_callbacks)

    settings = Settings.load(str(home), workers=1, device="cpu")
    with (
        dask.config.set({"distributed.worker.profile.enabled": True}),  # what Dask does where nobody says
        task_runner(settings, plan_workers(settings)) as runner,
    ):
        start_workers(runner, settings)
        [found] = runner.client.run(callbacks).values()
    assert "heartbeat" in found and "profile" not in found
