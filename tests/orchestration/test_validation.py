"""What ingestion makes of one object, and which objects it reads at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from flows.listing import batches_of, list_source
from flows.validation import CHANGING, validate_object, validate_objects
from oldphoto_core.images import DecodeLimits
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import KnownObject, SourceEntry, SourceObjectRecord
from tests.orchestration.archives import QUARANTINED, make_scans, picture

LIMITS = DecodeLimits()


def known_after(record: SourceObjectRecord) -> KnownObject:
    """What the catalogue knows once this record is written."""
    return KnownObject(
        size_bytes=record.size_bytes, modified_at=record.modified_at, etag=record.etag, version_id=record.version_id,
        photo_sha256=record.photo_sha256, status=record.status, reason=record.reason,
    )  # fmt: skip


def test_a_photo_is_registered_with_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "grandma & co.png"
    Image.fromarray(picture(1, height=40, width=60)).save(path, dpi=(300, 300))
    store = SourceStore(tmp_path)
    found = validate_object(store, store.entry(path.name), LIMITS)
    assert found is not None
    record, photo = found
    assert photo is not None
    assert record.status == "registered"
    assert record.photo_sha256 == photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (photo.height, photo.width, photo.channels, photo.bit_depth, photo.format) == (40, 60, 3, 8, "png")


@pytest.mark.parametrize(("key", "reason"), QUARANTINED.items())
def test_what_is_no_photo_is_quarantined_with_a_reason_that_names_it(tmp_path: Path, key: str, reason: str) -> None:
    store = SourceStore(make_scans(tmp_path / "scans"))
    found = validate_object(store, store.entry(key), LIMITS)
    assert found is not None
    record, photo = found
    assert (record.status, record.reason, photo) == ("quarantined", reason, None)
    assert key in str(record.detail)


class WithAWriter(SourceStore):
    """A store in which another program goes on writing whatever is read."""

    def read_bytes(self, key: str) -> bytes:
        data = super().read_bytes(key)
        path = self.local_path(key)
        assert path is not None
        with path.open("ab") as file:
            file.write(b"more")
        return data


def test_a_file_that_is_written_while_it_is_read_is_quarantined(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "growing.png")
    store = WithAWriter(tmp_path)
    found = validate_object(store, store.entry("growing.png"), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason) == ("quarantined", CHANGING)


def test_a_file_that_changed_once_since_the_listing_is_taken_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture(1)).save(path)
    store = SourceStore(tmp_path)
    entry = store.entry(path.name)
    Image.fromarray(picture(2)).save(path)
    found = validate_object(store, entry, LIMITS)
    assert found is not None
    record, _ = found
    assert record.photo_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.etag == store.entry(path.name).etag


def test_a_file_that_vanished_since_the_listing_is_left_out(tmp_path: Path) -> None:
    entry = SourceEntry(key="gone.jpg", size_bytes=3)
    assert validate_objects(SourceStore(tmp_path), [entry], LIMITS) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_quarantined_and_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    Image.fromarray(picture(1)).save(path)
    path.chmod(0)
    store = SourceStore(tmp_path)
    found = validate_object(store, store.entry(path.name), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason) == ("quarantined", "unreadable")
    listing = list_source(store, {path.name: known_after(found[0])}, IgnoreRules())
    assert [entry.key for entry in listing.to_read] == [path.name]


def test_what_has_not_changed_is_not_read_again_unless_asked(tmp_path: Path) -> None:
    store = SourceStore(make_scans(tmp_path / "scans"))
    rules = IgnoreRules()
    first = list_source(store, {}, rules)
    records = [*first.decided, *(record for record, _ in validate_objects(store, first.to_read, LIMITS))]
    known = {record.key: known_after(record) for record in records}
    assert first.keys == known.keys()

    second = list_source(store, known, rules)
    assert (second.decided, second.to_read, second.keys) == ([], [], first.keys)
    assert len(list_source(store, known, rules, recheck=True).to_read) == len(first.to_read)

    os.utime(tmp_path / "scans/a.jpg", ns=(1, 1))
    assert [entry.key for entry in list_source(store, known, rules).to_read] == ["a.jpg"]


def test_a_pattern_taken_back_has_its_files_read(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "proof.jpg")
    store = SourceStore(tmp_path)
    first = list_source(store, {}, IgnoreRules(["proof*"]))
    assert [(record.key, record.reason) for record in first.decided] == [("proof.jpg", "proof*")]
    known = {record.key: known_after(record) for record in first.decided}
    assert [entry.key for entry in list_source(store, known, IgnoreRules()).to_read] == ["proof.jpg"]


def test_a_broken_link_is_quarantined_once(tmp_path: Path) -> None:
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    listing = list_source(SourceStore(tmp_path), {}, IgnoreRules())
    assert [(record.key, record.status, record.reason) for record in listing.decided] == [
        ("lost.jpg", "quarantined", "not-a-file")
    ]
    assert listing.keys == {"lost.jpg"}
    known = {"lost.jpg": known_after(listing.decided[0])}
    assert list_source(SourceStore(tmp_path), known, IgnoreRules()).decided == []


@pytest.mark.parametrize("count", [0, 1, 7, 100, 5000])
def test_batches_hold_every_entry_once(count: int) -> None:
    entries = [SourceEntry(key=f"{number}.jpg", size_bytes=1) for number in range(count)]
    batches = batches_of(entries, threads=2)
    assert [entry for batch in batches for entry in batch] == entries
    assert all(1 <= len(batch) <= 64 for batch in batches)
