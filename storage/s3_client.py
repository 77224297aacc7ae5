"""Requests to a bucket, made through the client that s3fs keeps, with retries and deadlines; errors are ours.

s3fs brings the client, its credentials and the thread it runs in. Requests are made by name here, since only so does
one request read an object and check that it is still the one that was listed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from storage.errors import ObjectStoreError, SourceUnreadable, StoreUnavailable
from storage.s3_errors import is_store_failure, store_error

log = logging.getLogger(__name__)

DEADLINE_S = 900.0
"""The longest that one request may take with all its retries, body of the answer not counted. The client's own limits
are for connections and for silence while it reads; nothing of it ends a write that does not get on."""

_PIECE_BYTES = 2**20


class CutShort(Exception):
    """The answer came, but not all of its body, or not unharmed."""


class S3Client:
    """The client of one bucket and prefix.

    Attributes:
        requests: all that it may ask of the server.
        attempts: how often a body that is cut short is asked for.
    """

    requests: frozenset[str] = frozenset()

    def __init__(self, url: str, location: str, options: Mapping[str, Any]) -> None:
        """Opens nothing yet.

        Args:
            url: for messages.
            location: ``bucket`` or ``bucket/prefix``.
            options: of s3fs, as ``StorageSettings.store_options`` gives them.
        """
        self.url = url
        self._options = dict(options)
        self.attempts = int(self._options.get("config_kwargs", {}).get("retries", {}).get("total_max_attempts", 5))
        self._client: Any = None
        self._bucket, _, prefix = location.partition("/")
        self._start = f"{prefix}/" if prefix else ""

    def __getstate__(self) -> dict[str, Any]:
        """Without the client: another process makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_fs"} | {"_client": None}

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
                raise CutShort from error
            if len(data) != answer["ContentLength"]:
                raise CutShort
            return answer, data

        for _ in range(self.attempts):
            try:
                with self._errors(key, "read"):
                    return sync(self._fs.loop, get)
            except CutShort as short:
                log.debug("%s: %r was cut short: %s", self.url, key, short.__cause__)
        raise self._never_whole(key)

    def _never_whole(self, key: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"object {key!r} in {self.url} cannot be read: each of {self.attempts} answers was cut short or "
            "damaged on its way; run again later",
            url=self.url, key=key,
        )  # fmt: skip

    def _get_pieces(
        self, key: str, begin: Callable[[Mapping[str, Any]], Callable[[bytes], None]], **arguments: Any
    ) -> None:
        """A GET whose body is handed over in pieces as it comes, in a thread beside the one that makes requests.

        Args:
            begin: is given the answer before its body, and gives what takes the pieces.

        Raises:
            CutShort: after the pieces that came.
        """
        from fsspec.asyn import sync

        async def get() -> None:
            answer = await self._ask("get_object", arguments)
            async with answer["Body"] as body:
                take, left = begin(answer), answer["ContentLength"]
                try:
                    while piece := await _next_piece(body):
                        left -= len(piece)
                        await asyncio.to_thread(take, piece)
                except Exception as error:
                    if not is_store_failure(error):
                        raise
                    raise CutShort from error
            if left:
                raise CutShort

        with self._errors(key, "read"):
            sync(self._fs.loop, get)

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


async def _next_piece(body: Any) -> bytes:
    """A megabyte, or what is left: the network gives a few kilobytes at a time."""
    gathered = bytearray()
    while len(gathered) < _PIECE_BYTES and (some := await body.read(_PIECE_BYTES - len(gathered))):
        gathered += some
    return bytes(gathered)


def _expect_nothing(params: dict[str, Any], **_: Any) -> None:
    """Sends the body with the request: a client that waits for "100 Continue" first hangs where a server refuses."""
    params["headers"].pop("Expect", None)
