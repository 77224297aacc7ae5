"""Reads and checks the objects of a listing: threads that all parts share, and a Prefect task for each part.

A part is at most a page. Parts follow each other without a gap: while one is recorded, the threads are at the next.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.progress import Progress, progress
from flows.runners import reader_threads, usable_cores
from flows.settings import Settings
from flows.validation import Validated, unreadable, validate_object
from oldphoto_core.images import DecodeLimits
from storage.errors import StoreUnavailable
from storage.objects import SourceStore
from storage.records import SourceEntry

PART_BYTES = 1 << 30
"""A part is ended once its objects hold so much, so that no crash costs hours of reading again."""

PARTS_AT_ONCE = 2
"""Parts under way: the threads begin the second where the first has only stragglers left."""

_REMOTE_READERS = 8
_FAILURES_ALLOWED = 16
_CHUNK = 8
"""Objects a thread takes at once."""


class Part:
    """Objects that one task checks. A plain class: Prefect would look into a dataclass for futures, object by object.

    Attributes:
        found: what the objects are, once the task is done.
    """

    def __init__(self, readers: Readers, entries: Sequence[SourceEntry]) -> None:
        self.entries = entries
        self.found: list[Validated] = []
        self._readers = readers
        self._done: PrefectFuture[int] | None = None

    def start(self, runner: ThreadPoolTaskRunner) -> None:
        """Has the part checked; one without objects needs no task."""
        if self.entries:
            self._done = runner.submit(check_photos, {"part": self})

    def wait(self) -> None:
        """Waits until the part is checked, and raises what stopped it."""
        if self._done is not None:
            self._done.result()

    def check(self) -> int:
        """Reads, hashes and decodes the part's objects; gives how many were there."""
        self.found = self._readers.check(self.entries)
        return len(self.found)


@task(name="check photos", cache_policy=NO_CACHE, persist_result=False)
def check_photos(part: Part) -> int:
    """Reads, hashes and decodes a part of a listing; gives how many objects of it were there."""
    return part.check()


@dataclass
class Readers:
    """Threads that read and check objects, for all parts of a look.

    Attributes:
        listener: is told of every object.
        stopping: set where objects that nobody has begun are to be left.
        failures_in_a_row: objects that the store did not give although it may have them. One such is set aside and
            read again by the next run; when no object comes any more, the run ends.
    """

    store: SourceStore
    limits: DecodeLimits
    pool: ThreadPoolExecutor
    decoding: threading.Semaphore
    listener: Progress = field(default_factory=Progress)
    stopping: threading.Event = field(default_factory=threading.Event)
    failures_in_a_row: int = 0

    def check(self, entries: Sequence[SourceEntry]) -> list[Validated]:
        """What each object is, in the order of the entries; those that vanished since the listing are left out."""
        waiting = iter(entries)
        futures: list[Future[list[Validated]]] = []
        while some := list(islice(waiting, _CHUNK)):
            futures.append(self.pool.submit(self._check_some, some))
        return [validated for future in futures for validated in future.result()]

    def _check_some(self, entries: Sequence[SourceEntry]) -> list[Validated]:
        if self.stopping.is_set():
            return []
        found = (self._check_one(entry) for entry in entries)
        there = [validated for validated in found if validated is not None]
        self.listener.advance(len(entries))
        return there

    def _check_one(self, entry: SourceEntry) -> Validated | None:
        try:
            validated = validate_object(self.store, entry, self.limits, decoding=self.decoding)
        except StoreUnavailable as error:
            self.failures_in_a_row += 1
            if self.failures_in_a_row >= _FAILURES_ALLOWED:
                raise
            return unreadable(entry, error), None
        self.failures_in_a_row = 0
        return validated


@contextmanager
def readers(store: SourceStore, settings: Settings) -> Iterator[Readers]:
    """The threads of a look. A bucket has more of them than cores, as most of them wait for its answers."""
    cores = reader_threads()
    threads = settings.readers or (cores if store.root is not None else max(cores, _REMOTE_READERS))
    limits = DecodeLimits(max_pixels=int(settings.max_megapixels * 1e6))
    pool = ThreadPoolExecutor(threads, "oldphoto-reader")
    try:
        # Pixels are many times a file's bytes, so no more are decoded at once than there are cores to do it.
        yield Readers(store, limits, pool, threading.Semaphore(max(2, usable_cores())), progress())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def part_runner(of: Readers) -> Iterator[ThreadPoolTaskRunner]:
    """Runs parts; where the flow is stopped, objects that nobody has begun are left."""
    runner = ThreadPoolTaskRunner(max_workers=PARTS_AT_ONCE)
    with runner:
        try:
            yield runner
        except BaseException:
            of.stopping.set()
            raise


def in_parts(entries: Sequence[SourceEntry], *, max_bytes: int = PART_BYTES) -> list[list[SourceEntry]]:
    """The entries in parts of about so many bytes; one empty part where there are no entries."""
    parts: list[list[SourceEntry]] = [[]]
    held = 0
    for entry in entries:
        if held >= max_bytes:
            parts.append([])
            held = 0
        parts[-1].append(entry)
        held += entry.size_bytes
    return parts
