"""The six objects of a restoration: restored photo, mask, what was found, difference, preview, `provenance.json`."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Literal

from flows.audit_checks import hash_of
from oldphoto_core.encoding import JPEG_MAX_XMP_BYTES, PagePicture, write_image, write_pages
from oldphoto_core.images import OpenedImage
from oldphoto_core.previews import eight_bits_of, preview_of, write_difference_png, write_mask_png
from oldphoto_core.scan import Scan, pixels_sha256
from oldphoto_core.xmp import DerivativeStatement, derivative_xmp
from storage.errors import ObjectExists
from storage.keys import WorkParameters, derivative_keys, derivative_prefix
from storage.objects import ObjectStore
from storage.provenance import build_provenance, provenance_bytes, read_provenance, restoration_of
from storage.records import PhotoWork, RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core.restoration.scan_result import ScanResult

log = logging.getLogger(__name__)

_HELD_BYTES = 32 << 20
"""A file that is being made stays in memory up to this size; a larger one lies in the temporary folder."""

Extension = Literal["tif", "png", "jpg"]
"""Extensions of restored photos."""


def extension_for(output_format: str, *, master_format: str, pages: int = 0) -> Extension:
    """The extension by policy: `auto` is lossless, TIFF for a TIFF master and PNG for any other.

    Several pages are always TIFF, since nothing else holds them.
    """
    if pages:
        return "tif"
    if output_format == "auto":
        return "tif" if master_format == "tiff" else "png"
    return output_format  # type: ignore[return-value]


def statement_of(record: RestorationRecord) -> DerivativeStatement:
    """What the derivative of this record says of itself in its XMP."""
    return DerivativeStatement(
        master_sha256=record.photo_sha256,
        release=record.release,
        weights_hash=record.weights_hash,
        mode=record.mode,
        tone=record.tone,
        mending=record.mending,
        strength=record.strength,
        software=f"oldphoto {record.code_version}",
        restored=record.outcome == "restored",
        mask=_mask_words(record),
    )


def _mask_words(record: RestorationRecord) -> str:
    joined = "joined with the detected one" if record.mask_joined else None
    return " ".join(filter(None, [record.mask_source, record.supplied_mask_sha256, joined]))


@contextmanager
def new_file() -> Iterator[IO[bytes]]:
    """A binary file of no name, which is gone afterwards; a small one never leaves memory."""
    with tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES) as file:
        yield file


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """The file's bytes from its beginning, a megabyte at a time."""
    file.seek(0)
    while chunk := file.read(1 << 20):
        yield chunk


def write_restored(
    out: IO[bytes], result: ScanResult, master: OpenedImage, *, extension: Extension, statement: DerivativeStatement
) -> None:
    """Writes the restored photo's file, with what belongs to the master carried over, and what it is said in its XMP.

    The same pixels, master and statement give the same bytes. Pages are written in their order, as TIFF.
    """
    if master.pages:
        pages = zip(result.pages, master.pages, strict=True)
        write_pages(out, [_page_picture(done, page, statement, number) for number, (done, page) in enumerate(pages, 1)])
        return
    pixels = eight_bits_of(result.image) if extension == "jpg" else result.image
    statement = replace(statement, pixels_sha256=pixels_sha256(pixels))
    xmp = derivative_xmp(master.xmp, statement)
    if extension == "jpg" and len(xmp) > JPEG_MAX_XMP_BYTES:
        log.warning("The master's XMP (%d bytes) does not fit into a JPEG; only our own is written.", len(xmp))
        xmp = derivative_xmp(None, statement)
    write_image(
        out,
        pixels,
        format=extension,
        icc_profile=master.icc_profile,
        dpi=master.dpi,
        exif=master.exif,
        alpha=None if extension == "jpg" else master.alpha,
        quality=95,
        xmp=xmp,
        iptc=master.iptc,
        tile_px=master.tile_px if extension == "tif" else None,
    )


def _page_picture(done: ScanResult, master: OpenedImage, statement: DerivativeStatement, number: int) -> PagePicture:
    """A restored page, and what it says of itself."""
    said = replace(
        statement, page=number, restored=not done.report.left_alone, pixels_sha256=pixels_sha256(done.image)
    )
    return PagePicture(
        done.image,
        icc_profile=master.icc_profile,
        dpi=master.dpi,
        exif=master.exif,
        alpha=master.alpha,
        xmp=derivative_xmp(master.xmp, said),
        iptc=master.iptc,
        tile_px=master.tile_px,
    )


def write_derivatives(
    store: ObjectStore,
    record: RestorationRecord,
    *,
    restored: IO[bytes],
    before: Scan,
    result: ScanResult,
    icc_profile: bytes | None = None,
) -> RestorationRecord:
    """Writes all but `provenance.json`, and gives the record with their keys and hashes.

    Another attempt that made the same restored bytes shares these keys, while its mask may differ: what stands already
    is left and taken over, so that a record's hashes are always those of what stands. `icc_profile` describes the
    pixels, those before and those restored; the preview is in sRGB.

    Raises:
        storage.errors.ObjectStoreError: the store does not take them.
    """
    restored_sha256 = _sha256_of(restored)
    prefix = derivative_prefix(
        record.photo_sha256, release=record.release, work_hash=record.work_hash, restored_sha256=restored_sha256
    )
    keys = derivative_keys(prefix, str(record.output_format))
    store.write_file_once(keys.restored, restored, sha256=restored_sha256)

    def keep(key: str, write: Callable[[IO[bytes]], None]) -> str:
        with new_file() as file:
            write(file)
            return _write_or_adopt(store, key, file)

    return replace(
        record,
        restored_key=keys.restored,
        restored_sha256=restored_sha256,
        mask_key=keys.mask,
        mask_sha256=keep(keys.mask, lambda out: write_mask_png(out, result.mask)),
        found_key=keys.found,
        found_sha256=keep(keys.found, lambda out: write_mask_png(out, result.found)),
        difference_key=keys.difference,
        difference_sha256=keep(keys.difference, lambda out: write_difference_png(out, before, result.image)),
        preview_key=keys.preview,
        preview_sha256=keep(keys.preview, lambda out: _write_preview(out, result.image, icc_profile)),
        provenance_key=keys.provenance,
    )


def _write_preview(out: IO[bytes], image: Scan, icc_profile: bytes | None) -> None:
    out.write(preview_of(image, icc_profile=icc_profile))


def write_provenance(
    store: ObjectStore, record: RestorationRecord, work: PhotoWork, parameters: WorkParameters
) -> RestorationRecord:
    """Writes `provenance.json`, last of the six, and gives the record that it stands for.

    Where another attempt's stands already, the record becomes that one's, so that row and document say the same; the
    run is this one's, since it is this one that puts it on record.

    Raises:
        storage.errors.ObjectStoreError: the store does not take it.
        storage.errors.ProvenanceError: what stands there is no such document.
    """
    key = str(record.provenance_key)
    try:
        store.write_once(key, provenance_bytes(build_provenance(record, work, parameters)))
    except ObjectExists:
        stands = restoration_of(read_provenance(store.read_bytes(key)), provenance_key=key)
        return replace(stands, run_id=record.run_id, flow_run_id=record.flow_run_id)
    return record


def _write_or_adopt(store: ObjectStore, key: str, file: IO[bytes]) -> str:
    """SHA-256 of what stands at the key: this file's bytes, or another attempt's."""
    digest = _sha256_of(file)
    try:
        store.write_file_once(key, file, sha256=digest)
    except ObjectExists:
        return store.stored(key).sha256 or hash_of(store, key)
    return digest


def _sha256_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks_of(file):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
