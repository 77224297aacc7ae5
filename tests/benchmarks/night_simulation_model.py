"""A night on many GPU workers as a discrete-event simulation: where a restoration run waits, and for what.

The flow is one process that does one thing at a time: it claims a batch, submits it, takes results back and records
them. Scheduler and Prefect server are one queue that each task passes. A worker reads, computes and writes; with
overlap, these three go on at once for photos that follow each other, so that a batch takes as long as its slowest
step, and the other two once at its ends. The store's bandwidth is shared by all workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy


@dataclass(frozen=True, kw_only=True)
class Night:
    """What a night is made of; seconds as measured or assumed by whoever makes one.

    Attributes:
        flows: flow runs that share the photos, each a process with its own claims and records.
        submit_s, result_s, claim_s: of the flow, a task.
        record_task_s, record_photo_s: of the flow, rows and links: a task, and a photo on top.
        task_s: what a task passes in Prefect's server and Dask's scheduler, all tasks one after the other.
        worker_task_s: what a task costs its worker before and after the photos.
        read_mb, written_mb: a photo's bytes from and to the store.
        store_mb_s: the store's bandwidth, shared; a worker alone has at most `worker_mb_s`.
        catalogue_s: of the catalogue, a photo, all flow runs one after the other; part of what recording takes.
        gpu_s: of the model, a photo. host_s: a core's work a photo, decoding and encoding, where overlap hides it.
        in_flight: tasks submitted and not recorded, a worker.
        once_s: start-up, planning and the end.
    """

    photos: int
    workers: int
    batch: int
    flows: int = 1
    submit_s: float
    result_s: float
    claim_s: float
    record_task_s: float
    record_photo_s: float
    task_s: float
    worker_task_s: float
    read_mb: float = 0.0
    written_mb: float = 0.0
    store_mb_s: float = 1e9
    worker_mb_s: float = 1e9
    catalogue_s: float = 0.0
    gpu_s: float
    host_s: float = 0.0
    overlap: bool = True
    in_flight: int = 2
    once_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a night went; `busy` is each resource's share of the time."""

    seconds: float
    busy: dict[str, float]

    @property
    def bound_by(self) -> str:
        """The busiest resource."""
        return max(self.busy, key=lambda name: self.busy[name])


class _Shared:
    """A resource that serves one after the other, and how long it did."""

    def __init__(self, environment: simpy.Environment, capacity: int = 1) -> None:
        self.environment, self.resource, self.busy_s = environment, simpy.Resource(environment, capacity), 0.0

    def use(self, seconds: float) -> Iterator[Any]:
        with self.resource.request() as turn:
            yield turn
            yield self.environment.timeout(seconds)
            self.busy_s += seconds


def simulate(night: Night) -> Outcome:
    """Plays the night through."""
    environment = simpy.Environment()
    prefect, store, catalogue = (_Shared(environment) for _ in range(3))
    flow_busy = gpu_busy = 0.0

    def work(task: int, ready: simpy.Store, done: simpy.Store, photos: int) -> Iterator[Any]:
        nonlocal gpu_busy
        yield from prefect.use(night.task_s)
        worker = yield ready.get()
        yield environment.timeout(night.worker_task_s)
        moved = night.read_mb + night.written_mb
        moving = environment.process(_move(environment, store, night, moved * photos))
        alone_s = moved / night.worker_mb_s
        computing_s = photos * night.gpu_s + (0 if night.overlap else photos * night.host_s)
        if night.overlap:  # the ends: the first photo is read, and the last one written, while nothing is computed
            computing_s = max(computing_s, photos * night.host_s) + alone_s + night.host_s
            yield environment.timeout(computing_s) & moving
        else:
            yield moving
            yield environment.timeout(computing_s)
        gpu_busy += photos * night.gpu_s
        yield ready.put(worker)
        yield done.put(photos)

    def flow(photos: int, workers: int) -> Iterator[Any]:
        nonlocal flow_busy
        ready, done = simpy.Store(environment), simpy.Store(environment)
        ready.items.extend(range(workers))
        waiting, in_flight, task = photos, 0, 0
        while waiting or in_flight:
            # A result that is there is recorded before more is sent: what flows do where the limit is reached.
            if waiting and in_flight < night.in_flight * workers:
                batch = min(night.batch, waiting)
                waiting, in_flight, task = waiting - batch, in_flight + 1, task + 1
                yield environment.timeout(night.claim_s + night.submit_s)
                flow_busy += night.claim_s + night.submit_s
                environment.process(work(task, ready, done, batch))
                continue
            batch = yield done.get()
            in_flight -= 1
            own_s = night.result_s + night.record_task_s + batch * (night.record_photo_s - night.catalogue_s)
            yield environment.timeout(own_s)
            yield from catalogue.use(batch * night.catalogue_s)
            flow_busy += own_s + batch * night.catalogue_s

    shares = [night.photos // night.flows + (n < night.photos % night.flows) for n in range(night.flows)]
    for number, share in enumerate(shares):
        workers = night.workers // night.flows + (number < night.workers % night.flows)
        environment.process(flow(share, workers))
    environment.run()
    seconds = environment.now
    busy = {
        "workers' GPUs": gpu_busy / night.workers, "flow process": flow_busy / night.flows,
        "Prefect and scheduler": prefect.busy_s, "store": store.busy_s, "catalogue": catalogue.busy_s,
    }  # fmt: skip
    return Outcome(seconds + night.once_s, {name: spent / seconds for name, spent in busy.items()})


def _move(environment: simpy.Environment, store: _Shared, night: Night, megabytes: float) -> Iterator[Any]:
    """Bytes in pieces through the store, so that workers share it fairly; no quicker than a worker's own line."""
    if not megabytes:
        return
    began = environment.now
    pieces = min(8, max(1, round(megabytes / 64)))
    for _ in range(pieces):
        yield from store.use(megabytes / pieces / night.store_mb_s)
    left_s = megabytes / night.worker_mb_s - (environment.now - began)
    if left_s > 0:
        yield environment.timeout(left_s)


def bounds(night: Night) -> dict[str, float]:
    """Photos a second at most, by resource: the formula that the simulation plays through."""
    per_task = night.claim_s + night.submit_s + night.result_s + night.record_task_s
    infinite = float("inf")
    moved = night.read_mb + night.written_mb
    return {
        "workers' GPUs": night.workers / (night.gpu_s + night.worker_task_s / night.batch),
        "flow process": night.flows / (per_task / night.batch + night.record_photo_s),
        "Prefect and scheduler": night.batch / night.task_s if night.task_s else infinite,
        "store": night.store_mb_s / moved if moved else infinite,
        "catalogue": 1 / night.catalogue_s if night.catalogue_s else infinite,
    }
