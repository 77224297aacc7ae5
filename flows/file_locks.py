"""Locks on files that the operating system ends with the process that holds them, however it ends.

Children started by `exec` (subprocesses, Dask's workers) do not inherit them: Python opens files close-on-exec.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class FileLock:
    """One open lock file; not shared between threads. Closing it, or the end of the process, ends the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, *, shared: bool = False) -> bool:
        """Takes the lock, or turns the one held into the other kind; False where somebody else is in the way."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, *, shared: bool = False, timeout_s: float) -> bool:
        """Takes the lock within the time limit; False where that was not enough."""
        deadline = time.monotonic() + timeout_s
        while not self.take(shared=shared):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        """Lets go; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's lock."""
    if not path.exists():
        return False
    with FileLock(path) as lock:
        return not lock.take()
