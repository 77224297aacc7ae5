"""A Prefect server that lives as long as the runs that use it.

    with embedded_prefect(home / "prefect") as api_url:
        ...                                    # import flows and call them

One server a home: a second run with the same home joins the first one's server, since two servers on one SQLite
database would both schedule and lock each other out. Every run holds a shared lock on `users.lock`; the server ends
when the last of them is gone, whichever of them had started it, and however it ended.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.errors import PrefectUnavailable
from flows.file_locks import FileLock, is_locked
from flows.prefect_server import ADDRESS_FILE, LOG_FILE, SERVER_LOCK, USERS_LOCK, WebPage

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[1]

_TOLD = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
"""What every process of a run is told: nothing leaves the machine."""
_QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL"}

_SERVER = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # saves seconds; no flow here uses blocks
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT__SERVER_FINAL": "1",
}

_WITH_PAGE = {
    "PREFECT_SERVER_UI_ENABLED": "true",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "true",  # so that the page offers notification blocks
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "20",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2",
}
"""What a server with a web page does beyond: it lives long, and plans what was just deployed within seconds."""

_SENDING_S = 5.0
"""Longest wait for Prefect's last events; they tell nothing that the catalogue does not hold."""


@contextmanager
def embedded_prefect(
    folder: Path,
    *,
    api_url: str | None = None,
    timeout_s: float = START_TIMEOUT_S,
    quiet: bool = True,
    page: WebPage | None = None,
) -> Iterator[str]:
    """Gives the URL of a Prefect API that this process and its children are set to use.

    Args:
        folder: `PREFECT_HOME` of the embedded server, made where it is not there.
        api_url: a server that runs already (`PREFECT_API_URL`); none is started then.
        timeout_s: how long to wait for the server; 5 to 25 s are usual.
        quiet: Prefect says nothing in this process; errors come as exceptions, and are told once.
        page: where the server shows its web page; None: it has none, and listens anywhere. With a page, runs' logs are
            kept for it.

    Raises:
        PrefectUnavailable: the server did not start in time, and the message names its log; or the one that was named
            does not answer.
    """
    if api_url:
        if not _answers(api_url):
            raise PrefectUnavailable(
                f"no Prefect server answers at {api_url}/health; correct PREFECT_API_URL or start that server, or "
                "unset the variable, and a server of this run's own is started"
            )
        with _environment({**_told(quiet, page), "PREFECT_API_URL": api_url}):
            yield api_url
        return
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    users_lock = FileLock(folder / USERS_LOCK)
    children: list[subprocess.Popen[bytes]] = []
    try:
        if not users_lock.wait(shared=True, timeout_s=timeout_s):
            raise PrefectUnavailable(f"an earlier Prefect server does not end; see {folder / LOG_FILE} and end it")
        url = _reach_server(folder, children, deadline, page)
        told = {**_told(quiet, page), "PREFECT_HOME": str(folder), "PREFECT_API_URL": url}
        with _environment(told), _prefect_settings(folder, url):
            try:
                yield url
            finally:
                _send_what_is_left()
    finally:
        _leave(users_lock, children)


def _told(quiet: bool, page: WebPage | None) -> dict[str, str]:
    """What this process and its children are told."""
    logs = {"PREFECT_LOGGING_TO_API_ENABLED": "true"} if page else {}
    return {**_TOLD, **(_QUIET if quiet else {}), **logs}


def _reach_server(
    folder: Path, children: list[subprocess.Popen[bytes]], deadline: float, page: WebPage | None
) -> str:
    """Waits until the home's server answers, starting one whenever there is none."""
    starts = 0
    while time.monotonic() < deadline:
        url = _address(folder)
        if url and is_locked(folder / SERVER_LOCK):
            if page and url != page.api_url:
                raise PrefectUnavailable(
                    f"a run is going on in {folder.parent}, with a Prefect server that has no page; wait for its end"
                )
            if _is_healthy(url):
                return url
        elif not any(child.poll() is None for child in children):
            if starts == 3:
                raise PrefectUnavailable(f"the Prefect server ended as soon as it started: {_last_words(folder)}")
            children.append(_start_server(folder, page))
            starts += 1
        time.sleep(0.1)
    raise PrefectUnavailable(f"the Prefect server did not answer in time: {_last_words(folder)}")


def _start_server(folder: Path, page: WebPage | None) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    shown = {**_WITH_PAGE, "PREFECT_UI_API_URL": page.ui_api_url} if page else {}
    where = [page.host, str(page.port)] if page else []
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.prefect_server", str(folder), *where],
            cwd=_PACKAGE_ROOT,
            env=inherited | _TOLD | _SERVER | shown | {"PREFECT_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the run, which still has states to report
        )


def _send_what_is_left() -> None:
    """Prefect sends events from a thread of its own, which complains where the server ends before it is done.

    Where nothing loaded it, there is nothing to send.
    """
    if "prefect.events.worker" in sys.modules:
        sys.modules["prefect.events.worker"].EventsWorker.drain_all(timeout=_SENDING_S, at_exit=False)


def _leave(users_lock: FileLock, children: list[subprocess.Popen[bytes]]) -> None:
    """Ends the server where this was its last user, and waits for it where it is our child."""
    if users_lock.take():
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    users_lock.close()


def _address(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / ADDRESS_FILE).read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


def _is_healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _answers(url: str) -> bool:
    """Whether anybody is there: a refusal is an answer too, as from a server that wants a key, which Prefect has."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _last_words(folder: Path) -> str:
    """The last line of the server's log and where the rest is."""
    path = folder / LOG_FILE
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return f"{lines[-1].strip() if lines else 'it said nothing'} (log: {path})"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for this process and what it starts; a person's own choice of log level stays."""
    kept = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        if name not in os.environ or name not in _QUIET:
            os.environ[name] = value
    try:
        yield
    finally:
        for name, old in kept.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


@contextmanager
def _prefect_settings(folder: Path, url: str) -> Iterator[None]:
    """Tells Prefect in this process, which may have been imported before the environment was set.

    Heartbeats are off: they let a server notice dead runs, this one ends with its runs, and each costs a second.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings

    updates = {PREFECT_API_URL: url, PREFECT_HOME: folder, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(updates):
        yield
