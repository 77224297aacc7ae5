"""The database goes in the middle and comes back, says no, is full, is locked: nothing lost, nothing twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.errors import CatalogueUnreadable
from storage.records import EventRecord, ReleaseRecord, RunRecord
from tests.store.lossy_wire import lossy_wire
from tests.store.makers import PARAMETERS, failed, label, photo, restored, rows, seen, sha, with_photos
from tests.store.postgres import PostgresServer, running_postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that these tests may stop."""
    pytest.importorskip("pgserver")
    with running_postgres() as running:
        yield running


@contextmanager
def away_for(server: PostgresServer, seconds: float) -> Iterator[None]:
    """The server is gone at the beginning of the block, and comes back by itself after so many seconds."""
    server.stop()
    back = threading.Timer(seconds, server.start)
    back.start()
    try:
        yield
    finally:
        back.join()


def test_writes_and_reads_wait_for_a_server_that_comes_back(server: PostgresServer) -> None:
    """Pulled away between two calls: the next one goes through, once, and the catalogue is as if nothing had been."""
    with server.catalogue() as url, Catalogue.open(url, patience_s=30) as catalogue:
        collection = with_photos(catalogue, "a.jpg")
        event = EventRecord(type="export", agent="Ada")
        with away_for(server, 0.5):
            catalogue.record_event(event)
        with away_for(server, 0.5):
            assert len(catalogue.photos_to_restore(collection, PARAMETERS)) == 1
        with away_for(server, 0.5):
            assert len(catalogue.record_restorations([restored("a.jpg")], [event])) == 1
        assert rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'export'") == [(2,)]


def test_a_write_that_was_cut_off_in_its_middle_is_made_again_as_a_whole(server: PostgresServer) -> None:
    """The server dies after half of the rows went in: that half is gone, and comes again with the other."""
    with server.catalogue() as url, Catalogue.open(url, patience_s=30) as catalogue:
        attempts = []
        back: list[threading.Timer] = []

        def half_way(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
            if "INSERT INTO event_object" not in statement:
                return
            attempts.append(statement)
            if len(attempts) == 1:
                server.stop()
                back.append(threading.Timer(0.5, server.start))
                back[0].start()

        collection = with_photos(catalogue, "first.jpg")
        sa.event.listen(catalogue._engine, "before_cursor_execute", half_way)
        event = EventRecord(type="ingestion", agent="Ada", objects=(("photo", sha("a.jpg"), "outcome"),))
        assert catalogue.record_objects(collection, [seen("a.jpg")], [photo("a.jpg")], [event]) == 1
        back[0].join()
        assert len(attempts) == 2
        assert rows(catalogue, "SELECT COUNT(*) FROM photo") == [(2,)]
        assert rows(catalogue, "SELECT COUNT(*) FROM event_history WHERE type = 'ingestion'") == [(1,)]


def test_a_commit_whose_answer_was_lost_counts_once(server: PostgresServer) -> None:
    """Nobody knows whether it came through; it did; doing it again changes nothing and tells the truth."""
    with (
        lossy_wire(server) as wire,
        server.catalogue() as url,
        Catalogue.open(wire.url(url), patience_s=30) as catalogue,
    ):
        collection = with_photos(catalogue, "a.jpg", "b.jpg")
        before = rows(catalogue, "SELECT COUNT(*) FROM event")
        with wire.next_answer_lost():
            events = [EventRecord(type="restoration", agent="x", objects=(("photo", sha("a.jpg"), "source"),))]
            won = catalogue.record_restorations([restored("a.jpg"), failed("b.jpg")], events)
        assert {photo_sha256 for photo_sha256, _ in won} == {sha("a.jpg"), sha("b.jpg")}
        assert rows(catalogue, "SELECT COUNT(*) FROM restoration") == [(2,)]
        assert rows(catalogue, "SELECT COUNT(*) FROM event") == [(before[0][0] + 1,)]
        with wire.next_answer_lost():
            catalogue.activate_release(_other(catalogue), agent="Ada")
        assert rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'promotion'") == [(2,)]
        for write in (
            lambda: catalogue.record_event(EventRecord(type="export", agent="Ada")),
            lambda: catalogue.record_labels([label("a.jpg")]),
            lambda: catalogue.record_objects(collection, [seen("c.jpg")], [photo("c.jpg")]),
            lambda: catalogue.start_run(RunRecord(run_id="r1", kind="run")),
            lambda: catalogue.finish_run("r1", totals={}),
            lambda: catalogue.acquire_lease(["x"], holder="r1", ttl_s=60),
        ):
            with wire.next_answer_lost():
                write()
        counted = "SELECT type, COUNT(*) FROM event WHERE type IN ('export', 'labelling') GROUP BY type ORDER BY type"
        assert rows(catalogue, counted) == [("export", 1), ("labelling", 1)]
        assert rows(catalogue, "SELECT holder FROM lease WHERE name = 'x'") == [("r1",)]
        assert rows(catalogue, "SELECT number, status FROM run") == [(1, "finished")]


def _other(catalogue: Catalogue) -> str:
    catalogue.register_release(ReleaseRecord(name="archive-bbbbbbbb", weights_hash="b" * 64, preset="archive"))
    return "archive-bbbbbbbb"


def test_patience_ends_with_one_line_and_what_to_do(server: PostgresServer) -> None:
    """And when the server is back the same catalogue works again."""
    with server.catalogue() as url, Catalogue.open(url, patience_s=0.5) as catalogue:
        server.stop()
        try:
            began = time.monotonic()
            with pytest.raises(CatalogueUnreadable, match="is the server running there") as refusal:
                catalogue.record_event(EventRecord(type="export", agent="Ada"))
            assert time.monotonic() - began < 5
            assert "\n" not in str(refusal.value)
        finally:
            server.start()
        catalogue.record_event(EventRecord(type="export", agent="Ada"))


def test_a_wrong_address_is_told_at_once_with_what_to_do(server: PostgresServer) -> None:
    """Password, user, database, host, port: one line each, no waiting, no password in it."""
    server.execute("CREATE ROLE ada LOGIN PASSWORD 'sesame'", "CREATE DATABASE archive")
    rules = server.folder / "pg_hba.conf"
    rules.write_text(f"local all ada scram-sha-256\n{rules.read_text()}")
    server.stop()
    server.start()
    wrong = {
        server.url("archive", user="ada:hush"): "password authentication failed.*OLDPHOTO_CATALOGUE_URL",
        server.url("archive", user="ada"): "no password supplied.*pgpass",
        server.url("archive", user="nobody"): 'role "nobody" does not exist.*right user',
        server.url("nothing"): 'database "nothing" does not exist.*createdb',
        "postgresql://ada:hush@no-such-host.invalid/archive": "look at the host",
        "postgresql://ada:hush@127.0.0.1:1/archive": "Connection refused.*accept connections from here",
        "postgresql://ada:hush@/archive?host=/nowhere": "No such file.*is the server running",
        "postgresql://ada:hush@host:port/archive": "expected sqlite",
    }
    for url, words in wrong.items():
        began = time.monotonic()
        with pytest.raises(CatalogueUnreadable, match=words) as refusal:
            Catalogue.open(url)
        assert time.monotonic() - began < 5
        assert "\n" not in str(refusal.value)
        assert "hush" not in str(refusal.value)


WRONG_CLOCK = """
import datetime, sys, time
class Stopped(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return cls(1999, 12, 31, 23, 59, 59, tzinfo=tz)
    @classmethod
    def utcnow(cls): return cls(1999, 12, 31, 23, 59, 59)
datetime.datetime = Stopped
time.time = lambda: 946684799.0
from storage.catalog import Catalogue
from storage.records import EventRecord, RunRecord
from tests.store.makers import PARAMETERS, label, restored, with_photos
with Catalogue.open(sys.argv[1]) as catalogue:
    collection = with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.start_run(RunRecord(run_id="r1", kind="run"))
    catalogue.claim_work(catalogue.photos_to_restore(collection, PARAMETERS), holder="r1", ttl_s=60)
    catalogue.record_restorations([restored("a.jpg", run_id="r1")], [EventRecord(type="restoration", agent="x")])
    catalogue.record_labels([label("a.jpg")])
    catalogue.record_endpoint("x", conditional_writes=True)
    catalogue.finish_run("r1", totals={})
"""


def test_a_machine_whose_clock_is_wrong_writes_the_databases_time(catalogue_url: str, catalogue: Catalogue) -> None:
    """A worker that lives in 1999: leases, events and rows carry the database's clock, not its own."""
    done = subprocess.run([sys.executable, "-c", WRONG_CLOCK, catalogue_url], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    times = "first_seen_at FROM photo", "last_seen_at FROM source_object", "at FROM event", "expires_at FROM lease"
    times += "labelled_at FROM label", "started_at FROM run", "finished_at FROM run", "finished_at FROM restoration"
    times += "probed_at FROM store_endpoint", "registered_at FROM model_release", "first_seen_at FROM agent"
    for time_of in times:
        found = rows(catalogue, f"SELECT {time_of}")
        assert found, time_of
        assert all(moment > "2020" for (moment,) in found), time_of
    assert catalogue.acquire_lease([rows(catalogue, "SELECT name FROM lease")[0][0]], holder="other", ttl_s=9) == set()
