"""The three stages of one photo in a worker: fetch the master, mend it, keep the five objects.

Each stage waits for a store that is busy, so a worker that cannot store takes nothing new meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flows.derivatives import encode_restored, extension_for, statement_of, write_derivatives, write_provenance
from flows.errors import DerivativesUnwritable, SourceChanged
from flows.patience import patient
from flows.restore_job import RestoreJob, record_of, with_result
from oldphoto_core.errors import one_line
from oldphoto_core.images import DecodedImage, DecodeLimits, decode_image
from oldphoto_core.previews import read_mask
from storage.errors import ObjectNotFound, ObjectStoreError
from storage.keys import sha256_hex
from storage.objects import ObjectStore, SourceStore
from storage.records import PhotoWork, RestorationRecord, utc_text

if TYPE_CHECKING:
    import numpy as np

    from oldphoto_core import RestorationResult, Restorer


@dataclass(frozen=True)
class Fetched:
    """A photo that is ready to be mended.

    Attributes:
        mask: (H, W) float32 in [0, 1] where a person's label applies, else None.
    """

    work: PhotoWork
    master: DecodedImage
    mask: np.ndarray | None


def fetch(job: RestoreJob, work: PhotoWork) -> Fetched:
    """Reads the master, makes sure that it is the one on record, and decodes it.

    Raises:
        SourceChanged, ObjectStoreError, oldphoto_core.errors.CoreError.
    """
    data = patient(job.patience_s, lambda: read_master(job, work))
    master = decode_image(data, work.source_key, DecodeLimits(max_pixels=job.max_pixels), hashed=False)
    return Fetched(work, master, patient(job.patience_s, lambda: _label_mask(job, work, master)))


def mend(job: RestoreJob, fetched: Fetched, restorer: Restorer) -> RestorationResult:
    """Restores the photo's pixels."""
    return restorer.restore(
        fetched.master.pixels,
        mask=fetched.mask,
        mode=job.parameters.mode,
        strength=job.parameters.strength,
        tone=job.parameters.tone,
        icc_profile=fetched.master.icc_profile,
    )


def keep(job: RestoreJob, fetched: Fetched, result: RestorationResult) -> RestorationRecord:
    """Encodes and writes the five objects, and gives the record of them.

    Raises:
        DerivativesUnwritable: they cannot be stored.
    """
    work, master = fetched.work, fetched.master
    extension = extension_for(job.parameters.output_format, master_format=work.format)
    begun = with_result(record_of(job, work), result, extension)
    restored = encode_restored(result.image, master, extension=extension, statement=statement_of(begun))
    store = ObjectStore(job.derivatives_url, job.options("derivatives"), conditional_writes=job.conditional_writes)

    def write_all() -> RestorationRecord:
        written = write_derivatives(
            store, begun, restored=restored, before=master.pixels, result=result, icc_profile=master.icc_profile
        )
        return write_provenance(store, replace(written, finished_at=utc_text()), work, job.parameters)

    try:
        return patient(job.patience_s, write_all)  # what stands already is not written again
    except ObjectStoreError as error:
        raise DerivativesUnwritable(f"restorations cannot be stored: {one_line(error)}") from error


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
