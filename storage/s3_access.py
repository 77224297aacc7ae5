"""Reading a bucket: pages of its listing, facts of an object, its bytes. Through the client that s3fs keeps.

s3fs brings the client, its credentials and the thread it runs in. Requests are made by name here, since only so does
one request read an object and check that it is still the one that was listed.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Any

from storage.errors import ObjectChanged, ObjectNotFound, ObjectStoreError, SourceUnreadable, StoreUnavailable
from storage.object_records import PAGE_KEYS, ListingPage, StoredObject
from storage.records import SourceEntry, utc_text
from storage.s3_errors import code_of, is_store_failure, store_error

log = logging.getLogger(__name__)

DEADLINE_S = 900.0
"""The longest that one request may take with all its retries, body of the answer not counted. The client's own limits
are for connections and for silence while it reads; nothing of it ends a write that does not get on."""

_RANGE_BYTES = 4 * 2**20
_BEHIND_ALL = "\U0010ffff"


class _CutShort(Exception):
    """The answer came, but not all of its body, or not unharmed."""


class S3Reader:
    """The objects of ``s3://bucket/prefix``; it makes no request that could change any."""

    requests: frozenset[str] = frozenset({"list_objects_v2", "head_object", "get_object"})
    """All that this class may ask of the server."""

    def __init__(self, url: str, location: str, options: Mapping[str, Any]) -> None:
        """Opens nothing yet.

        Args:
            url: for messages.
            location: ``bucket`` or ``bucket/prefix``.
            options: of s3fs, as ``StorageSettings.store_options`` gives them.
        """
        self.url = url
        self._options = dict(options)
        self._attempts = int(self._options.get("config_kwargs", {}).get("retries", {}).get("total_max_attempts", 5))
        self._client: Any = None
        self._bucket, _, prefix = location.partition("/")
        self._start = f"{prefix}/" if prefix else ""

    def __getstate__(self) -> dict[str, Any]:
        """Without the client: another process makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_fs"} | {"_client": None}

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
        arguments |= self._named(entry.key)
        if entry.etag:
            arguments["IfMatch"] = f'"{entry.etag}"'
        if entry.version_id:
            arguments["VersionId"] = entry.version_id
        try:
            answer, data = self._get(entry.key, **arguments)
        except ObjectStoreError as error:
            if code_of(error.__cause__ or error) not in ("PreconditionFailed", "412"):
                raise
            raise self._changed(self.entry(entry.key)) from error
        # An endpoint may ignore the condition, so what came is compared all the same.
        if entry.etag and (answer.get("ETag") or "").strip('"') != entry.etag:
            raise self._changed(self.entry(entry.key) if "Range" in arguments else _entry(entry.key, answer))
        return answer, data

    def _changed(self, now: SourceEntry) -> ObjectChanged:
        return ObjectChanged(
            f"object {now.key!r} in {self.url} changed after it was listed (now {now.size_bytes} bytes of "
            f"{now.modified_at}); it is read again once it rests",
            entry=now, url=self.url, key=now.key,
        )  # fmt: skip

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

    # -- requests -----------------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """The endpoint that requests go to, whoever set it, and the bucket."""
        with self._errors("", "opened"):
            return f"{str(self._fs.s3.meta.endpoint_url).rstrip('/')}/{self._bucket}"

    @cached_property
    def _fs(self) -> Any:
        import fsspec  # late: with s3fs it costs half a second

        try:
            fs = fsspec.filesystem("s3", **self._options)
        except ImportError as error:
            raise SourceUnreadable(f"{self.url}: {error}; install s3fs", url=self.url) from error
        fs.retries = 1  # botocore makes them all, so that the setting is their number
        return fs

    def _named(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._start + key}

    def _call(self, request: str, **arguments: Any) -> Any:
        """One request, with retries, and its answer; errors as they come."""
        from fsspec.asyn import sync

        return sync(self._fs.loop, self._ask, request, arguments)

    async def _ask(self, request: str, arguments: Mapping[str, Any]) -> Any:
        assert request in self.requests, f"{type(self).__name__} makes no {request}"
        return await asyncio.wait_for(self._ask_at_once(request, arguments), DEADLINE_S)

    async def _ask_at_once(self, request: str, arguments: Mapping[str, Any]) -> Any:
        client = await self._fs.set_session()
        if client is not self._client:
            client.meta.events.register_last("before-call.s3", _expect_nothing, unique_id="oldphoto-expect-nothing")
            self._client = client
        return await self._fs._call_s3(request, **arguments)

    def _get(self, key: str, **arguments: Any) -> tuple[Mapping[str, Any], bytes]:
        """The answer to a GET and its whole body; a body that is cut short is asked for again."""
        from fsspec.asyn import sync

        async def get() -> tuple[Mapping[str, Any], bytes]:
            answer = await self._ask("get_object", arguments)
            try:
                async with answer["Body"] as body:
                    data = await body.read()
            except Exception as error:
                if not is_store_failure(error):
                    raise
                raise _CutShort from error
            if len(data) != answer["ContentLength"]:
                raise _CutShort
            return answer, data

        for _ in range(self._attempts):
            try:
                with self._errors(key, "read"):
                    return sync(self._fs.loop, get)
            except _CutShort as short:
                log.debug("%s: %r was cut short: %s", self.url, key, short.__cause__)
        raise StoreUnavailable(
            f"object {key!r} in {self.url} cannot be read: each of {self._attempts} answers was cut short or "
            "damaged on its way; run again later",
            url=self.url, key=key,
        )  # fmt: skip

    @contextmanager
    def _errors(self, key: str, doing: str) -> Iterator[None]:
        """Errors of ours, with url and key, in place of the client's many."""
        try:
            yield
        except (ObjectStoreError, FileExistsError):
            raise
        except Exception as error:
            if not is_store_failure(error):
                raise
            raise store_error(error, url=self.url, key=key, doing=doing) from error


def _expect_nothing(params: dict[str, Any], **_: Any) -> None:
    """Sends the body with the request: a client that waits for "100 Continue" first hangs where a server refuses."""
    params["headers"].pop("Expect", None)


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
