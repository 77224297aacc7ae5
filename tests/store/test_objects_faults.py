"""Object stores behind a proxy that does what networks and busy servers do: each has one clear outcome."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from storage.endpoints import probe_conditional_writes
from storage.errors import (
    CredentialsRefused,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    ObjectStoreError,
    SourceUnreadable,
    StoreAccessDenied,
    StoreUnavailable,
)
from storage.keys import sha256_hex
from storage.objects import ObjectStore, SourceStore
from tests.store.fault_proxy import FaultProxy, running_proxy
from tests.store.s3_servers import S3Server

MB = 2**20
KEY = "a.jpg"
DATA = b"the master's bytes " * 100


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
def server(proxy: FaultProxy) -> S3Server:
    """The server behind it."""
    return proxy.through()


@pytest.fixture
def bucket(proxy: FaultProxy) -> str:
    """A bucket that holds one object."""
    url = proxy.server.new_bucket()
    proxy.server.store(url).write_bytes_atomic(KEY, DATA)
    return url


# -- what the server says ---------------------------------------------------------------------------------------

SAID: list[tuple[str, int, dict[str, Any], type[ObjectStoreError], str]] = [
    ("AccessDenied", 403, {}, StoreAccessDenied, "access denied; ask for that permission"),
    ("ExpiredToken", 400, {}, CredentialsRefused, "credentials have expired; get new ones"),
    ("InvalidAccessKeyId", 403, {}, CredentialsRefused, r"does not accept the credentials \(InvalidAccessKeyId\)"),
    ("SignatureDoesNotMatch", 403, {}, CredentialsRefused, "check OLDPHOTO_S3_ACCESS_KEY, OLDPHOTO_S3_SECRET_KEY"),
    ("RequestTimeTooSkewed", 403, {"fields": {"ServerTime": "2026-01-31T12:00:00Z"}}, CredentialsRefused,
     r"clock of this machine is off \(the server has 2026-01-31T12:00:00Z\)"),
    ("PermanentRedirect", 301, {"headers": {"x-amz-bucket-region": "us-west-2"}}, SourceUnreadable,
     r"another region \(the server says us-west-2\); set OLDPHOTO_S3_REGION"),
    ("AuthorizationHeaderMalformed", 400, {"fields": {"Region": "us-west-2"}}, SourceUnreadable, "says us-west-2"),
    ("NoSuchBucket", 404, {}, SourceUnreadable, "no such bucket"),
    ("InvalidObjectState", 403, {}, ObjectStoreError, "archive class such as Glacier"),
    ("SomethingNew", 400, {}, ObjectStoreError, r"said so \(SomethingNew\)"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "more", "kind", "said"), SAID, ids=[one[0] for one in SAID])
def test_what_the_server_says_is_one_line_with_advice(
    proxy: FaultProxy, server: S3Server, bucket: str, code: str, status: int, more: Any, kind: type, said: str
) -> None:
    """For reading, writing and listing. None of these is asked for a second time as it stands."""
    proxy.add("error", code=code, status=status, times=None, **more)
    source = server.source(bucket)
    for fails in (
        lambda: source.read_bytes(KEY),
        lambda: server.store(bucket).write_bytes_atomic("b", b"1"),
        lambda: next(iter(source.pages())),
    ):
        proxy.requests.clear()
        with pytest.raises(kind, match=said) as caught:
            fails()
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert caught.value.url == bucket
        assert "secret" not in str(caught.value)
        # botocore looks for the region of a redirected bucket by a HEAD, and asks there once.
        asked = [request for request in proxy.requests if not request.startswith("HEAD ")]
        assert len(asked) <= (2 if kind is SourceUnreadable else 1)


def test_a_bare_403_to_a_head_is_access_denied(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """A HEAD has no body to say why; it is never taken for an object that is not there, nor asked again."""
    proxy.add("error", status=403, times=None, method="HEAD")
    with pytest.raises(StoreAccessDenied, match="access denied"):
        server.source(bucket).exists(KEY)
    assert len(proxy.requests) == 1


def test_a_bare_400_to_a_head_says_what_it_may_be(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    proxy.add("error", status=400, times=None, method="HEAD")
    with pytest.raises(ObjectStoreError, match="credentials expired, or is OLDPHOTO_S3_REGION wrong"):
        server.source(bucket).entry(KEY)


# -- retries ----------------------------------------------------------------------------------------------------


def test_a_busy_server_is_asked_again(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """As often as the setting says in all, first try included; then it is unavailable."""
    proxy.add("error", code="SlowDown", status=503, times=2)
    assert server.source(bucket).read_bytes(KEY) == DATA
    assert len(proxy.requests) == 3
    for attempts in (1, 2):
        proxy.reset()
        proxy.add("error", code="SlowDown", status=503, times=None)
        with pytest.raises(StoreUnavailable, match="busy or failing .*run again later"):
            server.source(bucket, attempts=attempts).read_bytes(KEY)
        assert len(proxy.requests) == attempts


def test_what_is_not_there_is_asked_for_once(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    for fails in (server.source(bucket).read_bytes, server.source(bucket).entry):
        proxy.requests.clear()
        with pytest.raises(ObjectNotFound):
            fails("none")
        assert len(proxy.requests) == 1


def test_a_body_that_is_cut_short_is_read_again(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """Never taken for the whole; as often as the setting says."""
    source = server.source(bucket)
    (listed,) = source.list()
    proxy.reset()
    proxy.add("cut", method="GET", times=2)
    assert source.read_entry(listed)[1] == DATA
    assert proxy.seen("GET") == 3
    proxy.add("cut", method="GET", times=None)
    proxy.requests.clear()
    with pytest.raises(StoreUnavailable, match="each of 3 answers was cut short"):
        source.read_entry(listed)
    assert proxy.seen("GET") == 3
    proxy.reset()
    proxy.add("cut", method="GET", times=1)
    with source.open_read(KEY) as file:
        assert file.read() == DATA


def test_a_silent_server_is_given_up_in_time(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """Before the server would have spoken even once."""
    proxy.add("delay", seconds=8, times=None)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer in time; check the network"):
        server.source(bucket, read_timeout_s=0.3, attempts=2).read_bytes(KEY)
    assert time.monotonic() - begun < 8


def test_no_request_takes_longer_than_its_deadline(
    proxy: FaultProxy, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the client itself would still wait for."""
    monkeypatch.setattr("storage.s3_client.DEADLINE_S", 0.3)
    proxy.add("delay", seconds=2, times=None)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        server.store(bucket).write_bytes_atomic("b", b"1")
    assert time.monotonic() - begun < 1.5


def test_nobody_there_is_unavailable() -> None:
    """A port where nothing listens, and a name that stands for no machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    for endpoint in (nobody, "http://no-such-machine.invalid"):
        source = S3Server("none", endpoint, conditional=False).source("s3://bucket", attempts=1)
        with pytest.raises(StoreUnavailable, match="check the network and OLDPHOTO_S3_ENDPOINT_URL") as caught:
            source.read_bytes(KEY)
        assert "\n" not in str(caught.value)


def test_without_credentials_it_is_said_how_to_give_them(monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy) -> None:
    """Where neither the environment, nor a profile, nor the machine's role has any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
    options = proxy.through().options()
    with pytest.raises(CredentialsRefused, match="no credentials found; set OLDPHOTO_S3_ACCESS_KEY"):
        SourceStore("s3://b", {name: options[name] for name in ("endpoint_url", "config_kwargs")}).read_bytes(KEY)
    profile = {"endpoint_url": proxy.url, "profile": "nobody"}
    with pytest.raises(CredentialsRefused, match="nobody"):
        SourceStore("s3://b", profile).read_bytes(KEY)


# -- the same object, all the time ------------------------------------------------------------------------------


def test_an_object_that_is_replaced_in_that_instant_is_noticed(
    proxy: FaultProxy, server: S3Server, bucket: str
) -> None:
    """Between listing and reading; and one that is deleted then is not found."""
    source, writer = server.source(bucket), proxy.server.store(bucket)
    (listed,) = source.list()
    proxy.add("pass", method="GET", before=lambda: writer.write_bytes_atomic(KEY, b"another"))
    with pytest.raises(ObjectChanged) as caught:
        source.read_entry(listed)
    assert caught.value.entry.size_bytes == len(b"another")
    proxy.add("pass", method="GET", before=lambda: writer.delete(KEY))
    with pytest.raises(ObjectNotFound):
        source.read_entry(caught.value.entry)


def test_reading_makes_one_request_and_sources_make_none_that_writes(
    proxy: FaultProxy, server: S3Server, bucket: str
) -> None:
    source = server.source(bucket)
    (listed,) = source.list()
    proxy.requests.clear()
    source.read_entry(listed)
    assert len(proxy.requests) == 1
    source.read_bytes(KEY), source.read_head(KEY, 3), source.exists(KEY), source.entry(KEY)
    with source.open_read(KEY) as file:
        file.read(1)
    assert all(request.startswith(("GET ", "HEAD ")) for request in proxy.requests)


# -- writing ----------------------------------------------------------------------------------------------------


def test_a_lost_acknowledgement_is_success(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """The retry meets our own object: the same bytes. Another's bytes in the same place are an error."""
    store = server.store(bucket)
    proxy.add("drop", method="PUT")
    written = store.write_once("b.png", b"restored")
    assert proxy.seen("PUT") == 2
    assert (written.size_bytes, written.sha256) == (8, sha256_hex(b"restored"))
    proxy.reset()
    proxy.server.store(bucket).write_bytes_atomic("c.png", b"another's")
    proxy.add("drop", method="PUT")
    with pytest.raises(ObjectExists):
        store.write_once("c.png", b"restored")
    assert store.read_bytes("c.png") == b"another's"


def test_a_lost_acknowledgement_of_many_parts_is_success(
    proxy: FaultProxy, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any part, and of the last request, after which the upload is no more."""
    monkeypatch.setattr("storage.s3_writing.PART_BYTES", 5 * MB)
    store, large = server.store(bucket), bytes(6 * MB)
    proxy.add("drop", method="PUT", within="partNumber=1")
    proxy.add("drop", method="POST", within="uploadId=")
    assert store.write_once("b.tif", large).sha256 == sha256_hex(large)
    assert store.stored("b.tif").size_bytes == len(large)
    assert not server.client("list_multipart_uploads", Bucket=bucket.removeprefix("s3://")).get("Uploads")


@pytest.mark.parametrize("where", [("PUT", "partNumber=2"), ("POST", "uploadId=")])
def test_an_upload_that_fails_leaves_no_parts(
    proxy: FaultProxy, server: S3Server, bucket: str, where: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever request fails: the parts are removed, and what stood there stands."""
    monkeypatch.setattr("storage.s3_writing.PART_BYTES", 5 * MB)
    store = server.store(bucket)
    proxy.add("error", code="AccessDenied", method=where[0], within=where[1], times=None)
    with pytest.raises(StoreAccessDenied):
        store.write_bytes_atomic(KEY, bytes(6 * MB))
    proxy.reset()
    assert store.read_bytes(KEY) == DATA
    assert not server.client("list_multipart_uploads", Bucket=bucket.removeprefix("s3://")).get("Uploads")


def test_a_writer_in_the_same_instant_is_noticed(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """Also where no condition is honoured: the loser, whose bytes do not stand, is told so."""
    store = ObjectStore(bucket, server.options(), conditional_writes=server.conditional)
    other = proxy.server.store(bucket)
    if server.conditional:
        proxy.add("pass", method="PUT", before=lambda: other.write_bytes_atomic("b.png", b"another's"))
    else:  # after our own write, before we look again
        proxy.add("pass", method="HEAD")
        proxy.add("pass", method="HEAD", before=lambda: other.write_bytes_atomic("b.png", b"another's"))
    with pytest.raises(ObjectExists):
        store.write_once("b.png", b"restored")
    assert store.read_bytes("b.png") == b"another's"


@pytest.mark.parametrize("within", ["", "oldphoto-probe"])
def test_the_probe_is_not_misled(proxy: FaultProxy, server: S3Server, bucket: str, within: str) -> None:
    """By a lost first answer, nor by an endpoint that does not know the header at all."""
    store = ObjectStore(bucket, server.options())
    proxy.add("drop", method="PUT", within=within)
    assert probe_conditional_writes(store) is server.conditional
    proxy.reset()
    proxy.add("error", status=501, code="NotImplemented", method="PUT", times=1)
    assert probe_conditional_writes(ObjectStore(bucket, server.options(attempts=1))) is server.conditional
    proxy.reset()
    proxy.add("error", status=403, code="AccessDenied", method="PUT", times=None)
    with pytest.raises(StoreAccessDenied):
        probe_conditional_writes(store)


def test_conflicting_writers_are_waited_for(proxy: FaultProxy, server: S3Server, bucket: str) -> None:
    """S3 answers 409 to a conditional write while another is under way: it is asked again."""
    proxy.add("error", status=409, code="ConditionalRequestConflict", method="PUT", times=2)
    assert server.store(bucket).write_once("b.png", b"1").size_bytes == 1
    proxy.add("error", status=409, code="ConditionalRequestConflict", method="PUT", times=None)
    with pytest.raises(StoreUnavailable, match="ConditionalRequestConflict"):
        server.store(bucket).write_once("c.png", b"1")


def test_a_listing_survives_a_bad_page(
    proxy: FaultProxy, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is only busy is asked again; one that fails for good leaves a cursor to go on from."""
    for i in range(5):
        proxy.server.store(bucket).write_bytes_atomic(f"{i}.jpg", b"1")
    monkeypatch.setattr("storage.s3_access.PAGE_KEYS", 2)
    source = server.source(bucket)
    proxy.add("error", code="SlowDown", status=503, within="start-after", times=1)
    assert [entry.key for entry in source.list()] == [*(f"{i}.jpg" for i in range(5)), KEY]
    proxy.add("error", code="AccessDenied", within="start-after", times=None)
    pages = source.pages()
    cursor = next(pages).cursor
    with pytest.raises(StoreAccessDenied, match="cannot be listed"):
        next(pages)
    proxy.reset()
    rest = [entry.key for page in source.pages(after=cursor) for entry in page.entries]
    assert rest == ["2.jpg", "3.jpg", "4.jpg", KEY]
