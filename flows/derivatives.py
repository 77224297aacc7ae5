"""The five objects of a restoration: the restored photo, mask, difference, preview, and `provenance.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from oldphoto_core.images import DecodedImage, encode_image
from oldphoto_core.previews import difference_png, mask_png, preview_jpeg, to_eight_bits
from storage.errors import ObjectExists
from storage.keys import WorkParameters, derivative_keys, derivative_prefix, sha256_hex
from storage.objects import ObjectStore
from storage.provenance import build_provenance, provenance_bytes, read_provenance, restoration_of
from storage.records import PhotoWork, RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core import RestorationResult

Extension = Literal["tif", "png", "jpg"]
"""Extensions of restored photos."""


def extension_for(output_format: str, *, master_format: str) -> Extension:
    """The extension by policy: `auto` is lossless, TIFF for a TIFF master and PNG for any other."""
    if output_format == "auto":
        return "tif" if master_format == "tiff" else "png"
    return output_format  # type: ignore[return-value]


def encode_restored(pixels: np.ndarray, master: DecodedImage, *, extension: Extension) -> bytes:
    """The restored photo's file, with what belongs to the master's pixels carried over."""
    if extension == "jpg":
        pixels = to_eight_bits(pixels)
    return encode_image(
        pixels,
        format=extension,
        icc_profile=master.icc_profile,
        dpi=master.dpi,
        exif=master.exif,
        alpha=None if extension == "jpg" else master.alpha,
        quality=95,
    )


def write_derivatives(
    store: ObjectStore, record: RestorationRecord, *, restored: bytes, before: np.ndarray, result: RestorationResult
) -> RestorationRecord:
    """Writes all but `provenance.json`, and gives the record with their keys and hashes.

    Another attempt that made the same restored bytes shares these keys, while its mask may differ: what stands already
    is left and taken over, so that a record's hashes are always those of what stands.

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
        preview_sha256=_write_or_adopt(store, keys.preview, preview_jpeg(result.image)),
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
