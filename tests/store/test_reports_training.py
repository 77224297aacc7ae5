"""The page of a retraining stands alone, says why, and lets nothing in a file's name run."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image

from storage.reports.training import MOST_PICTURE_BYTES, RuleResult, TrainedStage, TrainingPage, render_training_page


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


def test_a_picture_that_is_too_large_is_left_to_its_file() -> None:
    large = replace(PAGE, beside=b"x" * (MOST_PICTURE_BYTES + 1))
    assert "its file lies with the training run" in render_training_page(large)
