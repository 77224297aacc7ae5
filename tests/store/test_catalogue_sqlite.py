"""SQLite on bad days: the disk is full, the file locked or read-only; and how each connection is set up."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.errors import CatalogueUnreadable
from storage.records import EventRecord
from tests.store.makers import photo, rows, seen, with_photos

ROOT = Path(__file__).resolve().parents[2]


def with_room_for(catalogue: Catalogue, pages: int) -> None:
    """Lets the SQLite file grow to so many pages and no further, as a disk would that is full."""

    def limit(connection: Any, record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    catalogue._engine.dispose()
    sa.event.listen(catalogue._engine, "connect", limit)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(catalogue_path: Path) -> None:
    """A batch goes in whole or not at all; with room again the same batch goes in."""
    names = [f"{number}.jpg" for number in range(2000)]
    objects, photos = [seen(name) for name in names], [photo(name) for name in names]
    with Catalogue.open(catalogue_path) as catalogue:
        collection = with_photos(catalogue, "first.jpg")
        with_room_for(catalogue, 150)
        before = rows(catalogue, "SELECT (SELECT COUNT(*) FROM photo), (SELECT COUNT(*) FROM event)")
        with pytest.raises(CatalogueUnreadable, match="disk is full; make room"):
            catalogue.record_objects(collection, objects, photos, [EventRecord(type="ingestion", agent="Ada")])
        assert rows(catalogue, "SELECT (SELECT COUNT(*) FROM photo), (SELECT COUNT(*) FROM event)") == before
        with_room_for(catalogue, 100_000)
        assert catalogue.record_objects(collection, objects, photos) == 2000


FULL = """
import resource, sys
from storage.catalog import Catalogue
from storage.errors import CatalogueUnreadable
from tests.store.makers import photo, seen
names = [f"{number}.jpg" for number in range(2000)]
with Catalogue.open(sys.argv[1]) as catalogue:
    resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, resource.RLIM_INFINITY))
    try:
        catalogue.record_objects(1, [seen(name) for name in names], [photo(name) for name in names])
    except CatalogueUnreadable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(catalogue.object_counts()["registered"])
    print(catalogue.record_objects(1, [seen(name) for name in names], [photo(name) for name in names]))
"""


def test_a_system_that_refuses_to_write_more_is_told_too(catalogue_path: Path) -> None:
    """The limit of a file's size stands for a quota: the system's refusal, in the middle of the log."""
    with Catalogue.open(catalogue_path) as catalogue:
        with_photos(catalogue, "first.jpg")
    done = subprocess.run([sys.executable, "-c", FULL, str(catalogue_path)], cwd=ROOT, capture_output=True, text=True)
    told, registered, new = done.stdout.splitlines()
    assert "look at its disk" in told or "make room" in told
    assert (registered, new) == ("1", "2000")


def test_a_file_that_another_program_keeps_locked_is_told_after_a_while(catalogue_path: Path) -> None:
    """Readers go on; the writer waits as long as it was told to, and works again afterwards."""
    with Catalogue.open(catalogue_path, busy_timeout_s=0.3) as catalogue, sqlite3.connect(catalogue_path) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(CatalogueUnreadable, match="locked; another program"):
            catalogue.record_event(EventRecord(type="export", agent="Ada"))
        assert 0.25 < time.monotonic() - began < 5
        assert catalogue.releases() == []
        other.execute("ROLLBACK")
        catalogue.record_event(EventRecord(type="export", agent="Ada"))


READ_ONLY = """
import os, sys
from storage.catalog import Catalogue
from storage.errors import CatalogueUnreadable
from storage.records import EventRecord
Catalogue.open(sys.argv[2]).close()
if os.geteuid() == 0:
    os.setuid(65534)  # to the system's user called nobody, since modes mean nothing to root
try:
    with Catalogue.open(sys.argv[1]) as catalogue:
        catalogue.record_event(EventRecord(type="export", agent="Ada"))
except CatalogueUnreadable as error:
    print(error)
"""


def test_a_file_that_may_only_be_read_is_told(empty_catalogue_path: Path) -> None:
    """By its mode and its folder's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalogue.db")
        shutil.copyfile(empty_catalogue_path, path)
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(path), f"{folder}2.db"], cwd=ROOT, capture_output=True, text=True
        )
        Path(folder).chmod(0o755)
        Path(f"{folder}2.db").unlink()
    (told,) = done.stdout.splitlines()
    assert "look at the file's and folder's mode" in told


def test_every_connection_of_sqlite_is_set_up_the_same(catalogue_path: Path) -> None:
    """Foreign keys on, write-ahead log, the busy timeout; in every thread's connection."""
    found = []
    with Catalogue.open(catalogue_path, busy_timeout_s=7) as catalogue:

        def look() -> None:
            with catalogue.connected() as connection:
                names = ("foreign_keys", "journal_mode", "busy_timeout", "synchronous")
                found.append(tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names))

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [(1, "wal", 7000, 1)] * 3


def test_writes_begin_with_begin_immediate_and_reads_do_not(catalogue_path: Path) -> None:
    """A transaction that read first and wrote later could not get the lock where another wrote between."""
    said: list[str] = []
    with Catalogue.open(catalogue_path) as catalogue:
        pooled = catalogue._engine.raw_connection()
        driver: Any = pooled.driver_connection
        driver.set_trace_callback(said.append)
        pooled.close()
        catalogue.releases()
        assert said[0] == "BEGIN"
        said.clear()
        catalogue.record_event(EventRecord(type="export", agent="Ada"))
        assert said[0] == "BEGIN IMMEDIATE"
