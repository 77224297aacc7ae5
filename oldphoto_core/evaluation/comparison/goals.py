"""What a release is to reach, beside what it reached: the goals of its makers, not the rules of promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oldphoto_core.evaluation.comparison.interface import RESTORED
from oldphoto_core.evaluation.comparison.prior_method import PRIOR

UNTOUCHED = "untouched"
"""The kind of goals on photos with nothing wrong."""


@dataclass(frozen=True)
class Goal:
    """One figure of `restored` (its own mask), on damage of the second generator, real photos, or undamaged ones.

    Attributes:
        group: what it is about, as a heading.
        title: in words, with its unit.
        kind, severity: of the damage.
        figure: of the table of methods; `auc` of detection; of `untouched`.
        needed: the goal.
        interim: what is asked of weights that were trained without a GPU.
        above: the goal is reached only above it, not at it.
    """

    group: str
    title: str
    kind: str
    severity: str
    figure: str
    needed: float
    interim: float | None = None
    generator: str = "second"
    above: bool = False


_IN_MASK = "tone-aligned PSNR in the true mask above Navier-Stokes with that mask, dB"
_BEST, _NS = "aligned_psnr_over_classical", "aligned_masked_psnr_over_navier_stokes"

GOALS = (
    Goal("Mixed damage", "PSNR above the input, dB", "mixed", "drawn", "psnr_gain", 4.0, 3.0),
    Goal("Mixed damage", "PSNR, dB (far goal: 24 where the input has 18.6)", "mixed", "drawn", "psnr", 24.0),
    Goal(
        "Mixed damage", "tone-aligned PSNR above the best classical way with the true mask, dB",
        "mixed", "drawn", _BEST, 2.0, 1.0,
    ),
    Goal(
        "Mixed damage", "tone-aligned PSNR above pix2pix, dB", "mixed", "drawn", "aligned_psnr_over_pix2pix", 0.0,
        above=True,
    ),
    Goal(
        "Mixed damage", "tone-aligned PSNR above deep image prior with the true mask, on the same few photos, dB",
        "few", "drawn", f"aligned_psnr_over_{PRIOR}", 0.0, above=True,
    ),
    Goal("Marks", f"scratches: {_IN_MASK}", "scratch", "all", _NS, 1.5),
    Goal("Marks", f"holes and tears: {_IN_MASK}", "hole", "all", _NS, 1.5),
    Goal("Detection", "mixed damage: area under the ROC curve", "mixed", "drawn", "auc", 0.97, 0.95),
    Goal(
        "Detection", "real photos, people's masks: area under the ROC curve", "labelled", "as found", "auc", 0.93,
        generator="none",
    ),
    Goal("Nothing wrong", "clean photos, full mode: PSNR to the photo, mean, dB", UNTOUCHED, "", "full", 34.0),
    Goal("Nothing wrong", "clean photos, full mode: the same, 5th percentile, dB", UNTOUCHED, "", "full_low", 30.0),
    Goal(
        "Nothing wrong", "clean photos, scratches mode: PSNR to the photo, mean, dB", UNTOUCHED, "", "scratches", 45.0
    ),
    Goal(
        "Nothing wrong", "old photos restored twice: PSNR of the second to the first, mean, dB",
        UNTOUCHED, "", "twice", 36.0,
    ),
)  # fmt: skip


def goals(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gives each goal with what was found: None, and neither met nor not, where it was not measured.

    Empty where no release was measured.
    """
    if not any(RESTORED in table["methods"] for table in summary["paired"]):
        return []
    return [_judged(goal, _figure(goal, summary)) for goal in GOALS]


def _figure(goal: Goal, summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if goal.kind == UNTOUCHED:
        return summary["untouched"].get(goal.figure)  # type: ignore[no-any-return]
    tables = summary["detection"] if goal.figure == "auc" else summary["paired"]
    for table in tables:
        if (table["generator"], table["kind"], table["severity"]) == (goal.generator, goal.kind, goal.severity):
            figures = table if goal.figure == "auc" else table["methods"].get(RESTORED, {})
            return figures.get(goal.figure)  # type: ignore[no-any-return]
    return None


def _judged(goal: Goal, found: Mapping[str, Any] | None) -> dict[str, Any]:
    nothing = {"value": None, "low": None, "high": None, "photos": 0}
    found = nothing if found is None else found
    value = found["value"]

    def reached(bound: float | None) -> bool | None:
        if value is None or bound is None or value != value:
            return None
        return bool(value > bound if goal.above else value >= bound)

    return {
        "group": goal.group, "title": goal.title, "figure": goal.figure, "needed": goal.needed, "interim": goal.interim,
        "above": goal.above, **found, "met": reached(goal.needed), "interim_met": reached(goal.interim),
    }  # fmt: skip
