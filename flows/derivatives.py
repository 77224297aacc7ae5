"""The five objects of a restoration: the restored photo, mask, difference, preview, and `provenance.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from oldphoto_core.images import DecodedImage, encode_image
from oldphoto_core.previews import difference_png, mask_png, preview_jpeg, to_eight_bits
from storage.keys import derivative_keys, derivative_prefix, sha256_hex
from storage.objects import ObjectStore
from storage.records import RestorationRecord

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

    Raises:
        storage.errors.ObjectStoreError: the store does not take them.
    """
    restored_sha256 = sha256_hex(restored)
    prefix = derivative_prefix(
        record.photo_sha256, release=record.release, work_hash=record.work_hash, restored_sha256=restored_sha256
    )
    keys = derivative_keys(prefix, str(record.output_format))
    store.write_bytes_atomic(keys.restored, restored)
    return replace(
        record,
        restored_key=keys.restored,
        restored_sha256=restored_sha256,
        mask_key=keys.mask,
        mask_sha256=store.write_bytes_atomic(keys.mask, mask_png(result.mask)),
        difference_key=keys.difference,
        difference_sha256=store.write_bytes_atomic(keys.difference, difference_png(before, result.image)),
        preview_key=keys.preview,
        preview_sha256=store.write_bytes_atomic(keys.preview, preview_jpeg(result.image)),
        provenance_key=keys.provenance,
    )
