"""The gate from one end to the other: a photo past a limit is restored, told, and kept out of publications."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from flows.artifacts import table_of, words_of
from flows.cli.app import run_command
from flows.cli.display import summary_table
from flows.morning_message import compose, told_run
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.queries import read_only_query
from tests.orchestration.archives import make_photos

OFF = {
    "review_delta_e": math.inf, "review_delta_e_p95": math.inf, "review_gradient_correlation": -1,
    "review_clipped_growth": math.inf, "review_added_chroma": math.inf, "review_mask_coverage": math.inf,
}  # fmt: skip


def make_careless_release(folder: Path) -> Path:
    """A real release of toy size that repaints what it is given: its weights are shaken a little."""
    import torch

    from oldphoto_core.models.presets import build_detector, build_restoration, preset
    from oldphoto_core.releases.bundle import save_release

    torch.manual_seed(0)
    sizes = preset("tiny")
    network = build_restoration(sizes)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    save_release(folder, sizes=sizes, detector=build_detector(sizes), network=network, card={})
    return folder


def test_a_photo_past_a_limit_is_kept_and_published_only_once_it_is_accepted(
    prefect_server: str, dask_scheduler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.publish import publish
    from flows.run import run

    source, shown = tmp_path / "scans", tmp_path / "shown"
    lax, home = tmp_path / "lax", tmp_path / "home"
    make_photos(source, 3)
    settings = {"release": str(make_careless_release(tmp_path / "careless")), "scheduler": dask_scheduler}

    def ask(sql: str, where: Path = home) -> list[tuple[object, ...]]:
        return read_only_query(where / "catalogue.db", sql).rows

    def command(*arguments: str) -> int:
        return run_command([*arguments, "--home", str(home)])

    first = run(str(source), home=str(lax), settings=settings | {"fidelity": OFF})
    assert first.restore is not None and (first.restore.restored, first.restore.needs_review) == (3, ())
    figures = ask("SELECT source_key, tone_free_delta_e_mean FROM restoration_history ORDER BY 2 DESC", lax)
    (worst, most), (_, second) = figures[:2]
    limit = (float(str(most)) + float(str(second))) / 2  # the same photos again: one of them is past it

    again = run(str(source), home=str(home), settings=settings | {"fidelity": OFF | {"review_delta_e": limit}})
    assert again.restore is not None and again.restore.restored == 3
    [(key, why)] = again.restore.needs_review
    assert key == worst and why.startswith("tone-free colour difference, mean: ")
    assert again.exit_code() == 0
    assert again.totals()["needs_review"] == 1
    assert ask("SELECT source_key, outcome, needs_review FROM object_outcome WHERE needs_review = 1") == [
        (worst, "restored", 1)
    ]

    assert "needs review" in [str(cell) for cell in summary_table(again).columns[0].cells]
    rows = {row["outcome"]: row["photos"] for row in table_of(again)}
    assert (rows["restored"], rows["needs review"]) == (3, 1)
    assert why in words_of(Settings.load(home), again)
    assert again.report_path is not None and why in again.report_path.read_text()
    with Catalogue.open(home / "catalogue.db", create=False) as catalogue:
        record = catalogue.get_run(again.run_id)
        assert record is not None and record.totals["needs_review"] == 1
        message = compose([told_run(record, tmp_path)], since="2026-01-01T00:00:00Z", reports=tmp_path)
    assert "1 waiting for a review" in message.body
    assert message.totals()["need_a_person"] == 1

    summary = publish(str(shown), home=str(home))
    assert (summary.published, summary.needs_review, summary.exit_code()) == (2, 1, 0)
    assert not (shown / str(worst)).exists()
    capsys.readouterr()
    assert command("review", "list", "--format", "json") == 0
    [waiting] = json.loads(capsys.readouterr().out)
    assert (waiting["source_key"], waiting["reasons"], waiting["verdict"]) == (worst, why, None)
    assert command("review", "accept", str(worst), "--by", "Ada", "--note", "like the print") == 0
    assert publish(str(shown), home=str(home)).published == 1
    assert (shown / str(worst)).exists()
    assert command("review", "reject", str(worst), "--by", "Eva") == 0
    summary = publish(str(shown), home=str(home))
    assert (summary.removed, summary.rejected, summary.needs_review) == (1, 1, 0)
    assert not (shown / str(worst)).exists()
    capsys.readouterr()
    assert command("review", "judge") == 0  # by the limits of every installation, which all three are past
    assert "3 are past a limit, 2 of them were not before" in capsys.readouterr().out
    assert publish(str(shown), home=str(home)).removed == 2
    assert command("review", "list") == 0
    assert command("review", "accept", "nothing.png", "--by", "Ada") == 2
    said = ask("SELECT agent, outcome FROM event_history WHERE type = 'review' AND object_type = 'photo' ORDER BY at")
    assert said == [("Ada", "success"), ("Eva", "success")]
