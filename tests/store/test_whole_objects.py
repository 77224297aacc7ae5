"""Whole objects as local files, hashed on the way: from folders, from two real S3 servers, and over bad networks."""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import (
    KeyRefused,
    ObjectChanged,
    ObjectNotFound,
    ObjectStoreError,
    StoreAccessDenied,
    StoreUnavailable,
)
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.sources import SourceStore
from tests.store.fault_proxy import FaultProxy, running_proxy
from tests.store.s3_servers import S3Server

MB = 2**20
KEY = "box 1/master.tif"
DATA = bytes(range(256)) * 40_000
"""10 MB, so that it comes in several pieces."""


@pytest.fixture(params=["held", "not held"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the object is small enough to be held."""
    if request.param == "not held":
        monkeypatch.setattr("storage.whole_objects.HELD_BYTES", len(DATA) - 1)
    return request.param == "held"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source that holds one object."""
    path = tmp_path / KEY
    path.parent.mkdir()
    path.write_bytes(DATA)
    return tmp_path


# -- folders ----------------------------------------------------------------------------------------------------


def test_a_file_is_opened_in_place_and_hashed(folder: Path, held: bool) -> None:
    """Read-only; a large one is no copy."""
    source = SourceStore(folder)
    (listed,) = source.list()
    for wanted in (KEY, listed):
        with source.open_whole(wanted) as whole:
            assert (whole.entry, whole.size_bytes, whole.sha256) == (listed, len(DATA), sha256_hex(DATA))
            assert whole.file.read() == DATA
            whole.file.seek(1000)
            assert whole.file.read(10) == DATA[1000:1010]
            assert isinstance(whole.file, io.BytesIO) == held
            assert held or os.path.samestat(os.fstat(whole.file.fileno()), (folder / KEY).stat())
            assert held or not whole.file.writable()
            whole.check_unchanged()
        assert whole.file.closed or held


@pytest.mark.parametrize("change", ["written", "replaced", "replaced by the same", "cut"])
def test_a_file_that_changes_under_our_hands_is_noticed(
    folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its writer does; what is held by then does not mind."""
    path, source = folder / KEY, SourceStore(folder)
    with source.open_whole(KEY) as small:
        path.write_bytes(DATA[::-1])
        small.check_unchanged()
        assert small.file.read() == DATA
    path.write_bytes(DATA)
    monkeypatch.setattr("storage.whole_objects.HELD_BYTES", 0)
    with source.open_whole(KEY) as whole:
        if change == "written":
            with path.open("r+b") as file:
                file.write(b"other")
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        elif change == "cut":
            os.truncate(path, 1000)
        else:
            shutil.copy2(path, folder / "new")
            (folder / "new").replace(path)
        with pytest.raises(ObjectChanged) as caught:
            whole.check_unchanged()
        assert caught.value.entry == source.entry(KEY)
    with source.open_whole(KEY) as whole:
        path.unlink()
        with pytest.raises(ObjectNotFound):
            whole.check_unchanged()


def test_a_file_that_is_no_longer_the_listed_one_is_said_to_have_changed(folder: Path, held: bool) -> None:
    source = SourceStore(folder)
    (listed,) = source.list()
    (folder / KEY).write_bytes(DATA[:-1])
    with pytest.raises(ObjectChanged, match="changed after it was listed") as caught, source.open_whole(listed):
        pass
    with source.open_whole(caught.value.entry) as whole:
        assert whole.size_bytes == len(DATA) - 1
    (folder / KEY).unlink()
    with pytest.raises(ObjectNotFound), source.open_whole(listed):
        pass


def test_errors_are_those_of_reading(folder: Path) -> None:
    source = SourceStore(folder)
    for key, kind in (("none", ObjectNotFound), ("../x", KeyRefused), ("", KeyRefused), ("box 1", ObjectStoreError)):
        with pytest.raises(kind), source.open_whole(key):
            pass
    with pytest.raises(OSError, match="ours"), source.open_whole(KEY):  # what its reader raises stays as it is
        raise OSError("ours")
    if os.geteuid() != 0:
        (folder / KEY).chmod(0)
        with pytest.raises(StoreAccessDenied), source.open_whole(KEY):
            pass


# -- buckets ----------------------------------------------------------------------------------------------------


def test_a_bucket_s_object_is_brought_here(s3: S3Server, bucket: str, held: bool) -> None:
    """Hashed on its way, in memory or in a file without a name; what happens to it then does not matter."""
    s3.store(bucket).write_bytes_atomic(KEY, DATA)
    source = s3.source(bucket)
    (listed,) = source.list()
    for wanted in (KEY, listed):
        with source.open_whole(wanted) as whole:
            assert (whole.size_bytes, whole.sha256, whole.entry.etag) == (len(DATA), sha256_hex(DATA), listed.etag)
            assert isinstance(whole.file, io.BytesIO) == held
            assert whole.file.read() == DATA
            whole.file.seek(1000)
            assert whole.file.read(10) == DATA[1000:1010]
            whole.check_unchanged()
        assert whole.file.closed


def test_an_empty_object_is_whole_too(s3: S3Server, bucket: str) -> None:
    s3.store(bucket).write_bytes_atomic("empty", b"")
    with s3.source(bucket).open_whole("empty") as whole:
        assert (whole.size_bytes, whole.file.read(), whole.sha256) == (0, b"", sha256_hex(b""))


def test_an_object_that_is_no_longer_the_listed_one_is_said_to_have_changed(s3: S3Server, bucket: str) -> None:
    """Also of the same size, and where the server does not know the condition; one that is gone is not found."""
    store, source = s3.store(bucket), s3.source(bucket)
    store.write_bytes_atomic(KEY, DATA)
    (listed,) = source.list()
    for other in (DATA[::-1], DATA[:-1]):
        store.write_bytes_atomic(KEY, other)
        with pytest.raises(ObjectChanged) as caught, source.open_whole(listed):
            pass
        with source.open_whole(caught.value.entry) as whole:
            assert whole.sha256 == sha256_hex(other)
    store.delete(KEY)
    for wanted in (KEY, listed):
        with pytest.raises(ObjectNotFound), source.open_whole(wanted):
            pass


def test_version_ids_come_with_the_bytes(moto: S3Server) -> None:
    url = moto.new_bucket()
    moto.client(
        "put_bucket_versioning", Bucket=url.removeprefix("s3://"), VersioningConfiguration={"Status": "Enabled"}
    )
    written = moto.store(url).write_once(KEY, DATA)
    with moto.source(url).open_whole(KEY) as whole:
        assert whole.entry.version_id == written.version_id is not None
    moto.store(url).write_bytes_atomic(KEY, b"another")
    with moto.source(url).open_whole(whole.entry) as before:
        assert before.file.read() == DATA


# -- bad networks -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["moto", "rclone"])
def shared_proxy(request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    with running_proxy(request.getfixturevalue(request.param)) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy: FaultProxy) -> FaultProxy:
    """A proxy without faults, in front of each server."""
    shared_proxy.reset()
    return shared_proxy


@pytest.fixture
def distant(proxy: FaultProxy) -> str:
    """A bucket behind it that holds one object."""
    url = proxy.server.new_bucket()
    proxy.server.store(url).write_bytes_atomic(KEY, DATA)
    return url


def test_it_takes_one_request(proxy: FaultProxy, distant: str) -> None:
    source = proxy.through().source(distant)
    (listed,) = source.list()
    for wanted in (KEY, listed):
        proxy.requests.clear()
        with source.open_whole(wanted):
            assert len(proxy.requests) == 1


def test_where_an_answer_is_cut_short_the_rest_is_asked_for(proxy: FaultProxy, distant: str, held: bool) -> None:
    """Again and again, as often as the setting says; the hash is that of the whole."""
    source = proxy.through().source(distant)
    (listed,) = source.list()
    proxy.reset()
    proxy.add("cut", method="GET", times=2)
    for wanted in (KEY, listed):
        with source.open_whole(wanted) as whole:
            assert whole.sha256 == sha256_hex(DATA)
            assert whole.file.read() == DATA
    first, second, third, again = proxy.ranges
    assert (first, again) == ("", "")
    assert 0 < int(second[len("bytes=") : -1]) < int(third[len("bytes=") : -1]) < len(DATA)
    proxy.add("cut", method="GET", times=None)
    with pytest.raises(StoreUnavailable, match="each of 3 answers was cut short"), source.open_whole(KEY):
        pass


def test_an_object_that_is_replaced_between_two_requests_is_noticed(proxy: FaultProxy, distant: str) -> None:
    """Of the same size too; what came before is not joined to what comes after."""
    source, writer = proxy.through().source(distant), proxy.server.store(distant)
    for other in (DATA[::-1], DATA + b"more", b"short"):
        writer.write_bytes_atomic(KEY, DATA)
        proxy.reset()
        proxy.add("cut", method="GET")
        proxy.add("pass", method="GET", before=lambda other=other: writer.write_bytes_atomic(KEY, other))
        with pytest.raises(ObjectChanged) as caught, source.open_whole(KEY):
            pass
        with source.open_whole(caught.value.entry) as whole:
            assert whole.file.read() == other


def test_denied_and_busy_are_told_apart(proxy: FaultProxy, distant: str) -> None:
    source = proxy.through().source(distant)
    proxy.add("error", code="AccessDenied", status=403, times=None)
    with pytest.raises(StoreAccessDenied, match="cannot be read: access denied"), source.open_whole(KEY):
        pass
    proxy.reset()
    proxy.add("error", code="SlowDown", status=503, times=2)
    with source.open_whole(KEY) as whole:
        assert whole.sha256 == sha256_hex(DATA)


NO_ROOM = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
import storage.whole_objects
from storage.errors import ObjectStoreError
storage.whole_objects.HELD_BYTES = 0
gathered = storage.whole_objects.Gathered("s3://bucket", "a.tif")
gathered.begin(200_000)
try:
    gathered.take(bytes(200_000))
except ObjectStoreError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes here")
def test_a_temporary_folder_without_room_is_named(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_ROOM], capture_output=True, text=True, timeout=60, check=True)
    assert "object 'a.tif' in s3://bucket cannot be read: File too large in " in done.stdout, done.stderr
    assert f"{tempfile.gettempdir()}, where it is gathered first" in done.stdout
    assert "set TMPDIR" in done.stdout


def test_a_store_that_may_be_written_to_opens_whole_objects_too(moto: S3Server, held: bool) -> None:
    """What it gathers for writing and for reading are two things."""
    store = ObjectStore(moto.new_bucket(), moto.options())
    store.write_stream(KEY, [DATA[:MB], DATA[MB:]])
    with store.open_whole(KEY) as whole:
        assert (whole.sha256, whole.file.read()) == (sha256_hex(DATA), DATA)
