"""What a worker is told, and how it restores one photo: bytes in, five objects and a record out.

Nothing here writes to the catalogue: a worker gives records back, the flow writes them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flows.derivatives import encode_restored, extension_for, write_derivatives, write_provenance
from flows.errors import DerivativesUnwritable, SourceChanged
from flows.run_records import code_version
from oldphoto_core.errors import CoreError, one_line
from oldphoto_core.images import DecodedImage, DecodeLimits, decode_image
from oldphoto_core.previews import read_mask
from storage.errors import ObjectNotFound, ObjectStoreError
from storage.keys import WorkParameters, sha256_hex
from storage.objects import ObjectStore, SourceStore
from storage.records import PhotoWork, RestorationRecord, utc_text
from storage.s3_settings import Purpose

if TYPE_CHECKING:
    import numpy as np

    from oldphoto_core import RestorationResult, Restorer

log = logging.getLogger(__name__)

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
        threads: torch's threads; None leaves them as they are.
        store_options: s3fs's options by what a store is for, since each may be on a server of its own; secrets among
            them.
        conditional_writes: whether the derivatives' endpoint is known to honour If-None-Match.
    """

    parameters: WorkParameters
    release: str
    release_folder: str
    device: str = "auto"
    tile_px: int | None = None
    threads: int | None = None
    max_pixels: int = DecodeLimits.max_pixels
    derivatives_url: str
    labels_url: str
    store_options: Mapping[Purpose, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    conditional_writes: bool | None = None
    run_id: str | None = None
    flow_run_id: str | None = None

    def options(self, purpose: Purpose) -> Mapping[str, Any]:
        """s3fs's options for a store of this purpose; a local folder takes no notice of them."""
        return self.store_options.get(purpose, {})


def restore_photos(job: RestoreJob, works: Sequence[PhotoWork], restorer: Restorer) -> list[RestorationRecord]:
    """Restores a batch; one bad photo never fails the others.

    Raises:
        DerivativesUnwritable: nothing can be stored, so going on would be of no use.
    """
    return [restore_photo(job, work, restorer) for work in works]


def restore_photo(job: RestoreJob, work: PhotoWork, restorer: Restorer) -> RestorationRecord:
    """The record of one attempt; `failed` with a one-line error where it did not come off."""
    try:
        return _attempt(job, work, restorer)
    except DerivativesUnwritable:
        raise
    except Exception as error:  # whatever one photo brings up, the others go on
        if is_out_of_memory(error):
            return failure(job, work, OUT_OF_MEMORY_ADVICE)
        if not isinstance(error, CoreError | ObjectStoreError | SourceChanged):
            log.info("%s: unexpected error", work.source_key, exc_info=True)
            return failure(job, work, f"unexpected {type(error).__name__}: {error}")
        return failure(job, work, str(error))


def failure(job: RestoreJob, work: PhotoWork, error: str) -> RestorationRecord:
    """The record of a photo that could not be restored."""
    return replace(_record(job, work), outcome="failed", error=one_line(error), finished_at=utc_text())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error, of Python, torch or CUDA, is about memory."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )


def _attempt(job: RestoreJob, work: PhotoWork, restorer: Restorer) -> RestorationRecord:
    master = decode_image(read_master(job, work), work.source_key, DecodeLimits(max_pixels=job.max_pixels))
    result = restorer.restore(
        master.pixels,
        mask=_label_mask(job, work, master),
        mode=job.parameters.mode,
        strength=job.parameters.strength,
        tone=job.parameters.tone,
    )
    extension = extension_for(job.parameters.output_format, master_format=work.format)
    restored = encode_restored(result.image, master, extension=extension)
    record = _with_result(_record(job, work), result, extension)
    try:
        store = ObjectStore(
            job.derivatives_url, job.options("derivatives"), conditional_writes=job.conditional_writes
        )
        record = write_derivatives(store, record, restored=restored, before=master.pixels, result=result)
        record = replace(record, finished_at=utc_text())
        record = write_provenance(store, record, work, job.parameters)
    except ObjectStoreError as error:
        raise DerivativesUnwritable(f"restorations cannot be stored: {one_line(error)}") from error
    return record


def read_master(job: RestoreJob, work: PhotoWork) -> bytes:
    """The photo's bytes from the first of its sources that still holds them.

    Raises:
        SourceChanged: none does.
        ObjectStoreError: the last one cannot be read.
    """
    problem: Exception = SourceChanged(f"{work.source_key}: no source is left; run `oldphoto ingest` again")
    for source in work.sources:
        try:
            data = SourceStore(source.collection_url, job.options("sources")).read_bytes(source.key)
        except ObjectNotFound:
            problem = SourceChanged(f"{source.key}: gone since it was registered; run `oldphoto ingest` again")
            continue
        except ObjectStoreError as error:
            problem = error
            continue
        if (found := sha256_hex(data)) == work.photo_sha256:
            return data
        problem = SourceChanged(
            f"{source.key}: changed since it was registered (expected SHA-256 {work.photo_sha256[:12]}…, "
            f"found {found[:12]}…); run `oldphoto ingest` again"
        )
    raise problem


def _label_mask(job: RestoreJob, work: PhotoWork, master: DecodedImage) -> np.ndarray | None:
    """(H, W) float32 in [0, 1] where a person's label applies, else None.

    Raises:
        SourceChanged: the mask is not the one that was recorded.
        ImageRefused: it is not of the photo's size.
    """
    if work.label_mask_key is None:
        return None
    data = ObjectStore(job.labels_url, job.options("labels")).read_bytes(work.label_mask_key)
    if sha256_hex(data) != work.mask_sha256:
        raise SourceChanged(f"label {work.label_mask_key}: changed since it was recorded; paint and save it again")
    return read_mask(data, master.pixels.shape, work.label_mask_key)


def _record(job: RestoreJob, work: PhotoWork) -> RestorationRecord:
    """What is known of the attempt before it is made."""
    return RestorationRecord(
        photo_sha256=work.photo_sha256,
        work_hash=work.work_hash,
        release=job.release,
        weights_hash=job.parameters.weights_hash,
        outcome="failed",
        mode=job.parameters.mode,
        tone=job.parameters.tone,
        strength=job.parameters.strength,
        mask_source=work.mask_source,
        supplied_mask_sha256=work.mask_sha256,
        pixel_version=job.parameters.pixel_version,
        code_version=code_version(),
        run_id=job.run_id,
        flow_run_id=job.flow_run_id,
    )


def _with_result(record: RestorationRecord, result: RestorationResult, extension: str) -> RestorationRecord:
    """The record with the report's figures; changes in the catalogue are shares of the full range, 0 to 1."""
    report = result.report
    height, width = result.image.shape[:2]
    return replace(
        record,
        outcome="unchanged" if report.left_alone else "restored",
        output_format=extension,
        mask_coverage=report.mask_coverage,
        change_outside_mask=report.change_outside_mask / 255,
        mean_change=report.mean_change / 255,
        report=report.as_dict(),
        seconds=round(report.seconds, 3),
        megapixels=round(height * width / 1e6, 6),
        device=report.device,
        precision=report.precision,
    )
