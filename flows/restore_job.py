"""What a worker is told, and the records that it gives back; the flow writes these to the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from flows.errors import SourceChanged
from flows.run_records import code_version
from oldphoto_core.errors import CoreError, is_out_of_memory, one_line
from oldphoto_core.images import DecodeLimits
from storage.errors import ObjectStoreError
from storage.keys import WorkParameters
from storage.records import FIDELITY, PhotoWork, RestorationRecord, utc_text
from storage.s3_settings import Purpose

if TYPE_CHECKING:
    from oldphoto_core.restoration.scan_result import ScanResult

OUT_OF_MEMORY_ADVICE = (
    "not enough memory for this photo; set a smaller --tile-px, fewer --workers, or use a larger machine"
)


@dataclass(frozen=True, kw_only=True)
class RestoreJob:
    """What all photos of a run have in common.

    Attributes:
        parameters: without a label's mask; a photo's work says where one applies.
        release_folder: where the release's card and weights lie.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`: what each worker's own machine is faster with.
        threads: torch's threads; None leaves them as they are.
        store_options: s3fs's options by what a store is for, since each may be on a server of its own; secrets among
            them.
        conditional_writes: whether the derivatives' endpoint is known to honour If-None-Match.
        patience_s: how long a worker asks a busy store again, a request.
    """

    parameters: WorkParameters
    release: str
    release_folder: str
    device: str = "auto"
    tile_px: int | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = None
    max_pixels: int = DecodeLimits.max_pixels
    derivatives_url: str
    labels_url: str
    store_options: Mapping[Purpose, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    conditional_writes: bool | None = None
    patience_s: float = 300.0
    run_id: str | None = None
    flow_run_id: str | None = None

    def options(self, purpose: Purpose) -> Mapping[str, Any]:
        """s3fs's options for a store of this purpose; a local folder takes no notice of them."""
        return self.store_options.get(purpose, {})


def failure(job: RestoreJob, work: PhotoWork, error: BaseException | str) -> RestorationRecord:
    """The record of a photo that could not be restored; a try is counted where the photo is to blame.

    A store that does not answer, or a master that was changed or moved, says nothing about the photo.
    """
    record = replace(record_of(job, work), outcome="failed", finished_at=utc_text())
    return replace(record, error=one_line(_words(error)), tries=int(_is_the_photos_own(error)))


def _is_the_photos_own(error: BaseException | str) -> bool:
    return not isinstance(error, ObjectStoreError | SourceChanged)


def _words(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    if is_out_of_memory(error):
        return OUT_OF_MEMORY_ADVICE
    if isinstance(error, CoreError | ObjectStoreError | SourceChanged):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"


def record_of(job: RestoreJob, work: PhotoWork) -> RestorationRecord:
    """What is known of the attempt before it is made."""
    return RestorationRecord(
        photo_sha256=work.photo_sha256,
        work_hash=work.work_hash,
        release=job.release,
        weights_hash=job.parameters.weights_hash,
        outcome="failed",
        mode=job.parameters.mode,
        tone=job.parameters.tone,
        mending=job.parameters.mending,
        strength=job.parameters.strength,
        mask_source=work.mask_source,
        supplied_mask_sha256=work.mask_sha256,
        mask_joined=work.mask_source == "label",
        pixel_version=job.parameters.pixel_version,
        code_version=code_version(),
        run_id=job.run_id,
        flow_run_id=job.flow_run_id,
    )


def with_result(record: RestorationRecord, result: ScanResult, extension: str) -> RestorationRecord:
    """The record with the report's figures; changes in the catalogue are shares of the full range, 0 to 1."""
    report = result.report
    return replace(
        record,
        outcome="unchanged" if report.left_alone else "restored",
        output_format=extension,
        mask_coverage=report.mask_coverage,
        change_outside_mask=report.change_outside_mask / 255,
        mean_change=report.mean_change / 255,
        **({name: getattr(report.fidelity, name) for name in FIDELITY} if report.fidelity is not None else {}),
        report=report.as_dict(),
        seconds=round(report.seconds, 3),
        megapixels=round(result.pixels / 1e6, 6),
        device=report.device,
        precision=report.precision,
    )
