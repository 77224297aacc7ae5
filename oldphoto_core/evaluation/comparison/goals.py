"""What a release is to reach, beside what it reached: the goals of its makers, not the rules of promotion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oldphoto_core.evaluation.comparison.interface import RESTORED


@dataclass(frozen=True)
class Goal:
    """One figure of `restored` (its own mask), on damage of the second generator or on real photos.

    Attributes:
        title: in words, with its unit.
        kind, severity: of the damage.
        figure: of the table of methods; `auc` of detection.
        needed: the goal.
        interim: what is asked of weights that were trained without a GPU.
    """

    title: str
    kind: str
    severity: str
    figure: str
    needed: float
    interim: float | None = None
    generator: str = "second"


GOALS = (
    Goal("Mixed damage: PSNR above the input, dB", "mixed", "drawn", "psnr_gain", 4.0, 3.0),
    Goal(
        "Mixed damage: tone-aligned PSNR above the best classical way with the true mask, dB",
        "mixed", "drawn", "aligned_psnr_over_classical", 2.0, 1.0,
    ),
    Goal(
        "Scratches: tone-aligned PSNR inside the true mask above Navier-Stokes with the true mask, dB",
        "scratch", "all", "aligned_masked_psnr_over_navier_stokes", 1.5,
    ),
    Goal(
        "Holes: tone-aligned PSNR inside the true mask above Navier-Stokes with the true mask, dB",
        "hole", "all", "aligned_masked_psnr_over_navier_stokes", 1.5,
    ),
    Goal("Mixed damage: detection, area under the ROC curve", "mixed", "drawn", "auc", 0.97, 0.95),
    Goal(
        "Real photos: detection against people's masks, area under the ROC curve",
        "labelled", "as found", "auc", 0.93, None, "none",
    ),
)  # fmt: skip


def goals(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gives each goal with what was found; empty where no release was measured."""
    return list(_found(summary))


def _found(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for goal in GOALS:
        place = (goal.generator, goal.kind, goal.severity)
        tables = summary["detection"] if goal.figure == "auc" else summary["paired"]
        for table in tables:
            if (table["generator"], table["kind"], table["severity"]) != place:
                continue
            figures = table if goal.figure == "auc" else table["methods"].get(RESTORED, {})
            found = figures.get(goal.figure)
            if found is None or found["value"] is None:
                continue
            yield {
                "title": goal.title, "needed": goal.needed, "interim": goal.interim, **found,
                "met": found["value"] >= goal.needed,
                "interim_met": None if goal.interim is None else found["value"] >= goal.interim,
            }  # fmt: skip
