"""Servers and commands as processes of their own, which tests kill, stop and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess, Popen

from tests.orchestration.fixtures import REPOSITORY, warm_prefect

PRELOAD = Path(__file__).with_name("bad_worker.py")


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Waits until it holds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def kill(process: Popen[bytes], *, group: bool = False) -> None:
    """SIGKILL, to the process alone or to all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.wait(20)


def spawn(*arguments: str | Path, log_path: Path, environment: Mapping[str, str] | None = None) -> Popen[bytes]:
    """`python -m ...` in a process group of its own, with this code; what it says is added to a file."""
    with log_path.open("ab") as log:
        return Popen(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"} | dict(environment or {}),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


@dataclass
class Command:
    """An `oldphoto` command that is at work."""

    process: Popen[bytes]
    log_path: Path

    def end(self, *, seconds: float = 240) -> CompletedProcess[str]:
        """Waits for its end; output and errors come in one, as a terminal shows them."""
        try:
            self.process.wait(seconds)
        finally:
            kill(self.process, group=True)
        said = self.log_path.read_text()
        return CompletedProcess([], self.process.returncode, said, said)


def start_oldphoto(*arguments: str | Path, log_path: Path, environment: Mapping[str, str] | None = None) -> Command:
    """Starts a command and does not wait for it."""
    return Command(spawn("flows.cli.app", *arguments, log_path=log_path, environment=environment), log_path)


@dataclass
class DaskCluster:
    """`dask scheduler` and `dask worker`s as a machine room has them: each may be killed, and started again.

    Attributes:
        environment: of the workers.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    workers: list[Popen[bytes]] = field(default_factory=list)
    scheduler: Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = spawn(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port),
            "--dashboard-address", "127.0.0.1:0",
            log_path=self.folder / "scheduler.log",
        )  # fmt: skip
        wait_for(lambda: listens(self.port), "the Dask scheduler")

    def start_worker(self, *options: str) -> Popen[bytes]:
        """One process with one thread; `--nanny` among the options starts it again whenever it dies."""
        nanny = () if "--nanny" in options else ("--no-nanny",)
        self.workers.append(
            spawn(
                "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-dashboard", *nanny, *options,
                "--local-directory", self.folder / "dask", "--preload", PRELOAD,
                log_path=self.folder / f"worker-{len(self.workers)}.log", environment=self.environment,
            )
        )  # fmt: skip
        return self.workers[-1]

    def close(self) -> None:
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            kill(process, group=True)


@contextmanager
def dask_cluster(
    folder: Path, *, workers: int, options: tuple[str, ...] = (), **environment: str
) -> Iterator[DaskCluster]:
    """A scheduler and so many workers, which are all ended in the end."""
    cluster = DaskCluster(folder, environment={"OMP_NUM_THREADS": "1"} | environment)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker(*options)
        yield cluster
    finally:
        cluster.close()


@dataclass
class PrefectServer:
    """`prefect server start` on a database and a port of its own, which outlive the process."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        environment = {"PREFECT_HOME": str(self.folder), "PREFECT_SERVER_UI_ENABLED": "false",
                       "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false"}  # fmt: skip
        self.process = spawn(
            "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port),
            log_path=self.folder / "server.log", environment=environment,
        )  # fmt: skip
        wait_for(self.answers, "the Prefect server")

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            kill(self.process, group=True)


@contextmanager
def own_prefect_server(folder: Path) -> Iterator[PrefectServer]:
    """A server that a test may kill; `prefect_server` has to be up, since its database is copied."""
    warm_prefect(folder)
    server = PrefectServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
