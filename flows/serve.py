"""`oldphoto serve` without its terminal: a Prefect server with its page, and a process that runs what is due.

    with serving(plan, settings, page=WebPage()) as served:
        served.wait(...)

The home has one serve at a time, by a file lock. What ends it, ends all: the runs at work, their runner, the server.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.embedded_prefect import embedded_prefect
from flows.errors import FlowsError, UsageError
from flows.file_locks import FileLock
from flows.prefect_server import WebPage
from flows.serve_plan import ServePlan
from flows.settings import Settings
from storage.urls import local_folder

RUNNER_LOG, SERVE_LOCK = "runs.log", "serve.lock"

_PACKAGE_ROOT = Path(__file__).resolve().parents[1]
_START_S = 120.0
_END_S = 60.0
"""How long runs at work have to give back what they hold."""


class ServeFailed(FlowsError):
    """The process that runs what is due did not start, or ended by itself."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is up.

    Attributes:
        api_url: of the Prefect server, ours or the one that was named.
        page_url: where a person looks.
        started_at: before the runner was started, and so before any run of it.
    """

    api_url: str
    page_url: str
    log_path: Path
    runner: subprocess.Popen[str]
    started_at: datetime

    def check(self) -> None:
        """Raises where the runner is gone."""
        if self.runner.poll() is not None:
            raise ServeFailed(
                f"the process that runs what is due ended by itself: {_last_words(self.log_path)}; start serve again"
            )


def check_serving(settings: Settings, sources: Sequence[str], page: WebPage) -> None:
    """Refuses what can be seen to be wrong before anything is started.

    Raises:
        UsageError: a source is not there, or the port is taken.
    """
    for source in sources:
        folder = local_folder(source)
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{source} is not a folder that is there; name a folder, or s3://bucket/prefix")
    if settings.prefect_api_url:
        return
    try:
        page.listen().close()
    except OSError as error:
        raise UsageError(
            f"{page.host}:{page.port} cannot be listened on ({error.strerror}); name another port with --port"
        ) from error


@contextmanager
def serving(plan: ServePlan, settings: Settings, *, page: WebPage) -> Iterator[Served]:
    """Starts server and runner, and ends them.

    Raises:
        UsageError: another serve is at work in this home.
        PrefectUnavailable: the server did not start, or the one that was named does not answer.
        ServeFailed: the runner did not start.
    """
    folder = settings.layout.prefect
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / SERVE_LOCK) as lock:
        if not lock.take():
            raise UsageError(f"another `oldphoto serve` is at work in {plan.home}; end it first, or use another --home")
        check_serving(settings, (), page)
        named = settings.prefect_api_url
        with embedded_prefect(folder, api_url=named, quiet=False, page=page) as api_url:
            log_path = folder / RUNNER_LOG
            started_at = datetime.now(UTC)
            runner = _start_runner(plan, log_path)
            try:
                page_url = page.url if not named else api_url.rstrip("/").removesuffix("/api")
                yield Served(
                    api_url=api_url, page_url=page_url, log_path=log_path, runner=runner, started_at=started_at
                )
            finally:
                _end_runner(runner)


def _start_runner(plan: ServePlan, log_path: Path) -> subprocess.Popen[str]:
    """Starts the runner and waits until it is ready."""
    heard, said = os.pipe()
    try:
        with log_path.open("ab") as log:
            runner = subprocess.Popen(
                [sys.executable, "-m", "flows.serve_runner", str(said)],
                cwd=_PACKAGE_ROOT,
                env=os.environ | {"OLDPHOTO_HOME": str(plan.home)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(said,),
                start_new_session=True,  # Ctrl-C is for us, who then tell it politely
                text=True,
            )
    finally:
        os.close(said)
    with os.fdopen(heard) as ready:
        try:
            assert runner.stdin is not None
            runner.stdin.write(plan.to_json())
            runner.stdin.close()
            if ready.read() == "ready":
                return runner
        except BrokenPipeError:
            pass
        except BaseException:
            _end_runner(runner)
            raise
    runner.wait(timeout=_START_S)
    raise ServeFailed(f"the process that runs what is due did not start: {_last_words(log_path)}")


def _end_runner(runner: subprocess.Popen[str]) -> None:
    """Tells the runner to stop its runs and end; after a minute, everything of its session is killed.

    A second Ctrl-C does not hurry it: leases would stay.
    """
    if runner.poll() is None:
        runner.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    while runner.poll() is None and time.monotonic() < deadline:
        try:
            time.sleep(0.1)
        except KeyboardInterrupt:
            continue
    try:
        os.killpg(runner.pid, signal.SIGKILL)  # the session's leader, and whatever of it is left
    except ProcessLookupError:
        pass
    runner.wait()


def _last_words(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return f"{lines[-1].strip() if lines else 'it said nothing'} (log: {path})"
