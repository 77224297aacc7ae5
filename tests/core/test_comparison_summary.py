"""Intervals, means, gains and goals of a comparison, on figures that are known beforehand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from oldphoto_core.evaluation.comparison import intervals
from oldphoto_core.evaluation.comparison.harm import Harm
from oldphoto_core.evaluation.comparison.methods import all_methods
from oldphoto_core.evaluation.comparison.release_methods import LateRestorer
from oldphoto_core.evaluation.comparison.rows import DETECTOR, Row
from oldphoto_core.evaluation.comparison.running import Comparison
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings, Material, NamedFile
from oldphoto_core.evaluation.comparison.summary import summarise
from tests.core.classical_release import ClassicalRelease

PHOTOS = 10


def rows() -> list[Row]:
    """Ten photos of mixed damage as drawn: `restored` is 5 dB above the input, Telea 2 dB, Navier-Stokes 1 dB."""
    above = {"input": 0.0, "telea-true-mask": 2.0, "navier-stokes-true-mask": 1.0, "restored": 5.0}
    found = []
    for number in range(PHOTOS):
        for method, gain in above.items():
            found.append(
                Row(
                    f"{number}-{method}", f"{number}.png", f"sha{number}", "second", "mixed", "drawn", method,
                    psnr=18.0 + number + gain, aligned_psnr=20.0 + number + gain,
                    aligned_masked_psnr=10.0 + gain, ssim=0.5, delta_e=9.0 - gain, seconds=0.5,
                )
            )  # fmt: skip
        damaged, sound = np.zeros(1024, int), np.zeros(1024, int)
        damaged[900], damaged[10], sound[5], sound[950] = 90, 10, 880, 20
        found.append(
            Row(
                f"{number}-d", f"{number}.png", f"sha{number}", "second", "mixed", "drawn", DETECTOR,
                damaged_by_score=tuple(damaged.tolist()), sound_by_score=tuple(sound.tolist()),
                further={"marked": 0.11},
            )
        )  # fmt: skip
    found.append(
        Row("o", "o.png", "shao", "none", "old", "as found", "restored", further={"noise_sigma": 3.0, "contrast": 40.0})
    )
    return found


@pytest.fixture(scope="module")
def summary() -> dict:
    material = Material([NamedFile(Path("a.png"), "00aa")], [], [], [])
    found = Comparison(ComparisonSettings(Path("clean")), material, "classical-1", "1", rows(), 0, [])
    return summarise(found, all_methods(LateRestorer(ClassicalRelease())))


def test_a_constant_gain_has_no_width_though_the_photos_differ(summary: dict) -> None:
    table = summary["paired"][0]["methods"]
    assert table["restored"]["psnr"]["value"] == pytest.approx(18 + 4.5 + 5)
    assert table["restored"]["psnr"]["high"] - table["restored"]["psnr"]["low"] > 2
    gain = table["restored"]["psnr_gain"]
    assert (gain["value"], gain["low"], gain["high"], gain["photos"]) == pytest.approx((5, 5, 5, PHOTOS))


def test_the_best_classical_method_is_the_bar(summary: dict) -> None:
    place = summary["paired"][0]
    assert place["best_classical"]["aligned_psnr"] == "telea-true-mask"
    assert place["methods"]["restored"]["aligned_psnr_over_classical"]["value"] == pytest.approx(3)
    assert place["methods"]["restored"]["aligned_masked_psnr_over_navier_stokes"]["value"] == pytest.approx(4)


def test_goals_are_met_or_not_by_what_was_found(summary: dict) -> None:
    found = {goal["title"]: goal for goal in summary["goals"]}
    gain = found["PSNR above the input, dB"]
    assert (gain["value"], gain["met"], gain["interim_met"]) == (pytest.approx(5), True, True)
    auc = found["mixed damage: area under the ROC curve"]
    assert (auc["value"], auc["met"], auc["interim_met"]) == (pytest.approx(880 / 900, abs=2e-3), True, True)
    over = found["tone-aligned PSNR above the best classical way with the true mask, dB"]
    assert (over["value"], over["low"]) == pytest.approx((3, 3)) and over["met"]


def test_a_goal_that_was_not_measured_stands_there_as_such(summary: dict) -> None:
    missing = [goal for goal in summary["goals"] if goal["value"] is None]
    assert {goal["group"] for goal in missing} >= {"Marks", "Nothing wrong"}
    assert all(goal["met"] is None and goal["interim_met"] is None for goal in missing)


def test_detection_is_pooled_over_photos(summary: dict) -> None:
    (entry,) = summary["detection"]
    # A damaged pixel scores above a sound one unless that is one of the 20 at 950; all 100 are found with those 20.
    assert entry["auc"]["value"] == pytest.approx(880 / 900, abs=2e-3)
    assert entry["f1"]["value"] == pytest.approx(2 * 100 / (100 + 120))
    assert entry["damaged_share"] == pytest.approx(0.1)
    assert entry["roc"]["true_rate"] == sorted(entry["roc"]["true_rate"])
    assert entry["marked"]["value"] == pytest.approx(0.11)


def test_the_summary_is_plain_json_that_names_photos_by_hash(summary: dict) -> None:
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text)["photos"] == [{"name": "a.png", "sha256": "00aa"}]
    assert summary["real"]["methods"]["restored"]["noise_sigma"]["value"] == 3.0
    assert all(method["does"] for method in summary["methods"])


def test_an_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        sample = rng.normal(3, 1, 30)
        found = intervals.mean_over_photos({str(k): [value] for k, value in enumerate(sample)})
        held += found.low <= 3 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_pairing_leaves_out_what_makes_a_photo_hard() -> None:
    hard = np.random.default_rng(1).normal(0, 10, 20)
    one = {str(k): {"mild": v, "bad": v - 3} for k, v in enumerate(hard)}
    other = {str(k): {"mild": v - 1, "bad": v - 4} for k, v in enumerate(hard)} | {"more": {"mild": 0.0}}
    found = intervals.difference_over_photos(one, other)
    assert (found.value, found.low, found.high, found.photos) == pytest.approx((1, 1, 1, 20))


def test_a_percentile_over_photos_lies_in_its_interval_and_below_the_mean() -> None:
    values = {str(k): [float(k), float(k)] for k in range(101)}
    found = intervals.percentile_over_photos(values, 5)
    assert found.value == pytest.approx(5) and found.photos == 101
    assert found.low < 5 < found.high < intervals.mean_over_photos(values).low
    assert math.isnan(intervals.percentile_over_photos({"a": [math.nan]}, 5).value)


def test_photos_with_nothing_wrong_are_judged_by_their_mean_and_their_worst() -> None:
    material = Material([NamedFile(Path("a.png"), "00aa")], [], [], [])
    figures = [{"full": db, "scratches": 50.0} for db in [40.0] * 18 + [29.0] * 2]
    harmed = [
        Row(f"h{k}", f"{k}.png", "", "none", "harm/clean", "as found", "restored", further=figure)
        for k, figure in enumerate(figures)
    ]
    harm, methods = Harm(harmed, [], []), all_methods(LateRestorer(ClassicalRelease()))
    found = Comparison(ComparisonSettings(Path("clean")), material, "classical-1", "1", rows(), 0, [], harm)
    by = {g["figure"]: g for g in summarise(found, methods)["goals"] if g["group"] == "Nothing wrong"}
    assert by["full"]["value"] == pytest.approx(38.9) and by["full"]["met"] and by["full"]["low"] < 38.9
    assert by["full_low"]["value"] == pytest.approx(29.0) and by["full_low"]["met"] is False
    assert by["scratches"]["met"] is True and by["twice"]["met"] is None


def test_few_photos_give_no_interval_and_none_gives_nothing() -> None:
    few, enough = ({str(k): [float(k)] for k in range(count)} for count in (4, 5))
    assert math.isnan(intervals.mean_over_photos(few).low)
    assert intervals.mean_over_photos(enough).low < 2 < intervals.mean_over_photos(enough).high
    one = intervals.mean_over_photos({"a": [1.0, 3.0, math.nan]})
    assert one.value == 2 and math.isnan(one.low) and one.photos == 1
    assert one.plain() == {"value": 2.0, "low": None, "high": None, "photos": 1}
    assert intervals.mean_over_photos({"a": [math.nan]}).plain()["value"] is None
