"""How rows go into a file: in pieces of so many rows, encoded by threads, written in order.

Where the pieces begin depends on the picture alone, never on threads or on how many rows are read at once, so the same
pixels give the same bytes on every machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from oldphoto_core.scan import Scan

READ_PIXELS = 1 << 20
"""About so many pixels of a scan are read at once, or one piece where that is larger."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def rows_at_once(width: int, rows_each: int) -> int:
    """Gives how many rows `pieces_of` asks a scan of this width for: whole pieces of `rows_each` rows."""
    return rows_each * max(1, READ_PIXELS // (width * rows_each))


def pieces_of(scan: Scan, rows_each: int) -> Iterator[np.ndarray]:
    """Gives a scan from its top in pieces of so many rows (h, W, ...); the last may have fewer."""
    height, width = scan.shape[:2]
    step = rows_at_once(width, rows_each)
    for top in range(0, height, step):
        rows = scan.rows(top, min(top + step, height))
        for start in range(0, len(rows), rows_each):
            yield rows[start : start + rows_each]


def mapped_in_order(work: Callable[[Item], Result], items: Iterable[Item], *, threads: int) -> Iterator[Result]:
    """Gives `work(item)` for each item, in their order.

    The next item is made while threads work on those before it; no more than `threads` + 1 of them are held.
    """
    if threads < 2:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
