"""How many rows a second several processes write to PostgreSQL, each commit waited for, beside what the disk can do."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

from storage.catalog import Catalogue
from tests.benchmarks.catalogue_fill import connect
from tests.benchmarks.catalogue_questions import new_objects
from tests.benchmarks.catalogue_rows import Archive

BATCHES = (1, 10, 500)
SECONDS = 10.0
COPY = "writers"


def measure_writers(url: str, folder: Path, archive: Archive, writers: int) -> None:
    """Prints a table. The rows go into a copy of the catalogue, which is dropped afterwards."""
    name = url.split("@/")[1].split("?")[0]
    copy_url = url.replace(f"@/{name}?", f"@/{COPY}?")
    with connect(url.replace(f"@/{name}?", "@/postgres?"), autocommit=True) as server:
        settings = [f"{what} {server.execute(f'SHOW {what}').fetchone()[0]}" for what in _SETTINGS]
        server.execute(f"DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {COPY} TEMPLATE {name} STRATEGY file_copy")
        server.execute("CHECKPOINT")
        try:
            syncs = f"{_syncs(folder, os.fsync):.0f} fsync/s, {_syncs(folder, os.fdatasync):.0f} fdatasync/s (8 kB)"
            print(f"\n{writers} processes on PostgreSQL ({', '.join(settings)}); the disk's own: {syncs}\n")
            print("| Objects a call | Rows/s | Objects/s | Calls/s | Slowest call, ms |\n|--:|--:|--:|--:|--:|")
            for size in BATCHES:
                calls, slowest, taken = _write(copy_url, archive, writers, size)
                rows = calls * (4 * size + 1)  # a photo, an object and two links each, and an event
                rates = (rows / taken, calls * size / taken, calls / taken, 1000 * slowest)
                figures = " | ".join(f"{figure:.0f}" for figure in rates)
                print(f"| {size} | {figures} |", flush=True)
        finally:
            server.execute(f"DROP DATABASE {COPY} WITH (FORCE)")


_SETTINGS = ("server_version", "fsync", "synchronous_commit", "wal_sync_method", "full_page_writes", "shared_buffers")


def _write(url: str, archive: Archive, writers: int, size: int) -> tuple[int, float, float]:
    """Calls, the slowest, and seconds from the first to the last; a call records photos, objects and an event."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(writers)
    results = context.Queue()
    processes = [
        context.Process(target=_writer, args=(url, archive, index, size, ready, results)) for index in range(writers)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    began, ended = min(one[2] for one in found), max(one[3] for one in found)
    return sum(one[0] for one in found), max(one[1] for one in found), ended - began


def _writer(url: str, archive: Archive, index: int, size: int, ready: Barrier, results: object) -> None:
    with Catalogue.open(url, create=False) as catalogue:
        ready.wait(timeout=300)
        calls, slowest, began = 0, 0.0, time.time()
        while time.time() - began < SECONDS:
            number = (index * 100_003 + calls * 31) % archive.photos
            batch = new_objects(archive, number, size, mark=f"writer-{index}-{size}-{calls}")
            asked = time.perf_counter()
            catalogue.record_objects(**batch)
            slowest = max(slowest, time.perf_counter() - asked)
            calls += 1
        results.put((calls, slowest, began, time.time()))  # type: ignore[attr-defined]


def _syncs(folder: Path, sync: Callable[[int], None]) -> float:
    """How often a second 8 kB appended to a file reach the disk."""
    path = folder / "sync-rate"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < 3:
            os.write(file, bytes(8192))
            sync(file)
            count += 1
        return count / (time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()
