"""What people and flows ask of a catalogue: in SQL on its public words, and through the methods of `Catalogue`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog import Catalogue, ingest_queries, leases
from storage.keys import WorkParameters
from storage.records import EventRecord, PhotoRecord, SourceObjectRecord, source_object_id
from tests.benchmarks.catalogue_rows import NIGHT, PARAMETERS, RELEASES, Archive, metadata_of, photo_sha256, sha

LATEST_FIRST = "ORDER BY finished_at DESC, restoration_id DESC LIMIT 20"
PAGE = 1_000
"""Keys that a listing hands over at a time."""

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One thing asked, with other arguments each time.

    Attributes:
        arguments: given the archive and a photo's number, what to ask for.
        sql: the question; or
        ask: the question as calls, on the catalogue; or
        write: as calls on a connection, whose transaction is undone afterwards.
    """

    words: str
    sql: str | None = None
    arguments: Callable[[Archive, int], Arguments] = lambda archive, number: {}
    ask: Callable[..., Any] | None = None
    write: Callable[..., Any] | None = None

    def run(self, catalogue: Catalogue, given: Arguments) -> int:
        """Asks, and gives the number of rows that came."""
        if self.sql is not None:
            with catalogue._engine.connect() as connection:
                return len(connection.execute(sa.text(self.sql), given).all())
        if self.ask is not None:
            return _size(self.ask(catalogue, **given))
        assert self.write is not None
        with (
            catalogue._engine.execution_options(oldphoto_write=True).connect() as connection,
            connection.begin() as work,
        ):
            try:
                return _size(self.write(connection, **given))
            finally:
                work.rollback()


def _size(answer: Any) -> int:
    if isinstance(answer, int):
        return answer
    return len(getattr(answer, "photos", answer))


def _photo(archive: Archive, number: int) -> Arguments:
    return {"sha256": photo_sha256(number)}


def _start(archive: Archive, number: int) -> Arguments:
    return {"start": photo_sha256(number)[:10]}


def _key(archive: Archive, number: int) -> Arguments:
    return {"key": archive.key_of(number)}


def _unique_name(archive: Archive, number: int) -> Arguments:
    step = archive.photos // 10
    return {"name": archive.key_of(number // (2 * step) * 2 * step + number % step).rsplit("/", 1)[-1]}


def _common_name(archive: Archive, number: int) -> Arguments:
    return {"name": f"IMG_{number % 10_000:04}.jpg"}


def _url(archive: Archive, number: int) -> Arguments:
    return {"url": archive.collection_url(archive.collection_of(number))}


def _day(archive: Archive, number: int) -> Arguments:
    from tests.benchmarks.catalogue_rows import _at

    return {"day": _at(number // NIGHT, 23, 0, 2025 + number % 2)[:10]}


def _run(archive: Archive, number: int) -> Arguments:
    return {"run_id": f"run-{2025 + number % 2}-{number // NIGHT:04}"}


def _value(archive: Archive, number: int) -> Arguments:
    return {
        "value": metadata_of(number - number % 5 + 1)[number % 3],
        "field": ("title", "creator", "date")[number % 3],
    }


LOOK_UPS = (
    Question("photo by SHA-256", "SELECT * FROM photo WHERE sha256 = :sha256", _photo),
    Question("photo by the start of its SHA-256",
             "SELECT * FROM photo WHERE sha256 >= :start AND sha256 < :start || 'g'", _start),
    Question("object by key", "SELECT * FROM source_object WHERE key = :key", _key),
    Question("object by file name", "SELECT * FROM source_object WHERE name = :name", _unique_name),
    Question("history of a photo",
             f"SELECT * FROM restoration_history WHERE photo_sha256 = :sha256 {LATEST_FIRST}", _photo),
    Question("history by source key",
             f"SELECT * FROM restoration_history WHERE source_key = :key {LATEST_FIRST}", _key),
    Question("latest restoration of a photo", "SELECT * FROM photo_latest WHERE photo_sha256 = :sha256", _photo),
    Question("outcome of an object", "SELECT * FROM object_outcome WHERE source_key = :key", _key),
    Question("events of a photo", "SELECT * FROM event_history WHERE object_type = 'photo' AND object_id = :sha256 "
                                  "ORDER BY at DESC, event_id DESC LIMIT 20", _photo),
    Question("events of whatever has this id",
             "SELECT * FROM event_history WHERE object_id = :sha256 LIMIT 20", _photo),
    Question("what sidecars say of a photo", "SELECT * FROM photo_metadata WHERE photo_sha256 = :sha256", _photo),
    Question("photos by a field and value",
             "SELECT * FROM photo_metadata WHERE field = :field AND value = :value LIMIT 20", _value),
    Question("near-duplicates of a photo", "SELECT * FROM photo_near_duplicates WHERE photo_sha256 = :sha256 "
             "UNION ALL SELECT * FROM photo_near_duplicates WHERE other_sha256 = :sha256", _photo),
    Question("lineage of a release", f"SELECT * FROM release_lineage WHERE release = '{RELEASES[0]}' LIMIT 20"),
)  # fmt: skip

FIRST_PAGES = (
    Question("latest restorations", f"SELECT * FROM restoration_history {LATEST_FIRST}"),
    Question("of a release, latest first",
             f"SELECT * FROM restoration_history WHERE release = :release {LATEST_FIRST}",
             lambda archive, number: {"release": RELEASES[number % 2]}),
    Question("failed, latest first", f"SELECT * FROM restoration_history WHERE outcome = 'failed' {LATEST_FIRST}"),
    Question("of a day, latest first", f"SELECT * FROM restoration_history WHERE day = :day {LATEST_FIRST}", _day),
    Question("of a run, latest first",
             f"SELECT * FROM restoration_history WHERE run_id = :run_id {LATEST_FIRST}", _run),
    Question("photos and their latest", "SELECT * FROM photo_latest ORDER BY photo_id LIMIT 20"),
    Question("stale restorations", "SELECT * FROM restoration_stale LIMIT 20"),
    Question("outcomes of a collection",
             "SELECT * FROM object_outcome WHERE collection_id = (SELECT id FROM collection WHERE url = :url) "
             "ORDER BY source_key LIMIT 20", _url),
    Question("quarantined in a collection",
             "SELECT * FROM object_outcome WHERE source_url = :url AND status = 'quarantined' "
             "ORDER BY source_key LIMIT 20", _url),
    Question("missing objects", "SELECT * FROM object_outcome WHERE status = 'missing' ORDER BY source_key LIMIT 20"),
    Question("objects whose restoration failed", "SELECT * FROM object_outcome WHERE outcome = 'failed' LIMIT 20"),
    Question("events, latest first", "SELECT * FROM event_history ORDER BY at DESC, event_id DESC LIMIT 20"),
    Question("failures among events, latest first", "SELECT * FROM event_history WHERE outcome = 'failure' "
             "ORDER BY at DESC, event_id DESC LIMIT 20"),
    Question("events of a run", "SELECT * FROM event_history WHERE run_id = :run_id ORDER BY event_id LIMIT 20", _run),
)  # fmt: skip


def _history(catalogue: Catalogue, photo: str | None = None) -> Any:
    return catalogue.history(photo, limit=20)


def _to_restore(catalogue: Catalogue, collection_id: int | None, parameters: WorkParameters, limit: int | None) -> Any:
    return catalogue.photos_to_restore(collection_id, parameters, limit=limit)


def _planning(parameters: WorkParameters, limit: int | None = 1000) -> Callable[[Archive, int], Arguments]:
    return lambda archive, number: {
        "collection_id": archive.collection_of(number), "parameters": parameters, "limit": limit,
    }  # fmt: skip


def _record(connection: Connection, collection_id: int, objects: Any, photos: Any, events: Any) -> int:
    return ingest_queries.record_objects(connection, collection_id, objects, photos, events)


def new_objects(archive: Archive, number: int, count: int = PAGE, mark: str = "new") -> Arguments:
    """A batch of photos that nobody saw before, as ingestion hands it over."""
    collection_id = archive.collection_of(number)
    url = archive.collection_url(collection_id)
    objects, photos, links = [], [], []
    for i in range(count):
        key, digest = f"{mark}/{number}/{i:07}.tif", sha(f"{mark} {number} {i}")
        objects.append(SourceObjectRecord(key=key, status="registered", size_bytes=1, photo_sha256=digest, etag="1"))
        photos.append(PhotoRecord(sha256=digest, size_bytes=1, format="TIFF", height=3, width=4, channels=3,
                                  bit_depth=8, capture={"make": "Phase One"}, perceptual_hash=digest[:16]))  # fmt: skip
        links += [("source_object", source_object_id(url, key), "source"), ("photo", digest, "outcome")]
    events = [EventRecord(type="ingestion", agent="oldphoto 0.1.0", objects=tuple(links), uid=sha(f"{mark} {number}"))]
    return {"collection_id": collection_id, "objects": objects, "photos": photos, "events": events}


def _claim(connection: Connection, photos: range) -> int:
    hashes = [photo_sha256(number) for number in photos]
    names = [leases.work_lease_name(sha256, "e" * 64) for sha256 in hashes]
    taken = leases.acquire(connection, names, "benchmark", 60)
    leases.finished_work(connection, [(sha256, "e" * 64) for sha256 in hashes])
    return len(taken)


UNKNOWN = WorkParameters(weights_hash="c" * 64)
"""Of a release that restored nothing yet."""

METHODS = (
    Question("history(SHA-256's start)", ask=_history, arguments=lambda a, n: {"photo": photo_sha256(n)[:10]}),
    Question("history(key)", ask=_history, arguments=lambda a, n: {"photo": a.key_of(n)}),
    Question("history(file name)", ask=_history, arguments=lambda a, n: {"photo": _unique_name(a, n)["name"]}),
    Question("history(file name of 50 photos)", ask=_history,
             arguments=lambda a, n: {"photo": _common_name(a, n)["name"]}),
    Question("history(limit=20)", ask=_history),
    Question("photos_to_restore(limit=1000), 2,850 of a collection to do", ask=_to_restore,
             arguments=_planning(PARAMETERS[1])),
    Question("photos_to_restore(limit=1000), nothing done", ask=_to_restore, arguments=_planning(UNKNOWN)),
    Question("record_objects, 1,000 new photos", write=_record, arguments=new_objects),
    Question("claim_work, 64 photos", write=_claim,
             arguments=lambda a, n: {"photos": range(n - n % 64, n - n % 64 + 64)}),
    Question("quarantined(collection)", ask=lambda c, id_: c.quarantined(id_),
             arguments=lambda a, n: {"id_": a.collection_of(n)}),
    Question("object_counts(collection)", ask=lambda c, id_: c.object_counts(id_),
             arguments=lambda a, n: {"id_": a.collection_of(n)}),
)  # fmt: skip

WHOLE = (
    Question("a collection's restorations, latest first",
             f"SELECT * FROM restoration_history WHERE source_url = :url {LATEST_FIRST}", _url),
    Question("restorations by outcome and release",
             "SELECT release, outcome, COUNT(*) FROM restoration_history GROUP BY release, outcome"),
    Question("restorations by day", "SELECT day, COUNT(*) FROM restoration_history GROUP BY day"),
    Question("mean coverage by collection",
             "SELECT source_url, AVG(mask_coverage) FROM restoration_history GROUP BY source_url"),
    Question("objects by outcome", "SELECT outcome, COUNT(*) FROM object_outcome GROUP BY outcome"),
    Question("stale by reason",
             "SELECT by_release, by_label, COUNT(*) FROM restoration_stale GROUP BY by_release, by_label"),
    Question("object_counts()", ask=lambda c: c.object_counts()),
    Question("quarantined()", ask=lambda c: c.quarantined()),
    Question("count_done, a collection of 100,000", ask=lambda c, id_, p: c.count_done(id_, p),
             arguments=lambda a, n: {"id_": a.collection_of(n), "p": PARAMETERS[1]}),
    Question("count_done, whole", ask=lambda c: c.count_done(None, PARAMETERS[1])),
    Question("photos_to_restore(limit=1000), whole, only 27,000 to do",
             ask=_to_restore,
             arguments=lambda a, n: {"collection_id": None, "parameters": PARAMETERS[1], "limit": 1000}),
    Question("photos_to_restore(limit=1000), whole, nothing done",
             ask=_to_restore, arguments=lambda a, n: {"collection_id": None, "parameters": UNKNOWN, "limit": 1000}),
    Question("run_report, a run of 5,000", ask=lambda c, run_id: c.run_report(run_id), arguments=_run),
)  # fmt: skip


def numbers(archive: Archive, count: int) -> list[int]:
    """Photos to ask for: all over the archive, the same each time."""
    chance = Random(20260101)
    return [chance.randrange(archive.photos) for _ in range(count)]
