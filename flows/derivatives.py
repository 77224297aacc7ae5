"""The five objects of a restoration: the restored photo, mask, difference, preview, and `provenance.json`."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from oldphoto_core.encoding import JPEG_MAX_XMP_BYTES
from oldphoto_core.images import DecodedImage, encode_image
from oldphoto_core.previews import difference_png, mask_png, preview_jpeg, to_eight_bits
from oldphoto_core.xmp import DerivativeStatement, derivative_xmp
from storage.errors import ObjectExists
from storage.keys import WorkParameters, derivative_keys, derivative_prefix, sha256_hex
from storage.objects import ObjectStore
from storage.provenance import build_provenance, provenance_bytes, read_provenance, restoration_of
from storage.records import PhotoWork, RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core import RestorationResult

log = logging.getLogger(__name__)

Extension = Literal["tif", "png", "jpg"]
"""Extensions of restored photos."""


def extension_for(output_format: str, *, master_format: str) -> Extension:
    """The extension by policy: `auto` is lossless, TIFF for a TIFF master and PNG for any other."""
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
        strength=record.strength,
        software=f"oldphoto {record.code_version}",
        restored=record.outcome == "restored",
        mask=" ".join(filter(None, [record.mask_source, record.supplied_mask_sha256])),
    )


def encode_restored(
    pixels: np.ndarray, master: DecodedImage, *, extension: Extension, statement: DerivativeStatement
) -> bytes:
    """The restored photo's file, with what belongs to the master carried over, and what it is said in its XMP.

    The same pixels, master and statement give the same bytes.
    """
    if extension == "jpg":
        pixels = to_eight_bits(pixels)
    statement = replace(statement, pixels_sha256=hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest())
    xmp = derivative_xmp(master.xmp, statement)
    if extension == "jpg" and len(xmp) > JPEG_MAX_XMP_BYTES:
        log.warning("The master's XMP (%d bytes) does not fit into a JPEG; only our own is written.", len(xmp))
        xmp = derivative_xmp(None, statement)
    return encode_image(
        pixels,
        format=extension,
        icc_profile=master.icc_profile,
        dpi=master.dpi,
        exif=master.exif,
        alpha=None if extension == "jpg" else master.alpha,
        quality=95,
        xmp=xmp,
        iptc=master.iptc,
    )


def write_derivatives(
    store: ObjectStore,
    record: RestorationRecord,
    *,
    restored: bytes,
    before: np.ndarray,
    result: RestorationResult,
    icc_profile: bytes | None = None,
) -> RestorationRecord:
    """Writes all but `provenance.json`, and gives the record with their keys and hashes.

    Another attempt that made the same restored bytes shares these keys, while its mask may differ: what stands already
    is left and taken over, so that a record's hashes are always those of what stands. `icc_profile` describes the
    pixels, those before and those restored; the preview is in sRGB.

    Raises:
        storage.errors.ObjectStoreError: the store does not take them.
    """
    restored_sha256 = sha256_hex(restored)
    prefix = derivative_prefix(
        record.photo_sha256, release=record.release, work_hash=record.work_hash, restored_sha256=restored_sha256
    )
    keys = derivative_keys(prefix, str(record.output_format))
    store.write_once(keys.restored, restored)
    return replace(
        record,
        restored_key=keys.restored,
        restored_sha256=restored_sha256,
        mask_key=keys.mask,
        mask_sha256=_write_or_adopt(store, keys.mask, mask_png(result.mask)),
        difference_key=keys.difference,
        difference_sha256=_write_or_adopt(store, keys.difference, difference_png(before, result.image)),
        preview_key=keys.preview,
        preview_sha256=_write_or_adopt(store, keys.preview, preview_jpeg(result.image, icc_profile=icc_profile)),
        provenance_key=keys.provenance,
    )


def write_provenance(
    store: ObjectStore, record: RestorationRecord, work: PhotoWork, parameters: WorkParameters
) -> RestorationRecord:
    """Writes `provenance.json`, last of the five, and gives the record that it stands for.

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


def _write_or_adopt(store: ObjectStore, key: str, data: bytes) -> str:
    """SHA-256 of what stands at the key: these bytes, or another attempt's."""
    try:
        store.write_once(key, data)
    except ObjectExists:
        return store.stored(key).sha256 or sha256_hex(store.read_bytes(key))
    return sha256_hex(data)
