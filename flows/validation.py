"""One object of a source: read it, hash it, decode it, and say what it is. Nothing here raises for a bad file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from oldphoto_core.errors import ImageRefused, one_line
from oldphoto_core.images import DecodeLimits, ImageFacts, open_image
from storage.errors import CredentialsRefused, ObjectChanged, ObjectNotFound, ObjectStoreError, StoreUnavailable
from storage.objects import SourceStore
from storage.records import UNREADABLE, PhotoRecord, SourceEntry, SourceObjectRecord
from storage.whole_objects import WholeObject

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

    Every row of it is read once. Of a large TIFF no more than some strips are held, of a large object nothing else.

    Args:
        decoding: held while the object is decoded, such as a semaphore that lets only a few in.

    Raises:
        storage.errors.CredentialsRefused, storage.errors.StoreUnavailable: this says nothing about the object.
    """
    try:
        read = _read_settled(store, entry, limits, decoding or nullcontext())
    except ObjectNotFound:
        return None
    except _StillChanging as changing:
        return _quarantined(changing.entry, CHANGING, str(changing)), None
    except (CredentialsRefused, StoreUnavailable):
        raise
    except ObjectStoreError as error:
        return unreadable(entry, error), None
    match read.seen:
        case ImageFacts() as facts:
            record = SourceObjectRecord.from_entry(read.entry, status="registered", photo_sha256=read.sha256)
            return record, _photo_record(read.sha256, read.entry.size_bytes, facts)
        case ImageRefused() as refused:
            return _quarantined(read.entry, refused.reason, str(refused)), None
        case MemoryError():
            reason = "the image does not fit in memory; convert it to a smaller one or use a larger machine"
            return _quarantined(read.entry, UNREADABLE, reason), None
        case error:
            return unreadable(read.entry, OSError(f"{entry.key}: cannot be read: {error.strerror or error}")), None


def unreadable(entry: SourceEntry, error: Exception) -> SourceObjectRecord:
    """The record of an object whose bytes cannot be had."""
    detail = f"{one_line(error)}; make it readable for this user and run again"
    return SourceObjectRecord.from_entry(entry, status="quarantined", reason=UNREADABLE, detail=detail)


class _StillChanging(Exception):
    def __init__(self, entry: SourceEntry) -> None:
        self.entry = entry
        super().__init__(f"{entry.key}: its bytes changed while they were read; run again when its writer is done")


@dataclass(frozen=True)
class _Read:
    """What an object turned out to be, whose bytes are those of its entry."""

    entry: SourceEntry
    sha256: str
    seen: ImageFacts | ImageRefused | MemoryError | OSError


def _read_settled(
    store: SourceStore, entry: SourceEntry, limits: DecodeLimits, decoding: AbstractContextManager[Any]
) -> _Read:
    """Reads an object once its writer leaves it alone."""
    for _ in range(_READ_ATTEMPTS):
        try:
            with store.open_whole(entry) as whole:
                seen = _look_at(whole, limits, decoding)
                whole.check_unchanged()  # before anything is said of it
                return _Read(whole.entry, whole.sha256, seen)
        except ObjectChanged as changed:
            entry = changed.entry
    raise _StillChanging(entry)


def _look_at(
    whole: WholeObject, limits: DecodeLimits, decoding: AbstractContextManager[Any]
) -> ImageFacts | ImageRefused | MemoryError | OSError:
    try:
        with decoding, open_image(whole.file, whole.entry.key, limits, hashed=True) as image:
            return image.facts
    except (ImageRefused, MemoryError, OSError) as problem:
        return problem.with_traceback(None)  # which would hold what was decoded


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
