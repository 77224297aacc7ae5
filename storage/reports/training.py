"""The page that a retraining leaves behind: the verdict, each rule, the stages' figures and curves, and samples.

Like a run's page it needs nothing else, and a policy allows its own style alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from storage.reports.render import page_environment, page_policy, page_source
from storage.reports.wording import readable_name

MOST_PICTURE_BYTES = 6_000_000
"""A larger picture is left to its file."""


@dataclass(frozen=True)
class TrainedStage:
    """One stage.

    Attributes:
        figures: rows of (figure, before, after), in words.
        samples, curves: (what it shows, PNG); curves are folded away.
        facts: label -> words: steps, time, photos.
    """

    name: str
    facts: Mapping[str, str]
    figures: Sequence[tuple[str, str, str]] = ()
    samples: Sequence[tuple[str, bytes]] = ()
    curves: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True)
class RuleResult:
    """One rule of promotion."""

    rule: str
    needed: str
    found: str
    passed: bool


@dataclass(frozen=True)
class TrainingPage:
    """All that the page shows.

    Attributes:
        outcome: what became of the candidate; colours the verdict.
        verdict: one sentence.
        comparison: rows of (figure, active, candidate), in words.
        beside: PNG of real photos by both releases; None where there were none.
        left_out: (photo, reason).
    """

    retrain_id: str
    outcome: Literal["promoted", "kept", "rejected"]
    verdict: str
    candidate: str
    active: str
    facts: Mapping[str, str]
    reasons: Sequence[str] = ()
    rules: Sequence[RuleResult] = ()
    comparison: Sequence[tuple[str, str, str]] = ()
    stages: Sequence[TrainedStage] = ()
    beside: bytes | None = None
    left_out: Sequence[tuple[str, str]] = ()


def render_training_page(page: TrainingPage) -> str:
    """Gives the retraining's page as HTML text, always encodable as UTF-8."""
    environment = page_environment()
    style = page_source(environment, "report.css") + page_source(environment, "training.css")
    html = environment.get_template("training.html").render(
        page=page,
        style=Markup(style),
        policy=page_policy(style),
        stages=[
            {"stage": stage, **{kind: [_shown(*one) for one in getattr(stage, kind)] for kind in ("samples", "curves")}}
            for stage in page.stages
        ],
        beside=_shown("", page.beside) if page.beside else None,
        left_out=[(readable_name(name), reason) for name, reason in page.left_out],
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(shows: str, png: bytes) -> dict[str, Any]:
    fits = len(png) <= MOST_PICTURE_BYTES
    return {"shows": shows, "uri": f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}" if fits else None}
