"""What becomes of a judged candidate: promoted, rejected with reasons, or left to a person; and what a fault leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.release_store import register_trained
from flows.run_records import OpenRun
from flows.settings import Settings
from flows.training import opening
from flows.training.carrying_out import carry_out
from flows.training.concluding import settle
from flows.training.opening import OpenRetraining, Wish
from flows.training.plan import TrainingPlan
from flows.training.trigger import check
from flows.training.verdict import Verdict
from oldphoto_core.errors import TrainingError
from oldphoto_core.evaluation.judgement import Judgement
from oldphoto_core.evaluation.promotion_rules import decide
from oldphoto_core.releases import find_release
from storage.catalog.catalogue import Catalogue
from storage.errors import StoreUnavailable
from storage.objects import ObjectStore
from storage.records import TrainingRunRecord
from storage.snapshots import make_snapshot
from tests.orchestration.archives import make_tiny_release
from tests.orchestration.museums import Museum, copied, environment_of, make_museum

RESULTS = [{"stage": "detector", "before": {}, "after": {}, "labelled": 3, "old": 4, "left_out": [], "files": {}}]


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, release_folder: Path) -> Museum:
    return make_museum(tmp_path_factory.mktemp("museum"), release_folder)


@pytest.fixture(scope="module")
def candidate_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_release(tmp_path_factory.mktemp("candidate") / "release", seed=7)


class Judged:
    """A candidate beside the active release, as it is where the stages are over."""

    def __init__(self, museum: Museum, catalogue: Catalogue, candidate: Path, *, promote: bool = True) -> None:
        settings = museum.settings()
        active = catalogue.active_release()
        assert active is not None
        self.catalogue, self.active = catalogue, active.name
        card = find_release(candidate)
        self.candidate = card.name
        register_trained(catalogue, settings, card, parent=self.active)
        plan = TrainingPlan(
            retrain_id="r1", stages=("detector",), parent=self.active, snapshot_sha256="0" * 64, snapshot_key="none",
            seed=1, steps=3, promote=promote, photos="/clean",
        )  # fmt: skip
        self.work = OpenRetraining(OpenRun("a-run", catalogue), settings, plan)

    def verdict(self, auc: float) -> Verdict:
        """Whose labelled AUC is this, where the active release's is 0.7."""
        judgement = Judgement(self.candidate, self.active, {"labelled/auc": auc}, {"labelled/auc": 0.7})
        return Verdict.of(judgement, decide(judgement))

    def statuses(self) -> dict[str, str]:
        return {release.name: release.status for release in self.catalogue.releases()}


@pytest.fixture
def judged(museum: Museum, candidate_folder: Path, tmp_path: Path):
    mine = copied(museum, tmp_path)
    with environment_of(mine), Catalogue.open(mine.home / "catalogue.db") as catalogue:
        yield Judged(mine, catalogue, candidate_folder)


def events(judged: Judged) -> list[tuple[str, str, str]]:
    with judged.catalogue.connected() as connected:
        rows = connected.exec_driver_sql("SELECT type, outcome, note FROM event WHERE type = 'promotion' ORDER BY id")
        return [(str(row[0]), str(row[1]), str(row[2])) for row in rows]


def test_one_that_is_better_takes_the_active_ones_place(judged: Judged) -> None:
    assert settle(judged.work, judged.verdict(0.8), RESULTS).outcome == "promoted"
    statuses = judged.statuses()
    assert (statuses[judged.candidate], statuses[judged.active]) == ("active", "retired")
    assert "AUC on labelled photos not lower: holds" in events(judged)[-1][2]
    again = settle(judged.work, judged.verdict(0.8), RESULTS)  # as where a kill came just after
    assert again.outcome == "promoted"


def test_one_that_is_worse_is_kept_with_the_reason(judged: Judged) -> None:
    summary = settle(judged.work, judged.verdict(0.6), RESULTS)
    assert summary.outcome == "rejected"
    assert summary.reasons == (
        "AUC on labelled photos not lower: broken: labelled/auc is 0.6, at least 0.7 needed, active 0.7",
    )
    assert judged.statuses()[judged.candidate] == "candidate"
    assert judged.statuses()[judged.active] == "active"
    assert events(judged)[-1][1] == "failure"
    with judged.catalogue.connected() as connected:
        row = connected.exec_driver_sql(
            f"SELECT rejected_reason, verdict FROM model_release WHERE name = '{judged.candidate}'"
        ).one()
    assert "labelled/auc is 0.6" in row[0] and json.loads(row[1])["promote"] is False


def test_one_that_a_person_is_to_promote_waits(judged: Judged, museum: Museum) -> None:
    from dataclasses import replace

    judged.work.plan = replace(judged.work.plan, promote=False)  # type: ignore[type-var]
    assert settle(judged.work, judged.verdict(0.8), RESULTS).outcome == "kept"
    assert judged.statuses()[judged.active] == "active"
    judged.catalogue.promote_release(judged.candidate, expected_active=judged.active, agent="Ada")


def test_where_somebody_promoted_another_one_meanwhile_it_waits_and_says_so(
    judged: Judged, tmp_path: Path
) -> None:
    verdict = judged.verdict(0.8)
    other = find_release(make_tiny_release(tmp_path / "other", seed=9))
    register_trained(judged.catalogue, judged.work.settings, other, parent=judged.active)
    judged.catalogue.promote_release(other.name, expected_active=judged.active, agent="Ada")
    summary = settle(judged.work, verdict, RESULTS)
    assert summary.outcome == "kept"
    assert f"{other.name} is active now" in summary.reasons[0]
    assert judged.statuses()[other.name] == "active"


def fails_with(error: Exception):
    def train_one(work: OpenRetraining, stage: str) -> None:
        raise error

    return train_one


def test_a_fault_ends_a_retraining_for_good_and_a_store_that_is_away_does_not(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    with environment_of(mine):
        with pytest.raises(StoreUnavailable):
            carry_out(mine.settings(), Wish(), fails_with(StoreUnavailable("away")))
        assert {row[0] for row in mine.ask("SELECT status FROM training_run")} == {"running"}
        with pytest.raises(TrainingError):
            carry_out(mine.settings(), Wish(), fails_with(TrainingError("losses are not finite")))
    rows = mine.ask("SELECT status, metrics, retrain_id FROM training_run")
    assert {row[0] for row in rows} == {"failed"}
    assert all("losses are not finite" in str(row[1]) for row in rows)
    assert len({row[2] for row in rows}) == 1, "the second run took up the first one's"
    with environment_of(mine):
        again = carry_out(mine.settings(), Wish(), fails_with(AssertionError("is not reached")))
    assert again.outcome == "nothing to do", "not tried again for ever"
    assert mine.ask("SELECT * FROM lease") == []


def test_labels_that_another_run_learned_from_meanwhile_are_not_learned_from_again(
    museum: Museum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked while they waited, and counts again once it has the lease."""
    mine = copied(museum, tmp_path)
    began = opening.recorded_run

    def slow_to_begin(settings: Settings, **given: Any):
        with Catalogue.open(mine.home / "catalogue.db") as catalogue:
            snapshot = make_snapshot(catalogue, ObjectStore(mine.home / "manifests"))
            catalogue.start_training_run(
                TrainingRunRecord(run_id="other", stage="detector", snapshot_sha256=snapshot.sha256)
            )
            catalogue.finish_training_run("other", metrics={})
        return began(settings, **given)

    monkeypatch.setattr(opening, "recorded_run", slow_to_begin)
    with environment_of(mine):
        ended = carry_out(mine.settings(), Wish(), fails_with(AssertionError("is not reached")))
    assert (ended.outcome, ended.waiting) == ("nothing to do", 0)
    assert mine.ask("SELECT id FROM training_run") == [("other",)]
    assert mine.ask("SELECT * FROM lease") == []


def test_the_hourly_check_tells_what_is_missing_and_fails_no_run_for_it(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    assert check(mine.settings()).outcome == "ready"
    with environment_of(mine, OLDPHOTO_TRAINING_PHOTOS=""):
        found = check(Settings.load(mine.home))
        assert (found.outcome, found.waiting > 5) == ("nothing to do", True)
        assert "OLDPHOTO_TRAINING_PHOTOS" in str(found.note)
        assert check(Settings.load(tmp_path / "nothing")).outcome == "nothing to do"


def test_an_unfinished_one_can_be_given_up_for_a_new_one(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    with environment_of(mine):
        for wish in (Wish(), Wish(fresh=True, steps=6)):
            with pytest.raises(StoreUnavailable):
                carry_out(mine.settings(), wish, fails_with(StoreUnavailable("away")))
    rows = mine.ask("SELECT retrain_id, status FROM training_run ORDER BY started_at, id")
    assert sorted({str(row[1]) for row in rows}) == ["failed", "running"]
    assert len({row[0] for row in rows}) == 2
