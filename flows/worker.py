"""What runs in a worker process: the task, and the networks it loads once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.errors import FlowsError
from flows.overlap import restore_photos
from flows.restore_job import RestoreJob
from storage.errors import StoreUnavailable
from storage.records import PhotoWork, RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core import Restorer

_restorers: dict[tuple[str, str, int | None, str], Restorer] = {}
"""By weights hash, device, tile size and precision; a process seldom holds more than one."""


def is_transient(task: object, task_run: object, state: State[Any]) -> bool:
    """Whether a batch that failed may come off the next time: a line that was cut, a store or server that is busy."""
    try:
        state.result(raise_on_failure=True)
    except (StoreUnavailable, ConnectionError, TimeoutError):
        return True
    except Exception:
        return False
    return False


@task(
    name="restore photos",
    cache_policy=NO_CACHE,
    persist_result=False,
    log_prints=False,
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_jitter_factor=0.5,
    retry_condition_fn=is_transient,
)
def restore_batch(job: RestoreJob, works: Sequence[PhotoWork]) -> list[RestorationRecord]:
    """Restores a batch of photos and gives a record of each."""
    return restore_photos(job, works, restorer_for(job))


def restorer_for(job: RestoreJob) -> Restorer:
    """The restorer that this process keeps for such jobs."""
    key = (job.parameters.weights_hash, _device(job.device), job.tile_px, job.precision)
    if key not in _restorers:
        _restorers.clear()  # the networks of another release would only hold memory
        _restorers[key] = _load(job, key[1])
    return _restorers[key]


def _load(job: RestoreJob, device: str) -> Restorer:
    from oldphoto_core import Restorer
    from oldphoto_core.machine import set_threads

    if job.threads is not None:
        set_threads(job.threads)
    here = (Path(job.release_folder) / "card.json").is_file()
    restorer = Restorer.from_release(
        job.release_folder if here else job.release, device=device, tile_px=job.tile_px, precision=job.precision
    )
    if job.threads is not None:
        set_threads(max(1, job.threads // restorer.photos_at_once))
    found = restorer.card.weights_hash
    if found != job.parameters.weights_hash:
        raise FlowsError(
            f"release {job.release}: this worker has other weights (expected {job.parameters.weights_hash[:12]}…, "
            f"found {found[:12]}…); install the same release everywhere"
        )
    return restorer


def _device(device: str) -> str:
    """The device of this worker: where there are several GPUs, the workers of a local cluster share them out."""
    if device not in ("auto", "cuda"):
        return device
    import torch

    if not torch.cuda.is_available():
        return device
    from distributed import get_worker

    try:
        number = int(get_worker().name)
    except ValueError:  # no Dask worker, or one with a name of its own
        return "cuda"
    return f"cuda:{number % torch.cuda.device_count()}"
