"""Files of any size are written once, in folders and buckets, and never held in memory."""

from __future__ import annotations

import io
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from storage.errors import ObjectExists, StoreAccessDenied
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from tests.store.fault_proxy import FaultProxy, running_proxy
from tests.store.s3_servers import S3Server

MB = 2**20
LARGE = os.urandom(MB) * 11


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multipart uploads from 5 MiB on, the least that S3 takes as a part."""
    monkeypatch.setattr("storage.s3_writing.PART_BYTES", 5 * MB)


@pytest.fixture(params=["folder", "moto", "rclone", "moto without conditions"])
def store(request: pytest.FixtureRequest, tmp_path: Path, small_parts: None) -> ObjectStore:
    """An empty store in each of the places that results go to."""
    if request.param == "folder":
        return ObjectStore(tmp_path / "store")
    server: S3Server = request.getfixturevalue(request.param.partition(" ")[0])
    conditional = server.conditional and not request.param.endswith("conditions")
    return ObjectStore(server.new_bucket(), server.options(), conditional_writes=conditional)


def file_of(data: bytes) -> IO[bytes]:
    """Gives a file that holds the bytes and stands behind them, as one that was just written does."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    return file


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "in parts"])
def test_a_file_is_written_once(store: ObjectStore, data: bytes) -> None:
    """Its bytes again are success, others are refused, and what stands is left alone."""
    digest = sha256_hex(data)
    with file_of(data) as file:
        written = store.write_file_once("a/b.tif", file, sha256=digest)
        again = store.write_file_once("a/b.tif", file, sha256=digest)
    assert (written.key, written.size_bytes, written.sha256) == ("a/b.tif", len(data), digest)
    assert (again.etag, again.sha256) == (store.stored("a/b.tif").etag, digest)
    assert store.write_once("a/b.tif", data).etag == again.etag
    for other in (data[:-1] + b"?", data + b"longer"):
        with file_of(other) as file, pytest.raises(ObjectExists, match=f"{len(data)} other bytes already"):
            store.write_file_once("a/b.tif", file, sha256=sha256_hex(other))
    assert store.read_bytes("a/b.tif") == data
    assert [entry.key for entry in store.list()] == ["a/b.tif"]


def test_a_large_object_that_came_without_its_hash_is_compared(s3: S3Server, bucket: str, small_parts: None) -> None:
    """In a bucket, where another program wrote it."""
    s3.client("put_object", Bucket=bucket.removeprefix("s3://"), Key="x.tif", Body=LARGE)
    store = s3.store(bucket)
    assert store.stored("x.tif").sha256 is None
    assert store.write_file_once("x.tif", io.BytesIO(LARGE), sha256=sha256_hex(LARGE)).sha256 == sha256_hex(LARGE)
    other = LARGE[:-1] + bytes([LARGE[-1] ^ 1])
    with pytest.raises(ObjectExists):
        store.write_file_once("x.tif", io.BytesIO(other), sha256=sha256_hex(other))


@pytest.mark.parametrize("store", ["folder"], indirect=True)  # moto looks and writes in two steps where it has parts
def test_of_many_files_for_one_key_one_is_written(store: ObjectStore) -> None:
    """And the others are told."""

    def write(number: int) -> bool:
        data = bytes([number]) * 6 * MB
        try:
            store.write_file_once("x", io.BytesIO(data), sha256=sha256_hex(data))
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(write, range(4)))
    assert won.count(True) == 1
    assert store.read_bytes("x") == bytes([won.index(True)]) * 6 * MB


@pytest.mark.parametrize("store", ["folder", "rclone"], indirect=True)  # moto lies in this process, and holds it all
def test_a_file_is_never_held(store: ObjectStore) -> None:
    """Of 60 MiB no more than some pieces: neither when it is written, nor when what stands is compared with it."""
    with tempfile.TemporaryFile() as file:
        file.truncate(60 * MB)
        digest = sha256_hex(bytes(60 * MB))
        tracemalloc.start()
        try:
            store.write_file_once("large", file, sha256=digest)
            store.write_file_once("large", file, sha256=digest)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 30 * MB
    assert store.stored("large").size_bytes == 60 * MB


@pytest.fixture(params=["moto", "rclone"])
def proxy(request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    """A proxy in front of each server."""
    with running_proxy(request.getfixturevalue(request.param)) as proxy:
        yield proxy


def test_lost_acknowledgements_of_a_file_are_success(proxy: FaultProxy, small_parts: None) -> None:
    """Of any part, and of the last request, after which the upload is no more."""
    url, server = proxy.server.new_bucket(), proxy.through()
    proxy.add("drop", method="PUT", within="partNumber=2")
    proxy.add("drop", method="POST", within="uploadId=")
    with file_of(LARGE) as file:
        assert server.store(url).write_file_once("b.tif", file, sha256=sha256_hex(LARGE)).size_bytes == len(LARGE)
    assert server.store(url).read_bytes("b.tif") == LARGE


def test_a_file_that_cannot_be_written_leaves_nothing(proxy: FaultProxy, small_parts: None) -> None:
    url, server = proxy.server.new_bucket(), proxy.through()
    proxy.add("error", code="AccessDenied", method="PUT", within="partNumber=2", times=None)
    with file_of(LARGE) as file, pytest.raises(StoreAccessDenied):
        server.store(url).write_file_once("b.tif", file, sha256=sha256_hex(LARGE))
    assert [entry.key for entry in server.source(url).list()] == []
    assert not server.client("list_multipart_uploads", Bucket=url.removeprefix("s3://")).get("Uploads")
