"""Object stores on folders, by the same methods as buckets: pages, put-if-absent, streams, and full disks."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.endpoints import endpoint_of, probe_conditional_writes
from storage.errors import KeyRefused, ObjectChanged, ObjectExists, ObjectNotFound, ObjectStoreError, StoreAccessDenied
from storage.keys import sha256_hex
from storage.objects import ObjectStore, SourceStore


def test_a_folder_is_listed_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is larger than the page, and none has a cursor: a folder's listing starts anew."""
    monkeypatch.setattr("storage.folder_access.PAGE_KEYS", 4)
    for i in range(9):
        (tmp_path / f"{i}.jpg").write_bytes(b"1")
    source = SourceStore(tmp_path)
    pages = list(source.pages())
    assert [len(page.entries) for page in pages] == [4, 4, 1]
    assert {page.cursor for page in pages} == {None}
    assert not source.resumable
    with pytest.raises(ValueError, match="starts anew"):
        next(iter(source.pages(after="3.jpg")))
    (tmp_path / "empty").mkdir()
    assert list(SourceStore(tmp_path / "empty").pages()) == []


def test_an_entry_is_read_with_its_bytes_or_said_to_have_changed(tmp_path: Path) -> None:
    """Even where size and second are the same; one that is gone is not found."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    source = SourceStore(tmp_path)
    (listed,) = source.list()
    assert source.read_entry(listed) == (listed, b"one")
    path.write_bytes(b"two")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(ObjectChanged, match="changed after it was listed") as caught:
        source.read_entry(listed)
    assert source.read_entry(caught.value.entry) == (caught.value.entry, b"two")
    path.unlink()
    with pytest.raises(ObjectNotFound):
        source.read_entry(listed)


def test_a_file_that_grows_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    """A scanner that is still writing: each time, until it rests."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1" * 1000)
    source = SourceStore(tmp_path)
    (listed,) = source.list()

    class Growing(type(source._access)):  # type: ignore[misc]
        def path(self, key: str) -> Path:
            found: Path = super().path(key)
            with open(found, "ab") as file:  # the scanner, in the instant before it is opened
                file.write(b"2")
            return found

    source._access = Growing(source.url, tmp_path)
    with pytest.raises(ObjectChanged) as caught:
        source.read_entry(listed)
    assert caught.value.entry.size_bytes == 1001


def test_put_if_absent_in_a_folder(tmp_path: Path) -> None:
    """Of many writers one wins; the same bytes are success."""
    store = ObjectStore(tmp_path)

    def write(i: int) -> bool:
        try:
            store.write_once("x/y.png", b"%d" % i)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    data = b"%d" % won.index(True)
    assert store.read_bytes("x/y.png") == data
    assert store.write_once("x/y.png", data).sha256 == sha256_hex(data)
    assert store.stored("x/y.png").size_bytes == 1
    assert probe_conditional_writes(store)
    assert [entry.key for entry in store.list()] == ["x/y.png"]
    assert endpoint_of(tmp_path) == store.url


def test_a_stream_is_whole_or_not_there(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    written = store.write_stream("a/big.bin", (b"x" * 1000 for _ in range(50)))
    assert (written.size_bytes, written.sha256) == (50_000, sha256_hex(b"x" * 50_000))

    def breaking() -> Iterator[bytes]:
        yield b"part"
        raise RuntimeError("the rows ran out")

    with pytest.raises(RuntimeError):
        store.write_stream("a/big.bin", breaking())
    assert store.read_bytes("a/big.bin") == b"x" * 50_000
    assert os.listdir(tmp_path / "a") == ["big.bin"]


def test_a_prefix_is_deleted_with_the_folders_it_empties(tmp_path: Path) -> None:
    """Up to the store's own, never beyond; a neighbour stays."""
    store = ObjectStore(tmp_path / "store")
    for key in ("ab/sha1/run/1", "ab/sha1/run/deep/2", "ab/sha2/3", "abc/4"):
        store.write_bytes_atomic(key, b"1")
    assert store.delete_prefix("ab/sha1/") == 2
    assert store.delete_prefix("ab/sha1/") == 0
    assert sorted(entry.key for entry in store.list()) == ["ab/sha2/3", "abc/4"]
    assert not (tmp_path / "store" / "ab" / "sha1").exists()
    store.delete_prefix("ab/")
    store.delete_prefix("abc/")
    assert os.listdir(tmp_path / "store") == []
    for prefix in ("", "/", "ab", "../", "a/../"):
        with pytest.raises(KeyRefused):
            store.delete_prefix(prefix)


def test_stores_of_folders_are_pickled(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    store.write_once("a", b"1")
    assert pickle.loads(pickle.dumps(store)).read_bytes("a") == b"1"


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
from storage.errors import ObjectStoreError
from storage.objects import ObjectStore
store = ObjectStore(sys.argv[1])
store.write_bytes_atomic("small", b"1" * 1000)
for write in (
    lambda: store.write_bytes_atomic("a/large", bytes(200_000)),
    lambda: store.write_once("a/large", bytes(200_000)),
    lambda: store.write_stream("a/large", (bytes(50_000) for _ in range(4))),
    lambda: ObjectStore("s3://bucket", {}).write_stream("a/large", (bytes(50_000) for _ in range(4))),
):
    try:
        write()
    except ObjectStoreError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes here")
def test_a_disk_that_takes_no_more_leaves_no_part(tmp_path: Path) -> None:
    """One line that says so, for every way to write; what stood there stands."""
    store = ObjectStore(tmp_path)
    store.write_bytes_atomic("a/large", b"before")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 4, done.stderr
    assert all("'a/large'" in line and "File too large" in line for line in said)
    assert all("raise the limit" in line for line in said[:3]) and "set TMPDIR" in said[3]
    assert sorted(entry.key for entry in store.list()) == ["a/large", "small"]
    assert store.read_bytes("a/large") == b"before"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    """As the kernel says it, with what to do; no part is left."""

    def until_full() -> Iterator[bytes]:
        yield b"part"
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"1")

    with pytest.raises(ObjectStoreError, match="'a/x'.*cannot be written: No space left on device; free some space"):
        ObjectStore(tmp_path).write_stream("a/x", until_full())
    assert os.listdir(tmp_path / "a") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_what_is_forbidden_is_said_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    (folder / "a.jpg").chmod(0)
    folder.chmod(0o500)
    try:
        with pytest.raises(StoreAccessDenied, match="Permission denied; give this user the permission"):
            SourceStore(folder).read_bytes("a.jpg")
        with pytest.raises(StoreAccessDenied):
            ObjectStore(folder).write_bytes_atomic("b", b"1")
    finally:
        folder.chmod(0o700)
    assert os.listdir(folder) == ["a.jpg"]
