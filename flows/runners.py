"""Where restoration runs: a Dask cluster on this machine, or the scheduler that settings name.

On a CPU, tiles are computed by all cores of a worker's share; on GPUs each worker has one. Importing this module loads
neither Dask nor torch.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.errors import SchedulerLost
from flows.settings import Settings
from oldphoto_core.machine import LARGE_PAGES, threads_for, usable_cores

if TYPE_CHECKING:
    from prefect_dask import DaskTaskRunner

CORES_A_WORKER = 4
"""More threads than this help one photo little; a second worker helps more."""

CPU_MEGAPIXELS, GPU_MEGAPIXELS = 8.0, 128.0
SCHEDULER_ANSWER_S = 20
REMOTE_WORKERS = 16
"""How many workers a scheduler elsewhere is taken to have when photos are put into batches, where nothing is said."""


@dataclass(frozen=True)
class WorkerPlan:
    """How work is spread.

    Attributes:
        workers: worker processes.
        threads: torch's threads in each.
        on_gpu: whether each worker has a GPU.
    """

    workers: int
    threads: int
    on_gpu: bool

    @property
    def batch_megapixels(self) -> float:
        """What a worker restores in about half a minute."""
        return GPU_MEGAPIXELS if self.on_gpu else CPU_MEGAPIXELS


def reader_threads() -> int:
    """Threads that read and check masters: decoding is done by libraries that let go of Python's lock."""
    return min(8, max(2, usable_cores()))


def plan_workers(settings: Settings) -> WorkerPlan:
    """The worker processes that fit this machine and the settings."""
    cores = usable_cores()
    if settings.scheduler:
        on_gpu = settings.device.startswith("cuda")
        return WorkerPlan(workers=settings.workers or REMOTE_WORKERS, threads=cores, on_gpu=on_gpu)
    gpus = _visible_gpus() if settings.device == "auto" or settings.device == "cuda" else 0
    if gpus or settings.device.startswith("cuda"):
        workers = settings.workers or max(1, gpus)
        return WorkerPlan(workers=workers, threads=threads_for(workers, cores=cores), on_gpu=True)
    workers = settings.workers or max(1, cores // CORES_A_WORKER)
    return WorkerPlan(workers=workers, threads=threads_for(workers, cores=cores), on_gpu=False)


def task_runner(settings: Settings, plan: WorkerPlan) -> DaskTaskRunner:
    """A Prefect task runner on Dask; its cluster starts with the first task."""
    _quiet_dask()
    from prefect_dask import DaskTaskRunner

    if settings.scheduler:
        return DaskTaskRunner(address=settings.scheduler, client_kwargs={"timeout": SCHEDULER_ANSWER_S})
    from distributed.system import MEMORY_LIMIT

    threads = str(plan.threads)
    scratch_path = settings.layout.work / "dask"
    scratch_path.mkdir(parents=True, exist_ok=True)
    cluster_kwargs: dict[str, Any] = {
        "n_workers": plan.workers,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "memory_limit": int(0.9 * MEMORY_LIMIT / plan.workers),
        "local_directory": str(scratch_path),
        "silence_logs": logging.CRITICAL,
        "env": {
            **LARGE_PAGES,
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
            "DASK_LOGGING__DISTRIBUTED": "critical",
        },
    }
    if plan.on_gpu:
        cluster_kwargs["resources"] = {"GPU": 1}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=cluster_kwargs)


def start_workers(runner: DaskTaskRunner, settings: Settings) -> None:
    """Starts the runner's cluster, whose processes will not hear Ctrl-C: it is for this process, which ends them.

    Threads and processes inherit the signals that are held back here, and the cluster's thread starts all workers.

    Raises:
        SchedulerLost: the scheduler that settings name does not answer.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        _ = runner.client
    except OSError as error:
        if settings.scheduler is None:
            raise
        raise SchedulerLost(
            f"no Dask scheduler answers at {settings.scheduler}; start it, or correct OLDPHOTO_SCHEDULER, or unset it "
            "and a run starts workers of its own"
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def on_its_workers(settings: Settings, plan: WorkerPlan) -> Iterator[None]:
    """Tasks submitted inside go to workers with a GPU where the plan, or a named CUDA device, asks for one."""
    if not plan.on_gpu:
        yield
        return
    import dask

    with dask.annotate(resources={"GPU": 1}):
        yield


def _quiet_dask() -> None:
    """Errors reach us as exceptions; what Dask prints besides is about processes that were told to end.

    A photo that kills its worker is tried once more, not three times. Dask's profiler is off: in
    Python 3.11 (3.11.7 for one) its looking at all threads (`sys._current_frames`) now and then locks a worker up for
    ever, when the garbage collector comes by at that moment (CPython issue 106883).
    """
    import dask

    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": 1,
            "distributed.worker.profile.enabled": False,
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.comm.timeouts.connect": "60s",
        }
    )
    import distributed  # noqa: F401  (sets up its loggers as it loads, so they can be quieted only now)

    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _visible_gpus() -> int:
    """GPUs that torch will see, without loading torch where there are none."""
    try:
        if version("torch").endswith("+cpu"):
            return 0
    except PackageNotFoundError:
        return 0
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
