"""A run that is killed without warning leaves nothing running, and the next one finishes what is left."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flows.file_locks import is_locked
from flows.prefect_server import SERVER_LOCK
from tests.orchestration.archives import fingerprints, make_photos
from tests.orchestration.fixtures import REPOSITORY, oldphoto, warm_prefect

PHOTOS = 10


def rows(home: Path) -> int:
    """Restorations on record so far."""
    path = home / "catalogue.db"
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM restoration").fetchone()[0])
    except sqlite3.OperationalError:  # the catalogue is being made
        return 0


def descendants(process_id: int) -> set[int]:
    """Processes below this one, as `ps` shows them; ended ones that nobody waited for are left out."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    parents = {
        int(pid): int(parent) for pid, parent, state in map(str.split, listing.stdout.splitlines()) if "Z" not in state
    }
    found: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent in found | {process_id}} - found:
        found |= more
    return found


def is_alive(process_id: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True).stdout
    return bool(state.strip()) and "Z" not in state


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_run_leaves_nothing_running_and_the_next_one_finishes(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    source, home = tmp_path / "scans", tmp_path / "home"
    make_photos(source, PHOTOS, height=240, width=320)
    before = fingerprints(source)
    warm_prefect(home / "prefect")
    arguments = ["run", str(source), "--home", str(home), "--release", str(release_folder), "--batch-size", "1"]
    own_server = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}

    killed = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.app", *arguments],
        cwd=REPOSITORY, env=own_server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert wait_until(lambda: rows(home) >= 2 or killed.poll() is not None, 400)
        children = descendants(killed.pid)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    done = rows(home)
    assert 2 <= done < PHOTOS
    assert len(children) >= 2  # the Prefect server and a worker
    assert wait_until(lambda: not any(map(is_alive, children)), 60)
    assert wait_until(lambda: not is_locked(home / "prefect" / SERVER_LOCK), 60)

    resumed = oldphoto(*arguments)  # on the tests' own server
    assert resumed.returncode == 0, resumed.stderr
    with closing(sqlite3.connect(home / "catalogue.db")) as connection:
        by_outcome = dict(connection.execute("SELECT outcome, COUNT(*) FROM restoration GROUP BY outcome"))
        leases = connection.execute("SELECT COUNT(*) FROM lease").fetchone()[0]
        runs = connection.execute("SELECT status FROM run ORDER BY number").fetchall()
    assert by_outcome.pop("failed", 0) == 0
    assert sum(by_outcome.values()) == PHOTOS
    assert (leases, runs) == (0, [("running",), ("finished",)])
    assert len(list((home / "browse").iterdir())) == PHOTOS
    assert fingerprints(source) == before
    again = sum(1 for line in resumed.stdout.splitlines() if "already done" in line and f" {done} " in line)
    assert again == 1
