"""Which candidates are promoted, and what is said of those that are not."""

from __future__ import annotations

import json
import math

import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.judgement import Judgement
from oldphoto_core.evaluation.promotion_rules import Rules, decide

ACTIVE = {
    "labelled/auc": 0.80, "first/auc": 0.75, "second/auc": 0.74, "first/psnr": 25.0, "second/psnr": 20.0,
    "clean/psnr": 36.0, "clean/psnr_p5": 31.0,
}  # fmt: skip


def judged(candidate: dict[str, float], active: dict[str, float] | None = None) -> Judgement:
    known = ACTIVE | (active or {})
    return Judgement("archive-new", "archive-old", known | candidate, known)


@pytest.mark.parametrize(
    ("candidate", "active", "broken"),
    [
        ({}, {}, []),
        ({"labelled/auc": 0.90, "clean/psnr": 34.5}, {}, []),
        ({"labelled/auc": 0.799}, {}, ["AUC on labelled photos not lower"]),
        ({"second/auc": 0.735}, {}, []),
        ({"second/auc": 0.72}, {}, ["AUC on known damage not lower"]),
        ({"first/psnr": 24.92}, {}, []),
        ({"first/psnr": 24.8, "second/psnr": 19.8}, {}, ["restoration not worse", "restoration not worse"]),
        ({"clean/psnr": 33.9}, {}, ["clean photos unharmed"]),
        ({"clean/psnr_p5": 29.9}, {}, ["clean photos unharmed"]),
        # an active release below the bar is compared with, not the bar
        ({"clean/psnr": 32.95}, {"clean/psnr": 33.0}, []),
        ({"clean/psnr": 32.8}, {"clean/psnr": 33.0}, ["clean photos unharmed"]),
        ({"clean/psnr": 34.1}, {"clean/psnr": 33.0}, []),
        # what cannot be measured of the candidate alone speaks against it; of neither, it says nothing
        ({"labelled/auc": math.nan}, {}, ["AUC on labelled photos not lower"]),
        ({}, {"labelled/auc": math.nan}, []),
        ({"labelled/auc": 0.5}, {"labelled/auc": math.nan}, []),
    ],
)
def test_a_candidate_is_promoted_unless_a_rule_is_broken(candidate: dict, active: dict, broken: list[str]):
    decision = decide(judged(candidate, active))
    assert decision.promote == (not broken)
    assert [check.rule for check in decision.checks if not check.passed] == broken
    if broken:
        assert [reason.partition(":")[0] for reason in decision.reasons] == broken
    assert all("nan" not in reason for reason in decision.reasons)


def test_a_reason_says_what_was_found_and_what_was_needed():
    [reason] = decide(judged({"second/psnr": 19.5})).reasons
    assert reason == "restoration not worse: broken: second/psnr is 19.5, at least 19.9 needed, active 20"


def test_rules_can_be_loosened():
    assert not decide(judged({"labelled/auc": 0.78})).promote
    assert decide(judged({"labelled/auc": 0.78}), Rules(auc_drop=0.05)).promote


def test_nothing_measured_is_nothing_promoted():
    decision = decide(Judgement("a", "b", {}, {}))
    assert not decision.promote
    assert "nothing could be measured" in decision.reasons[0]


def test_a_rule_that_allows_a_negative_drop_is_refused():
    with pytest.raises(ConfigError, match="auc_drop is -0.1"):
        Rules(auc_drop=-0.1)


def test_a_judgement_comes_back_from_json():
    judgement = judged({"labelled/auc": math.nan})
    content = json.loads(json.dumps(judgement.as_json()))
    again = Judgement.from_json(content)
    assert again.as_json() == judgement.as_json()
    assert math.isnan(again.candidate_figures["labelled/auc"])
    assert json.loads(json.dumps(decide(judgement).as_json()))["promote"] is False
