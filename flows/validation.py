"""One object of a source: read it, hash it, decode it, and say what it is. Nothing here raises for a bad file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from oldphoto_core.errors import ImageRefused, one_line
from oldphoto_core.images import DecodeLimits, ImageFacts, decode_image
from storage.errors import CredentialsRefused, ObjectChanged, ObjectNotFound, ObjectStoreError, StoreUnavailable
from storage.keys import sha256_hex
from storage.objects import SourceStore
from storage.records import UNREADABLE, PhotoRecord, SourceEntry, SourceObjectRecord

CHANGING = "changing"
"""Reason for an object that was another one each time it was read."""
PASSING_REASONS = (UNREADABLE, CHANGING)
"""Reasons beside core's: these say nothing about the content, so such objects are read again each time."""

_READ_ATTEMPTS = 3

Validated = tuple[SourceObjectRecord, PhotoRecord | None]


def validate_object(
    store: SourceStore,
    entry: SourceEntry,
    limits: DecodeLimits,
    *,
    decoding: AbstractContextManager[Any] | None = None,
) -> Validated | None:
    """The object's record, with its photo's where it holds one; None where it is gone.

    Args:
        decoding: held while the object is decoded, such as a semaphore that lets only a few in.

    Raises:
        storage.errors.CredentialsRefused, storage.errors.StoreUnavailable: this says nothing about the object.
    """
    try:
        entry, data = _read_settled(store, entry)
        with decoding or nullcontext():
            facts = decode_image(data, entry.key, limits).facts
    except ObjectNotFound:
        return None
    except _StillChanging as changing:
        return _quarantined(changing.entry, CHANGING, str(changing)), None
    except (CredentialsRefused, StoreUnavailable):
        raise
    except ObjectStoreError as error:
        return unreadable(entry, error), None
    except ImageRefused as refused:
        return _quarantined(entry, refused.reason, str(refused)), None
    except MemoryError:
        reason = "the image does not fit in memory; convert it to a smaller one or use a larger machine"
        return _quarantined(entry, UNREADABLE, reason), None
    sha256 = sha256_hex(data)
    record = SourceObjectRecord.from_entry(entry, status="registered", photo_sha256=sha256)
    return record, _photo_record(sha256, len(data), facts)


def unreadable(entry: SourceEntry, error: Exception) -> SourceObjectRecord:
    """The record of an object whose bytes cannot be had."""
    detail = f"{one_line(error)}; make it readable for this user and run again"
    return SourceObjectRecord.from_entry(entry, status="quarantined", reason=UNREADABLE, detail=detail)


class _StillChanging(Exception):
    def __init__(self, entry: SourceEntry) -> None:
        self.entry = entry
        super().__init__(f"{entry.key}: its bytes changed while they were read; run again when its writer is done")


def _read_settled(store: SourceStore, entry: SourceEntry) -> tuple[SourceEntry, bytes]:
    """The bytes, and the entry they belong to: what the object is once its writer leaves it alone."""
    for _ in range(_READ_ATTEMPTS):
        try:
            return store.read_entry(entry)
        except ObjectChanged as changed:
            entry = changed.entry
    raise _StillChanging(entry)


def _quarantined(entry: SourceEntry, reason: str, detail: str) -> SourceObjectRecord:
    return SourceObjectRecord.from_entry(entry, status="quarantined", reason=reason, detail=detail)


def _photo_record(sha256: str, size_bytes: int, facts: ImageFacts) -> PhotoRecord:
    return PhotoRecord(
        sha256=sha256,
        size_bytes=size_bytes,
        format=facts.format,
        height=facts.height,
        width=facts.width,
        channels=facts.channels,
        bit_depth=facts.bit_depth,
        source_mode=facts.source_mode,
        icc_profile_name=facts.icc_profile_name,
        dpi_x=facts.dpi_x,
        dpi_y=facts.dpi_y,
        orientation=facts.orientation,
        capture=dict(facts.capture),
        perceptual_hash=facts.perceptual_hash or None,
    )
