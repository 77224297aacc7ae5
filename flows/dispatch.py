"""Batches on their way to Dask workers and back: how many at once, and what happens when a process dies.

A worker that dies has its batch done by another one. A batch on which workers die again and again is taken apart, and
its photos, now suspects, are tried one at a time with nothing else under way: so a death is blamed on the photo that
caused it and never on its neighbours. A scheduler that goes is waited for; what it had is sent again.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flows.errors import FlowsError, SchedulerLost
from flows.planning import Batch
from flows.progress import progress
from flows.restore_job import RestoreJob, failure
from flows.runners import WorkerPlan, on_its_workers
from flows.settings import Settings
from flows.worker import restore_batch
from oldphoto_core.errors import CoreError
from storage.errors import StorageError
from storage.records import RestorationRecord

if TYPE_CHECKING:
    from prefect.futures import PrefectFuture
    from prefect_dask import DaskTaskRunner

WORKER_DIED = "the worker process died on this photo, most likely for lack of memory; set a smaller --tile-px"
SCHEDULER_PATIENCE_S = 60.0
_LOSSES = 5
"""Times that a run sees its scheduler go before it gives up."""
_BATCHES_A_WORKER = 2
"""One at work and one waiting beside it: more would only be claimed early."""
_LOOK_S = 5.0


@dataclass
class Dispatch:
    """Sends batches and takes in what comes back.

    Attributes:
        suspects: batches of one photo each, of which one may have killed its workers.
    """

    runner: DaskTaskRunner
    settings: Settings
    plan: WorkerPlan
    job: RestoreJob
    suspects: deque[Batch] = field(default_factory=deque)
    _in_flight: dict[PrefectFuture[Any], Batch] = field(default_factory=dict)
    _back: queue.SimpleQueue[PrefectFuture[Any]] = field(default_factory=queue.SimpleQueue)
    _tried_alone: Batch | None = None
    _losses: int = 0
    _room: int = 1
    _looked_at: float = float("-inf")

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._in_flight

    def has_room(self) -> bool:
        """Whether the workers can soon take up another batch."""
        return len(self._in_flight) < self._most_at_once()

    def send(self, batch: Batch) -> None:
        """Submits a batch as one task.

        Raises:
            SchedulerLost: the scheduler is gone and does not come back.
        """
        parameters = {"job": replace(self.job, parameters=batch.parameters), "works": list(batch.works)}
        for _ in range(_LOSSES):
            try:
                with on_its_workers(self.settings, self.plan):
                    future = self.runner.submit(restore_batch, parameters)
                break
            except Exception as error:
                if not _is_about_the_line(error):
                    raise
                self._wait_for_scheduler()
        else:
            raise self._lost()
        self._in_flight[future] = batch
        future.add_done_callback(self._back.put)

    def try_suspect(self) -> None:
        """Sends one suspect; call it where nothing else is under way."""
        suspect = self.suspects.popleft()
        self.send(suspect)
        self._tried_alone = suspect

    def take(self) -> tuple[Batch, list[RestorationRecord]] | None:
        """The next batch that is done, with its records; None where what came back has to be done again.

        Raises:
            FlowsError, CoreError, StorageError: what stops the whole run.
        """
        future = self._next()
        batch = self._in_flight.pop(future, None)
        if batch is None:
            return None
        try:
            records: list[RestorationRecord] = future.result()
        except (FlowsError, CoreError, StorageError):
            raise
        except BaseException as error:  # Dask's own cancellation is no Exception
            if _is_killed_worker(error) and batch is self._tried_alone:
                return batch, [failure(self.job, work, WORKER_DIED) for work in batch.works]
            self._recover(error, batch)
            return None
        return batch, records

    def _recover(self, error: BaseException, batch: Batch) -> None:
        """Sees to it that a batch is done again; raises where the error is about something else."""
        if _is_killed_worker(error):
            self.suspects.extend(Batch(batch.parameters, (work,)) for work in batch.works)
            return
        if not _is_lost_future(error):
            raise error
        lost = [batch, *self._in_flight.values()]
        self._in_flight.clear()
        self._losses += 1
        if self._losses > _LOSSES:
            raise self._lost() from error
        progress().say(f"the Dask scheduler was lost with {len(lost)} batches; waiting for it to come back")
        self._wait_for_scheduler()
        for again in lost:
            self.send(again)

    def _next(self) -> PrefectFuture[Any]:
        """The next future that is done, however it ended."""
        told = False
        while True:
            try:
                return self._back.get(timeout=_LOOK_S)
            except queue.Empty:
                for future in self._in_flight:
                    if future.wrapped_future.done():  # one whose news were lost with the scheduler
                        return future
                if not told and not self._workers():
                    told = True
                    progress().say(f"no worker{self._kind()} is connected to {self._where()}; waiting for one")

    def _most_at_once(self) -> int:
        """Twice the workers that are there now; they may come and go."""
        if self.settings.scheduler and time.monotonic() - self._looked_at > _LOOK_S:
            self._room = max(1, _BATCHES_A_WORKER * self._workers())
            self._looked_at = time.monotonic()
        elif not self.settings.scheduler:
            self._room = _BATCHES_A_WORKER * self.plan.workers
        return self._room

    def _workers(self) -> int:
        """Workers that could take a batch."""
        try:
            found: Iterable[dict[str, Any]] = self.runner.client.scheduler_info(n_workers=-1)["workers"].values()
        except Exception as error:
            if not _is_about_the_line(error):
                raise
            return 0
        if self.settings.scheduler and self.settings.device.startswith("cuda"):
            return sum(1 for worker in found if worker.get("resources", {}).get("GPU"))
        return len(list(found))

    def _wait_for_scheduler(self) -> None:
        """Dask's client connects again by itself, to the same address."""
        deadline = time.monotonic() + SCHEDULER_PATIENCE_S
        while self.runner.client.status != "running":
            if time.monotonic() > deadline or self.runner.client.status == "closed":
                raise self._lost()
            time.sleep(0.2)

    def _kind(self) -> str:
        return " with a GPU" if self.settings.device.startswith("cuda") else ""

    def _where(self) -> str:
        return self.settings.scheduler or "this run's Dask cluster"

    def _lost(self) -> SchedulerLost:
        return SchedulerLost(
            f"the Dask scheduler of {self._where()} was lost and did not come back in {SCHEDULER_PATIENCE_S:.0f} s; "
            "start it and run the same command again: it goes on where it was"
        )


def _is_killed_worker(error: BaseException) -> bool:
    return type(error).__name__ == "KilledWorker"


def _is_lost_future(error: BaseException) -> bool:
    """Dask gives up its futures where the line to the scheduler is cut, and where their results are lost with it."""
    return type(error).__name__ in ("FutureCancelledError", "CancelledError", "FuturesCancelledError")


def _is_about_the_line(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__name__ == "ClosedClientError"
