"""Two S3 servers of different making, started for the tests: moto's, and rclone's over a local folder.

moto honours conditional writes and keeps versions, and takes any signature. rclone checks signatures, ignores If-Match
and If-None-Match in silence, and can hold no key that its folder cannot: no ``..``, no empty name, none over 255 bytes.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.objects import ObjectStore, SourceStore
from storage.settings import StorageSettings

ACCESS_KEY, SECRET_KEY, REGION = "key12345", "secret12345", "eu-west-1"


@dataclass(frozen=True)
class S3Server:
    """A server that runs.

    Attributes:
        conditional: whether it honours If-None-Match.
    """

    name: str
    endpoint_url: str
    conditional: bool

    def options(self, **over: Any) -> dict[str, Any]:
        """What a store is opened with, by way of the settings; ``over`` replaces some of them."""
        said = {
            "endpoint_url": self.endpoint_url, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
            "attempts": 3, "read_timeout_s": 5.0,
        }  # fmt: skip
        return StorageSettings.load(s3=said | over).store_options("s3://any", "derivatives")

    def new_bucket(self) -> str:
        """URL of an empty bucket."""
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client("create_bucket", Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return f"s3://{bucket}"

    def client(self, request: str, **arguments: Any) -> Any:
        """Any request, as an administrator of the server makes it."""
        import fsspec

        return fsspec.filesystem("s3", **self.options()).call_s3(request, **arguments)

    def store(self, url: str, **over: Any) -> ObjectStore:
        """A store of ours on this server, told what the server can do."""
        return ObjectStore(url, self.options(**over), conditional_writes=self.conditional)

    def source(self, url: str, **over: Any) -> SourceStore:
        """A source on this server."""
        return SourceStore(url, self.options(**over))


@contextmanager
def running_moto() -> Iterator[S3Server]:
    """moto's server, in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server("moto", f"http://{host}:{port}", conditional=True)
    finally:
        server.stop()


@contextmanager
def running_rclone(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3``, whose buckets are folders below this one."""
    beside = str(Path(sys.executable).parent)  # where its wheel puts it, whether or not the environment is activated
    program = shutil.which("rclone", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if program is None:
        pytest.skip("no rclone: install the test extra")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = folder / "buckets"
    root.mkdir()
    process = subprocess.Popen(
        [program, "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{port}", "--auth-key",
         f"{ACCESS_KEY},{SECRET_KEY}", "--log-file", str(folder / "rclone.log"), str(root)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port, process)
        yield S3Server("rclone", f"http://127.0.0.1:{port}", conditional=False)
    finally:
        process.kill()  # politely asked, it would wait for requests that it never answers
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "rclone ended at once; see its log"
            time.sleep(0.025)
    raise AssertionError("rclone does not answer")


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(params=["moto", "rclone"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Each of the servers in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """URL of an empty bucket on it."""
    return s3.new_bucket()
