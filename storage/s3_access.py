"""Reading a bucket: pages of its listing, facts of an object, its bytes."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

from storage.errors import ObjectChanged, ObjectNotFound, ObjectStoreError
from storage.object_records import PAGE_KEYS, ListingPage, StoredObject
from storage.records import SourceEntry, utc_text
from storage.s3_client import CutShort, S3Client
from storage.s3_errors import code_of
from storage.whole_objects import Gathered, WholeObject

log = logging.getLogger(__name__)

_RANGE_BYTES = 4 * 2**20
_BEHIND_ALL = "\U0010ffff"


class _AnotherObject(Exception):
    """The answer is of another object than the one that was asked for."""


class S3Reader(S3Client):
    """The objects of ``s3://bucket/prefix``; it makes no request that could change any."""

    requests: frozenset[str] = frozenset({"list_objects_v2", "head_object", "get_object"})
    """All that this class may ask of the server."""

    # -- listing ------------------------------------------------------------------------------------------------

    def pages(self, *, recursive: bool, after: str | None) -> Iterator[ListingPage]:
        """As ``SourceStore.pages``; zero-byte folder markers (``scans/``) are no objects of ours.

        Each page is asked for by the key that the last one ended with, so a listing can stand still for days between
        two pages, which a continuation token would not outlive.
        """
        behind = after
        while True:
            arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._start, "MaxKeys": PAGE_KEYS}
            if not recursive:
                arguments["Delimiter"] = "/"
            if behind is not None:
                arguments["StartAfter"] = behind
            with self._errors("", "listed"):
                answer = self._call("list_objects_v2", **arguments)
            found = answer.get("Contents", ())
            reached = max(
                [one["Key"] for one in found[-1:]]
                + [one["Prefix"] + _BEHIND_ALL for one in answer.get("CommonPrefixes", ())[-1:]],
                default=behind,
            )
            more = bool(answer.get("IsTruncated"))
            if more and (reached is None or (behind is not None and reached <= behind)):
                raise ObjectStoreError(
                    f"{self.url}: the endpoint lists no further than {behind!r}; it does not know start-after, which "
                    "listings of more than a page need",
                    url=self.url,
                )
            entries = tuple(self._listed(one) for one in found if self._is_object(one))
            behind = reached
            yield ListingPage(entries=entries, cursor=reached if more else None)
            if not more:
                return

    def _is_object(self, found: Mapping[str, Any]) -> bool:
        key = found["Key"].removeprefix(self._start)
        return bool(key) and not (key.endswith("/") and found["Size"] == 0)

    def _listed(self, found: Mapping[str, Any]) -> SourceEntry:
        return SourceEntry(
            key=found["Key"].removeprefix(self._start),
            size_bytes=found["Size"],
            modified_at=utc_text(found["LastModified"]),
            etag=found["ETag"].strip('"'),
        )

    # -- one object ---------------------------------------------------------------------------------------------

    def entry(self, key: str) -> SourceEntry:
        """Facts of one object."""
        return _entry(key, self._head(key))

    def stored(self, key: str) -> StoredObject:
        """The same with the SHA-256 from its metadata."""
        answer = self._head(key)
        facts = _entry(key, answer)
        return StoredObject(
            key=key,
            size_bytes=facts.size_bytes,
            sha256=answer.get("Metadata", {}).get("sha256"), etag=facts.etag, version_id=facts.version_id,
            modified_at=facts.modified_at,
        )  # fmt: skip

    def _head(self, key: str) -> Mapping[str, Any]:
        with self._errors(key, "examined"):
            return self._call("head_object", **self._named(key))

    def exists(self, key: str) -> bool:
        """Whether an object stands at the key."""
        try:
            self._head(key)
        except ObjectNotFound:
            return False
        return True

    def read(self, key: str) -> bytes:
        """The whole object."""
        return self._get(key, **self._named(key), ChecksumMode="ENABLED")[1]

    def read_head(self, key: str, size_bytes: int) -> bytes:
        """Its first bytes."""
        if size_bytes <= 0:
            return b""
        try:
            return self._get(key, **self._named(key), Range=f"bytes=0-{size_bytes - 1}")[1]
        except ObjectStoreError as error:
            if code_of(error.__cause__ or error) in ("InvalidRange", "416"):  # an empty object has no first byte
                return b""
            raise

    def read_entry(self, entry: SourceEntry) -> tuple[SourceEntry, bytes]:
        """As ``SourceStore.read_entry``: one request reads and checks."""
        answer, data = self._get_same(entry, ChecksumMode="ENABLED")
        found = _entry(entry.key, answer)
        if found.size_bytes != entry.size_bytes:
            raise self._changed(found)
        return found, data

    def _get_same(self, entry: SourceEntry, **arguments: Any) -> tuple[Mapping[str, Any], bytes]:
        """A GET of the object with this ETag, or version where that is known.

        Raises:
            ObjectChanged: another one stands there.
        """
        arguments |= self._named(entry.key) | _conditions(entry)
        with self._noticing_changes(entry.key):
            answer, data = self._get(entry.key, **arguments)
        # An endpoint may ignore the condition, so what came is compared all the same.
        if entry.etag and (answer.get("ETag") or "").strip('"') != entry.etag:
            raise self._changed(self.entry(entry.key) if "Range" in arguments else _entry(entry.key, answer))
        return answer, data

    @contextmanager
    def _noticing_changes(self, key: str) -> Iterator[None]:
        """Tells a condition that was not met from other errors; so is a range that the object no longer has."""
        try:
            yield
        except ObjectStoreError as error:
            if code_of(error.__cause__ or error) not in ("PreconditionFailed", "412", "InvalidRange", "416"):
                raise
            raise self._changed(self.entry(key)) from error

    def _changed(self, now: SourceEntry) -> ObjectChanged:
        return ObjectChanged(
            f"object {now.key!r} in {self.url} changed after it was listed (now {now.size_bytes} bytes of "
            f"{now.modified_at}); it is read again once it rests",
            entry=now, url=self.url, key=now.key,
        )  # fmt: skip

    @contextmanager
    def open_whole(self, wanted: str | SourceEntry) -> Iterator[WholeObject]:
        """As ``SourceStore.open_whole``: one request, and another for the rest where its answer is cut short."""
        key, listed = (wanted, None) if isinstance(wanted, str) else (wanted.key, wanted)
        with Gathered(self.url, key) as gathered:
            entry = self._gather(key, listed, gathered)
            yield WholeObject(entry=entry, file=gathered.rewound(), sha256=gathered.sha256())

    def _gather(self, key: str, listed: SourceEntry | None, gathered: Gathered) -> SourceEntry:
        """Reads the object to its end, all of it of the same ETag and version."""
        found: SourceEntry | None = None

        def begin(answer: Mapping[str, Any]) -> Callable[[bytes], None]:
            nonlocal found
            now = _entry(key, answer)
            goes_on = found is not None and "ContentRange" in answer
            if found is not None and goes_on:
                now = replace(now, size_bytes=gathered.size_bytes + now.size_bytes)
            if not all(_is_same(now, known) for known in (listed, found) if known is not None):
                raise _AnotherObject
            if not goes_on:
                gathered.begin(now.size_bytes)
            found = now
            return gathered.take

        for _ in range(self.attempts):
            known = found or listed
            arguments = self._named(key) | (_conditions(known) if known else {})
            if found is not None and gathered.size_bytes < found.size_bytes:
                arguments["Range"] = f"bytes={gathered.size_bytes}-"
            else:
                arguments["ChecksumMode"] = "ENABLED"
            try:
                with self._noticing_changes(key):
                    self._get_pieces(key, begin, **arguments)
            except CutShort as short:
                log.debug("%s: %r was cut short: %s", self.url, key, short.__cause__)
            except _AnotherObject as another:
                raise self._changed(self.entry(key)) from another
            else:
                assert found is not None
                return found
        raise self._never_whole(key)

    def open(self, key: str) -> IO[bytes]:
        """The object as a file that is read in ranges, all of the same ETag."""
        from fsspec.spec import AbstractBufferedFile

        facts, get = self.entry(key), self._get_same

        class RangeFile(AbstractBufferedFile):  # type: ignore[misc]
            def _fetch_range(self, start: int, end: int) -> bytes:
                return get(facts, Range=f"bytes={start}-{end - 1}")[1] if start < end else b""

        if facts.size_bytes == 0:
            return io.BytesIO()
        file: IO[bytes] = RangeFile(self._fs, key, size=facts.size_bytes, block_size=_RANGE_BYTES)
        return file


def _entry(key: str, answer: Mapping[str, Any]) -> SourceEntry:
    """What the answer to a HEAD or a whole GET says of the object."""
    modified = answer.get("LastModified")
    return SourceEntry(
        key=key,
        size_bytes=answer["ContentLength"],
        modified_at=utc_text(modified) if modified else None,
        etag=(answer.get("ETag") or "").strip('"') or None,
        version_id=answer.get("VersionId"),
    )


def _conditions(entry: SourceEntry) -> dict[str, Any]:
    """What a request says so that only this object answers it."""
    matched = {"IfMatch": f'"{entry.etag}"'} if entry.etag else {}
    return matched | ({"VersionId": entry.version_id} if entry.version_id else {})


def _is_same(found: SourceEntry, known: SourceEntry) -> bool:
    return found.size_bytes == known.size_bytes and (not known.etag or found.etag == known.etag)
