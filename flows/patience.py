"""Patience with a store that is busy or away: it is asked again, with ever longer and random pauses.

Random, so that workers that were refused at the same moment do not all come back at the same moment. Each request has
had its quick repetitions by then (`s3.attempts`); this is for minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from storage.errors import StoreUnavailable

_Answer = TypeVar("_Answer")
_LONGEST_PAUSE_S = 30.0


def patient(patience_s: float, ask: Callable[[], _Answer]) -> _Answer:
    """Asks again while the store is busy or away, for about so many seconds; its last refusal is raised."""
    asking = Retrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE_S),
        stop=stop_before_delay(patience_s),
        reraise=True,
    )
    return asking(ask)
