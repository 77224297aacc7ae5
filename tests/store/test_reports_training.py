"""The page of a retraining stands alone, says why, and lets nothing in a file's name run."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from storage.reports.training import (
    KEPT_BYTES,
    LONG_SIDE_PX,
    RuleResult,
    TrainedStage,
    TrainingPage,
    picture_uri,
    render_training_page,
)


def png(colour: tuple[int, int, int] = (180, 160, 140)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(out, "PNG")
    return out.getvalue()


PAGE = TrainingPage(
    retrain_id="20261125T174848Z-efc3a6", outcome="rejected", verdict="archive-1 is kept but not used",
    candidate="archive-1", active="archive-0", facts={"Parent": "archive-0", "Seed": "7"},
    reasons=["labelled/auc is 0.6, at least 0.7 needed"],
    rules=[RuleResult("AUC not lower", "0.7", "0.6", False), RuleResult("clean photos unharmed", "34", "36", True)],
    comparison=[("labelled/auc", "0.7", "0.6")],
    stages=[
        TrainedStage("Detector", {"steps": "12"}, [("auc", "0.5", "0.6")], [("Photos", png())], [("Curves", png())])
    ],
    beside=png((1, 2, 3)), left_out=[("album/<script>alert(1)</script>.tif", "truncated")],
)  # fmt: skip


def test_it_tells_verdict_rules_figures_and_what_was_left_out() -> None:
    html = render_training_page(PAGE)
    told = ("archive-1 is kept but not used", "at least 0.7 needed", "broken", "holds", "labelled/auc", "truncated")
    for words in told:
        assert words in html
    assert html.count("data:image/png;base64,") == 3
    assert "release_lineage WHERE release = 'archive-1'" in html


def test_nothing_in_it_runs_or_loads() -> None:
    html = render_training_page(PAGE)
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "script-src &#39;none&#39;" in html or "script-src 'none'" in html
    assert "http://" not in html and "https://" not in html


def test_a_promoted_one_gives_its_reasons_as_rules_alone() -> None:
    assert "at least 0.7 needed</li>" not in render_training_page(replace(PAGE, outcome="promoted"))


def test_a_large_picture_is_made_smaller_and_a_broken_one_ends_no_page() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (900, 2400, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    uri = picture_uri(out.getvalue())
    assert uri.startswith("data:image/jpeg;base64,") and len(uri) < len(out.getvalue()) / 3
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as small:
        assert small.size == (LONG_SIDE_PX, 600)
    broken = replace(PAGE, beside=b"x" * (KEPT_BYTES + 1))
    assert "This picture cannot be shown" in render_training_page(broken)
