"""Looks at a source: resumed where their run died, side by side where it lives, and what they show to be gone."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.catalog.listing_queries import RESUMED_WITHIN_S, OpenListing
from storage.catalog.tables import listing, source_object
from storage.errors import RecordRefused
from storage.records import RunRecord
from tests.store.makers import photo, rows, seen, sha, whole_look, with_photos

POLICY = "a" * 64


def begin(
    catalogue: Catalogue, collection_id: int, run_id: str, *, policy: str = POLICY, resume: bool = True
) -> OpenListing:
    catalogue.start_run(RunRecord(run_id=run_id, kind="ingest"))
    return catalogue.begin_listing(collection_id, run_id, policy, resume=resume, ttl_s=60)


def half_a_look(catalogue: Catalogue, collection_id: int, run_id: str) -> OpenListing:
    """A look that recorded one page of two and whose run then died."""
    look = begin(catalogue, collection_id, run_id)
    catalogue.record_page(collection_id, look.id, run_id, seen_keys=["a.jpg"], cursor="a.jpg", objects_seen=1)
    catalogue.release_all_leases(holder=run_id)
    return look


def statuses(catalogue: Catalogue) -> list[str]:
    return [status for (status,) in rows(catalogue, "SELECT status FROM listing ORDER BY id")]


def test_a_dead_runs_look_goes_on_at_its_cursor(catalogue: Catalogue) -> None:
    """With the same id, so that what its first pages saw counts as seen."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    dead = half_a_look(catalogue, collection_id, "one")
    resumed = begin(catalogue, collection_id, "two")
    assert resumed == OpenListing(id=dead.id, cursor="a.jpg", objects_seen=1)
    assert begin(catalogue, collection_id, "two") == resumed  # a lost answer, and asked again
    assert catalogue.mark_missing(collection_id, resumed.id).missing == 1
    assert catalogue.known_objects(collection_id)["a.jpg"].status == "registered"


@pytest.mark.parametrize("why", ["another policy", "a source that cannot be resumed", "too long ago", "a newer look"])
def test_a_dead_runs_look_is_abandoned_where_going_on_would_be_wrong(catalogue: Catalogue, why: str) -> None:
    """And a new one begins at the beginning."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    dead = half_a_look(catalogue, collection_id, "one")
    if why == "a newer look":
        newer = begin(catalogue, collection_id, "newer", policy="b" * 64)
        catalogue.end_listing(newer.id)
    if why == "too long ago":
        long_ago = {"started_at": "2026-01-01T00:00:00Z"}
        catalogue.write(lambda connection: connection.execute(sa.update(listing).values(long_ago)))
    policy = "b" * 64 if why == "another policy" else POLICY
    new = begin(catalogue, collection_id, "two", policy=policy, resume="cannot" not in why)
    assert (new.cursor, new.objects_seen) == (None, 0)
    assert new.id > dead.id
    assert statuses(catalogue)[0] == "abandoned"


def test_a_living_runs_look_is_left_alone(catalogue: Catalogue) -> None:
    """The second run has a look of its own beside it."""
    collection_id = with_photos(catalogue, "a.jpg")
    first = begin(catalogue, collection_id, "one")
    catalogue.record_page(collection_id, first.id, "one", seen_keys=["a.jpg"], cursor="a.jpg", objects_seen=1)
    second = begin(catalogue, collection_id, "two")
    assert second.id > first.id
    assert second.cursor is None
    assert statuses(catalogue) == ["running", "running"]


def test_two_looks_at_once_do_not_undo_each_other(catalogue: Catalogue) -> None:
    """The earlier one never takes back that the later saw an object, and neither marks missing what the other sees."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    first, second = begin(catalogue, collection_id, "one"), begin(catalogue, collection_id, "two")
    catalogue.record_page(collection_id, second.id, "two", seen_keys=["a.jpg", "b.jpg"], objects_seen=2)
    catalogue.record_page(collection_id, first.id, "one", seen_keys=["a.jpg"], objects_seen=1)
    catalogue.record_page(collection_id, first.id, "one", objects=[seen("b.jpg")], photos=[photo("b.jpg")])
    assert catalogue.mark_missing(collection_id, second.id).missing == 0
    assert catalogue.mark_missing(collection_id, first.id).missing == 0
    assert rows(catalogue, "SELECT DISTINCT listing_id FROM source_object") == [(second.id,)]


def test_what_another_run_sees_meanwhile_is_not_missing(catalogue: Catalogue) -> None:
    """An object that came behind the later look's back, and that the earlier one found."""
    collection_id = with_photos(catalogue, "a.jpg")
    first, second = begin(catalogue, collection_id, "one"), begin(catalogue, collection_id, "two")
    catalogue.record_page(collection_id, first.id, "one", objects=[seen("new.jpg")], photos=[photo("new.jpg")])
    later = {"last_seen_at": "2100-01-01T00:00:00Z"}  # a second or more after the second look began
    new = source_object.c.key == "new.jpg"
    catalogue.write(lambda connection: connection.execute(sa.update(source_object).where(new).values(later)))
    assert catalogue.mark_missing(collection_id, second.id).missing == 1
    known = catalogue.known_objects(collection_id)
    assert {key: known[key].status for key in known} == {"a.jpg": "missing", "new.jpg": "registered"}


def test_a_run_that_lost_its_look_records_nothing_more(catalogue: Catalogue) -> None:
    """It slept past its lease, and another run went on with the look."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    look = half_a_look(catalogue, collection_id, "one")
    assert begin(catalogue, collection_id, "two").id == look.id
    with pytest.raises(RecordRefused, match="taken over"):
        catalogue.record_page(collection_id, look.id, "one", seen_keys=["b.jpg"], cursor="b.jpg", objects_seen=2)
    assert rows(catalogue, "SELECT cursor FROM listing") == [("a.jpg",)]


def test_a_photo_that_went_and_came_elsewhere_moved(catalogue: Catalogue) -> None:
    """One event a photo, with both places; a copy that stays is no move."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    before = {"first_seen_at": "2026-01-01T00:00:00Z", "last_seen_at": "2026-01-01T00:00:00Z"}
    catalogue.record_objects(collection_id, [seen("copy of b.jpg", "b.jpg")])
    catalogue.write(lambda connection: connection.execute(sa.update(source_object).values(before)))
    look = begin(catalogue, collection_id, "one")
    catalogue.record_page(collection_id, look.id, "one", objects=[seen("box/a.jpg", "a.jpg")])
    catalogue.record_page(collection_id, look.id, "one", seen_keys=["copy of b.jpg"], objects_seen=2)
    gone = catalogue.mark_missing(collection_id, look.id, run_id="one")
    assert (gone.missing, gone.moved) == (2, 1)
    moves = "SELECT detail, note, run_id FROM event WHERE type = 'ingestion' AND detail LIKE '%moved%'"
    ((detail, note, run_id),) = rows(catalogue, moves)
    assert json.loads(detail) == {"change": "moved", "from": "a.jpg", "to": "box/a.jpg"}
    assert (note, run_id) == ("moved from a.jpg to box/a.jpg", "one")
    links = rows(
        catalogue,
        "SELECT role, object_id FROM event_history WHERE note LIKE 'moved%' ORDER BY role",
    )
    assert links == [
        ("outcome", sha("a.jpg")), ("previous", "file:///scans/a.jpg"), ("source", "file:///scans/box/a.jpg"),
    ]  # fmt: skip


def test_thousands_that_are_gone_are_marked_in_parts(catalogue: Catalogue) -> None:
    """Each part with its event, so that no transaction and no event holds a whole bucket."""
    collection_id = with_photos(catalogue)
    keys = [f"{number:04d}.jpg" for number in range(2100)]
    catalogue.record_objects(collection_id, [seen(key, "same") for key in keys], [photo("same")])
    assert whole_look(catalogue, collection_id, keys[:50]).missing == 2050
    assert catalogue.object_counts(collection_id)["missing"] == 2050
    events = rows(catalogue, "SELECT id FROM event WHERE type = 'validation'")
    assert len(events) == 3


def test_a_look_may_be_resumed_for_half_a_day() -> None:
    """Longer, and new scans on its first pages would wait for another night."""
    assert RESUMED_WITHIN_S == 12 * 3600
