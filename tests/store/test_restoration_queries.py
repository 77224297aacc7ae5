"""What is still to do, what was done, history, labels, views."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.errors import RecordRefused
from storage.keys import WorkParameters, work_hash
from storage.records import CollectionRecord, ReleaseRecord, RunRecord
from tests.store.makers import (
    PARAMETERS,
    RELEASE,
    WORK,
    failed,
    label,
    photo,
    restored,
    rows,
    seen,
    sha,
    whole_look,
    with_photos,
)


def wanted(
    catalogue: Catalogue, collection_id: int | None = None, parameters: WorkParameters = PARAMETERS
) -> list[str]:
    return [work.source_key for work in catalogue.photos_to_restore(collection_id, parameters)]


def test_undone_work_is_wanted_until_it_is_done(catalogue: Catalogue) -> None:
    """Restored and unchanged are done; failed is wanted again."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert wanted(catalogue) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert len(catalogue.photos_to_restore(collection_id, PARAMETERS, limit=2)) == 2
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg", outcome="unchanged"), failed("c.jpg")])
    assert wanted(catalogue) == ["c.jpg", "d.jpg"]
    assert catalogue.count_done(collection_id, PARAMETERS) == 2
    catalogue.record_restorations([restored("c.jpg"), restored("d.jpg")])
    assert wanted(catalogue) == []
    assert catalogue.count_done(collection_id, PARAMETERS) == 4


def test_a_photo_that_fails_too_often_is_set_aside_and_accounted_for(catalogue: Catalogue) -> None:
    """Not wanted any more, not counted as done, quarantined in the view with its error; other work is not touched."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg")
    for second in range(3):
        assert wanted(catalogue) == ["a.jpg", "b.jpg"]
        at = f"2026-03-01T00:00:0{second}Z"
        catalogue.record_restorations([replace(failed("a.jpg"), tries=1, finished_at=at)], tries_limit=3)
    assert wanted(catalogue) == ["b.jpg"]
    assert catalogue.set_aside_work(collection_id, PARAMETERS) == [("a.jpg", "out of memory")]
    assert catalogue.count_done(collection_id, PARAMETERS) == 0
    view = "SELECT source_key, outcome, reason, detail FROM object_outcome ORDER BY source_key"
    assert rows(catalogue, view) == [("a.jpg", "quarantined", "unrestorable", "out of memory"),
                                     ("b.jpg", "waiting", None, None)]  # fmt: skip
    keep = WorkParameters(weights_hash=PARAMETERS.weights_hash, tone="keep")
    assert wanted(catalogue, parameters=keep) == ["a.jpg", "b.jpg"]
    assert catalogue.set_aside_work(collection_id, keep) == []

    assert catalogue.try_again(collection_id) == 1
    assert wanted(catalogue) == ["a.jpg", "b.jpg"]
    catalogue.record_restorations([restored("a.jpg")], tries_limit=3)
    assert rows(catalogue, "SELECT outcome, tries, set_aside_at FROM restoration") == [("restored", 0, None)]


def test_a_failure_that_is_not_the_photos_own_never_sets_it_aside(catalogue: Catalogue) -> None:
    """And the same attempt, recorded again after a lost answer, counts once."""
    with_photos(catalogue, "a.jpg")
    for second in range(5):
        record = replace(failed("a.jpg", "the store is busy"), finished_at=f"2026-03-01T00:00:0{second}Z")
        catalogue.record_restorations([record], tries_limit=1)
    assert wanted(catalogue) == ["a.jpg"]
    run = RunRecord(run_id="r1", kind="restore", title="")
    catalogue.start_run(run)
    once = replace(failed("a.jpg"), tries=1, run_id="r1", finished_at="2026-03-02T00:00:00Z")
    for _ in range(3):
        catalogue.record_restorations([once], tries_limit=2)
    assert rows(catalogue, "SELECT tries, set_aside_at FROM restoration") == [(1, None)]


def test_a_labelled_photo_is_set_aside_for_its_label_alone(catalogue: Catalogue) -> None:
    """A new mask is new work, and is tried again."""
    collection_id = with_photos(catalogue, "a.jpg")
    catalogue.record_labels([label("a.jpg")])
    (work,) = catalogue.photos_to_restore(None, PARAMETERS)
    record = replace(failed("a.jpg"), work_hash=work.work_hash, mask_source="label", tries=1,
                     supplied_mask_sha256=work.mask_sha256)  # fmt: skip
    catalogue.record_restorations([record], tries_limit=1)
    assert wanted(catalogue) == []
    assert len(catalogue.set_aside_work(collection_id, PARAMETERS)) == 1
    catalogue.record_labels([label("a.jpg", "mask 2", labelled_at="2030-01-01T00:00:00Z")])
    assert wanted(catalogue) == ["a.jpg"]
    assert catalogue.set_aside_work(collection_id, PARAMETERS) == []


def test_other_parameters_are_other_work(catalogue: Catalogue) -> None:
    """Both restorations stay."""
    with_photos(catalogue, "a.jpg")
    keep = WorkParameters(weights_hash=PARAMETERS.weights_hash, tone="keep")
    catalogue.record_restorations([restored("a.jpg")])
    assert wanted(catalogue, parameters=keep) == ["a.jpg"]
    catalogue.record_restorations([restored("a.jpg", keep)])
    assert wanted(catalogue, parameters=keep) == []
    assert len(catalogue.history()) == 2


def test_held_withdrawn_and_vanished_photos_are_not_wanted(catalogue: Catalogue) -> None:
    """Nor those of a collection that is held, nor another collection's."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert catalogue.set_photo_state("0" * 64, "held", by="Ada", reason="x") is False
    assert catalogue.set_photo_state(sha("a.jpg"), "held", by="Ada", reason="rights unclear")
    assert catalogue.set_photo_state(sha("b.jpg"), "withdrawn", by="Ada", reason="asked to")
    whole_look(catalogue, collection_id, ["a.jpg", "b.jpg", "c.jpg"])
    assert wanted(catalogue, collection_id) == ["c.jpg"]
    assert wanted(catalogue, collection_id + 1) == []
    assert rows(catalogue, "SELECT type FROM event WHERE type IN ('hold', 'withdrawal') ORDER BY type") == [
        ("hold",),
        ("withdrawal",),
    ]
    catalogue.set_photo_state(sha("a.jpg"), "open", by="Ada", reason="cleared")
    assert wanted(catalogue, collection_id) == ["a.jpg", "c.jpg"]


def test_work_names_every_place_where_the_photo_can_be_read(catalogue: Catalogue) -> None:
    """Of the collection asked for, the oldest first, missing ones left out; one work for all names."""
    first = with_photos(catalogue, "a.jpg")
    second = catalogue.upsert_collection(CollectionRecord(url="s3://bucket"))
    catalogue.record_objects(second, [seen("x.jpg", "a.jpg"), seen("y.jpg", "a.jpg"), seen("z.jpg", "a.jpg")])
    whole_look(catalogue, second, ["y.jpg", "z.jpg"])
    (work,) = catalogue.photos_to_restore(None, PARAMETERS)
    assert [(source.collection_id, source.key) for source in work.sources] == [
        (first, "a.jpg"), (second, "y.jpg"), (second, "z.jpg"),
    ]  # fmt: skip
    assert work.work_hash == WORK
    assert (work.mask_source, work.collection_url, work.height, work.width) == ("detected", "file:///scans", 300, 400)
    (work,) = catalogue.photos_to_restore(second, PARAMETERS)
    assert work.source_key == "y.jpg"


def test_a_label_makes_new_work_with_its_mask(catalogue: Catalogue) -> None:
    """Its photo alone is wanted again; a second label wins over the first; a supplied mask wins over labels."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.record_restorations([restored("a.jpg"), restored("b.jpg")])
    assert catalogue.record_labels([label("b.jpg", "m1", labelled_at="2026-01-01T00:00:00Z")]) == 1
    assert catalogue.record_labels([label("b.jpg", "m1", labelled_at="2026-01-01T00:00:00Z")]) == 0
    (work,) = catalogue.photos_to_restore(None, PARAMETERS)
    assert (work.source_key, work.mask_source, work.label_mask_key) == ("b.jpg", "label", "m1.png")
    assert work.work_hash == work_hash(PARAMETERS.with_label(sha("m1")))
    labelled = PARAMETERS.with_label(sha("m1"))
    catalogue.record_restorations([restored("b.jpg", labelled, mask_source="label", supplied_mask_sha256=sha("m1"))])
    assert wanted(catalogue) == []
    assert catalogue.count_done(None, PARAMETERS) == 2
    catalogue.record_labels([label("b.jpg", "m2", labelled_at="2026-01-02T00:00:00Z")])
    assert catalogue.latest_labels([sha("b.jpg")])[sha("b.jpg")].mask_sha256 == sha("m2")
    (work,) = catalogue.photos_to_restore(None, PARAMETERS)
    assert work.mask_sha256 == sha("m2")
    supplied = PARAMETERS.with_mask(sha("supplied"))
    assert {work.mask_source for work in catalogue.photos_to_restore(None, supplied)} == {"supplied"}
    with pytest.raises(RecordRefused, match="ingest it first"):
        catalogue.record_labels([label("unknown")])


def test_once_means_one_row_and_the_first_result_wins(catalogue: Catalogue) -> None:
    """A later attempt, failed or not, never replaces it; a failed row is replaced by whatever comes."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    key = (sha("a.jpg"), WORK)
    assert catalogue.record_restorations([failed("a.jpg")]) == {key}
    assert catalogue.record_restorations([failed("a.jpg", "disk full")]) == {key}
    assert catalogue.history()[0].error == "disk full"
    assert catalogue.record_restorations([restored("a.jpg", device="cpu"), failed("a.jpg")]) == {key}
    assert catalogue.record_restorations([restored("a.jpg", device="cuda", restored_key="other")]) == set()
    assert catalogue.record_restorations([failed("a.jpg")]) == set()
    (row,) = catalogue.history()
    assert (row.outcome, row.device, row.error) == ("restored", "cpu", None)
    assert catalogue.finished_work([key, (sha("b.jpg"), WORK)]) == {key}


def test_restorations_of_unknown_photos_or_releases_are_refused(catalogue: Catalogue) -> None:
    """With a line that says which."""
    with_photos(catalogue, "a.jpg")
    with pytest.raises(RecordRefused, match=sha("x.jpg")):
        catalogue.record_restorations([restored("x.jpg")])
    with pytest.raises(RecordRefused, match="(?i)foreign key"):
        catalogue.record_restorations([restored("a.jpg", release="other-00000000")])


def test_history_is_found_by_hash_by_key_and_by_name(catalogue: Catalogue) -> None:
    """As people ask for a photo."""
    with_photos(catalogue, "1912/a.jpg", "100%_b.jpg")
    catalogue.record_restorations([restored("1912/a.jpg", finished_at="2026-01-01T00:00:00Z")])
    catalogue.record_restorations([restored("100%_b.jpg", finished_at="2026-01-02T00:00:00Z")])
    for asked in (sha("1912/a.jpg"), sha("1912/a.jpg")[:8].upper(), "1912/a.jpg", "a.jpg"):
        (row,) = catalogue.history(asked)
        assert (row.source_key, row.source_url) == ("1912/a.jpg", "file:///scans")
    assert catalogue.history("%_b.jpg") == []
    assert [row.source_key for row in catalogue.history(limit=1)] == ["100%_b.jpg"]


def test_views_tell_latest_and_stale(catalogue: Catalogue) -> None:
    """Stale by a release that is no longer active, stale by a newer label, neither twice."""
    with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    old = "2026-01-01T00:00:00Z"
    catalogue.record_restorations([restored("a.jpg", finished_at=old), restored("b.jpg", finished_at=old)])
    latest = "SELECT photo_sha256, outcome FROM photo_latest ORDER BY photo_id"
    assert rows(catalogue, latest) == [
        (sha("a.jpg"), "restored"),
        (sha("b.jpg"), "restored"),
        (sha("c.jpg"), None),
    ]
    stale = "SELECT photo_sha256, by_release, by_label FROM restoration_stale ORDER BY restoration_id"
    assert rows(catalogue, stale) == []
    catalogue.record_labels([label("b.jpg", "m1", labelled_at="2026-01-02T00:00:00Z")])
    assert rows(catalogue, stale) == [(sha("b.jpg"), 0, 1)]
    mended = restored(
        "b.jpg", PARAMETERS.with_label(sha("m1")), mask_source="label", supplied_mask_sha256=sha("m1"),
        mask_joined=True, finished_at="2026-01-02T00:00:00Z",
    )  # fmt: skip
    catalogue.record_restorations([mended])
    assert rows(catalogue, stale) == []
    catalogue.register_release(ReleaseRecord(name="archive-bbbbbbbb", weights_hash="b" * 64, preset="archive"))
    catalogue.activate_release("archive-bbbbbbbb", agent="Ada")
    assert rows(catalogue, stale) == [(sha("a.jpg"), 1, 0), (sha("b.jpg"), 1, 0)]
    lineage = rows(catalogue, "SELECT release, training_run_id FROM release_lineage ORDER BY release")
    assert lineage == [(RELEASE.name, None), ("archive-bbbbbbbb", None)]


def test_many_photos_are_looked_through_at_once(catalogue: Catalogue) -> None:
    """Queries over indexes, not a query a photo."""
    collection_id = with_photos(catalogue)
    names = [f"{i:06}.jpg" for i in range(10_000)]
    for start in range(0, len(names), 5000):
        part = names[start : start + 5000]
        catalogue.record_objects(collection_id, [seen(name) for name in part], [photo(name) for name in part])
    catalogue.record_restorations([restored(name) for name in names[:500]])
    began = time.perf_counter()
    assert catalogue.count_done(collection_id, PARAMETERS) == 500
    assert len(catalogue.photos_to_restore(collection_id, PARAMETERS, limit=64)) == 64
    assert len(catalogue.photos_to_restore(collection_id, PARAMETERS)) == 9_500
    assert time.perf_counter() - began < 10
    query = "SELECT * FROM restoration_history ORDER BY finished_at DESC, restoration_id DESC LIMIT 50"
    with catalogue.connected() as connection:
        explain = "EXPLAIN QUERY PLAN"
        if connection.dialect.name == "postgresql":
            explain = "EXPLAIN"
            connection.execute(sa.text("ANALYZE"))  # or the plan hangs on whether autovacuum has been by
            connection.execute(sa.text("SET enable_sort = off"))  # of 500 rows it would rather sort all
        plan = connection.execute(sa.text(f"{explain} {query}")).all()
    assert any("ix_restoration_finished_at" in str(line) for line in plan), plan
