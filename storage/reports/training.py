"""The page that a retraining leaves behind: the verdict, each rule, the stages' figures and curves, and samples.

Like a run's page it needs nothing else, and a policy allows its own style alone.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup
from PIL import Image

from storage.reports.render import page_environment, page_policy, page_source
from storage.reports.wording import readable_name

KEPT_BYTES = 150_000
"""A PNG up to this size is shown as it is; a larger one is made smaller, and its file lies beside the page."""
LONG_SIDE_PX = 1600

_log = logging.getLogger(__name__)


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
    try:
        return {"shows": shows, "uri": picture_uri(png)}
    except OSError as error:
        _log.warning("report: the picture %r cannot be shown: %s", shows, error)
        return {"shows": shows, "uri": None}


def picture_uri(png: bytes) -> str:
    """Gives a picture as a `data:` URI: as it is where it is small, else as a JPEG of at most 1,600 pixels in width.

    Raises:
        OSError: it is no picture.
    """
    if len(png) <= KEPT_BYTES:
        return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((LONG_SIDE_PX, 2 * LONG_SIDE_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82, optimize=True, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
