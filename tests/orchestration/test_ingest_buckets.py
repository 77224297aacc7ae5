"""Bad days with a bucket: objects that vanish or change, permissions, credentials, servers that fail, odd keys, a kill.

Real servers: moto's, and rclone's over a folder where thousands of keys are wanted, behind a real proxy that makes the
faults.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.cli.app import run_command
from flows.summary import IngestSummary
from storage.catalog import Catalogue
from storage.errors import CredentialsRefused, StoreUnavailable
from tests.orchestration.archives import picture
from tests.orchestration.fixtures import REPOSITORY
from tests.store.fault_proxy import FaultProxy, running_proxy
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server, running_rclone

ODD_KEYS = (
    "box/../album/a.png", "./a.png", "a b  c.png", "100%.png", "%2e%2e/a.png", "fête 🎞.png", "a+b&c=d?e#f.png",
    "quote'\"s.png", "tab\t.png", "//a.png", "x" * 200 + "/" + "ü" * 345 + ".png",
)  # fmt: skip
"""The last is of 895 bytes; S3 takes 1,024."""


def png(seed: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture(seed, height=40, width=40)).save(data, "PNG")
    return data.getvalue()


@dataclass
class Bucket:
    """A bucket behind a proxy, and a home that it is ingested into."""

    proxy: FaultProxy
    url: str
    home: Path
    s3: dict[str, Any] = field(default_factory=dict)

    def put(self, key: str, data: bytes) -> None:
        self.proxy.server.client("put_object", Bucket=self.url.removeprefix("s3://"), Key=key, Body=data)

    def delete(self, key: str) -> None:
        self.proxy.server.client("delete_object", Bucket=self.url.removeprefix("s3://"), Key=key)

    @property
    def settings(self) -> dict[str, Any]:
        named = {"endpoint_url": self.proxy.url, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        return {"s3": named | {"attempts": 1, "read_timeout_s": 5.0} | self.s3}

    def ingest(self, url: str | None = None) -> IngestSummary:
        from flows.ingest import ingest

        found = ingest(url or self.url, home=str(self.home), settings=self.settings).ingest
        assert found is not None
        return found

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with Catalogue.open(self.home / "catalogue.db") as catalogue, catalogue.connected() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def statuses(self) -> dict[str, str]:
        return dict(self.ask("SELECT key, status FROM source_object"))  # type: ignore[arg-type]

    def listings(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT status, objects_seen FROM listing ORDER BY id")


@pytest.fixture
def bucket(prefect_server: str, moto: S3Server, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket on moto's server."""
    with running_proxy(moto) as proxy:
        yield Bucket(proxy, moto.new_bucket(), tmp_path / "home")


@pytest.fixture
def large_bucket(prefect_server: str, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket of 2,500 keys on rclone's server, three pages of a listing: two photos, and notes beside them."""
    with running_rclone(tmp_path) as server:
        folder = tmp_path / "buckets" / "large-bucket"
        folder.mkdir()
        for number in range(2498):
            (folder / f"note {number:04d}.txt").write_bytes(b"x")
        (folder / "a.png").write_bytes(png(1))
        (folder / "z.png").write_bytes(png(2))
        with running_proxy(server) as proxy:
            yield Bucket(proxy, "s3://large-bucket", tmp_path / "home")


def lists(proxy: FaultProxy) -> list[str]:
    return [request for request in proxy.requests if "list-type=2" in request]


def test_odd_keys_are_photos_like_any_other(bucket: Bucket) -> None:
    """Each is read, registered under its very key, and not read again."""
    for number, key in enumerate(ODD_KEYS):
        bucket.put(key, png(number))
    found = bucket.ingest()
    assert (found.registered, found.photos_new, found.reasons) == (len(ODD_KEYS), len(ODD_KEYS), {})
    assert bucket.statuses().keys() == set(ODD_KEYS)
    again = bucket.ingest()
    assert (again.read, again.registered, again.missing) == (0, len(ODD_KEYS), 0)


def test_an_object_deleted_after_the_listing_is_left_out(bucket: Bucket) -> None:
    """And missing only where it was registered before."""
    for number, key in enumerate(("a.png", "gone.png")):
        bucket.put(key, png(number))
    bucket.proxy.add("pass", method="GET", within="gone.png", before=lambda: bucket.delete("gone.png"))
    first = bucket.ingest()
    assert (first.registered, first.missing, first.set_aside) == (1, 0, 0)
    assert bucket.statuses() == {"a.png": "registered"}

    bucket.put("a.png", png(7))
    bucket.proxy.add("pass", method="GET", within="a.png", before=lambda: bucket.delete("a.png"))
    assert bucket.ingest().missing == 1
    assert bucket.statuses() == {"a.png": "missing"}


def test_an_object_that_changes_while_it_is_read_is_read_again(bucket: Bucket) -> None:
    """Once it rests it is what it is now; one that never rests is set aside, and looked at again."""
    bucket.put("once.png", png(1))
    bucket.put("ever.png", png(2))
    seeds = iter(range(10, 40))
    bucket.proxy.add("pass", method="GET", within="once.png", before=lambda: bucket.put("once.png", png(3)))
    bucket.proxy.add(
        "pass", method="GET", within="ever.png", times=None, before=lambda: bucket.put("ever.png", png(next(seeds)))
    )
    found = bucket.ingest()
    assert (found.registered, found.reasons) == (1, {"changing": 1})
    bucket.proxy.reset()
    found = bucket.ingest()
    assert (found.registered, found.read, found.reasons) == (2, 1, {})


def test_one_object_that_may_not_be_read_does_not_stop_the_others(bucket: Bucket) -> None:
    """It is tried again each time."""
    for number in range(3):
        bucket.put(f"{number}.png", png(number))
    bucket.proxy.add("error", method="GET", within="/1.png", times=None, status=403, code="AccessDenied")
    found = bucket.ingest()
    assert (found.registered, found.quarantined) == (2, (("1.png", "unreadable"),))
    bucket.proxy.reset()
    assert bucket.ingest().registered == 3


def test_a_server_that_gives_nothing_any_more_ends_the_run(bucket: Bucket) -> None:
    """Rather than setting a whole archive aside; the next run reads it."""
    for number in range(24):
        bucket.put(f"{number:02d}.png", png(number))
    bucket.proxy.add("error", method="GET", within=".png", times=None, status=503, code="SlowDown")
    with pytest.raises(StoreUnavailable, match="run again later"):
        bucket.ingest()
    bucket.proxy.reset()
    found = bucket.ingest()
    assert (found.registered, found.missing) == (24, 0)


def test_credentials_that_expire_among_the_reads_end_the_run(bucket: Bucket) -> None:
    """No photo is set aside for it."""
    for number in range(5):
        bucket.put(f"{number}.png", png(number))
    bucket.proxy.add("error", method="GET", within="/3.png", times=None, status=400, code="ExpiredToken")
    with pytest.raises(CredentialsRefused, match="expired"):
        bucket.ingest()
    assert bucket.ask("SELECT COUNT(*) FROM source_object WHERE status = 'quarantined'") == [(0,)]
    bucket.proxy.reset()
    assert bucket.ingest().registered == 5


@pytest.mark.parametrize(
    ("status", "code", "headers", "says"),
    [
        (404, "NoSuchBucket", {}, "no such bucket"),
        (403, "AccessDenied", {}, "access denied"),
        (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-central-1"}, "eu-central-1"),
        (403, "InvalidAccessKeyId", {}, "does not accept the credentials"),
    ],
)
def test_a_bucket_that_cannot_be_listed_is_told_in_one_line_and_is_no_collection(
    bucket: Bucket,
    status: int,
    code: str,
    headers: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """On the command line, where a person sees it."""
    bucket.proxy.add("error", within="list-type=2", times=None, status=status, code=code, headers=headers)
    for name, value in bucket.settings["s3"].items():
        monkeypatch.setenv(f"OLDPHOTO_S3_{name.upper()}", str(value))
    monkeypatch.setenv("PREFECT_API_URL", _server_url())
    assert run_command(["ingest", bucket.url, "--home", str(bucket.home)]) in (1, 2)
    told = capfd.readouterr().err.strip().splitlines()
    assert len([line for line in told if line.startswith("oldphoto: ")]) == 1
    assert says in told[-1]
    assert bucket.ask("SELECT COUNT(*) FROM collection") == [(0,)]


def _server_url() -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


def test_a_listing_that_breaks_off_is_gone_on_with_at_its_cursor(large_bucket: Bucket) -> None:
    """What was listed is on record, nothing is missing, and the next run does not list it again."""
    proxy = large_bucket.proxy
    first = large_bucket.ingest()
    assert (first.listed, first.registered, first.ignored) == (2500, 2, 2498)

    large_bucket.delete("a.png")
    proxy.add("error", within="start-after", times=None, status=400, code="ExpiredToken")
    with pytest.raises(CredentialsRefused, match="expired"):
        large_bucket.ingest()
    assert large_bucket.listings()[-1] == ("running", 1000)
    assert large_bucket.statuses()["a.png"] == "registered"

    proxy.reset()
    resumed = large_bucket.ingest()
    assert (resumed.listed, resumed.missing) == (1499, 1)
    assert len(lists(proxy)) == 2
    assert all("start-after" in request for request in lists(proxy))
    assert large_bucket.listings() == [("finished", 2500), ("finished", 2499)]
    assert large_bucket.statuses()["a.png"] == "missing"


def test_another_policy_begins_a_broken_listing_anew(large_bucket: Bucket) -> None:
    """Its first pages were sorted by other patterns."""
    large_bucket.proxy.add("error", within="start-after", times=None, status=503, code="SlowDown")
    with pytest.raises(StoreUnavailable):
        large_bucket.ingest()
    large_bucket.proxy.reset()
    from flows.ingest import ingest

    settings = large_bucket.settings | {"ignore_patterns": ["z*"]}
    found = ingest(large_bucket.url, home=str(large_bucket.home), settings=settings).ingest
    assert found is not None
    assert (found.listed, found.registered, found.ignored) == (2500, 1, 2499)
    assert large_bucket.listings() == [("abandoned", 1000), ("finished", 2500)]


@pytest.mark.slow
def test_a_killed_ingest_goes_on_at_its_cursor(large_bucket: Bucket) -> None:
    """SIGKILL in the middle of thousands of photos: the next run lists the rest alone, and reads none twice."""
    folder = large_bucket.home.parent / "buckets/large-bucket"
    for number in range(2400):
        (folder / f"photo {number:04d}.png").write_bytes(png(number % 400) + b"%d" % number)
    database = large_bucket.home / "catalogue.db"
    program = (
        "import json, sys\nfrom flows.ingest import ingest\n"
        "ingest(sys.argv[1], home=sys.argv[2], settings=json.loads(sys.argv[3]))"
    )
    arguments = [large_bucket.url, str(large_bucket.home), json.dumps(large_bucket.settings)]
    environment = os.environ | {"PREFECT_API_URL": _server_url()}
    killed = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=REPOSITORY, env=environment)
    try:
        deadline = time.monotonic() + 120
        while _objects_seen(database) < 3000 and time.monotonic() < deadline and killed.poll() is None:
            time.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    seen = _objects_seen(database)
    assert 3000 <= seen < 4900

    large_bucket.proxy.requests.clear()
    found = large_bucket.ingest()
    assert found.listed == 4900 - seen
    assert len(lists(large_bucket.proxy)) == -(-(4900 - seen) // 1000)
    assert large_bucket.listings() == [("finished", 4900)]
    assert (found.registered, found.missing, found.ignored) == (2402, 0, 2498)


def _objects_seen(database: Path) -> int:
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            row = connection.execute("SELECT objects_seen FROM listing").fetchone()
            return int(row[0]) if row else 0
    except sqlite3.OperationalError:  # the catalogue is being made
        return 0
