"""What ingestion makes of one object, and which objects it reads at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from flows.listing import SortedPage, not_files, sort_page
from flows.reading import in_parts
from flows.validation import CHANGING, validate_object
from oldphoto_core.images import DecodeLimits
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import KnownObject, ListingProblem, SourceEntry, SourceObjectRecord
from tests.orchestration.archives import QUARANTINED, make_scans, picture

LIMITS = DecodeLimits()


def known_after(record: SourceObjectRecord) -> KnownObject:
    """What the catalogue knows once this record is written."""
    return KnownObject(
        size_bytes=record.size_bytes, modified_at=record.modified_at, etag=record.etag, version_id=record.version_id,
        photo_sha256=record.photo_sha256, status=record.status, reason=record.reason,
    )  # fmt: skip


def sorted_listing(
    store: SourceStore, known: dict[str, KnownObject], rules: IgnoreRules, *, recheck: bool = False
) -> SortedPage:
    """The whole listing of a small source, as one page."""
    problems: list[ListingProblem] = []
    entries = list(store.list(on_problem=problems.append))
    return sort_page(entries, not_files(problems), known, rules, recheck=recheck)


def keys_of(page: SortedPage) -> set[str]:
    return {record.key for record in page.decided} | {entry.key for entry in page.to_read} | set(page.seen_keys)


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

    def read_entry(self, entry: SourceEntry) -> tuple[SourceEntry, bytes]:
        path = self.local_path(entry.key)
        assert path is not None
        with path.open("ab") as file:
            file.write(b"more")
        return super().read_entry(entry)


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
    assert validate_object(SourceStore(tmp_path), entry, LIMITS) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_quarantined_and_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    Image.fromarray(picture(1)).save(path)
    path.chmod(0)
    store = SourceStore(tmp_path)
    found = validate_object(store, store.entry(path.name), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason) == ("quarantined", "unreadable")
    page = sorted_listing(store, {path.name: known_after(found[0])}, IgnoreRules())
    assert [entry.key for entry in page.to_read] == [path.name]


def test_what_has_not_changed_is_not_read_again_unless_asked(tmp_path: Path) -> None:
    store = SourceStore(make_scans(tmp_path / "scans"))
    rules = IgnoreRules()
    first = sorted_listing(store, {}, rules)
    validated = [validate_object(store, entry, LIMITS) for entry in first.to_read]
    records = [*first.decided, *(found[0] for found in validated if found is not None)]
    known = {record.key: known_after(record) for record in records}
    assert keys_of(first) == known.keys()

    second = sorted_listing(store, known, rules)
    assert (second.decided, second.to_read, set(second.seen_keys)) == ([], [], keys_of(first))
    assert len(sorted_listing(store, known, rules, recheck=True).to_read) == len(first.to_read)

    os.utime(tmp_path / "scans/a.jpg", ns=(1, 1))
    third = sorted_listing(store, known, rules)
    assert [entry.key for entry in third.to_read] == ["a.jpg"]
    assert (third.new, third.changed, third.reappeared) == (0, 1, 0)


def test_a_pattern_taken_back_has_its_files_read(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "proof.jpg")
    store = SourceStore(tmp_path)
    first = sorted_listing(store, {}, IgnoreRules(["proof*"]))
    assert [(record.key, record.reason) for record in first.decided] == [("proof.jpg", "proof*")]
    known = {record.key: known_after(record) for record in first.decided}
    assert [entry.key for entry in sorted_listing(store, known, IgnoreRules()).to_read] == ["proof.jpg"]


def test_a_broken_link_is_quarantined_once(tmp_path: Path) -> None:
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    page = sorted_listing(SourceStore(tmp_path), {}, IgnoreRules())
    assert [(record.key, record.status, record.reason) for record in page.decided] == [
        ("lost.jpg", "quarantined", "not-a-file")
    ]
    known = {"lost.jpg": known_after(page.decided[0])}
    again = sorted_listing(SourceStore(tmp_path), known, IgnoreRules())
    assert (again.decided, again.seen_keys) == ([], ["lost.jpg"])


@pytest.mark.parametrize("count", [0, 1, 7, 100, 1000])
def test_parts_hold_every_entry_once_and_end_when_they_are_large(count: int) -> None:
    entries = [SourceEntry(key=f"{number}.tif", size_bytes=30) for number in range(count)]
    parts = in_parts(entries, max_bytes=100)
    assert [entry for part in parts for entry in part] == entries
    assert all(len(part) <= 4 for part in parts)
    assert len(parts) == max(1, -(-count // 4))
