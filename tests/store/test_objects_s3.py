"""Object stores on two real S3 servers, through the same code as folders."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from storage.endpoints import endpoint_of, probe_conditional_writes
from storage.errors import (
    CredentialsRefused,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    ObjectStoreError,
    SourceUnreadable,
    StoreUnavailable,
)
from storage.keys import sha256_hex
from storage.objects import ObjectStore, SourceStore
from storage.records import SourceEntry
from tests.store.s3_servers import S3Server

ANYWHERE = [
    "a.jpg", "1912/Räder & Co/a b.jpg", "100%.jpg", "%20.jpg", "#1?.jpg", "\U0001f4f7.jpg", ".hidden/x", "a+b.jpg",
    "back\\slash", "trail ", "tab\there", "a.jpg.d/1.jpg", "/".join(["n" * 220] * 4),
]  # fmt: skip
"""Keys that every server holds; the last one is of 883 bytes."""

ONLY_IN_BUCKETS = ["..", "x/../y.jpg", "a//b.jpg", "/lead.jpg", "é" * 450, "./dot"]
"""Keys that no folder can hold; the fifth is one name of 900 bytes."""

MB = 2**20


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multipart uploads from 5 MiB on, the least that S3 takes as a part."""
    monkeypatch.setattr("storage.s3_writing.PART_BYTES", 5 * MB)


def keys(store: SourceStore) -> list[str]:
    return [entry.key for entry in store.list()]


def test_objects_are_written_listed_and_read(s3: S3Server, bucket: str) -> None:
    """Odd keys too; the prefix bounds the store; a listing gives what is needed to tell an unchanged object."""
    odd = ANYWHERE + (ONLY_IN_BUCKETS if s3.name == "moto" else [])
    store = s3.store(f"{bucket}/scans/")
    s3.store(f"{bucket}/scans2").write_bytes_atomic("other.jpg", b"x")
    for key in odd:
        assert store.write_bytes_atomic(key, key.encode()) == sha256_hex(key.encode())
    source = s3.source(f"{bucket}/scans")
    entries = {entry.key: entry for entry in source.list()}
    assert list(entries) == sorted(odd, key=str.encode)
    for key in odd:
        data = key.encode()
        found, read = source.read_entry(entries[key])
        assert (read, replace(found, version_id=None)) == (data, entries[key])
        assert source.read_bytes(key) == data
        assert source.read_head(key, 1) == data[:1]
        assert source.entry(key).etag == entries[key].etag is not None
        assert entries[key].size_bytes == len(data)
        assert source.exists(key)
    assert {entry.key for entry in source.list(recursive=False)} == {key for key in odd if "/" not in key}
    assert source.local_path("a.jpg") is None


def test_what_a_folder_cannot_hold_is_refused_by_rclone(rclone: S3Server) -> None:
    """A name over 255 bytes is a server error. rclone lists it for a while all the same, and cannot read it."""
    store = rclone.store(rclone.new_bucket(), attempts=1)
    with pytest.raises(StoreUnavailable, match="InternalError"):
        store.write_bytes_atomic("é" * 450, b"1")
    for entry in store.list():
        with pytest.raises(ObjectStoreError):
            store.read_entry(entry)


def test_an_empty_bucket_lists_nothing(s3: S3Server, bucket: str) -> None:
    """Neither does a prefix that is not there: S3 knows no folders."""
    assert keys(s3.source(bucket)) == []
    (page,) = s3.source(f"{bucket}/none").pages()
    assert (page.entries, page.cursor) == ((), None)


@pytest.mark.parametrize("page_keys", [1, 4, 9])
def test_more_keys_than_a_page_are_all_listed(
    s3: S3Server, bucket: str, page_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, whatever falls on a page's edge; folders below, where they are left out, end no page twice."""
    store = s3.store(f"{bucket}/many")
    names = [f"{i}.jpg" for i in range(9)]
    below = [f"{i}/x{j}.jpg" for i in range(1, 7, 2) for j in range(3)]
    for key in names + below:
        store.write_bytes_atomic(key, b"1")
    monkeypatch.setattr("storage.s3_access.PAGE_KEYS", page_keys)
    assert keys(store) == sorted(names + below)
    pages = list(store.pages())
    assert all(len(page.entries) <= page_keys for page in pages)
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [entry.key for entry in store.list(recursive=False)] == names


def test_a_listing_goes_on_behind_its_cursor(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process and after keys came and went, the one that the cursor names among them."""
    store = s3.store(f"{bucket}/box")
    for i in range(9):
        store.write_bytes_atomic(f"{i}.jpg", b"1")
    monkeypatch.setattr("storage.s3_access.PAGE_KEYS", 3)
    first = next(iter(s3.source(f"{bucket}/box").pages()))
    assert [entry.key for entry in first.entries] == ["0.jpg", "1.jpg", "2.jpg"]
    assert first.cursor == "box/2.jpg"
    store.delete("2.jpg")
    store.delete("4.jpg")
    store.write_bytes_atomic("0 late.jpg", b"1")
    store.write_bytes_atomic("2a.jpg", b"1")
    store.write_bytes_atomic("zz.jpg", b"1")
    resumed = s3.source(f"{bucket}/box")
    assert resumed.resumable
    rest = [entry.key for page in resumed.pages(after=first.cursor) for entry in page.entries]
    assert rest == ["2a.jpg", "3.jpg", "5.jpg", "6.jpg", "7.jpg", "8.jpg", "zz.jpg"]


def test_folder_markers_are_no_objects(moto: S3Server) -> None:
    """As consoles make them; but a key with a slash at its end that holds bytes is one."""
    url = moto.new_bucket()
    store = moto.store(url)
    for key, data in {"scans/": b"", "scans/a.jpg": b"1", "odd/": b"bytes"}.items():
        store.write_bytes_atomic(key, data)
    assert keys(moto.source(url)) == ["odd/", "scans/a.jpg"]
    assert keys(moto.source(f"{url}/scans")) == ["a.jpg"]


def test_results_in_the_same_bucket_are_not_listed_as_masters(s3: S3Server, bucket: str) -> None:
    """A source that holds the stores of results leaves them out; one inside them is refused."""
    for key in ("derivatives/y.png", "derivatives2/z.jpg", "many/1.jpg", "a.jpg"):
        s3.store(bucket).write_bytes_atomic(key, b"1")
    source = SourceStore(bucket, s3.options(), exclude=[f"{bucket}/derivatives", f"{bucket}/many", "/home"])
    assert keys(source) == ["a.jpg", "derivatives2/z.jpg"]
    with pytest.raises(SourceUnreadable, match="store of results"):
        keys(SourceStore(f"{bucket}/derivatives", s3.options(), exclude=[f"{bucket}/derivatives"]))


def test_an_object_that_changed_since_it_was_listed_is_said_to_have(s3: S3Server, bucket: str) -> None:
    """With what it is now, whether or not the server knows If-Match; one that is gone is not found."""
    store = s3.store(bucket)
    store.write_bytes_atomic("a.jpg", b"one")
    source = s3.source(bucket)
    (listed,) = source.list()
    store.write_bytes_atomic("a.jpg", b"two")
    with pytest.raises(ObjectChanged, match="changed after it was listed") as caught:
        source.read_entry(listed)
    assert source.read_entry(caught.value.entry)[1] == b"two"
    store.delete("a.jpg")
    with pytest.raises(ObjectNotFound):
        source.read_entry(listed)


def test_version_ids_come_with_the_bytes(moto: S3Server) -> None:
    """A listing does not have them. A version that is known is read even where another stands on it."""
    url = moto.new_bucket()
    moto.client(
        "put_bucket_versioning", Bucket=url.removeprefix("s3://"), VersioningConfiguration={"Status": "Enabled"}
    )
    store = moto.store(url)
    written = store.write_once("a.jpg", b"one")
    (listed,) = store.list()
    assert listed.version_id is None
    entry, data = store.read_entry(listed)
    assert (data, entry.version_id) == (b"one", written.version_id)
    assert entry.version_id is not None
    store.write_bytes_atomic("a.jpg", b"two")
    assert store.read_entry(entry)[1] == b"one"
    assert store.entry("a.jpg").version_id != entry.version_id


def test_objects_are_read_in_pieces(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ranges, backwards too; an object that is replaced in between is not mixed with the new one."""
    monkeypatch.setattr("storage.s3_access._RANGE_BYTES", 1000)
    data = bytes(range(256)) * 40
    store = s3.store(bucket)
    store.write_bytes_atomic("big.bin", data)
    with store.open_read("big.bin") as file:
        assert file.read(3) == data[:3]
        file.seek(9000)
        assert file.read(100) == data[9000:9100]
        file.seek(0)
        assert file.read() == data
    with store.open_read("big.bin") as file:
        file.read(1)
        store.write_bytes_atomic("big.bin", data[::-1])
        with pytest.raises(ObjectChanged):
            file.seek(9000)
            file.read(100)
    store.write_bytes_atomic("empty", b"")
    assert store.read_head("empty", 10) == store.read_bytes("empty") == b""
    with store.open_read("empty") as file:
        assert file.read() == b""


def test_put_if_absent_leaves_what_is_there(s3: S3Server, bucket: str) -> None:
    """The same bytes are success, others are refused, whether the server knows the condition or not."""
    for conditional in {s3.conditional, False}:
        store = ObjectStore(f"{bucket}/{conditional}", s3.options(), conditional_writes=conditional)
        first = store.write_once("x.png", b"one")
        again = store.write_once("x.png", b"one")
        assert first.sha256 == again.sha256 == sha256_hex(b"one")
        assert first.etag == again.etag
        for other in (b"two", b"longer"):
            with pytest.raises(ObjectExists, match="3 other bytes already"):
                store.write_once("x.png", other)
            with pytest.raises(ObjectExists):
                store.write_bytes_atomic("x.png", other, overwrite=False)
        assert store.read_bytes("x.png") == b"one"


def test_put_if_absent_knows_an_object_that_came_without_its_hash(s3: S3Server, bucket: str) -> None:
    """Written by another program: its bytes are compared."""
    store = s3.store(bucket)
    s3.client("put_object", Bucket=bucket.removeprefix("s3://"), Key="x.png", Body=b"one")
    assert store.stored("x.png").sha256 is None
    assert store.write_once("x.png", b"one").sha256 == sha256_hex(b"one")
    with pytest.raises(ObjectExists):
        store.write_once("x.png", b"two")


def test_of_many_writers_of_one_key_one_wins(moto: S3Server) -> None:
    """And the others are told, where the server honours the condition."""
    store = moto.store(moto.new_bucket())

    def write(i: int) -> bool:
        try:
            store.write_once("x", b"%d" % i)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert store.read_bytes("x") == b"%d" % won.index(True)


def test_the_probe_finds_out_and_leaves_nothing(s3: S3Server, bucket: str) -> None:
    """moto honours the condition, rclone ignores it in silence."""
    store = ObjectStore(f"{bucket}/d", s3.options())
    assert probe_conditional_writes(store) is s3.conditional
    assert keys(store) == []


def test_objects_carry_their_hash_and_type(s3: S3Server, bucket: str, small_parts: None) -> None:
    """Small ones and those written in parts, from memory and as a stream; no upload is left open."""
    store = s3.store(bucket)
    large = bytes(11 * MB)
    store.write_bytes_atomic("a.tif", b"small")
    store.write_bytes_atomic("b.tif", large)
    store.write_once("c.tif", large)
    streamed = store.write_stream("d.tif", (large[start : start + MB] for start in range(0, len(large), MB)))
    assert (streamed.size_bytes, streamed.sha256) == (len(large), sha256_hex(large))
    name = bucket.removeprefix("s3://")
    for key, data in {"a.tif": b"small", "b.tif": large, "c.tif": large, "d.tif": large}.items():
        stored = store.stored(key)
        assert (stored.size_bytes, stored.sha256) == (len(data), sha256_hex(data))
        assert s3.client("head_object", Bucket=name, Key=key)["ContentType"] == "image/tiff"
    assert store.read_bytes("d.tif") == large
    with pytest.raises(ObjectExists):
        store.write_once("c.tif", large[:-1] + b"1")
    assert not s3.client("list_multipart_uploads", Bucket=name).get("Uploads")


def test_a_stream_that_breaks_leaves_the_key_as_it_was(s3: S3Server, bucket: str) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"part"
        raise RuntimeError("the rows ran out")

    store = s3.store(bucket)
    store.write_bytes_atomic("x", b"before")
    with pytest.raises(RuntimeError, match="ran out"):
        store.write_stream("x", breaking())
    assert store.read_bytes("x") == b"before"


def test_encryption_is_asked_for(moto: S3Server, small_parts: None) -> None:
    """With every write, in parts or whole."""
    url = moto.new_bucket()
    store = moto.store(url, sse="aws:kms", sse_kms_key_id="key-1")
    store.write_bytes_atomic("small", b"1")
    store.write_bytes_atomic("large", bytes(6 * MB))
    for key in ("small", "large"):
        head = moto.client("head_object", Bucket=url.removeprefix("s3://"), Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "key-1")


def test_objects_are_deleted_alone_and_by_prefix(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is no error; a neighbour whose name begins the same stays."""
    monkeypatch.setattr("storage.s3_writing._DELETED_AT_ONCE", 2)
    store = s3.store(f"{bucket}/d")
    for key in ("ab/1", "ab/2", "ab/c/3", "ab/ü &<.jpg", "abc/4"):
        store.write_bytes_atomic(key, b"1")
    store.delete("ab/1")
    store.delete("ab/1")
    assert not store.exists("ab/1")
    assert store.delete_prefix("ab/") == 3
    assert store.delete_prefix("ab/") == 0
    assert keys(store) == ["abc/4"]


def test_stores_are_pickled_after_use(s3: S3Server, bucket: str) -> None:
    """As Dask does; what was learned of the endpoint goes with them, and no secret is in their repr."""
    store = s3.store(bucket)
    store.write_once("a", b"1")
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read_bytes("a") == b"1"
    assert copy.write_once("a", b"1").etag == store.stored("a").etag
    assert "secret" not in repr(store) + repr(copy)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(copy.read_bytes, ["a"] * 20)) == {b"1"}


def test_credentials_and_servers_never_cross(moto: S3Server, rclone: S3Server) -> None:
    """Two servers, and two keys on one of them, in one process: each store keeps its own."""
    url = moto.new_bucket()
    name = url.removeprefix("s3://")
    rclone.client("create_bucket", Bucket=name)
    moto.store(url).write_bytes_atomic("a", b"moto's")
    rclone.store(url).write_bytes_atomic("a", b"rclone's")
    wrong = rclone.source(url, secret_key="wrong-secret")
    for _ in range(2):
        assert moto.source(url).read_bytes("a") == b"moto's"
        assert rclone.source(url).read_bytes("a") == b"rclone's"
        with pytest.raises(CredentialsRefused, match="SignatureDoesNotMatch"):
            wrong.read_bytes("a")
    assert endpoint_of(url, moto.options()) == f"{moto.endpoint_url}/{name}"
    assert endpoint_of(url, rclone.options()) == f"{rclone.endpoint_url}/{name}"


def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    """In one line, for reading as for writing."""
    for fails in (
        lambda: list(s3.source("s3://nowhere-1/x").list()),
        lambda: s3.source("s3://nowhere-1/x").read_entry(SourceEntry(key="a", size_bytes=1)),
        lambda: s3.store("s3://nowhere-1/x").write_bytes_atomic("a", b"1"),
    ):
        with pytest.raises(SourceUnreadable, match="s3://nowhere-1/x.*no such bucket") as caught:
            fails()
        assert "\n" not in str(caught.value)


def test_missing_objects_are_named(s3: S3Server, bucket: str) -> None:
    for fails in (s3.source(bucket).read_bytes, s3.source(bucket).entry, s3.store(bucket).stored):
        with pytest.raises(ObjectNotFound, match=r"no object 'a\.jpg' in s3://"):
            fails("a.jpg")
    assert not s3.source(bucket).exists("a.jpg")


@pytest.mark.parametrize("key", ["..", "x/../y.jpg", "a//b.jpg"])
def test_a_server_that_refuses_before_it_reads_is_heard(rclone: S3Server, key: str) -> None:
    """As rclone does with keys that no folder can hold. A client that waits for "go on" first would wait for ever."""
    store = rclone.store(rclone.new_bucket())
    with pytest.raises(ObjectStoreError, match="unsupported characters.*InvalidArgument"):
        store.write_bytes_atomic(key, b"1")
    assert keys(store) == []
