"""One Prefect server a home: shared by the runs that use it, gone with the last of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from flows.cli.archive import flows_ready
from flows.embedded_prefect import embedded_prefect
from flows.errors import PrefectUnavailable
from flows.file_locks import FileLock, is_locked
from flows.prefect_server import SERVER_LOCK
from tests.orchestration.fixtures import REPOSITORY, warm_prefect

USER = """
import sys, time
from pathlib import Path
from flows.embedded_prefect import embedded_prefect
with embedded_prefect(Path(sys.argv[1])) as url:
    import os
    print(os.environ["PREFECT_API_URL"], os.environ["DO_NOT_TRACK"], flush=True)
    time.sleep(300)
"""


def use(folder: Path, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    started.append(process)
    return process


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def is_gone_within(folder: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_locked(folder / SERVER_LOCK):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_runs_of_one_home_share_a_server_that_ends_when_the_last_of_them_is_killed(
    tmp_path: Path, started: list[subprocess.Popen[str]], prefect_server: str
) -> None:
    folder = tmp_path / "prefect"
    warm_prefect(folder)
    first, second = use(folder, started), use(folder, started)
    told = [process.stdout.readline().split() for process in (first, second) if process.stdout]

    assert told[0] == told[1]
    url, do_not_track = told[0]
    assert url.startswith("http://127.0.0.1:")
    assert do_not_track == "1"
    first.kill()
    first.wait()
    time.sleep(1.5)  # longer than the server takes to notice that it is not used
    assert answers(url)
    second.kill()
    second.wait()
    assert is_gone_within(folder, 20), (folder / "server.log").read_text()
    assert not answers(url)
    assert "Traceback" not in (folder / "server.log").read_text()


def test_a_server_that_runs_already_is_used_as_it_is(tmp_path: Path, prefect_server: str) -> None:
    with embedded_prefect(tmp_path / "prefect", api_url=prefect_server) as url:
        assert os.environ["PREFECT_API_URL"] == url == prefect_server
    assert not (tmp_path / "prefect").exists()


def test_a_named_server_that_does_not_answer_is_said_at_once(tmp_path: Path) -> None:
    refused = "no Prefect server answers at http://127.0.0.1:9/api/health; correct PREFECT_API_URL"
    with (
        pytest.raises(PrefectUnavailable, match=refused),
        embedded_prefect(tmp_path / "prefect", api_url="http://127.0.0.1:9/api"),
    ):
        pytest.fail("ran without a server")


class WantsAKey(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        pass


def test_a_named_server_that_wants_a_key_is_left_to_prefect_which_has_it(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), WantsAKey) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        with embedded_prefect(tmp_path / "prefect", api_url=url) as told:
            assert told == url
        server.shutdown()


def test_a_server_that_is_lost_on_the_way_is_told_as_such(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with (
        pytest.raises(PrefectUnavailable, match=f"{prefect_server} does not answer any more.*run the same command"),
        flows_ready(tmp_path / "home", {}),
    ):
        httpx.get("http://127.0.0.1:9/api/flows")  # what Prefect's client meets once its server is gone


def test_a_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    program = "import sys, time; from flows.file_locks import FileLock\n"
    program += "lock = FileLock(sys.argv[1]); lock.take(); print('taken', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with FileLock(path) as lock:
            assert not lock.take()
            assert not lock.take(shared=True)
            holder.kill()
            assert lock.wait(timeout_s=10)
