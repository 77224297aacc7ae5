"""What a release is to reach, beside what it reached: the goals of its makers, not the rules of promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oldphoto_core.evaluation.comparison.interface import RESTORED
from oldphoto_core.evaluation.comparison.prior_method import PRIOR
from oldphoto_core.evaluation.real_photos import FALSE_RATE, MARGIN_PX, PRECISION

UNTOUCHED = "untouched"
"""The kind of goals on photos with nothing wrong."""

REAL = "real"
"""The kind of goals on real photos, and of pure inpainting."""


@dataclass(frozen=True)
class Goal:
    """One figure of `restored` (its own mask), on damage of the second generator, real photos, or undamaged ones.

    Attributes:
        group: what it is about, as a heading.
        title: in words, with its unit.
        kind, severity: of the damage.
        figure: of the table of methods; `auc` of detection; of `untouched`; of real photos, its path in the summary.
        needed: the goal.
        interim: what is asked of weights that were trained without a GPU.
        above: the goal is reached only above it, not at it.
        at_most: a share of pixels, which is to be no larger.
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
    at_most: bool = False


_IN_MASK = "tone-aligned PSNR in the true mask above Navier-Stokes with that mask, dB"
_BEST, _NS = "aligned_psnr_over_classical", "aligned_masked_psnr_over_navier_stokes"


def _real(group: str, title: str, figure: str, needed: float, *, at_most: bool = False) -> Goal:
    return Goal(group, title, REAL, "", figure, needed, generator="none", at_most=at_most)


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
    _real("Detection", "real photos, people's masks: area under the ROC curve", "marked.all.auc", 0.96),
    _real("Detection", "real photos, people's masks: average precision", "marked.all.average_precision", 0.75),
    _real(
        "Detection", f"film never trained on: share of dust found where {FALSE_RATE:.1%} of sound pixels are",
        "film.recall_at_false_rate", 0.60,
    ),
    _real("Acted on", "real photos, people's masks: share of the damage", "marked.all.recall", 0.60),
    _real(
        "Acted on", f"the same: precision, with a margin of {MARGIN_PX} pixels", "marked.all.precision", PRECISION
    ),
    _real("Acted on", "reviewed clean photos: pixels of a photo, mean", "reviewed.all.mean", 0.0005, at_most=True),
    _real("Acted on", "the same: 95th percentile", "reviewed.all.high", 0.003, at_most=True),
    _real("Acted on", "the same: pixels in their faces, mean", "reviewed.faces.mean", 0.0005, at_most=True),
    _real(
        "Marks", "pure inpainting: PSNR in the true mask above the better of Telea and Navier-Stokes, dB",
        "inpainting.clean.over.mask", 2.0,
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
    if not summary["release"]:
        return []
    return [_judged(goal, _figure(goal, summary)) for goal in GOALS]


def _figure(goal: Goal, summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if goal.kind == REAL:
        return _at_path(summary["real_photos"], goal.figure)
    if goal.kind == UNTOUCHED:
        return summary["untouched"].get(goal.figure)  # type: ignore[no-any-return]
    tables = summary["detection"] if goal.figure == "auc" else summary["paired"]
    for table in tables:
        if (table["generator"], table["kind"], table["severity"]) == (goal.generator, goal.kind, goal.severity):
            figures = table if goal.figure == "auc" else table["methods"].get(RESTORED, {})
            return figures.get(goal.figure)  # type: ignore[no-any-return]
    return None


def _at_path(figures: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = figures
    for name in path.split("."):
        found = found.get(name) if found else None
    return found


def _judged(goal: Goal, found: Mapping[str, Any] | None) -> dict[str, Any]:
    nothing = {"value": None, "low": None, "high": None, "photos": 0}
    found = nothing if found is None else found
    value = found["value"]

    def reached(bound: float | None) -> bool | None:
        if value is None or bound is None or value != value:
            return None
        return bool(value <= bound if goal.at_most else value > bound if goal.above else value >= bound)

    return {
        "group": goal.group, "title": goal.title, "figure": goal.figure, "needed": goal.needed, "interim": goal.interim,
        "above": goal.above, "at_most": goal.at_most, **found, "met": reached(goal.needed),
        "interim_met": reached(goal.interim),
    }  # fmt: skip
