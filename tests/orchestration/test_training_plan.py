"""What a retraining is, and what it is refused for."""

from __future__ import annotations

import json

import pytest

from flows.errors import UsageError
from flows.settings import Settings
from flows.training.opening import Standing, Wish
from flows.training.plan import STAGES, TrainingPlan, seed_of, stages_from
from flows.training.verdict import Verdict

PLAN = TrainingPlan(
    retrain_id="r1", stages=STAGES, parent="archive-1", snapshot_sha256="ab" * 32, snapshot_key="snapshots/ab.parquet",
    seed=3, minutes=100, photos="/clean",
)  # fmt: skip


def test_a_plan_comes_back_from_what_the_catalogue_keeps() -> None:
    for stage in STAGES:
        assert TrainingPlan.of(json.loads(json.dumps(PLAN.configuration(stage)))) == PLAN


def test_a_budget_is_split_and_what_is_not_trained_leaves_its_part_to_the_others() -> None:
    assert [PLAN.budget(stage) for stage in STAGES] == [(None, 25.0), (None, 30.0), (None, 45.0)]
    from dataclasses import replace

    steps = replace(PLAN, minutes=None, steps=30, stages=("vaes", "translation"))
    assert [steps.budget(stage) for stage in steps.stages] == [(12, None), (18, None)]
    assert replace(steps, steps=1).budget("vaes") == (1, None)


def test_stages_are_taken_from_one_on() -> None:
    assert stages_from(None) == STAGES
    assert stages_from("translation") == ("translation",)
    with pytest.raises(UsageError, match="no stage 'look'"):
        stages_from("look")


def test_a_budget_is_minutes_or_steps() -> None:
    with pytest.raises(UsageError, match="one of them"):
        Wish(minutes=1, steps=1)


def test_the_seed_follows_from_the_name() -> None:
    assert seed_of("r1") == seed_of("r1") != seed_of("r2")
    assert 0 <= seed_of("r1") < 2**31


@pytest.mark.parametrize(
    ("standing", "wish", "outcome"),
    [
        (Standing(25, None, None), Wish(), None),
        (Standing(24, None, None), Wish(), "nothing to do"),
        (Standing(0, None, None), Wish(force=True), None),
        (Standing(0, PLAN, None), Wish(), None),
        (Standing(99, PLAN, "another"), Wish(force=True), "busy"),
    ],
)
def test_when_there_is_something_to_train(standing: Standing, wish: Wish, outcome: str | None, tmp_path) -> None:
    refusal = standing.refusal(Settings.load(tmp_path), wish)
    assert (refusal and refusal.outcome) == outcome


def test_a_verdict_is_kept_as_plain_data() -> None:
    from oldphoto_core.evaluation.judgement import Judgement
    from oldphoto_core.evaluation.promotion_rules import decide

    nothing = float("nan")
    judgement = Judgement(
        "new", "old", {"labelled/auc": 0.8, "clean/psnr": 33.0}, {"labelled/auc": nothing, "clean/psnr": 36.0}
    )
    kept = Verdict.of(judgement, decide(judgement)).kept()
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    assert kept["promote"] is False
    assert [rule["passed"] for rule in kept["rules"]] == [True, False]
    assert kept["figures"]["active"] == {"labelled/auc": None, "clean/psnr": 36.0}
