"""Sidecars of a real folder, attached to its photos in a real catalogue: new, changed, gone, and too many."""

from __future__ import annotations

from pathlib import Path

import pytest

import flows.sidecars
from flows.sidecar_findings import SidecarSummary
from flows.sidecars import attach_sidecars
from storage.catalog import Catalogue
from storage.ignore import IgnoreRules
from storage.objects import SourceStore
from storage.records import CollectionRecord, SourceObjectRecord
from tests.store.makers import photo, rows, sha
from tests.store.test_sidecars import ADOBE

FIELDS = "SELECT source_key, field, position, value, sidecar_key FROM photo_metadata ORDER BY 1, 2, 3, 5"


class Folder:
    """A folder of scans and its collection; photos are empty files, as nobody decodes them here."""

    def __init__(self, catalogue: Catalogue, path: Path) -> None:
        self.catalogue = catalogue
        self.path = path
        path.mkdir()
        self.store = SourceStore(path)
        self.collection_id = catalogue.upsert_collection(CollectionRecord(url=self.store.url))

    def put(self, key: str, data: bytes | str = b"") -> None:
        path = self.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def look(self, **choices: bool) -> SidecarSummary:
        """What an ingestion does: records what is there and what is gone, then attaches sidecars."""
        rules, objects = IgnoreRules(), []
        listed = list(self.store.list())
        for entry in listed:
            pattern = rules.match(entry.key)
            known = {"status": "ignored", "reason": pattern} if pattern else {"status": "registered"}
            sha256 = None if pattern else sha(entry.key)
            objects.append(SourceObjectRecord.from_entry(entry, photo_sha256=sha256, **known))  # type: ignore[arg-type]
        before = self.catalogue.known_objects(self.collection_id)
        keys = {entry.key for entry in listed}
        objects = [one for one in objects if one.key not in before or before[one.key].etag != one.etag]
        objects += [
            SourceObjectRecord(key=key, status="missing", size_bytes=0, photo_sha256=known.photo_sha256,
                               reason=known.reason)
            for key, known in before.items()
            if key not in keys and known.status != "missing"
        ]  # fmt: skip
        photos = [photo(one.key) for one in objects if one.status == "registered"]
        self.catalogue.record_objects(self.collection_id, objects, photos)
        return attach_sidecars(
            self.catalogue, self.collection_id, self.store, run_id="run-1", agent="oldphoto test", **choices
        )

    def fields(self) -> list[tuple[object, ...]]:
        return rows(self.catalogue, FIELDS)

    def detail(self, key: str) -> str:
        return str(rows(self.catalogue, f"SELECT detail FROM source_object WHERE key = '{key}'")[0][0])

    def events(self) -> list[tuple[object, ...]]:
        return rows(self.catalogue, "SELECT outcome, note, run_id FROM event WHERE type = 'metadata' ORDER BY id")

    def age(self) -> None:
        """Sets all that is known back by a day, so that what comes now is newer by the clock's seconds."""
        with self.catalogue._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE source_object SET first_seen_at = '2020-01-01T00:00:00Z'")
            connection.exec_driver_sql("UPDATE sidecar SET read_at = '2020-01-02T00:00:00Z'")


@pytest.fixture
def folder(catalogue: Catalogue, tmp_path: Path) -> Folder:
    return Folder(catalogue, tmp_path / "scans")


def test_each_kind_of_sidecar_reaches_its_photo(folder: Folder) -> None:
    for key in ("box/a.tif", "box/b.jpg", "c.tif"):
        folder.put(key)
    folder.put("box/a.tif.xmp", ADOBE)
    folder.put("box/b.json", '{"title": "B", "tags": ["x", "y"]}')
    folder.put("list.csv", "path;note\nbox/a.tif;first\nC.TIF;third\nnot/here.tif;none\n")
    summary = folder.look()
    assert (summary.read, summary.photos, summary.problem_count) == (3, 4, 1)
    assert ("box/a.tif", "title", 0, "The wedding", "box/a.tif.xmp") in folder.fields()
    assert ("box/b.jpg", "tags", 1, "y", "box/b.json") in folder.fields()
    assert [row for row in folder.fields() if row[1] == "note"] == [
        ("box/a.tif", "note", 0, "first", "list.csv"), ("c.tif", "note", 0, "third", "list.csv"),
    ]  # fmt: skip
    assert folder.detail("box/a.tif.xmp") == "metadata of a.tif: 13 fields"
    assert folder.detail("list.csv") == "metadata of 2 photos: 4 fields; no photo is known by 'not/here.tif'"
    formats = rows(folder.catalogue, "SELECT format, problem IS NULL FROM sidecar ORDER BY format")
    assert [(format, bool(fine)) for format, fine in formats] == [("csv", False), ("json", True), ("xmp", True)]
    assert [outcome for outcome, _, _ in folder.events()] == ["success", "warning"]
    assert {run for _, _, run in folder.events()} == {"run-1"}
    statuses = rows(folder.catalogue, "SELECT DISTINCT status FROM source_object WHERE key LIKE '%.csv'")
    assert statuses == [("ignored",)]


def test_what_did_not_change_is_not_read_again(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("a.xmp", ADOBE)
    assert folder.look().read == 1
    folder.age()
    before = folder.fields(), folder.events()
    assert folder.look() == SidecarSummary()
    assert folder.look(reread=True).read == 1
    assert (folder.fields(), folder.events()) == before


def test_a_changed_sidecar_replaces_what_it_said(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("a.json", '{"title": "old", "place": "gone"}')
    folder.look()
    folder.age()
    folder.put("a.json", '{"title": "new title"}')
    assert folder.look().read == 1
    assert folder.fields() == [("a.tif", "title", 0, "new title", "a.json")]
    assert len(folder.events()) == 2


def test_a_sidecar_that_vanished_takes_its_fields_along(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("a.json", '{"title": "A"}')
    folder.put("list.csv", "file,note\na.tif,kept\n")
    folder.look()
    (folder.path / "a.json").unlink()
    assert folder.look().removed == 1
    assert {row[1] for row in folder.fields()} == {"file", "note"}
    assert folder.events()[-1] == ("success", "a.json is gone, and 1 field with it", "run-1")


def test_a_photo_that_comes_later_gets_what_was_said_of_it_before(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("box/b.xmp", ADOBE)
    folder.put("list.csv", "file,note\na.tif,first\nbox/b.tif,second\n")
    folder.look()
    assert folder.detail("box/b.xmp") == "no photo is known by 'b'"
    folder.age()
    folder.put("box/b.tif")
    assert folder.look().read == 2
    assert folder.detail("box/b.xmp") == "metadata of b.tif: 13 fields"
    assert ("box/b.tif", "note", 0, "second", "list.csv") in folder.fields()
    assert folder.detail("list.csv") == "metadata of 2 photos: 4 fields"


def test_names_in_the_other_form_of_unicode_are_found(folder: Folder) -> None:
    folder.put("bro\u0308llop.tif")
    folder.put("bröllop.tif.json", '{"title": "Bröllopet"}')
    folder.put("lista.csv", "file;år\nbröllop.tif;1912\n".encode("cp1252"))
    folder.look()
    assert {(row[0], row[3]) for row in folder.fields() if row[1] in ("title", "år")} == {
        ("bro\u0308llop.tif", "Bröllopet"), ("bro\u0308llop.tif", "1912"),
    }  # fmt: skip


def test_rows_of_one_photo_go_on_counting_positions(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("list.csv", "file,who\na.tif,Ole\na.tif,Kari\n")
    folder.look()
    assert [row[2:4] for row in folder.fields() if row[1] == "who"] == [(0, "Ole"), (1, "Kari")]


def test_a_table_longer_than_a_batch_is_recorded_in_parts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.sidecars, "_SUBJECTS", 7)
    monkeypatch.setattr(flows.sidecars, "_KEYS", 5)
    for number in range(30):
        folder.put(f"{number}.tif")
        folder.put(f"{number}.json", f'{{"n": {number}}}')
    folder.put("list.csv", "file,n\n" + "".join(f"{number}.tif,{number}\n" for number in range(30)))
    summary = folder.look()
    assert (summary.read, summary.photos, summary.problem_count) == (31, 60, 0)
    assert len(folder.fields()) == 90
    assert folder.detail("list.csv") == "metadata of 30 photos: 60 fields"
    folder.age()
    assert folder.look().read == 0


def test_a_reading_that_was_cut_short_is_done_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.sidecars, "_SUBJECTS", 2)
    for number in range(6):
        folder.put(f"{number}.tif")
    folder.put("list.csv", "file,n\n" + "".join(f"{number}.tif,{number}\n" for number in range(6)))
    ordinary = Catalogue.write_sidecars
    calls: list[int] = []

    def killed(self: Catalogue, writes: object, events: object = ()) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        ordinary(self, writes, events)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "write_sidecars", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.look()
    assert 0 < len(folder.fields()) < 12
    folder.age()
    assert folder.look().read == 1
    assert len(folder.fields()) == 12


def test_what_is_too_large_or_broken_is_told_once_and_stays_ignored(folder: Folder) -> None:
    folder.put("a.tif")
    folder.put("a.json", '{"title": "A"')
    with open(folder.path / "a.xmp", "wb") as file:
        file.truncate(9 * 2**20)
    summary = folder.look()
    assert sorted(key for key, _ in summary.problems) == ["a.json", "a.xmp"]
    assert "too large" in folder.detail("a.xmp")
    assert "not whole JSON" in folder.detail("a.json")
    events = folder.events()
    assert [outcome for outcome, _, _ in events] == ["warning", "warning"]
    folder.age()
    assert folder.look().problem_count == 1  # only the one that there is no reading of is looked at again
    assert folder.events() == events
