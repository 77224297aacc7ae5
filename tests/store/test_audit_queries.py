"""What is to be audited, how far audits came, and what a finding leaves on record, on both databases."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.catalog.audit_queries import AuditPlace, AuditScope, PhotoOnRecord
from storage.records import CollectionRecord, EventRecord, RunRecord
from tests.store.makers import PARAMETERS, failed, photo, restored, rows, seen, sha, whole_look, with_photos


def scope(*readable: int, collection_id: int | None = None, derivatives: bool = True) -> AuditScope:
    return AuditScope(source_url=None, collection_id=collection_id, readable=readable, derivatives=derivatives)


def found(catalogue: Catalogue, asked: AuditScope) -> dict[str, tuple[list[str], int]]:
    """By photo: keys of its masters, and how many restorations are audited; pages of two."""
    photos: list[PhotoOnRecord] = []
    while page := catalogue.photos_to_audit(asked, after_id=photos[-1].photo_id if photos else 0, limit=2):
        photos += page
    assert catalogue.count_photos_to_audit(asked) == len(photos)
    return {one.sha256: ([master.entry.key for master in one.masters], len(one.restorations)) for one in photos}


def check(through: int, *, run_id: str, round_from: int = 0) -> EventRecord:
    detail = {"through_photo": through, "round_from": round_from}
    return EventRecord(type="fixity check", agent="oldphoto", detail=detail, run_id=run_id)


def test_every_master_and_every_standing_restoration_is_audited(catalogue: Catalogue) -> None:
    """Copies with their photo; nothing of failed restorations, nor of photos that have nothing left."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    catalogue.record_objects(collection_id, [seen("copy of a.jpg", "a.jpg")])
    catalogue.record_restorations([restored("a.jpg"), failed("b.jpg"), restored("c.jpg", outcome="unchanged")])
    whole_look(catalogue, collection_id, ["a.jpg", "copy of a.jpg", "b.jpg", "d.jpg"])  # c.jpg and e.jpg are missing
    assert found(catalogue, scope(collection_id)) == {
        sha("a.jpg"): (["a.jpg", "copy of a.jpg"], 1), sha("b.jpg"): (["b.jpg"], 0), sha("c.jpg"): ([], 1),
        sha("d.jpg"): (["d.jpg"], 0),
    }  # fmt: skip
    assert found(catalogue, scope(collection_id, derivatives=False)).keys() == {
        sha("a.jpg"), sha("b.jpg"), sha("d.jpg"),
    }  # fmt: skip
    assert found(catalogue, scope()).keys() == {sha("a.jpg"), sha("c.jpg")}
    (first, *_) = catalogue.photos_to_audit(scope(collection_id), after_id=0, limit=9)
    (one,) = first.restorations
    names = {name for name, _, _ in one.objects}
    assert names == {"restored", "mask", "found", "preview"}  # the maker knows no difference
    assert first.masters[0].entry.etag == "e1"
    through = first.photo_id
    assert len(catalogue.photos_to_audit(scope(collection_id), after_id=0, through_id=through, limit=9)) == 1


def test_one_source_has_its_own_photos_with_all_their_restorations(catalogue: Catalogue) -> None:
    first = with_photos(catalogue, "a.jpg", "b.jpg")
    second = catalogue.upsert_collection(CollectionRecord(url="s3://bucket"))
    catalogue.record_objects(second, [seen("x.jpg", "a.jpg")])
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg")])
    assert found(catalogue, scope(second, collection_id=second)) == {sha("a.jpg"): (["x.jpg"], 1)}
    assert len(found(catalogue, scope(first, second))) == 2
    assert (catalogue.count_masters(first), catalogue.count_masters(second)) == (2, 1)


def test_restorations_of_what_is_withdrawn_are_left_out(catalogue: Catalogue) -> None:
    """They are being deleted; held ones stay, and so do those that another, open collection has too."""
    first = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    second = catalogue.upsert_collection(CollectionRecord(url="s3://bucket"))
    catalogue.record_objects(second, [seen("c.jpg"), seen("d.jpg")], [photo("d.jpg")])
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    catalogue.record_restorations([restored(name) for name in names])
    assert catalogue.set_photo_state(sha("a.jpg"), "withdrawn", by="Ada", reason="asked to")
    assert catalogue.set_photo_state(sha("b.jpg"), "held", by="Ada", reason="unclear")
    assert catalogue.set_collection_state("s3://bucket", "withdrawn", by="Ada", reason="asked to")
    assert found(catalogue, scope(first)) == {
        sha("a.jpg"): (["a.jpg"], 0), sha("b.jpg"): (["b.jpg"], 1), sha("c.jpg"): (["c.jpg"], 1),
    }  # fmt: skip


def test_a_finding_must_still_stand(catalogue: Catalogue) -> None:
    """A photo withdrawn, an object that holds another photo, a restoration made anew: the findings are of the past."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg"), restored("c.jpg")])
    photos = catalogue.photos_to_audit(scope(collection_id), after_id=0, limit=9)
    masters = [(one.masters[0].object_id, one.photo_id) for one in photos]
    restorations = [(one.restorations[0].restoration_id, one.restorations[0].restored_key) for one in photos]
    assert catalogue.still_on_record(masters, restorations) == (
        {id_ for id_, _ in masters}, {id_ for id_, _ in restorations},
    )  # fmt: skip
    catalogue.set_photo_state(sha("a.jpg"), "withdrawn", by="Ada", reason="asked to")
    catalogue.record_objects(collection_id, [seen("b.jpg", "a new scan")], [photo("a new scan")])
    moved_on = [*restorations[:2], (restorations[2][0], "another key")]
    there, standing = catalogue.still_on_record(masters, moved_on)
    assert (there, standing) == ({masters[0][0], masters[2][0]}, {restorations[1][0]})


def test_a_damaged_restoration_is_wanted_again_and_keeps_its_row(catalogue: Catalogue) -> None:
    """Recording it twice, as after a lost connection, changes nothing; nor does it touch what was made since."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg")])
    catalogue.start_run(RunRecord(run_id="audit 1", kind="audit"))
    (one, _) = catalogue.photos_to_audit(scope(), after_id=0, limit=9)
    damaged = (one.restorations[0].restoration_id, one.restorations[0].restored_key)
    catalogue.record_audit([check(1, run_id="audit 1")], [(damaged[0], "another key")])
    assert catalogue.photos_to_restore(None, PARAMETERS) == []
    for _ in range(2):
        catalogue.record_audit([check(1, run_id="audit 1")], [damaged])
    assert [work.photo_sha256 for work in catalogue.photos_to_restore(None, PARAMETERS)] == [sha("a.jpg")]
    assert rows(catalogue, "SELECT COUNT(*), COUNT(deleted_at) FROM restoration") == [(2, 1)]
    assert found(catalogue, scope()).keys() == {sha("b.jpg")}
    catalogue.record_restorations([restored("a.jpg")])
    assert found(catalogue, scope()).keys() == {sha("a.jpg"), sha("b.jpg")}


@pytest.mark.parametrize("status", ["finished", "failed", None])
def test_the_next_audit_knows_how_far_the_last_one_came(catalogue: Catalogue, status: str | None) -> None:
    """Of the same source, from its events; one that was killed left no status, one that recorded nothing is left out.
    """
    assert catalogue.audit_place(None) is None
    for run_id, source_url in (("r1", None), ("r2", None), ("r3", "file:///scans"), ("r4", None)):
        catalogue.start_run(RunRecord(run_id=run_id, kind="audit", source_url=source_url))
    catalogue.start_run(RunRecord(run_id="r5", kind="restore"))
    for through in (10, 20):
        catalogue.record_audit([check(through, run_id="r1")])
    for through in (30, 5):
        catalogue.record_audit([check(through, run_id="r2", round_from=20)])
    catalogue.record_audit([check(7, run_id="r3")])
    catalogue.record_audit([EventRecord(type="fixity check", agent="oldphoto", run_id="r5")])
    for run_id in ("r1", "r2", "r3"):
        if status is not None:
            catalogue.finish_run(run_id, totals={}, status=status)
    is_unfinished = status != "finished"
    assert catalogue.audit_place(None) == AuditPlace(photo_id=5, round_from=20, is_unfinished=is_unfinished)
    assert catalogue.audit_place("file:///scans") == AuditPlace(photo_id=7, round_from=0, is_unfinished=is_unfinished)
    assert catalogue.audit_place("file:///other") is None


def test_a_page_of_a_large_archive_comes_at_once(catalogue: Catalogue) -> None:
    """By id, whichever page it is: not a look through all photos for each."""
    collection_id = with_photos(catalogue)
    names = [f"{number:05}.jpg" for number in range(10_000)]
    catalogue.record_objects(collection_id, [seen(name) for name in names], [photo(name) for name in names])
    catalogue.record_restorations([restored(name) for name in names[5000:7000]])
    if catalogue.url.startswith("postgresql"):
        with catalogue.connected() as connection:
            connection.execute(sa.text("ANALYZE"))
    asked = scope(collection_id, collection_id=collection_id)
    began = time.perf_counter()
    for after_id in range(0, 10_000, 1000):
        assert len(catalogue.photos_to_audit(asked, after_id=after_id, limit=100)) == 100
    assert time.perf_counter() - began < 30
    assert catalogue.count_photos_to_audit(asked) == len(names)
