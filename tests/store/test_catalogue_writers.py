"""Many writers at once: real processes that write overlapping rows. Nothing is lost, nothing twice, none gets stuck."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.records import CollectionRecord, EventRecord, ReleaseRecord, RunRecord
from tests.store.makers import RELEASE, WEIGHTS, label, photo, rows, seen, with_photos

WRITER = """
import json, random, sys
from storage.catalog import Catalogue
from storage.records import CollectionRecord, EventRecord, RunRecord
from tests.store.makers import PARAMETERS, RELEASE, label, photo, restored, seen, sha

url, name, photos, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
dice = random.Random(name)
warnings = []
import logging
class Kept(logging.Handler):
    def emit(self, record): warnings.append(record.getMessage())
logging.getLogger().addHandler(Kept())
done = new = 0
with Catalogue.open(url) as catalogue:
    print("ready", flush=True)
    sys.stdin.readline()
    collection = catalogue.upsert_collection(CollectionRecord(url="file:///scans"))
    catalogue.upsert_collection(CollectionRecord(url=f"s3://bucket/{name}"))
    catalogue.register_release(RELEASE)
    catalogue.start_run(RunRecord(run_id=name, kind="run"))
    for number in range(rounds):
        keys = [f"{i}.jpg" for i in dice.sample(range(photos), photos // 2)]
        events = [EventRecord(type="ingestion", agent=dice.choice(["x", "y", name]), at="2026-01-01T00:00:00Z",
                              objects=(("photo", sha(key), "outcome"),)) for key in keys[:3]]
        events.append(EventRecord(type="validation", agent=name, uid=f"{name}/{number}"))
        new += catalogue.record_objects(collection, [seen(k) for k in keys], [photo(k) for k in keys], events)
        catalogue.record_labels([label(key) for key in keys[:4]])
        works = catalogue.photos_to_restore(collection, PARAMETERS, limit=photos // 2)
        dice.shuffle(works)
        mine = catalogue.claim_work(works, holder=name, ttl_s=60)
        catalogue.renew_lease([f"restoration/{w.photo_sha256}/{w.work_hash}" for w in works], holder=name, ttl_s=60)
        records = [restored(w.source_key, PARAMETERS.with_label(w.mask_sha256) if w.mask_sha256 else PARAMETERS,
                            run_id=name, mask_source=w.mask_source, supplied_mask_sha256=w.mask_sha256) for w in mine]
        done += len(catalogue.record_restorations(records))
        catalogue.release_work(mine, holder=name)
    catalogue.release_all_leases(holder=name)
    catalogue.finish_run(name, totals={"restored": done})
print(json.dumps({"done": done, "new": new, "warnings": warnings}))
"""


def write_at_once(url: str, *, writers: int, photos: int, rounds: int) -> list[dict[str, object]]:
    """What each of the writers tells in the end; they begin together."""
    root = Path(__file__).resolve().parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"writer {number}", str(photos), str(rounds)],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(writers)
    ]  # fmt: skip
    for writer in started:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n", writer.communicate()[1]
    told = []
    for writer in started:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in started:
        out, problem = writer.communicate(timeout=120)
        assert writer.returncode == 0, problem
        told.append(json.loads(out))
    return told


def assert_nothing_lost(url: str, told: list[dict[str, object]], *, writers: int, rounds: int) -> None:
    """The tables add up with what the writers were told."""
    names = [f"writer {number}" for number in range(writers)]
    with Catalogue.open(url) as catalogue:
        assert [one["warnings"] for one in told] == [[]] * writers  # no deadlock, no second attempt
        ((count, distinct),) = rows(catalogue, "SELECT COUNT(*), COUNT(DISTINCT sha256) FROM photo")
        assert count == distinct == sum(int(str(one["new"])) for one in told)
        assert rows(catalogue, "SELECT COUNT(*) FROM source_object") == [(count,)]
        ((restorations,),) = rows(catalogue, "SELECT COUNT(*) FROM restoration")
        assert restorations == sum(int(str(one["done"])) for one in told) >= count
        assert rows(catalogue, "SELECT COUNT(*) FROM lease") == [(0,)]
        assert rows(catalogue, "SELECT number, status FROM run ORDER BY number") == [
            (number + 1, "finished") for number in range(writers)
        ]
        folders = rows(catalogue, "SELECT browse_folder FROM collection WHERE browse_folder = ''")
        assert len(folders) == 1
        assert rows(catalogue, "SELECT COUNT(*) FROM collection") == [(writers + 1,)]
        assert rows(catalogue, "SELECT status, COUNT(*) FROM model_release GROUP BY status") == [("active", 1)]
        validations = rows(catalogue, "SELECT uid FROM event WHERE type = 'validation' ORDER BY uid")
        assert validations == sorted((f"{name}/{number}",) for name in names for number in range(rounds))
        labels = rows(catalogue, "SELECT COUNT(*) FROM label")
        assert rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'labelling'") == labels
        linked = "SELECT event_id FROM event_object"
        orphans = f"SELECT COUNT(*) FROM event WHERE type = 'ingestion' AND id NOT IN ({linked})"
        assert rows(catalogue, orphans) == [(0,)]
        agents = rows(catalogue, "SELECT COUNT(*), COUNT(DISTINCT name || '/' || type) FROM agent")
        assert agents[0][0] == agents[0][1]


def test_four_processes_write_one_sqlite_file(catalogue_path: Path) -> None:
    """Overlapping photos, objects, events, labels, leases and restorations."""
    url = f"sqlite:///{catalogue_path}"
    told = write_at_once(url, writers=4, photos=60, rounds=4)
    assert_nothing_lost(url, told, writers=4, rounds=4)


def test_four_processes_write_postgresql(postgres_url: str) -> None:
    """The smaller one of the two, for every day."""
    told = write_at_once(postgres_url, writers=4, photos=60, rounds=4)
    assert_nothing_lost(postgres_url, told, writers=4, rounds=4)


@pytest.mark.slow
def test_sixteen_processes_write_postgresql(postgres_url: str) -> None:
    """Without a deadlock, and without a second attempt at anything."""
    told = write_at_once(postgres_url, writers=16, photos=200, rounds=5)
    assert_nothing_lost(postgres_url, told, writers=16, rounds=5)


def all_at_once(url: str, *actions: Callable[[Catalogue], object]) -> list[object]:
    """What the actions give, each in a thread with connections of its own, begun together."""
    barrier = threading.Barrier(len(actions))
    given: list[object] = [None] * len(actions)

    def act(number: int) -> None:
        with Catalogue.open(url) as catalogue:
            catalogue.releases()
            barrier.wait()
            try:
                given[number] = actions[number](catalogue)
            except Exception as error:
                given[number] = error

    threads = [threading.Thread(target=act, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given


def test_only_one_of_many_first_collections_gets_browse_itself(catalogue_url: str, catalogue: Catalogue) -> None:
    """The others get folders of their own; the same URL at once is one collection."""
    urls = [f"file:///scans{number // 2}" for number in range(12)]
    given = all_at_once(
        catalogue_url, *(lambda c, url=url: c.upsert_collection(CollectionRecord(url=url)) for url in urls)
    )
    assert len(set(map(str, given))) == 6
    folders = [folder for (folder,) in rows(catalogue, "SELECT browse_folder FROM collection")]
    assert folders.count("") == 1
    assert len(folders) == 6


def test_runs_that_begin_at_once_have_numbers_of_their_own(catalogue_url: str, catalogue: Catalogue) -> None:
    """Else "the latest run" would be two."""
    all_at_once(
        catalogue_url, *(lambda c, name=f"r{n}": c.start_run(RunRecord(run_id=name, kind="run")) for n in range(12))
    )
    assert rows(catalogue, "SELECT number FROM run ORDER BY number") == [(number,) for number in range(1, 13)]


def test_releases_registered_or_activated_at_once_leave_one_active(catalogue_url: str, catalogue: Catalogue) -> None:
    """Of many first ones the first becomes active; of many activations the last stays; each has its event."""
    releases = [ReleaseRecord(name=f"archive-{d * 8}", weights_hash=d * 64, preset="archive") for d in "0123456789"]
    given = all_at_once(catalogue_url, *(lambda c, r=release: c.register_release(r) for release in releases))
    assert sorted(map(str, given)) == ["active", *["candidate"] * 9]
    names = [release.name for release in releases]
    given = all_at_once(catalogue_url, *(lambda c, n=name: c.activate_release(n, agent="Ada") for name in names))
    assert given == [None] * 10
    assert rows(catalogue, "SELECT COUNT(*) FROM model_release WHERE status = 'active'") == [(1,)]
    ((promotions,),) = rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'promotion'")
    assert promotions in (10, 11)  # the one that was active already has none, unless another came between
    given = all_at_once(catalogue_url, *[lambda c: c.register_release(RELEASE)] * 6)
    assert given == ["candidate"] * 6
    assert rows(catalogue, f"SELECT COUNT(*) FROM model_release WHERE weights_hash = '{WEIGHTS}'") == [(1,)]


def test_the_same_batch_recorded_by_many_at_once_is_one(catalogue_url: str, catalogue: Catalogue) -> None:
    """Photos, objects, labels, and events that name the same moment."""
    collection = with_photos(catalogue, "first.jpg")
    keys = [f"{number}.jpg" for number in range(50)]
    links = (("photo", "x", "source"),)
    event = EventRecord(type="ingestion", agent="new agent", at="2026-01-01T00:00:00Z", objects=links)

    def record(one: Catalogue, backwards: bool) -> int:
        order = list(reversed(keys)) if backwards else keys
        count = one.record_objects(collection, [seen(key) for key in order], [photo(key) for key in order], [event])
        one.record_labels([label(key) for key in order])
        return count

    given = all_at_once(catalogue_url, *(lambda c, b=bool(number % 2): record(c, b) for number in range(8)))
    assert sum(map(int, map(str, given))) == 50
    assert rows(catalogue, "SELECT (SELECT COUNT(*) FROM photo), (SELECT COUNT(*) FROM label)") == [(51, 50)]
    assert rows(catalogue, "SELECT COUNT(*) FROM event_history WHERE agent = 'new agent'") == [(1,)]
    assert rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'labelling'") == [(50,)]
