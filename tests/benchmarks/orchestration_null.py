"""What stands in for the model, or for all of a photo's work, in the worker processes of a benchmark.

Dask loads this module into each worker (`distributed.worker.preload`) and calls `dask_setup`; what is to be replaced
stands in Dask's configuration, which a nanny hands to its worker. Flows, Prefect, Dask and the catalogue are real.
"""

from __future__ import annotations

import hashlib
import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from oldphoto_core.restoration.fidelity import RestorationReport
from storage.keys import derivative_keys, derivative_prefix
from storage.records import PhotoWork, RestorationRecord, utc_text
from storage.urls import local_folder

if TYPE_CHECKING:
    from flows.restore_job import RestoreJob
    from oldphoto_core.restoration.scan_restoration import Wanted
    from oldphoto_core.restoration.scan_result import ScanResult
    from oldphoto_core.scan import Scan

Null = Literal["work", "model", "none"]
"""`work`: records at once, nothing is read; `model`: files are read and written, pixels stay; `none`: all is real."""

DEVICES = {"work": "no work", "model": "no model"}
"""What records name as their device: a benchmark makes sure that what it measures was really left out."""

_KEY = "oldphoto-benchmark"


@contextmanager
def nothing_done(null: Null, *, model_s: float = 0.0) -> Iterator[None]:
    """Workers that start inside do nothing where the model would be.

    Args:
        model_s: what the null model sleeps a photo, as a GPU that leaves the cores alone would take.
    """
    import dask
    import distributed  # noqa: F401  (its defaults must stand in the configuration before, or they end with the block)

    if null == "none":
        yield
        return
    told = {"distributed.worker.preload": [__name__], f"{_KEY}.null": null, f"{_KEY}.model-s": model_s}
    with dask.config.set(told):
        yield


def dask_setup(worker: object) -> None:
    """Called by Dask in each worker process."""
    import dask

    install(dask.config.get(f"{_KEY}.null"), model_s=dask.config.get(f"{_KEY}.model-s"))


def install(null: Null, *, model_s: float = 0.0) -> None:
    """Replaces the model, or all of a photo's work, in this process.

    Prefect sends the task by value and the functions it calls by the name of the module that defines them: they are
    replaced there.
    """
    import flows.worker

    flows.worker.restorer_for = lambda job, *others: NullRestorer(model_s)  # type: ignore[assignment]
    if null == "work":
        defined_in = importlib.import_module(flows.worker.restore_photos.__module__)
        defined_in.restore_photos = null_photos  # type: ignore[attr-defined]


@dataclass(frozen=True)
class NullRestorer:
    """Gives photos back with one pixel changed, after as long as it is told to sleep."""

    model_s: float = 0.0
    photos_at_once: int = 1

    def restore_scan(self, scan: Scan, wanted: Wanted, **others: Any) -> ScanResult:
        """The photo (H, W) or (H, W, 3), read whole, and an empty mask (H, W): nothing was found."""
        from oldphoto_core.restoration.scan_result import ScanResult
        from oldphoto_core.scan import ArrayScan

        time.sleep(self.model_s)
        changed = scan.rows(0, scan.shape[0]).copy()
        changed[0, 0] ^= 1
        report = null_report(
            self.model_s, mode=wanted.mode, tone=wanted.tone, strength=wanted.strength, mending=wanted.mending
        )
        nothing = ArrayScan(np.zeros(scan.shape[:2], np.uint8))
        return ScanResult(image=ArrayScan(changed), mask=nothing, found=nothing, report=report)


def null_report(seconds: float, **choices: Any) -> RestorationReport:
    """What is told of a photo that nothing was done to; `choices`: mode, tone, strength and mending."""
    return RestorationReport(
        seconds=seconds, device=DEVICES["model"], precision="float32", tiles=1, mask_coverage=0.0,
        change_outside_mask=0.0, mean_change=0.0, left_alone=False, monochrome="no", **choices,
    )  # fmt: skip


def null_photos(job: RestoreJob, works: Sequence[PhotoWork], *others: Any, **more: Any) -> list[RestorationRecord]:
    """A record of each photo as a real restoration has it, all columns filled.

    Nothing is read, and nothing written but an empty file where the restored photo would be, for `browse/` to link to.
    """
    records = [null_record(job, work) for work in works]
    folder = local_folder(job.derivatives_url)
    if folder is not None:
        for record in records:
            path = folder / str(record.restored_key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return records


def null_record(job: RestoreJob, work: PhotoWork) -> RestorationRecord:
    """What a restoration of this photo would be recorded as."""
    from flows.restore_job import failure

    digest = hashlib.sha256(work.photo_sha256.encode()).hexdigest()
    prefix = derivative_prefix(work.photo_sha256, release=job.release, work_hash=work.work_hash, restored_sha256=digest)
    keys = derivative_keys(prefix, "png")
    report = null_report(0.0, mode="full", tone="correct", strength=1.0, mending="normal")
    return replace(
        failure(job, work, ""),
        outcome="restored", error=None, output_format="png",
        restored_key=keys.restored, restored_sha256=digest, mask_key=keys.mask, mask_sha256=digest,
        found_key=keys.found, found_sha256=digest,
        difference_key=keys.difference, difference_sha256=digest, preview_key=keys.preview, preview_sha256=digest,
        provenance_key=keys.provenance, mask_coverage=0.0, change_outside_mask=0.0, mean_change=0.0,
        report=report.as_dict(), seconds=0.0, megapixels=work.height * work.width / 1e6, device=DEVICES["work"],
        precision="float32", finished_at=utc_text(),
    )  # fmt: skip
