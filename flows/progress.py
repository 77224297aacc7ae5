"""How a run tells what it is doing, without flows knowing who listens.

Flows call `progress()`; the command line sets a listener with `telling`. In a worker, a deployment or a test nobody
listens, and nothing is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Progress:
    """A listener; this one does nothing."""

    def begin(self, label: str, total: int | None = None) -> None:
        """A new piece of work begins; total None where it is not known."""

    def expect(self, count: int) -> None:
        """So many more are to be done than was known before."""

    def advance(self, count: int = 1) -> None:
        """So many are done."""

    def reach(self, share: float, seconds_left: float | None, figures: str = "") -> None:
        """Work that began with a total is this far, 0 to 1, and by its own reckoning has so long to go."""

    def say(self, message: str) -> None:
        """One line for a person."""


class Both(Progress):
    """Tells two listeners."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._listeners = (first, second)

    def begin(self, label: str, total: int | None = None) -> None:
        """A new piece of work."""
        for one in self._listeners:
            one.begin(label, total)

    def expect(self, count: int) -> None:
        """More to be done."""
        for one in self._listeners:
            one.expect(count)

    def advance(self, count: int = 1) -> None:
        """So many are done."""
        for one in self._listeners:
            one.advance(count)

    def reach(self, share: float, seconds_left: float | None, figures: str = "") -> None:
        """This far."""
        for one in self._listeners:
            one.reach(share, seconds_left, figures)

    def say(self, message: str) -> None:
        """One line."""
        for one in self._listeners:
            one.say(message)


_listener: ContextVar[Progress | None] = ContextVar("oldphoto_progress", default=None)


def progress() -> Progress:
    """The listener of this run."""
    return _listener.get() or Progress()


@contextmanager
def telling(listener: Progress) -> Iterator[None]:
    """Sends what flows tell to this listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
