"""A batch in a worker: while one photo is mended, the next ones are read and the last ones are written.

What is under way at once is bounded by pixels, not by count: a batch of snapshots flows, scans of hundreds of
megapixels go one by one. A store that is slow to take results slows the reading down, so nothing piles up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.errors import DerivativesUnwritable
from flows.restore_job import RestoreJob, failure
from flows.restore_stages import Fetched, fetch, keep, mend
from oldphoto_core.errors import CoreError
from storage.errors import StorageError
from storage.records import PhotoWork, RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core import Restorer
    from oldphoto_core.restoration.scan_result import ScanResult

log = logging.getLogger(__name__)

READ_AHEAD, WRITE_BEHIND = 2, 2
"""Photos read before their turn, and photos still being written, at most."""
UNDER_WAY_MEGAPIXELS = 96.0
"""Beyond so many pixels in work, nothing more is read ahead and writing is waited for."""


def restore_photos(job: RestoreJob, works: Sequence[PhotoWork], restorer: Restorer) -> list[RestorationRecord]:
    """Restores a batch and gives its records in order; one bad photo never fails the others.

    Raises:
        DerivativesUnwritable: nothing can be stored, so going on would be of no use.
    """
    with (
        ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="oldphoto-read") as reading,
        ThreadPoolExecutor(WRITE_BEHIND, thread_name_prefix="oldphoto-write") as writing,
    ):
        line = _Line(job, reading, writing, waiting=deque(works))
        try:
            while line.waiting or line.read:
                line.read_ahead()
                line.mend_next(restorer)
            return line.finish()
        finally:
            line.give_up()


@dataclass
class _Line:
    """The photos of a batch, by how far they are."""

    job: RestoreJob
    reading: ThreadPoolExecutor
    writing: ThreadPoolExecutor
    waiting: deque[PhotoWork]
    read: deque[tuple[PhotoWork, Future[Fetched]]] = field(default_factory=deque)
    written: deque[tuple[PhotoWork, Future[RestorationRecord]]] = field(default_factory=deque)
    records: list[RestorationRecord] = field(default_factory=list)

    def read_ahead(self) -> None:
        """Begins to read the next photos, as many as there is room for; always one where none is in work."""
        while self.waiting and len(self.read) <= READ_AHEAD and self._has_room(self.waiting[0]):
            work = self.waiting.popleft()
            self.read.append((work, self.reading.submit(fetch, self.job, work)))

    def mend_next(self, restorer: Restorer) -> None:
        """Mends the photo whose turn it is, and hands it on to be written."""
        work, coming = self.read.popleft()
        done: Future[RestorationRecord] = Future()
        fetched = None
        try:
            fetched = coming.result()
            result = mend(self.job, fetched, restorer)
        except Exception as error:  # whatever one photo brings up, the others go on
            if fetched is not None:
                fetched.close()
            done.set_result(self._failed(work, error))
        else:
            done = self.writing.submit(self._keep, fetched, result)
        self.written.append((work, done))
        while len(self.written) > WRITE_BEHIND or (self.written and self._is_too_full()):
            self._take_written()

    def finish(self) -> list[RestorationRecord]:
        """Waits until the last photo is written."""
        while self.written:
            self._take_written()
        return self.records

    def give_up(self) -> None:
        """Calls back what has not begun; a master that was opened already is let go of."""
        for _, future in (*self.read, *self.written):
            future.cancel()
        for _, coming in self.read:
            coming.add_done_callback(_let_go)

    def _take_written(self) -> None:
        self.records.append(self.written.popleft()[1].result())

    def _keep(self, fetched: Fetched, result: ScanResult) -> RestorationRecord:
        try:
            return keep(self.job, fetched, result)
        except DerivativesUnwritable:
            raise
        except Exception as error:
            return self._failed(fetched.work, error)
        finally:
            result.close()
            fetched.close()

    def _failed(self, work: PhotoWork, error: Exception) -> RestorationRecord:
        if not isinstance(error, CoreError | StorageError):
            log.info("%s: %s", work.source_key, type(error).__name__, exc_info=error)
        return failure(self.job, work, error)

    def _is_too_full(self) -> bool:
        """Whether the next photo can only be read once another one is written."""
        return bool(self.waiting) and not self.read and not self._has_room(self.waiting[0])

    def _has_room(self, work: PhotoWork) -> bool:
        under_way = [*(one for one, _ in self.read), *(one for one, _ in self.written)]
        return not under_way or _megapixels([*under_way, work]) <= UNDER_WAY_MEGAPIXELS


def _let_go(coming: Future[Fetched]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()


def _megapixels(works: Sequence[PhotoWork]) -> float:
    return sum(work.height * work.width for work in works) / 1e6
