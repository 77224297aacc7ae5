"""Labels: which one applies, what came of reviews, and how many the release in use does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.catalog.tables import dataset_snapshot, dataset_snapshot_label, model_release_run, training_run
from storage.errors import RecordRefused
from storage.records import LabelAnnotation, ReleaseRecord
from tests.store.makers import PARAMETERS, RELEASE, label, restored, rows, seen, sha, with_photos

STALE = "SELECT photo_sha256, by_label FROM restoration_stale ORDER BY photo_sha256"


def snapshot(catalogue: Catalogue, number: int, label_ids: list[int], *releases: str) -> None:
    """A snapshot of these labels, seen by a finished training run of these releases."""
    with catalogue._engine.execution_options(oldphoto_write=True).begin() as connection:
        made = connection.execute(
            sa.insert(dataset_snapshot).returning(dataset_snapshot.c.id),
            {"sha256": sha(f"snapshot {number}"), "manifest_key": f"{number}.parquet", "photo_count": len(label_ids),
             "label_count": len(label_ids), "created_at": "2026-03-01T00:00:00Z"},
        ).scalar_one()  # fmt: skip
        for label_id in label_ids:
            connection.execute(sa.insert(dataset_snapshot_label), {"snapshot_id": made, "label_id": label_id})
        connection.execute(
            sa.insert(training_run),
            {"id": f"t{number}", "stage": "detector", "configuration": "{}", "snapshot_id": made, "status": "finished",
             "metrics": "{}", "started_at": "2026-03-01T00:00:00Z"},
        )  # fmt: skip
        for name in releases:
            release_id = connection.scalar(sa.text("SELECT id FROM model_release WHERE name = :n"), {"n": name})
            made_by = {"release_id": release_id, "training_run_id": f"t{number}"}
            connection.execute(sa.insert(model_release_run), made_by)


def label_id(catalogue: Catalogue, mask: str) -> int:
    """Id of the label with this mask."""
    return int(rows(catalogue, f"SELECT id FROM label WHERE mask_sha256 = '{sha(mask)}'")[0][0])


def test_an_unreviewed_label_is_used_for_nothing_until_it_is_accepted(catalogue: Catalogue) -> None:
    """Neither restored with, nor counted, nor does it make a restoration stale; and an older reviewed one stays."""
    with_photos(catalogue, "a.jpg")
    catalogue.record_restorations([restored("a.jpg")])
    catalogue.record_labels([label("a.jpg", "m1", reviewed=False, labelled_at="2030-01-01T00:00:00Z")])
    assert catalogue.latest_labels() == {}
    assert catalogue.photos_to_restore(None, PARAMETERS) == []
    assert (rows(catalogue, STALE), catalogue.labels_waiting()) == ([], 0)
    assert catalogue.review_label(label_id(catalogue, "m1"), accepted=True, by="Ada")
    assert catalogue.latest_labels()[sha("a.jpg")].mask_sha256 == sha("m1")
    (work,) = catalogue.photos_to_restore(None, PARAMETERS)
    assert (work.mask_source, work.mask_sha256) == ("label", sha("m1"))
    assert (rows(catalogue, STALE), catalogue.labels_waiting()) == ([(sha("a.jpg"), 1)], 1)


def test_a_rejected_label_gives_way_to_the_one_before(catalogue: Catalogue) -> None:
    """Each verdict is an event of the person's; the same verdict twice is one."""
    with_photos(catalogue, "a.jpg")
    catalogue.record_labels([label("a.jpg", "m1", labelled_at="2026-01-01T00:00:00Z")])
    catalogue.record_labels([label("a.jpg", "m2", labelled_at="2026-01-02T00:00:00Z")])
    newer = label_id(catalogue, "m2")
    assert catalogue.review_label(newer, accepted=False, by="Ada", note="the rigging")
    assert not catalogue.review_label(newer, accepted=False, by="Ada")
    assert catalogue.latest_labels()[sha("a.jpg")].mask_sha256 == sha("m1")
    assert rows(catalogue, f"SELECT reviewed, reviewed_by FROM label WHERE id = {newer}") == [(0, "Ada")]
    said = "SELECT note, agent, object_id FROM event_history WHERE type = 'review' ORDER BY object_type"
    assert rows(catalogue, said) == [
        ("label rejected: the rigging", "Ada", sha("m2")), ("label rejected: the rigging", "Ada", sha("a.jpg")),
    ]  # fmt: skip
    assert catalogue.review_label(newer, accepted=True, by="Grace")
    assert rows(catalogue, "SELECT COUNT(*) FROM label WHERE rejected_at IS NOT NULL") == [(0,)]
    with pytest.raises(RecordRefused, match="labels status"):
        catalogue.review_label(99, accepted=True, by="Ada")


def test_a_verdict_brings_back_what_was_made_before(catalogue: Catalogue) -> None:
    """Rejected, the restoration without the label is the latest again, and accepted, the one with it: neither is work
    to be done, so that no run would make it anew."""
    with_photos(catalogue, "a.jpg")
    catalogue.record_restorations([restored("a.jpg", finished_at="2026-02-01T00:00:00Z")])
    catalogue.record_labels([label("a.jpg", "m1", labelled_at="2026-02-02T00:00:00Z")])
    joined = restored("a.jpg", PARAMETERS.with_label(sha("m1")), mask_source="label", supplied_mask_sha256=sha("m1"),
                      mask_joined=True, finished_at="2099-02-03T00:00:00Z")  # fmt: skip
    catalogue.record_restorations([joined])
    latest = "SELECT mask_source FROM photo_latest"
    assert rows(catalogue, latest) == [("label",)]
    for accepted, made_with in ((False, "detected"), (True, "label"), (False, "detected")):
        catalogue.review_label(label_id(catalogue, "m1"), accepted=accepted, by="Ada")
        assert rows(catalogue, latest) == [(made_with,)]
        assert (rows(catalogue, STALE), catalogue.photos_to_restore(None, PARAMETERS)) == ([], [])


def test_a_label_keeps_what_each_annotator_painted(catalogue: Catalogue) -> None:
    """And where they differ. The same label again adds nothing."""
    with_photos(catalogue, "a.jpg")
    parts = tuple(
        LabelAnnotation(author=who, tool="Label Studio", mask_key=f"{who}.png", mask_sha256=sha(who), coverage=0.1)
        for who in ("Ada", "Grace")
    )
    merged = label("a.jpg", author="Ada, Grace", annotators=2, disagreement=0.02, disagreement_key="d.png",
                   annotations=parts, labelled_at="2026-01-01T00:00:00Z")  # fmt: skip
    assert [catalogue.record_labels([merged]) for _ in range(2)] == [1, 0]
    found = rows(catalogue, "SELECT author, mask_key, labelled_at FROM label_annotation ORDER BY id")
    at = "2026-01-01T00:00:00Z"
    assert found == [("Ada", "Ada.png", at), ("Grace", "Grace.png", at)]
    kept = catalogue.latest_labels()[sha("a.jpg")]
    assert (kept.annotators, kept.disagreement, kept.disagreement_key) == (2, 0.02, "d.png")
    recorded = catalogue.recorded_masks([sha("a.jpg")])[sha("a.jpg")]
    assert sorted((one.author or "", one.mask_key, one.reviewed) for one in recorded) == [
        ("", "mask 1.png", True), ("Ada", "Ada.png", True), ("Grace", "Grace.png", True),
    ]  # fmt: skip


def test_a_mask_by_more_people_is_the_same_label_and_the_latest(catalogue: Catalogue) -> None:
    """What a label had stays; it applies again, though another one was painted after it."""
    with_photos(catalogue, "a.jpg")
    ada, grace = (
        LabelAnnotation(author=who, tool="PNG", mask_key=f"{who}.png", mask_sha256=sha(who), coverage=0.1)
        for who in ("Ada", "Grace")
    )
    first = label("a.jpg", "m1", annotations=(ada,), labelled_at="2026-01-01T00:00:00Z")
    catalogue.record_labels([first])
    catalogue.record_labels([label("a.jpg", "m2", labelled_at="2026-01-02T00:00:00Z")])
    both = replace(first, author="Ada, Grace", annotators=2, annotations=(ada, grace), disagreement=0.1)
    assert [catalogue.record_labels([both]) for _ in range(2)] == [1, 0]
    kept = catalogue.latest_labels()[sha("a.jpg")]
    assert (kept.mask_sha256, kept.author, kept.disagreement) == (sha("m1"), "Ada, Grace", 0.1)
    assert rows(catalogue, "SELECT author FROM label_annotation ORDER BY id") == [("Ada",), ("Grace",)]
    catalogue.review_label(label_id(catalogue, "m1"), accepted=False, by="Alan")
    third = replace(both, author="Ada, Carol, Grace", annotations=(replace(ada, author="Carol"),))
    assert catalogue.record_labels([third]) == 0, "what was rejected stays so"


@pytest.mark.parametrize(
    ("mask_source", "joined", "mask", "is_stale"),
    [
        ("detected", False, None, True),
        ("label", True, "m1", False),
        ("label", False, "m1", True),
        ("label", True, "older", True),
        ("supplied", False, "other", False),
    ],
)
def test_a_restoration_is_stale_where_the_label_was_not_joined(
    catalogue: Catalogue, mask_source: str, joined: bool, mask: str | None, is_stale: bool
) -> None:
    """Whenever the label was painted: in a tool on Monday, and brought here on Tuesday. A mask that a person supplied
    later stands."""
    with_photos(catalogue, "a.jpg")
    catalogue.record_restorations(
        [restored("a.jpg", mask_source=mask_source, supplied_mask_sha256=sha(mask) if mask else None,
                  mask_joined=joined, finished_at="2026-02-02T00:00:00Z")]
    )  # fmt: skip
    catalogue.record_labels([label("a.jpg", "m1", labelled_at="2026-02-01T00:00:00Z")])
    assert rows(catalogue, STALE) == ([(sha("a.jpg"), 1)] if is_stale else [])


def test_labels_are_told_with_what_became_of_them(catalogue: Catalogue) -> None:
    """A page at a time, and of certain photos alone."""
    with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    made = (("a", "m1", 1, True), ("a", "m2", 2, True), ("b", "m3", 1, False), ("c", "m4", 1, True))
    for name, mask, day, reviewed in made:
        catalogue.record_labels(
            [label(f"{name}.jpg", mask, labelled_at=f"2026-01-0{day}T00:00:00Z", reviewed=reviewed)]
        )
    catalogue.review_label(label_id(catalogue, "m4"), accepted=False, by="Ada")
    found = [(row.source_key, row.state, row.is_new, row.split) for row in catalogue.label_rows()]
    assert found == [
        ("a.jpg", "replaced", False, None), ("a.jpg", "in use", True, None), ("b.jpg", "waits for review", False, None),
        ("c.jpg", "rejected", False, None),
    ]  # fmt: skip
    first = catalogue.label_rows(limit=1)[0].label_id
    assert len(catalogue.label_rows(after_id=first)) == 3
    assert [row.state for row in catalogue.label_rows([sha("b.jpg")])] == ["waits for review"]


def test_photos_are_found_by_the_names_of_their_files(catalogue: Catalogue) -> None:
    """In whatever folder; missing objects do not count, but their photo's hash does."""
    collection_id = with_photos(catalogue, "1931/a.jpg", "1932/a.jpg", "b.tif")
    catalogue.record_objects(collection_id, [seen("b.tif", status="missing", reason="gone")])
    assert {one.key for one in catalogue.photos_named(["a.jpg", "b.tif", "x"])} == {"1931/a.jpg", "1932/a.jpg"}
    found = catalogue.photos_of_hashes([sha("b.tif"), sha("nothing")])
    assert [(one.key, one.height, one.width, one.orientation) for one in found.values()] == [("b.tif", 300, 400, 1)]


def test_only_photos_that_may_be_labelled_are_suggested(catalogue: Catalogue) -> None:
    """Restored by the detector alone, neither labelled, held, withdrawn nor gone. A rejected label does not count."""
    names = ["plain", "labelled", "held", "waiting", "gone", "rejected", "unrestored"]
    collection_id = with_photos(catalogue, *names)
    before = {"found_key": None, "found_sha256": None}
    catalogue.record_restorations([restored(name, **(before if name == "plain" else {})) for name in names[:-1]])
    catalogue.record_labels([label("labelled", "m1"), label("waiting", "m2", reviewed=False), label("rejected", "m3")])
    catalogue.review_label(label_id(catalogue, "m3"), accepted=False, by="Ada")
    catalogue.set_photo_state(sha("held"), "held", by="Ada", reason="rights")
    catalogue.record_objects(collection_id, [seen("gone", status="missing", reason="gone")])
    found = catalogue.unlabelled()
    assert [one.source_key for one in found] == ["plain", "rejected"]
    assert [one.source_key for one in catalogue.unlabelled(after_id=found[0].photo_id)] == ["rejected"]
    assert [one.found_key.rpartition("/")[2] for one in found] == ["mask.png", "found.png"], "mask.png was it before"
    assert [one.found_sha256 for one in found] == [sha("mask"), sha("found")]


def test_labels_wait_until_a_release_in_use_has_seen_them(catalogue: Catalogue) -> None:
    """A release counts for those that descend from it; a candidate's training counts once it is promoted."""
    with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg")
    names = [RELEASE.name, "archive-bbbbbbbb", "archive-cccccccc"]
    for parent, name in zip(names, names[1:], strict=False):
        weights = name[-1] * 64
        catalogue.register_release(ReleaseRecord(name=name, weights_hash=weights, preset="archive", parent=parent))
    catalogue.record_labels([label("a.jpg", "m1"), label("b.jpg", "m2")])
    assert catalogue.labels_waiting() == 2
    snapshot(catalogue, 1, [label_id(catalogue, "m1")], "archive-bbbbbbbb")
    assert catalogue.labels_waiting() == 2
    catalogue.activate_release("archive-bbbbbbbb", agent="Ada")
    assert catalogue.labels_waiting() == 1
    snapshot(catalogue, 2, [], "archive-cccccccc")
    catalogue.activate_release("archive-cccccccc", agent="Ada")
    assert catalogue.labels_waiting() == 1
    catalogue.record_labels([label("a.jpg", "m3", labelled_at="2030-01-01T00:00:00Z")])
    assert catalogue.labels_waiting() == 2  # the photo was seen, its new mask was not


def test_labels_of_photos_that_are_not_to_be_had_do_not_wait(catalogue: Catalogue) -> None:
    """Held, withdrawn, or gone: no training would take them, and it would be begun anew for ever."""
    collection_id = with_photos(catalogue, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    catalogue.record_labels([label(f"{name}.jpg", name) for name in "abcd"])
    assert catalogue.labels_waiting() == 4
    catalogue.set_photo_state(sha("a.jpg"), "held", by="Ada", reason="rights")
    catalogue.set_photo_state(sha("b.jpg"), "withdrawn", by="Ada", reason="asked")
    catalogue.record_objects(collection_id, [seen("c.jpg", status="missing", reason="gone")])
    assert catalogue.labels_waiting() == 1
    catalogue.set_collection_state("file:///scans", "held", by="Ada", reason="rights")
    assert catalogue.labels_waiting() == 0


def test_labels_that_a_retraining_ended_with_begin_no_other(catalogue: Catalogue) -> None:
    """Whatever became of its candidate; while it runs they count, so that it is taken up after a kill."""
    with_photos(catalogue, "a.jpg", "b.jpg")
    catalogue.record_labels([label("a.jpg", "m1"), label("b.jpg", "m2")])
    assert catalogue.labels_untried() == 2
    snapshot(catalogue, 1, [label_id(catalogue, "m1")])
    assert (catalogue.labels_waiting(), catalogue.labels_untried()) == (2, 1)
    with catalogue._engine.execution_options(oldphoto_write=True).begin() as connection:
        connection.execute(sa.update(training_run).values(status="running"))
    assert catalogue.labels_untried() == 2
