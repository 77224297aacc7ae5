"""`oldphoto evaluate`: figures, summary and page of a real release, not computed twice; mistakes are named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.cli.app import run_command
from flows.evaluation import words
from tests.orchestration.archives import picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of which some are held out."""
    folder = tmp_path / "clean"
    folder.mkdir()
    for number in range(40):
        cv2.imwrite(str(folder / f"{number:04d}_photo{number}.png"), picture(number, height=72, width=80))
    return folder


@pytest.fixture(autouse=True)
def small_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick protocol on one photo of 64 pixels."""
    from dataclasses import replace

    from oldphoto_core.evaluation.comparison.settings import ComparisonSettings

    whole = ComparisonSettings.for_protocol

    def small(*given: object, **named: object) -> ComparisonSettings:
        return replace(
            whole(*given, **named), drawn_count=1, kind_count=1, old_count=1, side_px=64, role="all",
            faces_count=0, text_count=1, prior_side_px=64, inpainted_count=1,
        )  # fmt: skip

    monkeypatch.setattr(ComparisonSettings, "for_protocol", small)


def run(photos: Path, out: Path, release: Path, *more: str) -> int:
    return run_command(
        [
            "evaluate", "--photos", str(photos), "--old", str(photos), "--protocol", "quick", "--no-harm",
            "--release", str(release), "--device", "cpu", "--out", str(out), "--home", str(out / "home"), *more,
        ]
    )  # fmt: skip


def test_a_release_is_measured_told_and_shown_and_nothing_is_computed_twice(
    photos: Path, release_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(photos, out, release_folder) == 0
    told = capsys.readouterr().out
    assert "This release, its own mask" in told
    rows = pq.read_table(out / "figures.parquet")
    assert f"{rows.num_rows} rows, {rows.num_rows} of them computed now" in told
    summary = json.loads((out / "summary.json").read_text())
    kinds = {(t["generator"], t["kind"], t["severity"]) for t in summary["paired"]}
    assert {("second", "mixed", "drawn"), ("first", "hole", "bad"), ("second", "fading", "mild")} <= kinds
    assert len(summary["photos"][0]["sha256"]) == 64
    page = (out / "evaluation.html").read_text()
    assert summary["release"] in page and "data:image/svg+xml" in page and "data:image/jpeg" in page
    assert "http://" not in page.split("<main>")[1].replace("data:", "")
    assert not (out / "home").exists()

    assert run(photos, out, release_folder, "--jobs", "2") == 0
    assert f"{rows.num_rows} rows, 0 of them computed now" in capsys.readouterr().out
    assert json.loads((out / "summary.json").read_text()) == summary


def test_real_photos_alone_are_measured_where_they_are_at_hand(
    photos: Path, release_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.name for path in photos.iterdir())[:3]
    (tmp_path / "REVIEW.csv").write_text(
        "file,verdict,note,where,kind,faces,ignore,missed,true_red\n"
        + "".join(f"{name},clean,,,street,0,,,\n" for name in names)
    )
    for part in ("frames", "masks"):
        (tmp_path / "film" / part).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "film" / part / "a.png"), picture(7, height=72, width=80))
    levels = np.zeros((72, 80), np.uint8)
    levels[30:34, 10:60] = 255
    cv2.imwrite(str(tmp_path / "film/masks/a.png"), levels)
    (tmp_path / "film/LABELS.csv").write_text("name,sequence\na,rrtn_withi\n")
    real = ("--only", "real", "--film", str(tmp_path / "film"), "--review", str(tmp_path / "REVIEW.csv"))
    out = tmp_path / "out"
    assert run(photos, out, release_folder, *real) == 0
    told = capsys.readouterr().out
    assert "Reviewed photos with nothing wrong" in told and "Pure inpainting" in told
    assert "Mixed damage" not in told
    summary = json.loads((out / "summary.json").read_text())
    assert summary["real_photos"]["reviewed"]["all"]["photos"] == 3 and summary["real_photos"]["film"]["photos"] == 1
    page = (out / "evaluation.html").read_text()
    assert "Real photos and pure inpainting alone." in page
    assert "Not measured, for it was not at hand: photos marked by hand (--old)." in page
    assert run(photos, out, release_folder, *real) == 0
    assert "0 of them computed now" in capsys.readouterr().out


def test_the_classical_ways_alone(
    photos: Path, release_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted = ("--prior-photos", "1", "--prior-steps", "2")
    assert run(photos, tmp_path / "out", release_folder, "--no-release", *fitted) == 0
    assert "This release" not in capsys.readouterr().out
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    (few,) = (t for t in summary["paired"] if (t["generator"], t["kind"], t["severity"]) == ("second", "few", "drawn"))
    assert few["photos"] == 1 and "deep-image-prior-true-mask" in few["methods"]
    assert summary["settings"]["prior"]["steps"] == 2
    assert "2 steps of a network 32 channels wide" in (tmp_path / "out/evaluation.html").read_text()
    assert "no release was measured" in (tmp_path / "out/evaluation.html").read_text()


def test_mistakes_are_named(
    photos: Path, release_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, tmp_path / "out", release_folder, "--protocol", "slow") == 2
    assert "--protocol slow: expected quick or default" in capsys.readouterr().err
    assert run(photos, tmp_path / "out", release_folder, "--only", "mixed") == 2
    assert "--only mixed: expected real" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", tmp_path / "out", release_folder) == 2
    assert "no held-out photos" in capsys.readouterr().err
    assert run(photos, tmp_path / "out", release_folder, "--baseline", str(tmp_path / "empty")) == 2
    assert "empty holds no trained network" in capsys.readouterr().err
    assert not os.path.exists(tmp_path / "out" / "evaluation.html")


def test_figures_are_written_as_people_write_them() -> None:
    cell = words.signed({"value": -1.234, "low": -2.0, "high": 0.0001, "photos": 3}, shaded=True)
    assert (cell.words, cell.interval, cell.shade) == ("−1.23", "−2.00 to 0.00", -2)
    assert words.found({"value": None}).words == "–"
    assert words.found({"value": float(np.float64(0.5)), "low": None, "high": None}, "{:.1%}").words == "50.0%"
