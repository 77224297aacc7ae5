"""Object stores on a real S3 server (moto's), through the same code as folders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from storage.errors import ObjectExists, ObjectNotFound, SourceUnreadable
from storage.objects import ObjectStore, SourceStore
from storage.settings import StorageSettings

KEYS = ["a.jpg", "1912/Räder & Co/a b.jpg", "..", "a//b.jpg", "100%.jpg", "#1?.jpg", "\U0001f4f7.jpg", ".hidden/x"]


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    """A server on a free port, as the settings describe it."""
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = StorageSettings.load(
        s3_endpoint_url=f"http://{host}:{port}",
        s3_region="eu-west-1",
        s3_access_key=SecretStr("key"),
        s3_secret_key=SecretStr("secret"),
    )
    yield settings.store_options("s3://bucket")
    server.stop()


@pytest.fixture(scope="module")
def bucket(options: dict[str, Any]) -> str:
    """An empty bucket."""
    import fsspec

    fsspec.filesystem("s3", **options).mkdir("bucket")
    return "s3://bucket"


def test_objects_are_written_listed_and_read(bucket: str, options: dict[str, Any]) -> None:
    """Odd keys too; the prefix bounds the store; a listing gives what is needed to tell an unchanged object."""
    store = ObjectStore(f"{bucket}/scans/", options)
    ObjectStore(f"{bucket}/scans2", options).write_bytes_atomic("other.jpg", b"x")
    for key in KEYS:
        store.write_bytes_atomic(key, key.encode())
    source = SourceStore(f"{bucket}/scans", options)
    entries = {entry.key: entry for entry in source.list()}
    assert set(entries) == set(KEYS)
    for key in KEYS:
        assert source.read_bytes(key) == key.encode()
        assert source.read_head(key, 1) == key.encode()[:1]
        assert source.entry(key).etag == entries[key].etag is not None
        assert entries[key].size_bytes == len(key.encode())
    assert {entry.key for entry in source.list(recursive=False)} == {key for key in KEYS if "/" not in key}
    assert source.local_path("a.jpg") is None
    store.delete("a.jpg")
    store.delete("a.jpg")
    assert not source.exists("a.jpg")
    with pytest.raises(ObjectNotFound):
        source.read_bytes("a.jpg")


def test_more_keys_than_a_page_are_all_listed(
    bucket: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, whatever falls on a page's edge."""
    store = ObjectStore(f"{bucket}/many", options)
    for i in range(9):
        store.write_bytes_atomic(f"{i}.jpg", b"1")
    for page_keys in (1, 4, 9):
        monkeypatch.setattr("storage.objects.PAGE_KEYS", page_keys)
        assert [entry.key for entry in store.list()] == [f"{i}.jpg" for i in range(9)]


def test_put_if_absent_leaves_what_is_there(bucket: str, options: dict[str, Any]) -> None:
    """The same bytes are success, others are refused."""
    store = ObjectStore(f"{bucket}/derivatives", options)
    store.write_bytes_atomic("x.png", b"one", overwrite=False)
    store.write_bytes_atomic("x.png", b"one", overwrite=False)
    with pytest.raises(ObjectExists):
        store.write_bytes_atomic("x.png", b"two", overwrite=False)
    assert store.read_bytes("x.png") == b"one"


def test_results_in_the_same_bucket_are_not_listed_as_masters(bucket: str, options: dict[str, Any]) -> None:
    """A source that holds the stores of results leaves them out; one inside them is refused."""
    ObjectStore(f"{bucket}/derivatives", options).write_bytes_atomic("y.png", b"1")
    source = SourceStore(bucket, options, exclude=[f"{bucket}/derivatives", f"{bucket}/many", "/home"])
    assert not any(entry.key.startswith(("derivatives/", "many/")) for entry in source.list())
    with pytest.raises(SourceUnreadable, match="store of results"):
        list(SourceStore(f"{bucket}/derivatives", options, exclude=[f"{bucket}/derivatives"]).list())


def test_a_bucket_that_is_not_there_is_named(options: dict[str, Any]) -> None:
    """In one line."""
    with pytest.raises(SourceUnreadable, match="s3://nowhere") as caught:
        list(SourceStore("s3://nowhere/x", options).list())
    assert "\n" not in str(caught.value)
