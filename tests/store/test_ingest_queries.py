"""Objects and photos: new, known, changed, missing, back, under five names."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from storage.catalog import Catalogue
from storage.catalog.listing_queries import Gone
from storage.errors import RecordRefused
from storage.records import CollectionRecord, EventRecord, SourceEntry
from tests.store.makers import photo, restored, rows, seen, sha, whole_look, with_photos


def test_a_collection_is_one_row_a_url_and_its_policy_follows(catalogue: Catalogue) -> None:
    """The first shows in browse/ itself, others in folders of their own."""
    first = catalogue.upsert_collection(CollectionRecord(url="file:///scans"))
    second = catalogue.upsert_collection(CollectionRecord(url="s3://bucket/more scans"))
    assert catalogue.upsert_collection(CollectionRecord(url="file:///scans", tone="neutral")) == first != second
    assert catalogue.browse_folder(first) == ""
    assert catalogue.browse_folder(second) == f"more-scans-{sha('s3://bucket/more scans')[:8]}"
    assert rows(catalogue, "SELECT tone FROM collection ORDER BY id") == [("neutral",), ("correct",)]


def test_a_photo_under_five_names_is_one_photo_and_five_objects(catalogue: Catalogue) -> None:
    """Handing the batch in again, as after a crash, changes nothing."""
    collection_id = catalogue.upsert_collection(CollectionRecord(url="file:///scans"))
    objects = [seen(f"{i}.jpg", "same") for i in range(5)]
    assert catalogue.record_objects(collection_id, objects, [photo("same")] * 5) == 1
    assert catalogue.record_objects(collection_id, objects, [photo("same")]) == 0
    assert rows(catalogue, "SELECT COUNT(*), COUNT(DISTINCT photo_id) FROM source_object") == [(5, 1)]
    assert rows(catalogue, "SELECT sha256 FROM photo") == [(sha("same"),)]
    assert catalogue.object_counts() == {"registered": 5, "quarantined": 0, "ignored": 0, "missing": 0}


def test_known_objects_tell_what_need_not_be_read_again(catalogue: Catalogue) -> None:
    """By ETag, version and size; by time where a store has no ETag."""
    collection_id = with_photos(catalogue, "a.jpg")
    catalogue.record_objects(
        collection_id, [seen("Thumbs.db", status="ignored", photo_sha256=None, reason="Thumbs.db")]
    )
    known = catalogue.known_objects(collection_id)
    assert known.keys() == {"a.jpg", "Thumbs.db"}
    assert known["a.jpg"].photo_sha256 == sha("a.jpg")
    assert known["a.jpg"].is_unchanged(SourceEntry(key="a.jpg", size_bytes=1000, etag="e1"))
    assert not known["a.jpg"].is_unchanged(SourceEntry(key="a.jpg", size_bytes=1000, etag="e2"))
    assert not known["a.jpg"].is_unchanged(SourceEntry(key="a.jpg", size_bytes=1000, etag="e1", version_id="v2"))
    assert not known["a.jpg"].is_unchanged(SourceEntry(key="a.jpg", size_bytes=999, etag="e1"))
    assert not known["a.jpg"].is_unchanged(SourceEntry(key="a.jpg", size_bytes=1000))
    catalogue.record_objects(collection_id, [seen("a.jpg", version_id="v1")])  # as reading told; a listing does not
    versioned = catalogue.known_objects(collection_id, ["a.jpg"])["a.jpg"]
    assert versioned.is_unchanged(SourceEntry(key="a.jpg", size_bytes=1000, etag="e1"))


def test_other_content_at_a_key_is_a_new_photo_and_an_event(catalogue: Catalogue) -> None:
    """Once, however often the batch is handed in; the old photo keeps its row."""
    collection_id = with_photos(catalogue, "a.jpg")
    for _ in range(2):
        catalogue.record_objects(collection_id, [seen("a.jpg", "new", etag="e2")], [photo("new")])
    assert rows(catalogue, "SELECT COUNT(*) FROM photo") == [(2,)]
    assert catalogue.known_objects(collection_id)["a.jpg"].photo_sha256 == sha("new")
    found = rows(
        catalogue,
        "SELECT role, object_id FROM event JOIN event_object ON event_id = id WHERE type = 'ingestion' ORDER BY role",
    )
    assert found == [("outcome", sha("new")), ("previous", sha("a.jpg")), ("source", "file:///scans/a.jpg")]
    ((detail, note),) = rows(catalogue, "SELECT detail, note FROM event WHERE type = 'ingestion'")
    assert json.loads(detail)["before_and_after"] == {"etag": ["e1", "e2"]}
    assert note == "a.jpg: other content: 1000 bytes before, 1000 now"


@pytest.mark.parametrize("unread", [("ignored", "*.jpg"), ("quarantined", "unreadable")])
def test_an_object_that_is_not_read_keeps_its_photo(catalogue: Catalogue, unread: tuple[str, str]) -> None:
    """No event says that its content changed, and the withdrawal of its collection reaches what was made of it."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.record_restorations([restored("a.jpg")], [])
    status, reason = unread
    again = [seen(key, photo_sha256=None, status=status, reason=reason) for key in ("a.jpg", "b.jpg")]
    catalogue.record_objects(collection_id, [again[0], replace(again[1], etag="e2")])
    known = catalogue.known_objects(collection_id)
    assert (known["a.jpg"].photo_sha256, known["b.jpg"].photo_sha256) == (sha("a.jpg"), None)
    told = rows(catalogue, "SELECT note FROM event WHERE type = 'ingestion'")
    assert told == [("b.jpg: other content: 1000 bytes before, 1000 now",)]
    catalogue.set_collection_state("file:///scans", "withdrawn", by="Ada", reason="the family asked")
    assert [due.sha256 for due in catalogue.due_deletions(after_id=0, limit=10, recent_s=60)] == [sha("a.jpg")]


def test_vanished_objects_are_missing_and_come_back(catalogue: Catalogue) -> None:
    """Read again when they are back, with an event each way; what could not be listed is left as it was."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "locked/c.jpg", "locked2/d.jpg")
    assert whole_look(catalogue, collection_id, ["a.jpg"], unlisted=["locked/"]) == Gone(missing=2)
    assert whole_look(catalogue, collection_id, ["a.jpg"], unlisted=["locked"]) == Gone()
    known = catalogue.known_objects(collection_id)
    assert {key: object_.status for key, object_ in known.items()} == {
        "a.jpg": "registered", "b.jpg": "missing", "locked/c.jpg": "registered", "locked2/d.jpg": "missing",
    }  # fmt: skip
    assert not known["b.jpg"].is_unchanged(SourceEntry(key="b.jpg", size_bytes=1000, etag="e1"))
    catalogue.record_objects(collection_id, [seen("b.jpg")], [photo("b.jpg")])
    assert catalogue.known_objects(collection_id)["b.jpg"].status == "registered"
    details = rows(catalogue, "SELECT detail FROM event WHERE detail LIKE '%change%' ORDER BY id")
    changes = [json.loads(detail)["change"] for (detail,) in details]
    assert changes[-2:] == ["missing", "reappeared"]


def test_missing_is_per_collection(catalogue: Catalogue) -> None:
    """A whole listing of one says nothing about another."""
    first = with_photos(catalogue, "a.jpg")
    second = with_photos(catalogue, "a.jpg", url="file:///other")
    assert whole_look(catalogue, second, []) == Gone(missing=1)
    assert catalogue.object_counts(first)["registered"] == 1


def test_quarantined_and_ignored_objects_keep_their_reasons(catalogue: Catalogue) -> None:
    """For the table at a run's end."""
    collection_id = catalogue.upsert_collection(CollectionRecord(url="file:///scans"))
    objects = [
        seen("b.jpg", status="quarantined", photo_sha256=None, reason="truncated", detail="expected 10 lines, found 3"),
        seen("a.txt", status="ignored", photo_sha256=None, reason="*.txt"),
        seen("b.txt", status="ignored", photo_sha256=None, reason="*.txt"),
    ]
    catalogue.record_objects(collection_id, objects)
    assert catalogue.quarantined(collection_id) == [("b.jpg", "truncated")]
    assert catalogue.ignored_by_pattern() == {"*.txt": 2}


def test_a_batch_with_one_wrong_record_is_refused_whole(catalogue: Catalogue) -> None:
    """One transaction: nothing of it stays."""
    collection_id = with_photos(catalogue)
    with pytest.raises(RecordRefused, match="not recorded"):
        catalogue.record_objects(collection_id, [seen("a.jpg"), seen("b.jpg")], [photo("a.jpg")])
    wrong = seen("c.jpg", status="quarantined", photo_sha256=None)
    with pytest.raises(RecordRefused, match="reason_given"):
        catalogue.record_objects(collection_id, [seen("a.jpg"), wrong], [photo("a.jpg")])
    assert rows(catalogue, "SELECT (SELECT COUNT(*) FROM photo), (SELECT COUNT(*) FROM source_object)") == [(0, 0)]


def test_an_event_with_its_time_is_recorded_once(catalogue: Catalogue) -> None:
    """Without one it is a new event each time, as next month's fixity check is."""
    timed = EventRecord(
        type="fixity check", agent="oldphoto", at="2026-01-02T03:04:05Z", objects=(("photo", sha("a"), "source"),) * 2
    )
    for event in (timed, EventRecord(type="validation", agent="Ada", agent_type="person")):
        catalogue.record_event(event)
        catalogue.record_event(event)
    found = rows(catalogue, "SELECT type, COUNT(*), MIN(day) FROM event GROUP BY type ORDER BY type")
    assert found[0] == ("fixity check", 1, "2026-01-02")
    assert found[1][:2] == ("validation", 2)
    assert rows(catalogue, "SELECT name, type FROM agent ORDER BY name") == [
        ("Ada", "person"),
        ("oldphoto", "software"),
    ]


def test_times_are_utc_text_with_a_day(catalogue: Catalogue) -> None:
    """Seconds and a Z, everywhere alike."""
    with_photos(catalogue, "a.jpg")
    ((seen_at, day),) = rows(catalogue, "SELECT first_seen_at, day FROM photo")
    assert len(seen_at) == 20
    assert seen_at[10] == "T"
    assert seen_at[-1] == "Z"
    assert day == seen_at[:10]
