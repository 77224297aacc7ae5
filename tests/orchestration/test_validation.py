"""What ingestion makes of one object, and which objects it reads at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from flows.listing import SortedPage, not_files, sort_page
from flows.reading import in_parts
from flows.validation import CHANGING, validate_object
from oldphoto_core.images import DecodeLimits, decode_image
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import KnownObject, ListingProblem, SourceEntry, SourceObjectRecord
from storage.whole_objects import WholeObject
from tests.images import BAD, ODD, deep_picture, flipped_byte, tiff
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


# -- large objects ----------------------------------------------------------------------------------------------

TIFFS: dict[str, Callable[[], bytes]] = {
    name: make for name, make in ODD.items() if name.endswith(".tif") and name != "fax.tif"
} | {
    f"{layout} {packing} {orientation}.tif": lambda options=options, packing=packing, orientation=orientation: tiff(
        deep_picture(90, 70), photometric="rgb", compression=packing, resolution=(300, 200), **options,
        extratags=[(274, 3, 1, orientation, True), (271, 2, 0, "Phase One", True)],
    )
    for layout, options in {"strips": {"rowsperstrip": 8}, "tiles": {"tile": (16, 32)}, "one strip": {}}.items()
    for packing in (None, "zlib", "lzw")
    for orientation in (1, 3, 6)
}  # fmt: skip


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every object is read as a large one is, every TIFF by rows, few at a time."""
    monkeypatch.setattr("storage.whole_objects.HELD_BYTES", 0)
    monkeypatch.setattr("oldphoto_core.opening.LARGE_PX", 0)
    monkeypatch.setattr("oldphoto_core.tiff_bands._BAND_PX", 300)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("name", TIFFS)
def test_large_tiffs_have_the_facts_that_small_ones_have(tmp_path: Path, name: str) -> None:
    data = TIFFS[name]()
    (tmp_path / name).write_bytes(data)
    store = SourceStore(tmp_path)
    found = validate_object(store, store.entry(name), LIMITS)
    assert found is not None
    record, photo = found
    facts = decode_image(data, name).facts
    assert photo is not None
    assert record.status == "registered"
    assert (photo.sha256, photo.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    for field in photo.__dataclass_fields__:
        if hasattr(facts, field):
            assert getattr(photo, field) == getattr(facts, field), field


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("name", BAD)
def test_large_objects_are_quarantined_for_the_same_reasons(tmp_path: Path, name: str) -> None:
    reason, make = BAD[name]
    (tmp_path / name).write_bytes(make())
    store = SourceStore(tmp_path)
    found = validate_object(store, store.entry(name), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason, found[1]) == ("quarantined", reason, None)


@pytest.mark.usefixtures("all_large")
def test_a_broken_strip_anywhere_in_a_large_tiff_is_found(tmp_path: Path) -> None:
    """Every row is read."""
    data = tiff(deep_picture(90, 70), photometric="rgb", compression="zlib", rowsperstrip=8)
    store = SourceStore(tmp_path)
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "a.tif").write_bytes(flipped_byte(data, share))
        found = validate_object(store, store.entry("a.tif"), LIMITS)
        assert found is not None
        assert (found[0].status, found[0].reason) == ("quarantined", "corrupt")


class Interrupted(SourceStore):
    """A store in which something happens to each of the next objects between their hash and their rows."""

    happens: list[Callable[[Path], object]]

    @contextmanager
    def open_whole(self, wanted: str | SourceEntry) -> Iterator[WholeObject]:
        with super().open_whole(wanted) as whole:
            path = self.local_path(whole.entry.key)
            assert path is not None
            if self.happens:
                self.happens.pop(0)(path)
            yield whole


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.usefixtures("all_large")
def test_a_large_master_that_changes_under_our_hands_is_read_again(tmp_path: Path) -> None:
    """It is neither quarantined for what its writer had not yet written, nor registered under a hash of before."""
    path = tmp_path / "a.tif"
    store = Interrupted(tmp_path)
    whole = tiff(deep_picture(90, 70, seed=2), photometric="rgb", rowsperstrip=8)
    for happens in ([cut, lambda path: path.write_bytes(whole)], [lambda path: path.write_bytes(whole)]):
        path.write_bytes(tiff(deep_picture(90, 70, seed=1), photometric="rgb", rowsperstrip=8, compression="zlib"))
        store.happens = list(happens)
        found = validate_object(store, store.entry("a.tif"), LIMITS)
        assert found is not None
        assert (found[0].status, found[0].photo_sha256) == ("registered", hashlib.sha256(whole).hexdigest())
        assert found[0].etag == store.entry("a.tif").etag

    store.happens = [cut] * 3
    found = validate_object(store, store.entry("a.tif"), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason, store.happens) == ("quarantined", CHANGING, [])

    path.write_bytes(whole)
    store.happens = [Path.unlink]
    assert validate_object(store, store.entry("a.tif"), LIMITS) is None


def test_a_disk_that_fails_under_a_large_master_says_nothing_of_it(tmp_path: Path) -> None:
    """A folder where a file was is read from as a disk fails: with an error of the system's."""
    name = "a.tif"
    (tmp_path / name).write_bytes(tiff(deep_picture(90, 70), photometric="rgb"))

    class Failing(SourceStore):
        @contextmanager
        def open_whole(self, wanted: str | SourceEntry) -> Iterator[WholeObject]:
            with super().open_whole(wanted) as whole, (tmp_path / name).open("rb") as file:
                folder = os.open(tmp_path, os.O_RDONLY)
                os.dup2(folder, file.fileno())
                os.close(folder)
                yield WholeObject(entry=whole.entry, file=file, sha256=whole.sha256)

    store = Failing(tmp_path)
    found = validate_object(store, store.entry(name), LIMITS)
    assert found is not None
    assert (found[0].status, found[0].reason) == ("quarantined", "unreadable")
    assert name in str(found[0].detail) and "Is a directory" in str(found[0].detail)


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
