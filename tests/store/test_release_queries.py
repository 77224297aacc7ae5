"""Releases and runs."""

from __future__ import annotations

import pytest

from storage.catalog import Catalogue
from storage.errors import RecordRefused, ReleaseConflict
from storage.records import ReleaseRecord, RunRecord
from tests.store.makers import RELEASE, failed, restored, rows, seen, with_photos

OTHER = ReleaseRecord(
    name="archive-bbbbbbbb", weights_hash="b" * 64, preset="archive", parent=RELEASE.name, metrics={"psnr": 24.5}
)


def test_the_first_release_becomes_active_and_later_ones_are_candidates(catalogue: Catalogue) -> None:
    """An upgrade never changes what an archive's nights are made with."""
    assert catalogue.active_release() is None
    assert catalogue.register_release(RELEASE) == "active"
    assert catalogue.register_release(RELEASE) == "active"
    assert catalogue.register_release(OTHER) == "candidate"
    active = catalogue.active_release()
    assert active is not None
    assert active.name == RELEASE.name
    catalogue.activate_release(OTHER.name, agent="Ada")
    catalogue.activate_release(OTHER.name, agent="Ada")
    assert [(r.name, r.status, r.parent) for r in catalogue.releases()] == [
        (RELEASE.name, "retired", None),
        (OTHER.name, "active", RELEASE.name),
    ]
    assert catalogue.releases()[1].metrics == {"psnr": 24.5}
    assert rows(catalogue, "SELECT COUNT(*) FROM event WHERE type = 'promotion'") == [(2,)]
    with pytest.raises(RecordRefused, match="register it first"):
        catalogue.activate_release("nothing", agent="Ada")


def test_a_release_name_is_immutable(catalogue: Catalogue) -> None:
    """Neither the same name for other weights, nor another name for the same."""
    catalogue.register_release(RELEASE, activate_if_first=False)
    assert catalogue.active_release() is None
    for wrong in (
        ReleaseRecord(name=RELEASE.name, weights_hash="c" * 64, preset="archive"),
        ReleaseRecord(name="archive-cccccccc", weights_hash=RELEASE.weights_hash, preset="archive"),
    ):
        with pytest.raises(ReleaseConflict, match=RELEASE.name):
            catalogue.register_release(wrong)


def test_a_run_is_recorded_from_start_to_end(catalogue: Catalogue) -> None:
    """Started again with the same id, as after a crash, it is the same run."""
    for _ in range(2):
        catalogue.start_run(RunRecord(run_id="r1", kind="restore", machine={"cpu": "x", "cores": 2}))
    catalogue.start_run(RunRecord(run_id="r2", kind="ingest"))
    assert catalogue.latest_run_id() == "r2"
    assert catalogue.latest_run_id(["restore"]) == "r1"
    assert catalogue.latest_run_id(["train"]) is None
    catalogue.update_run("r1", release=RELEASE.name, machine={"cpu": "y"})
    catalogue.finish_run("r1", totals={"restored": 3})
    run = catalogue.get_run("r1")
    assert run is not None
    assert (run.status, run.release, run.totals, run.machine) == (
        "finished",
        RELEASE.name,
        {"restored": 3},
        {"cpu": "y"},
    )
    assert run.finished_at is not None
    assert catalogue.get_run("r3") is None
    with pytest.raises(RecordRefused, match="start it first"):
        catalogue.finish_run("r3", totals={})
    with pytest.raises(RecordRefused, match="'status'"):
        catalogue.update_run("r1", status="finished")


def test_a_run_report_tells_what_the_run_did(catalogue: Catalogue) -> None:
    """Its own restorations with every name of their photos, the quarantined, the ignored, the totals."""
    collection_id = with_photos(catalogue, "1912/a.jpg", "b.jpg", "before.jpg")
    catalogue.record_restorations([restored("before.jpg")])
    catalogue.record_objects(
        collection_id,
        [
            seen("copy of a.jpg", "1912/a.jpg"),
            seen("x.jpg", status="quarantined", photo_sha256=None, reason="empty", detail="0 bytes"),
            seen("x.txt", status="ignored", photo_sha256=None, reason="*.txt"),
        ],
    )
    run = RunRecord(
        run_id="r1", kind="restore", title="Night of 3 May", source_url="file:///scans", collection_id=collection_id,
        release=RELEASE.name, mode="full", tone="keep", mending="sure", strength=0.5, machine={"cores": 2},
    )  # fmt: skip
    catalogue.start_run(run)
    catalogue.record_restorations([restored("1912/a.jpg", run_id="r1")])
    catalogue.record_restorations([failed("b.jpg")])
    report = catalogue.run_report("r1")
    assert report.finished_at is None
    assert dict(report.totals) == {
        "restored": 1, "unchanged": 0, "failed": 0, "registered": 4, "ignored": 1, "quarantined": 1, "needs_review": 0,
    }  # fmt: skip
    (photo,) = report.photos
    assert (photo.source_key, photo.also_at, photo.outcome) == ("1912/a.jpg", ("copy of a.jpg",), "restored")
    assert photo.browse_path == "browse/1912/a.jpg.png"
    assert (photo.mask_coverage, photo.height, photo.release) == (0.01, 300, RELEASE.name)
    assert [(q.source_key, q.reason, q.detail) for q in report.quarantined] == [("x.jpg", "empty", "0 bytes")]
    assert report.ignored_by_pattern == {"*.txt": 1}
    assert (report.tone, report.mending, report.strength) == ("keep", "sure", 0.5)
    assert report.machine == {"cores": "2"}
    catalogue.finish_run("r1", totals={"restored": 1, "already_done": 1})
    report = catalogue.run_report("r1")
    assert report.totals["already_done"] == 1
    assert report.finished_at is not None
    with pytest.raises(RecordRefused, match="no run"):
        catalogue.run_report("r9")
