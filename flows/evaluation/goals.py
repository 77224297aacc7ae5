"""The goals of a release as a section of its page: what was asked, what was found, met or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flows.evaluation import words
from storage.reports.evaluation import Cell, PageSection, PageTable

_MARKS = {"met": "passed", "interim met": "kept", "not met": "failed", "not measured": ""}


def goals_section(summary: Mapping[str, Any]) -> Iterator[PageSection]:
    """Yields the section; nothing where no release was measured."""
    if not summary["goals"]:
        return
    rows: list[tuple[str, Sequence[Cell]]] = []
    group = ""
    for goal in summary["goals"]:
        if goal["group"] != group:
            group = goal["group"]
            rows.append((group, ()))
        verdict = verdict_of(goal)
        found = words.found(goal, _form(goal))
        sign = "≤" if goal["at_most"] else ">" if goal["above"] else "≥"
        needed = Cell(f"{sign} {goal['needed']:{'.2%' if goal['at_most'] else 'g'}}")
        interim = Cell("–" if goal["interim"] is None else f"{sign} {goal['interim']:g}")
        photos = Cell(str(goal["photos"]) if goal["photos"] else "–")
        cells = [Cell(verdict, mark=_MARKS[verdict]), found, needed, interim, photos]
        rows.append((goal["title"][0].upper() + goal["title"][1:], cells))
    headings = ["The release, with the mask that it finds", "", "found", "goal", "interim", "photos"]
    extent = (
        "Damage of the second generator, which nothing was trained on, and real photos. Interim: for weights that were"
        " trained without a GPU. Whether each ingredient of the method earns its place is measured apart, by the"
        " ablation."
    )
    yield PageSection("goals", "Goals", extent, tables=[PageTable(headings, rows)])


def verdict_of(goal: Mapping[str, Any]) -> str:
    """Gives `met`, `interim met`, `not met` or `not measured`."""
    if goal["met"] is None:
        return "not measured"
    return "met" if goal["met"] else "interim met" if goal["interim_met"] else "not met"


def _form(goal: Mapping[str, Any]) -> str:
    if goal["at_most"]:
        return "{:.3%}"
    if goal["figure"].startswith(("auc", "marked.", "film.")):
        return "{:.3f}"
    signed = ("_over_", ".over.", "_gain")
    return "{:+.2f}" if any(part in goal["figure"] for part in signed) else "{:.2f}"
