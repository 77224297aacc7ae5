"""Training runs, the releases that came of them, and what these learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.errors import RecordRefused
from storage.objects import ObjectStore
from storage.records import LabelAnnotation, ReleaseLineage, ReleaseRecord, TrainingRunRecord
from storage.snapshots import make_snapshot
from tests.store.makers import RELEASE, label, rows, sha, with_photos

CANDIDATE = ReleaseRecord(name="archive-bbbbbbbb", weights_hash="b" * 64, preset="archive", parent=RELEASE.name)


def run_of(stage: str, snapshot: str | None = None, **changes: object) -> TrainingRunRecord:
    given = {"retrain_id": "r1", "seed": 7, "device": "cpu", "code_version": "0.1.0", "flow_run_id": "f1"}
    return TrainingRunRecord(run_id=f"r1-{stage}", stage=stage, snapshot_sha256=snapshot, **(given | changes))  # type: ignore[arg-type]


@pytest.fixture
def snapshot(catalogue: Catalogue, tmp_path: Path) -> str:
    """SHA-256 of a snapshot of five photos, two of them labelled, one by two people."""
    with_photos(catalogue, *"abcde")
    catalogue.record_near_duplicates(catalogue.unchecked_photos(limit=10), [])
    by_two = [
        LabelAnnotation(author=name, tool="napari", mask_key=f"{name}.png", mask_sha256=sha(name), coverage=0.1)
        for name in ("Ada", "Grace")
    ]
    catalogue.record_labels([label("a"), label("b", author="Ada, Grace", annotations=tuple(by_two), annotators=2)])
    return make_snapshot(catalogue, ObjectStore(tmp_path / "manifests")).sha256


def stages(runs: Sequence[TrainingRunRecord]) -> list[tuple[str, str]]:
    return [(run.stage, run.status) for run in runs]


def test_a_training_run_is_kept_from_its_start_to_its_end(catalogue: Catalogue, snapshot: str) -> None:
    began = run_of("detector", snapshot, configuration={"steps": 100, "lr": 1e-4}, started_at="2026-01-01T00:00:00Z")
    for _ in range(2):
        catalogue.start_training_run(began)
    [found] = catalogue.training_runs("r1")
    assert found == began
    assert catalogue.training_runs("r2") == []
    catalogue.finish_training_run("r1-detector", metrics={"auc": 0.9}, curves_key="training/r1/curves.json")
    [found] = catalogue.training_runs()
    assert (found.status, found.metrics, found.curves_key, found.configuration) == (
        "finished", {"auc": 0.9}, "training/r1/curves.json", {"steps": 100, "lr": 1e-4},
    )  # fmt: skip
    assert found.finished_at is not None
    catalogue.start_training_run(began)  # by a run that was killed before it knew
    assert stages(catalogue.training_runs()) == [("detector", "finished")]
    told = "SELECT outcome FROM event_history WHERE type = 'training' AND object_type = 'training_run'"
    assert rows(catalogue, told) == [("success",)]


def test_a_run_that_failed_runs_again_under_its_name(catalogue: Catalogue) -> None:
    catalogue.start_training_run(run_of("vaes"))
    catalogue.finish_training_run("r1-vaes", "failed", {"error": "given up"}, note="given up")
    assert stages(catalogue.training_runs()) == [("vaes", "failed")]
    catalogue.start_training_run(run_of("vaes", flow_run_id="f2"))
    [again] = catalogue.training_runs()
    assert (again.status, again.finished_at, again.flow_run_id, again.seed) == ("running", None, "f2", 7)
    catalogue.finish_training_run("r1-vaes")
    assert catalogue.training_runs()[0].metrics == {"error": "given up"}


def test_what_is_not_on_record_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(RecordRefused, match="snapshot 0000"):
        catalogue.start_training_run(run_of("detector", "0" * 64))
    with pytest.raises(RecordRefused):
        catalogue.start_training_run(run_of("vaes", parent_run_id="nobody"))
    with pytest.raises(RecordRefused, match="start it first"):
        catalogue.finish_training_run("nobody", metrics={})
    catalogue.register_release(RELEASE)
    with pytest.raises(RecordRefused):
        catalogue.link_release_runs(RELEASE.name, ["nobody"])
    with pytest.raises(RecordRefused, match="register it first"):
        catalogue.link_release_runs("archive-dddddddd", [])
    assert catalogue.training_runs() == []


def test_a_release_knows_what_it_learned_from(catalogue: Catalogue, snapshot: str) -> None:
    """A label that two people painted is one label, and counts for both of them."""
    catalogue.register_release(CANDIDATE)
    for stage in ("detector", "vaes"):
        parent = "r1-detector" if stage == "vaes" else None
        catalogue.start_training_run(run_of(stage, snapshot, parent_run_id=parent))
    for _ in range(2):
        catalogue.link_release_runs(CANDIDATE.name, ["r1-detector", "r1-vaes"])
    lineage = catalogue.release_lineage(CANDIDATE.name)
    assert {run.stage for run in lineage.runs} == {"detector", "vaes"}
    assert (lineage.snapshots, lineage.photos, lineage.labels) == ((snapshot,), 5, 2)
    assert lineage.labels_by_author == {"Ada": 2, "Grace": 1}
    assert catalogue.training_runs(release=CANDIDATE.name) == list(lineage.runs)
    assert catalogue.release_lineage(RELEASE.name) == ReleaseLineage()
    found = rows(
        catalogue,
        "SELECT stage, parent_training_run_id, seed, snapshot_photos, snapshot_labels, label_author, photo_sha256, "
        "retrain_id, code_version, split IN ('train', 'validation', 'test') FROM release_lineage "
        f"WHERE release = '{CANDIDATE.name}' ORDER BY stage, label_author",
    )
    facts = [("Ada", sha("a"), "r1", "0.1.0", True), ("Ada, Grace", sha("b"), "r1", "0.1.0", True)]
    assert found == [
        *(("detector", None, 7, 5, 2, *fact) for fact in facts),
        *(("vaes", "r1-detector", 7, 5, 2, *fact) for fact in facts),
    ]


def test_only_labels_that_can_be_learned_from_wait(catalogue: Catalogue, tmp_path: Path) -> None:
    """Not those of the test's photos: however many there are, nothing is learned from them."""
    with_photos(catalogue, *map(str, range(40)))
    catalogue.record_near_duplicates(catalogue.unchecked_photos(limit=100), [])
    catalogue.record_labels([label(str(number), f"mask {number}") for number in range(40)])
    assert catalogue.labels_waiting() == 40
    catalogue.decide_label_splits()
    [(tested,)] = rows(catalogue, "SELECT COUNT(*) FROM photo_split WHERE split = 'test'")
    assert 0 < tested < 20
    assert catalogue.labels_waiting() == 40 - tested
    made = make_snapshot(catalogue, ObjectStore(tmp_path / "manifests"))
    assert sum(row.split == "test" for row in made.rows) == tested
