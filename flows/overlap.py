"""A batch in a worker: while photos are mended, the next ones are read and the last ones are written.

A CPU mends one photo at a time, with all its cores, and always in the same thread: memory that one thread lets go of is
not always another's. Beside a GPU several photos are mended at once, each in a thread:
the networks take turns on the GPU, and what a processor does for a photo runs beside them. What is under way at once
is bounded by count and by pixels: a batch of snapshots flows, scans of hundreds of megapixels go one by one. A store
that is slow to take results slows the reading down, so nothing piles up.
"""

from __future__ import annotations

import logging
import threading
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
"""Photos read before their turn, and photos still being written, at most; beside each that is mended."""
UNDER_WAY_MEGAPIXELS = 96.0
"""Beyond so many pixels in work, for each photo that is mended at once, nothing more is read."""


def restore_photos(job: RestoreJob, works: Sequence[PhotoWork], restorer: Restorer) -> list[RestorationRecord]:
    """Restores a batch and gives its records in order; one bad photo never fails the others.

    Raises:
        DerivativesUnwritable: nothing can be stored, so going on would be of no use.
    """
    at_once = restorer.photos_at_once
    with (
        ThreadPoolExecutor(READ_AHEAD * at_once, thread_name_prefix="oldphoto-read") as reading,
        ThreadPoolExecutor(at_once, thread_name_prefix="oldphoto-mend") as mending,
        ThreadPoolExecutor(WRITE_BEHIND * at_once, thread_name_prefix="oldphoto-write") as writing,
    ):
        line = _Line(job, restorer, reading, mending if at_once > 1 else None, writing, waiting=deque(works))
        try:
            while line.waiting or line.under_way:
                line.take_up()
                line.step()
            return line.records
        finally:
            line.give_up()


@dataclass
class _UnderWay:
    """A photo in work.

    Attributes:
        fetched: its master, opened.
        handed_on: when it is mended: its record, once it is written. None: nobody was told to mend it yet.
    """

    work: PhotoWork
    fetched: Future[Fetched]
    handed_on: Future[Future[RestorationRecord]] | None = None


@dataclass
class _Line:
    """The photos of a batch, by how far they are."""

    job: RestoreJob
    restorer: Restorer
    reading: ThreadPoolExecutor
    mending: ThreadPoolExecutor | None
    writing: ThreadPoolExecutor
    waiting: deque[PhotoWork]
    under_way: deque[_UnderWay] = field(default_factory=deque)
    records: list[RestorationRecord] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def take_up(self) -> None:
        """Begins with the next photos, as many as there is room for; always one where none is in work."""
        while self.waiting and self._has_room(self.waiting[0]):
            work = self.waiting.popleft()
            photo = _UnderWay(work, self.reading.submit(fetch, self.job, work))
            if self.mending is not None:
                photo.handed_on = self.mending.submit(self._mend, work, photo.fetched)
            self.under_way.append(photo)

    def step(self) -> None:
        """Mends the next photo where that is done here; else, or where writing lags behind, waits for the oldest."""
        next_one = next((photo for photo in self.under_way if photo.handed_on is None), None)
        if next_one is not None:
            next_one.handed_on = Future()
            next_one.handed_on.set_result(self._mend(next_one.work, next_one.fetched))
        mended = sum(photo.handed_on is not None for photo in self.under_way)
        if next_one is None or mended > WRITE_BEHIND:
            self._take_oldest()

    def _take_oldest(self) -> None:
        oldest = self.under_way.popleft()
        assert oldest.handed_on is not None
        self.records.append(oldest.handed_on.result().result())

    def give_up(self) -> None:
        """Calls back what has not begun, and lets go of masters that nobody will mend."""
        self.stopping.set()
        for photo in self.under_way:
            photo.fetched.cancel()
            if photo.handed_on is None or photo.handed_on.cancel():
                photo.fetched.add_done_callback(_let_go)

    def _mend(self, work: PhotoWork, coming: Future[Fetched]) -> Future[RestorationRecord]:
        fetched = None
        try:
            fetched = coming.result()
            result = mend(self.job, fetched, self.restorer, self.stopping)
        except Exception as error:  # whatever one photo brings up, the others go on
            if fetched is not None:
                fetched.close()
            done: Future[RestorationRecord] = Future()
            done.set_result(self._failed(work, error))
            return done
        return self.writing.submit(self._keep, fetched, result)

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

    def _has_room(self, work: PhotoWork) -> bool:
        at_once = self.restorer.photos_at_once
        if len(self.under_way) >= (READ_AHEAD + 1 + WRITE_BEHIND) * at_once:
            return False
        works = [photo.work for photo in self.under_way]
        return not works or _megapixels([*works, work]) <= UNDER_WAY_MEGAPIXELS * at_once


def _let_go(coming: Future[Fetched]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()


def _megapixels(works: Sequence[PhotoWork]) -> float:
    return sum(work.height * work.width for work in works) / 1e6
