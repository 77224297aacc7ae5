"""The three stages of one photo in a worker: fetch the master, mend it, keep the six objects.

Each stage waits for a store that is busy, so a worker that cannot store takes nothing new meanwhile. A large scan is
never held: its file is read strip by strip, and so is what came of it while the objects are written.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flows.derivatives import (
    extension_for,
    new_file,
    statement_of,
    write_derivatives,
    write_provenance,
    write_restored,
)
from flows.errors import DerivativesUnwritable, FlowsError, SourceChanged
from flows.patience import patient
from flows.restore_job import RestoreJob, record_of, with_result
from oldphoto_core.errors import one_line
from oldphoto_core.images import DecodeLimits, OpenedImage, open_image
from oldphoto_core.previews import read_mask_codes
from oldphoto_core.scan import ArrayScan, Scan
from storage.errors import ObjectChanged, ObjectNotFound, ObjectStoreError
from storage.keys import sha256_hex
from storage.objects import ObjectStore, SourceStore
from storage.records import PhotoWork, RestorationRecord, utc_text
from storage.whole_objects import WholeObject

if TYPE_CHECKING:
    import numpy as np

    from oldphoto_core import Restorer
    from oldphoto_core.restoration.scan_result import ScanResult


@dataclass(frozen=True)
class Fetched:
    """A photo that is ready to be mended; close it when it is kept.

    Attributes:
        source: the master's file.
        mask: (H, W) uint8, 255 where a person's label says damaged; None where none applies.
        open_files: what is let go of at the end.
    """

    work: PhotoWork
    source: WholeObject
    master: OpenedImage
    mask: Scan | None
    open_files: ExitStack = field(repr=False)

    def close(self) -> None:
        """Lets go of the master's file."""
        self.open_files.close()


@dataclass(frozen=True)
class StoppableScan:
    """A scan whose restoration ends with the next rows it asks for, once the batch is given up."""

    scan: Scan
    stopping: threading.Event

    @property
    def shape(self) -> tuple[int, ...]:
        return self.scan.shape

    @property
    def dtype(self) -> np.dtype:
        return self.scan.dtype

    def rows(self, top: int, bottom: int) -> np.ndarray:
        if self.stopping.is_set():
            raise FlowsError("the batch was given up before this photo was restored")
        return self.scan.rows(top, bottom)


def fetch(job: RestoreJob, work: PhotoWork) -> Fetched:
    """Opens the master, makes sure that it is the one on record, and decodes it, or its first strips.

    Raises:
        SourceChanged, ObjectStoreError, oldphoto_core.errors.CoreError.
    """
    with ExitStack() as files:
        source = patient(job.patience_s, lambda: open_master(job, work, files))
        limits = DecodeLimits(max_pixels=job.max_pixels)
        master = files.enter_context(open_image(source.file, work.source_key, limits, hashed=False))
        mask = patient(job.patience_s, lambda: _label_mask(job, work, master))
        return Fetched(work, source, master, mask, files.pop_all())


def mend(job: RestoreJob, fetched: Fetched, restorer: Restorer, stopping: threading.Event) -> ScanResult:
    """Restores the photo's pixels; a label is joined with what the detector finds.

    Raises:
        FlowsError: `stopping` was set before it was done.
    """
    from oldphoto_core.restoration.pages import restore_image
    from oldphoto_core.restoration.scan_restoration import Wanted

    parameters = job.parameters
    wanted = Wanted(
        mode=parameters.mode, strength=parameters.strength, tone=parameters.tone, mending=parameters.mending
    )
    image = _stoppable(fetched.master, stopping)
    return restore_image(restorer, image, wanted, mask=fetched.mask, join=fetched.mask is not None)


def _stoppable(image: OpenedImage, stopping: threading.Event) -> OpenedImage:
    pages = tuple(_stoppable(page, stopping) for page in image.pages)
    return replace(image, scan=StoppableScan(image.scan, stopping), pages=pages)


def keep(job: RestoreJob, fetched: Fetched, result: ScanResult) -> RestorationRecord:
    """Writes the six objects, and gives the record of them.

    Raises:
        DerivativesUnwritable: they cannot be stored.
        SourceChanged: the master's file was written to meanwhile.
    """
    work, master = fetched.work, fetched.master
    wanted = job.parameters.output_format
    extension = extension_for(wanted, master_format=work.format, pages=len(master.pages))
    if wanted not in ("auto", extension) and master.pages:
        note = f"written as TIFF, since {wanted} holds one page"
        result = replace(result, report=replace(result.report, notes=(*result.report.notes, note)))
    begun = with_result(record_of(job, work), result, extension)
    store = ObjectStore(job.derivatives_url, job.options("derivatives"), conditional_writes=job.conditional_writes)
    with new_file() as restored:
        write_restored(restored, result, master, extension=extension, statement=statement_of(begun))

        def write_all() -> RestorationRecord:
            written = write_derivatives(
                store, begun, restored=restored, before=master.scan, result=result, icc_profile=master.icc_profile
            )
            check_master(fetched)
            return write_provenance(store, replace(written, finished_at=utc_text()), work, job.parameters)

        try:
            return patient(job.patience_s, write_all)  # what stands already is not written again
        except ObjectStoreError as error:
            raise DerivativesUnwritable(f"restorations cannot be stored: {one_line(error)}") from error


def check_master(fetched: Fetched) -> None:
    """Makes sure that all that was read is of the photo on record, now that it was read to the end.

    Raises:
        SourceChanged: its file was written to, or removed, meanwhile.
    """
    try:
        fetched.source.check_unchanged()
    except (ObjectChanged, ObjectNotFound) as error:
        raise SourceChanged(
            f"{fetched.work.source_key}: was written to while it was restored; run `oldphoto ingest` again"
        ) from error


def open_master(job: RestoreJob, work: PhotoWork, files: ExitStack) -> WholeObject:
    """The photo's file from the first of its sources that still holds it; `files` lets go of it.

    Raises:
        SourceChanged: none does.
        ObjectStoreError: the last one cannot be read.
    """
    problem: Exception = SourceChanged(f"{work.source_key}: no source is left; run `oldphoto ingest` again")
    for source in work.sources:
        opening = ExitStack()
        try:
            store = SourceStore(source.collection_url, job.options("sources"))
            whole = opening.enter_context(store.open_whole(source.key))
        except ObjectNotFound:
            problem = SourceChanged(f"{source.key}: gone since it was registered; run `oldphoto ingest` again")
            continue
        except ObjectStoreError as error:
            problem = error
            continue
        if whole.sha256 == work.photo_sha256:
            files.push(opening)
            return whole
        opening.close()
        problem = SourceChanged(
            f"{source.key}: changed since it was registered (expected SHA-256 {work.photo_sha256[:12]}…, "
            f"found {whole.sha256[:12]}…); run `oldphoto ingest` again"
        )
    raise problem


def _label_mask(job: RestoreJob, work: PhotoWork, master: OpenedImage) -> Scan | None:
    """(H, W) uint8 where a person's label applies, else None.

    Raises:
        SourceChanged: the mask is not the one that was recorded.
        ImageRefused: it is not of the photo's size.
    """
    if work.label_mask_key is None:
        return None
    data = ObjectStore(job.labels_url, job.options("labels")).read_bytes(work.label_mask_key)
    if sha256_hex(data) != work.mask_sha256:
        raise SourceChanged(f"label {work.label_mask_key}: changed since it was recorded; paint and save it again")
    return ArrayScan(read_mask_codes(data, master.scan.shape, work.label_mask_key))
