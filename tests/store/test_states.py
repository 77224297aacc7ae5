"""Held and withdrawn: who is meant, what is deleted and what is kept, and that a crash anywhere heals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import flows.states
from flows.errors import UsageError
from flows.publications import MANIFEST
from flows.states import change_state, find_meant, finish_withdrawals
from storage.catalog import Catalogue
from storage.catalog.publication_queries import Published
from storage.errors import RecordRefused
from storage.keys import sha256_hex
from storage.records import CollectionRecord
from tests.store.derivatives import Home
from tests.store.makers import PARAMETERS, label, photo, rows, seen, sha, with_photos


@pytest.fixture
def home(catalogue: Catalogue, tmp_path: Path) -> Home:
    made = Home(catalogue, tmp_path / "home")
    made.collect("/scans", {"a.jpg": "a", "box/b.tif": "b", "box/c.tif": "c", "other/c.tif": "d"})
    return made


def withdraw(home: Home, what: str, **choices: bool) -> flows.states.WithdrawalSummary:
    meant = find_meant(home.catalogue, what, **choices)
    change_state(home.catalogue, meant, "withdrawn", by="Ada", reason="family asked")
    return finish_withdrawals(home.catalogue, home.settings)


def hold(home: Home, what: str) -> None:
    change_state(home.catalogue, find_meant(home.catalogue, what), "held", by="Ada", reason="rights unclear")


def test_a_photo_is_called_by_hash_key_name_or_path(home: Home) -> None:
    for what in (sha("b"), sha("b")[:8].upper(), "box/b.tif", "b.tif", "/scans/box/b.tif", "file:///scans/box/b.tif"):
        assert find_meant(home.catalogue, what).id == sha("b")
    assert find_meant(home.catalogue, "/scans").kind == "collection"


def test_what_is_ambiguous_or_unknown_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match=r"may mean .*box/c\.tif.*other/c\.tif"):
        find_meant(home.catalogue, "c.tif")
    for what in ("no.tif", "/nowhere", "abc", "%", "_.tif", ""):
        with pytest.raises(UsageError, match="no photo"):
            find_meant(home.catalogue, what)
        with pytest.raises(UsageError, match="no collection"):
            find_meant(home.catalogue, what, is_collection=True)


def test_who_and_why_have_to_be_said(home: Home) -> None:
    meant = find_meant(home.catalogue, "a.jpg")
    for by, reason in (("", "x"), ("Ada", "  ")):
        with pytest.raises(UsageError, match="--by"):
            change_state(home.catalogue, meant, "held", by=by, reason=reason)
    with pytest.raises(RecordRefused, match="expected one of open, held, withdrawn"):
        home.catalogue.set_photo_state(sha("a"), "lost", by="Ada", reason="x")
    assert not home.catalogue.set_photo_state(sha("nobody"), "held", by="Ada", reason="x")


def test_a_held_photo_is_not_restored_and_keeps_what_it_has(home: Home) -> None:
    home.restore("a")
    hold(home, "a.jpg")
    hold(home, "box/b.tif")
    finish_withdrawals(home.catalogue, home.settings)
    wanted = {work.photo_sha256 for work in home.catalogue.photos_to_restore(None, PARAMETERS)}
    assert wanted == {sha("c"), sha("d")}
    assert len(home.left_of("a")) == 6
    outcomes = rows(home.catalogue, "SELECT source_key, outcome FROM object_outcome WHERE outcome = 'held' ORDER BY 1")
    assert outcomes == [("a.jpg", "held"), ("box/b.tif", "held")]
    said = rows(home.catalogue, "SELECT type, agent, agent_type, note FROM event_history WHERE type = 'hold'")
    assert said[0] == ("hold", "Ada", "person", "photo held: rights unclear")


def test_a_withdrawn_photo_loses_files_and_links_and_keeps_rows_and_labels(home: Home) -> None:
    home.catalogue.record_labels([label("a")])
    home.restore("a")
    home.restore("a", take=2, extension="tif")
    home.restore("b")
    assert home.shown() == ["a.jpg.tif", "box/b.tif.png"]
    summary = withdraw(home, "a.jpg")
    assert (summary.photos, summary.objects, summary.browse, summary.problems) == (1, 12, 1, [])
    assert (home.left_of("a"), len(home.left_of("b")), home.shown()) == ([], 6, ["box/b.tif.png"])
    assert not (home.settings.layout.derivatives / sha("a")[:2]).exists() or sha("a")[:2] == sha("b")[:2]
    history = rows(home.catalogue, "SELECT source_key FROM restoration_history WHERE deleted_at IS NOT NULL")
    assert history == [("a.jpg",), ("a.jpg",)]
    assert rows(home.catalogue, "SELECT COUNT(*) FROM restoration") == [(3,)]
    assert len(home.catalogue.latest_labels([sha("a")])) == 1
    [(note, detail)] = rows(home.catalogue, "SELECT note, detail FROM event WHERE type = 'deletion'")
    assert note == "withdrawn by Ada: family asked; 12 objects of 2 restorations deleted, label masks kept"
    assert '"restorations": 2' in detail
    assert rows(home.catalogue, "SELECT outcome FROM object_outcome WHERE source_key = 'a.jpg'") == [("withdrawn",)]
    assert finish_withdrawals(home.catalogue, home.settings) == flows.states.WithdrawalSummary()
    assert len(rows(home.catalogue, "SELECT id FROM event WHERE type = 'deletion'")) == 1


def test_a_reopened_photo_is_wanted_again(home: Home) -> None:
    home.restore("a")
    withdraw(home, "a.jpg")
    change_state(home.catalogue, find_meant(home.catalogue, "a.jpg"), "open", by="Eva", reason="cleared")
    assert sha("a") in {work.photo_sha256 for work in home.catalogue.photos_to_restore(None, PARAMETERS)}
    home.restore("a")
    finish_withdrawals(home.catalogue, home.settings)
    assert (len(home.left_of("a")), home.shown()) == (6, ["a.jpg.png"])
    assert rows(home.catalogue, "SELECT deleted_at FROM restoration") == [(None,)]
    notes = [note for (note,) in rows(home.catalogue, "SELECT note FROM event WHERE note LIKE 'photo%' ORDER BY id")]
    assert notes == ["photo withdrawn: family asked", "photo reopened: cleared"]


def test_a_photo_that_was_reopened_since_it_was_found_due_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.restore("a")
    change_state(home.catalogue, find_meant(home.catalogue, "a.jpg"), "withdrawn", by="Ada", reason="family asked")
    ordinary = Catalogue.due_deletions

    def reopened_after(self: Catalogue, **choices: int) -> object:
        due = ordinary(self, **choices)
        self.set_photo_state(sha("a"), "open", by="Eva", reason="cleared")
        return due

    monkeypatch.setattr(Catalogue, "due_deletions", reopened_after)
    assert finish_withdrawals(home.catalogue, home.settings).photos == 0
    assert len(home.left_of("a")) == 6


def test_what_a_worker_brings_in_late_is_deleted_by_the_next_sweep(home: Home) -> None:
    withdraw(home, "a.jpg")
    home.restore("a")
    assert len(home.left_of("a")) == 6
    assert finish_withdrawals(home.catalogue, home.settings).objects == 6
    home.restore("a", take=2, record=False)  # and died before it could say so
    assert finish_withdrawals(home.catalogue, home.settings).objects == 6
    assert (home.left_of("a"), home.shown()) == ([], [])


@pytest.mark.parametrize("step", ["remove_from_browse", "ObjectStore.delete_prefix", "Catalogue.record_deletion"])
def test_a_crash_in_the_middle_is_healed_by_the_next_sweep(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    home.restore("a")

    def killed(*arguments: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"flows.states.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            withdraw(home, "a.jpg")
    finish_withdrawals(home.catalogue, home.settings)
    assert (home.left_of("a"), home.shown()) == ([], [])
    assert rows(home.catalogue, "SELECT COUNT(*) FROM restoration WHERE deleted_at IS NULL") == [(0,)]
    assert rows(home.catalogue, "SELECT COUNT(*) FROM event WHERE type = 'deletion'") == [(1,)]


def test_a_withdrawn_collection_keeps_photos_that_another_open_one_has(home: Home) -> None:
    home.collect("/archive", {"copy of a.jpg": "a", "only here.jpg": "e"})
    for name in "ae":
        home.restore(name)
    folder = home.catalogue.collections()[1].browse_folder
    assert home.shown() == sorted(["a.jpg.png", f"{folder}/copy of a.jpg.png", f"{folder}/only here.jpg.png"])
    summary = withdraw(home, "/archive")
    assert (summary.photos, summary.objects) == (1, 6)
    assert (home.left_of("e"), len(home.left_of("a")), home.shown()) == ([], 6, ["a.jpg.png"])
    assert withdraw(home, "/scans", is_collection=True).photos == 1
    assert (home.left_of("a"), home.shown()) == ([], [])
    assert home.catalogue.photos_to_restore(None, PARAMETERS) == []


def test_links_under_paths_that_a_source_had_once_go_too(home: Home) -> None:
    home.restore("a")
    collection_id = home.catalogue.collections()[0].id
    home.catalogue.record_objects(collection_id, [seen("a.jpg", "new")], [photo("new")])
    assert home.shown() == ["a.jpg.png"]
    withdraw(home, sha("a"))
    assert home.shown() == []


def published(home: Home, destination: Path, name: str, key: str, data: bytes) -> None:
    """A copy that stands at the destination by the catalogue's account."""
    (destination / key).parent.mkdir(parents=True, exist_ok=True)
    (destination / key).write_bytes(data)
    [(object_id, restoration_id)] = rows(
        home.catalogue, "SELECT o.id, r.id FROM source_object o JOIN restoration r ON r.photo_id = o.photo_id "
        f"JOIN photo p ON p.id = o.photo_id WHERE p.sha256 = '{sha(name)}'",
    )  # fmt: skip
    home.catalogue.record_publications(
        [Published(destination=f"file://{destination}", key=key, source_object_id=object_id,
                   restoration_id=restoration_id, sha256=sha256_hex(data), size_bytes=len(data))]
    )  # fmt: skip


def test_published_copies_are_taken_back_unless_somebody_changed_them(home: Home, tmp_path: Path) -> None:
    destination = tmp_path / "shown"
    for name, key in (("a", "a.png"), ("b", "box/b.png"), ("c", "box/c.png")):
        published(home, destination, name, key, home.restore(name))
    (destination / "box/b.png").write_bytes(b"a person's own work")
    assert withdraw(home, "a.jpg").published == 1
    summary = withdraw(home, "box/b.tif")
    assert (summary.published, summary.left[0][0]) == (0, f"file://{destination}/box/b.png")
    assert sorted(path.name for path in destination.rglob("*") if path.is_file()) == ["b.png", "c.png", MANIFEST]
    assert (destination / MANIFEST).read_text().splitlines() == [
        f"{sha256_hex((destination / 'box/c.png').read_bytes())}  box/c.png"
    ]
    assert rows(home.catalogue, "SELECT key FROM publication WHERE removed_at IS NULL") == [("box/c.png",)]
    assert finish_withdrawals(home.catalogue, home.settings).left == []


def test_a_destination_that_does_not_answer_is_told_and_tried_again(
    home: Home, tmp_path: Path, hindered: Callable[[Path], None]
) -> None:
    destination = tmp_path / "shown"
    published(home, destination, "a", "a.png", home.restore("a"))
    hindered(destination / "a.png")
    summary = withdraw(home, "a.jpg")
    assert [place for place, _ in summary.problems] == [f"file://{destination}"]
    assert home.left_of("a") == []
    shutil.rmtree(destination / "a.png")
    assert finish_withdrawals(home.catalogue, home.settings).problems == []
    assert rows(home.catalogue, "SELECT COUNT(*) FROM publication WHERE removed_at IS NULL") == [(0,)]


@pytest.fixture
def hindered() -> Callable[[Path], None]:
    """Puts a folder where a file was, which nobody can read or delete as a file."""

    def hinder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    return hinder


def test_a_photo_is_found_at_all_its_places(catalogue: Catalogue) -> None:
    """In every collection, and only where it is still registered."""
    first = with_photos(catalogue, "a.jpg")
    second = catalogue.upsert_collection(CollectionRecord(url="s3://museum/plates"))
    catalogue.record_objects(second, [seen("copy of a.jpg", "a.jpg"), seen("b.jpg")], [photo("a.jpg"), photo("b.jpg")])
    catalogue.record_objects(first, [seen("gone.jpg", "a.jpg", status="missing")], [photo("a.jpg")])
    assert catalogue.photo_places(sha("a.jpg")) == ["file:///scans/a.jpg", "s3://museum/plates/copy of a.jpg"]
