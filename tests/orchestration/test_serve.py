"""A real `oldphoto serve`: it runs what is due by itself, and Ctrl-C ends all that it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from flows.file_locks import FileLock, is_locked
from flows.prefect_server import SERVER_LOCK
from flows.serve import SERVE_LOCK
from storage.catalog.catalogue import Catalogue
from tests.orchestration.archives import make_photos
from tests.orchestration.fixtures import REPOSITORY, oldphoto, warm_prefect


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def within(seconds: float, fact: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def finished_runs(home: Path) -> int:
    if not (home / "catalogue.db").exists():
        return 0
    with Catalogue.open(home / "catalogue.db") as catalogue:
        return sum(run.status == "finished" for run in catalogue.runs_since("2000"))


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that know this home, by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"OLDPHOTO_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def hear_ctrl_c() -> None:
    """A shell's background jobs, and what they start, are born deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_run_that_is_due_runs_by_itself_and_ctrl_c_ends_everything(
    home: Path, tmp_path: Path, release_folder: Path, prefect_server: str, started: list[subprocess.Popen[str]]
) -> None:
    make_photos(tmp_path / "scans", 2)
    warm_prefect(home / "prefect")
    port = free_port()
    output = tmp_path / "output.txt"
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows.cli.app", "serve", str(tmp_path / "scans"), "--home", str(home)]
    with output.open("w") as told:
        serve = subprocess.Popen(
            [*command, "--every", "1h", "--port", str(port)], cwd=REPOSITORY, stdout=told, stderr=told, text=True,
            env=environment | {"OLDPHOTO_RELEASE": str(release_folder), "COLUMNS": "200"}, preexec_fn=hear_ctrl_c,
        )  # fmt: skip
    started.append(serve)
    assert within(240, lambda: finished_runs(home) == 1 or serve.poll() is not None), output.read_text()
    assert within(20, lambda: "nightly-scans completed" in output.read_text()), output.read_text()
    assert f"http://127.0.0.1:{port}" in output.read_text()
    assert "<title>" in httpx.get(f"http://127.0.0.1:{port}/", follow_redirects=True).text
    assert list((home / "browse").rglob("*.png"))

    second = oldphoto("serve", tmp_path / "scans", "--home", home, "--port", str(free_port()))
    assert second.returncode == 2
    assert "another `oldphoto serve` is at work" in second.stderr

    serve.send_signal(signal.SIGINT)
    assert serve.wait(timeout=60) == 130, output.read_text()
    assert within(20, lambda: not is_locked(home / "prefect" / SERVER_LOCK))
    assert within(10, lambda: not processes_of(home)), processes_of(home)


def test_what_can_be_seen_to_be_wrong_is_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    def refused(*arguments: str | Path) -> str:
        # the tests' own server is named in the environment; a serve that starts one looks at its port
        done = oldphoto("serve", *arguments, "--home", home, environment={"PREFECT_API_URL": ""}, timeout_s=60)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        return done.stderr

    assert "nowhere is not a folder that is there" in refused(tmp_path / "nowhere")
    assert "--every 'soon'" in refused(tmp_path, "--every", "soon")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "another port with --port" in refused(tmp_path, "--port", str(taken.getsockname()[1]))
    (home / "prefect").mkdir(parents=True)
    with FileLock(home / "prefect" / SERVE_LOCK) as lock:
        assert lock.take()
        assert "another `oldphoto serve` is at work" in refused(tmp_path, "--port", str(free_port()))
