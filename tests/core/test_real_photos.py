"""Real photos: what is acted on of marked damage, in photos with nothing wrong, in faces; film; and their summary."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import real_photos
from oldphoto_core.evaluation.comparison.methods import all_methods
from oldphoto_core.evaluation.comparison.real_summary import real_figures
from oldphoto_core.evaluation.comparison.release_methods import LateRestorer
from oldphoto_core.evaluation.comparison.rows import Row
from oldphoto_core.evaluation.comparison.running import Comparison, run_comparison
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings
from oldphoto_core.evaluation.comparison.summary import summarise
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.hand_marks import NOT_GENUINE, marked_sha256
from oldphoto_core.evaluation.real_photos import acted_on_marks, acted_on_sound, held_out_frames, reviewed_photos
from tests.core.classical_release import ClassicalRelease

COLUMNS = ("file", "verdict", "note", "where", "kind", "faces", "ignore", "missed", "true_red")


def scene(seed: int, height: int = 96, width: int = 112) -> np.ndarray:
    small = np.random.default_rng(seed).integers(20, 235, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def scratched(seed: int) -> tuple[np.ndarray, np.ndarray]:
    photo, mask = scene(seed), np.zeros((96, 112), np.uint8)
    cv2.line(mask, (10, 10), (90, 70), 255, 2)
    return np.where(mask[..., None] > 0, np.uint8(255), photo), mask


def write_review(folder: Path, rows: dict[str, dict[str, str]]) -> Path:
    table = folder / "REVIEW.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"file": name} | row for name, row in rows.items())
    return table


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """Clean photos, reviewed old ones, and a film of which two frames are held out."""
    for name in ("clean", "old", "film/frames", "film/masks"):
        (tmp_path / name).mkdir(parents=True)
    for k in range(60):
        cv2.imwrite(str(tmp_path / "clean" / f"{k:04d}_photo{k}.png"), scene(k))
    for k in range(4):
        cv2.imwrite(str(tmp_path / "old" / f"{k}.png"), scene(100 + k))
    cv2.imwrite(str(tmp_path / "old" / "2-again.jpg"), scene(102), [cv2.IMWRITE_JPEG_QUALITY, 90])
    cv2.imwrite(str(tmp_path / "old" / "3-scratched.png"), scratched(103)[0])
    for k, name in enumerate(("within-1", "within-2", "market-1")):
        frame, mask = scratched(200 + k)
        mask[:, :20] = 128
        cv2.imwrite(str(tmp_path / "film" / "frames" / f"{name}.jpg"), frame)
        cv2.imwrite(str(tmp_path / "film" / "masks" / f"{name}.png"), mask)
    lines = ["name,sequence", "within-1,rrtn_withi", "market-1,rrtn_a_trip", "within-2,rrtn_withi"]
    (tmp_path / "film" / "LABELS.csv").write_text("\n".join(lines) + "\n")
    write_review(
        tmp_path,
        {
            "0.png": {"verdict": "clean"},
            "1.png": {"verdict": "clean-but", "ignore": "0,0,0.5,1"},
            "2.png": {"verdict": "clean"},
            "2-again.jpg": {"verdict": "clean"},
            "3-scratched.png": {"verdict": "right", "true_red": "0,0,1,1"},
            "3.png": {"verdict": "unsure"},
        },
    )
    return tmp_path


def settings_for(folder: Path) -> ComparisonSettings:
    everything = ComparisonSettings.for_protocol(
        "quick", folder / "clean", old_dir=folder / "old", review_table=folder / "REVIEW.csv", film_dir=folder / "film"
    )
    return replace(everything.real_alone(), role="all", inpainted_count=2)


def measured(folder: Path, out: Path, *, release: ClassicalRelease | None = None, jobs: int = 1) -> Comparison:
    chosen = ClassicalRelease() if release is None else release
    return run_comparison(settings_for(folder), out, release=chosen, code_version="1", jobs=jobs)


def test_a_mask_that_is_grown_loses_no_precision_but_the_strict_one() -> None:
    marks = np.zeros((60, 60), bool)
    marks[20:30, 20:30] = True
    grown = cv2.dilate(marks.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    found = acted_on_marks(grown, marks, np.zeros_like(marks))
    assert (found["damaged"], found["acted"], found["acted_damaged"]) == (100, 256, 100)
    assert found["acted_near"] == 256
    far = np.zeros_like(marks)
    far[50:55, 50:55], far[20:25, 20:30] = True, True
    found = acted_on_marks(far, marks, np.zeros_like(marks))
    assert (found["acted"], found["acted_near"], found["acted_damaged"]) == (75, 50, 50)


def test_what_nobody_can_tell_counts_neither_as_found_nor_as_missed() -> None:
    marks, neither = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    marks[5:10, 5:10], neither[12:] = True, True
    found = acted_on_marks(np.ones((20, 20), bool), marks, neither)
    assert found["acted"] == 12 * 20 and found["damaged"] == found["acted_damaged"] == 25
    assert acted_on_marks(neither, marks, neither)["acted"] == 0


def test_what_is_acted_on_is_counted_outside_ignored_boxes_and_in_faces_once_more() -> None:
    acted, ignored = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
    acted[0:10], ignored[:, 20:] = True, True
    found = acted_on_sound(acted, ignored, [(10, 5, 30, 15), (15, 5, 22, 15)])
    assert found == {"judged": 400, "acted": 200, "face_pixels": 100, "face_acted": 50, "faces": 2}
    assert acted_on_sound(acted, ignored, [])["face_pixels"] == 0


def test_recall_is_read_from_the_curve_at_a_share_of_false_finds() -> None:
    counts = ScoreHistogram()
    counts.positive[[1000, 500, 0]] = 30, 40, 30
    counts.negative[[1000, 500, 0]] = 0, 10, 990
    assert counts.recall_at(0.005) == pytest.approx(0.3 + 0.5 * 0.4)  # half of the way to the second threshold
    assert counts.recall_at(0.01) == pytest.approx(0.7) and counts.recall_at(0) == pytest.approx(0.3)
    assert math.isnan(ScoreHistogram().recall_at(0.01))


def test_recall_at_a_precision_is_the_largest_of_any_threshold() -> None:
    counts = ScoreHistogram()
    counts.positive[[900, 800, 700]] = 10, 80, 10
    counts.negative[[900, 800, 700]] = 5, 5, 90
    assert counts.recall_at_precision(0.9) == pytest.approx(0.9)  # though the first ten are worth 0.67
    assert counts.recall_at_precision(0.95) == 0 and counts.recall_at_precision(0.5) == 1
    assert math.isnan(ScoreHistogram().recall_at_precision(0.5))


def test_clean_pictures_are_taken_once_and_their_ignored_boxes_with_them(material: Path) -> None:
    found = reviewed_photos(material / "REVIEW.csv", material / "old")
    assert [one.review.photo.name for one in found] == ["0.png", "1.png", "2.png"]
    assert found[0].sha256 == hashlib.sha256((material / "old" / "0.png").read_bytes()).hexdigest()
    image, ignored = found[1].read()
    assert image.shape == (96, 112, 3) and ignored[:, :56].all() and not ignored[:, 56:].any()
    assert not found[0].read()[1].any()


def test_near_duplicates_of_what_is_marked_by_hand_are_held_out(
    material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = {one.review.photo.name: one.held_out for one in reviewed_photos(material / "REVIEW.csv", material / "old")}
    (name,) = [name for name, held_out in sides.items() if not held_out][-1:]
    twin = {"2.png": "2-again.jpg"}.get(name, name)
    sha256 = hashlib.sha256((material / "old" / twin).read_bytes()).hexdigest()
    monkeypatch.setattr(real_photos, "marked_sha256", lambda: [sha256])
    again = {one.review.photo.name: one.held_out for one in reviewed_photos(material / "REVIEW.csv", material / "old")}
    assert again == sides | {name: True}


def test_the_frames_of_the_held_out_film_are_found_and_others_are_not(material: Path) -> None:
    frames = held_out_frames(material / "film")
    assert [one.frame.stem for one in frames] == ["within-1", "within-2"]
    image, levels = frames[0].read()
    assert image.shape == (96, 112, 3) and set(np.unique(levels)) == {0, 128, 255}
    with pytest.raises(ConfigError, match="no frame of sequence other"):
        held_out_frames(material / "film", sequence="other")
    frames[1].frame.unlink()
    with pytest.raises(ConfigError, match="within-2 of LABELS.csv is missing"):
        held_out_frames(material / "film")
    with pytest.raises(ConfigError, match="LABELS.csv is missing"):
        held_out_frames(material / "old")


def test_a_review_without_its_photos_is_refused(material: Path) -> None:
    with pytest.raises(ConfigError, match="give the folder that they are in"):
        ComparisonSettings(material / "clean", review_table=material / "REVIEW.csv")


def test_every_part_has_its_rows_and_none_is_computed_twice(material: Path) -> None:
    found = measured(material, material / "out")
    kinds = [(row.kind, row.severity, row.method) for row in found.rows]
    assert kinds.count(("film", "as found", "detector")) == 2
    assert kinds.count(("reviewed", "as found", "restored")) == 3
    for surface in ("clean", "grain"):
        for method in ("telea-radius-5-true-mask", "navier-stokes-radius-5-true-mask", "restored-true-mask"):
            assert kinds.count(("inpainting", surface, method)) == 2
    assert len(kinds) == found.computed == 2 + 3 + 12
    assert measured(material, material / "out").computed == 0
    assert measured(material, material / "out", release=ClassicalRelease("classical-2")).computed == 2 + 3 + 4
    two = measured(material, material / "two", jobs=2)
    assert [(r.key, str(r.masked_psnr), r.further) for r in two.rows] == [
        (r.key, str(r.masked_psnr), r.further) for r in found.rows
    ]


def test_the_summary_has_each_part_and_the_goals_of_it(material: Path) -> None:
    summary = summarise(measured(material, material / "out"), all_methods(LateRestorer(ClassicalRelease())))
    real = summary["real_photos"]
    assert real["marked"] == {} and summary["paired"] == []
    assert real["film"]["photos"] == 2 and real["film"]["recall_at_false_rate"]["value"] > 0.8
    assert real["reviewed"]["all"]["mean"]["value"] == 0  # smooth scenes, on which nothing is found
    over = real["inpainting"]["clean"]["over"]["mask"]
    methods = real["inpainting"]["clean"]["methods"]
    best = max(methods[name]["mask"]["value"] for name in methods if name != "restored-true-mask")
    assert over["value"] == pytest.approx(methods["restored-true-mask"]["mask"]["value"] - best)
    met = {goal["figure"]: goal["met"] for goal in summary["goals"]}
    assert met["reviewed.all.mean"] is True and met["marked.all.auc"] is None and met["psnr"] is None


def test_without_a_release_opencv_alone_is_measured(material: Path) -> None:
    found = run_comparison(settings_for(material), material / "out", release=None, code_version="1")
    assert {row.kind for row in found.rows} == {"inpainting"} and len(found.rows) == 8
    assert "over" not in real_figures(found.rows)["inpainting"]["clean"]


def reviewed_row(number: int, acted: int, *, held_out: bool, face_acted: int | None = None) -> Row:
    faces = {"face_pixels": 0 if face_acted is None else 100, "face_acted": face_acted or 0, "faces": 1}
    return Row(
        f"k{number}", f"{number}.jpg", f"sha{number}", "none", "reviewed", "as found", "restored",
        mask_coverage=acted / 1000, further={"judged": 1000, "acted": acted, "held_out": held_out, **faces},
    )  # fmt: skip


def test_reviewed_photos_are_told_by_mean_percentile_and_worst_and_by_side() -> None:
    rows = [reviewed_row(k, k, held_out=k % 10 == 0, face_acted=50 if k == 3 else None) for k in range(101)]
    rows[7] = reviewed_row(7, 7, held_out=False, face_acted=0)
    found = real_figures(rows)["reviewed"]
    assert found["all"]["mean"]["value"] == pytest.approx(0.05) and found["all"]["most"] == pytest.approx(0.1)
    assert found["all"]["high"]["value"] == pytest.approx(0.095)
    assert (found["held_out"]["photos"], found["trained_on"]["photos"]) == (11, 90)
    assert [one["photo"] for one in found["worst"]] == [f"{k}.jpg" for k in range(100, 90, -1)]
    assert [one["held_out"] for one in found["worst"]] == [True] + [False] * 9
    assert found["faces"]["photos"] == 2 and found["faces"]["mean"]["value"] == pytest.approx(0.25)
    assert found["faces"]["pooled"] == pytest.approx(0.25) and found["faces"]["most"] == pytest.approx(0.5)


def marked_row(sha256: str, near: int) -> Row:
    damaged, sound = np.zeros(1024, int), np.zeros(1024, int)
    damaged[900], sound[5] = 100, 900
    further = {"marked": 0.1, "damaged": 100, "acted": 80, "acted_damaged": 40, "acted_near": near}
    return Row(
        sha256, f"{sha256}.png", sha256[::-1], "none", "labelled", "as found", "detector",
        damaged_by_score=tuple(damaged.tolist()), sound_by_score=tuple(sound.tolist()), further=further,
    )  # fmt: skip


def test_marked_photos_that_are_not_genuine_are_left_out_of_a_second_line() -> None:
    rows = [marked_row(sha256, 20 if sha256 in NOT_GENUINE else 60) for sha256 in marked_sha256()]
    found = real_figures(rows)["marked"]
    assert (found["all"]["photos"], found["genuine"]["photos"]) == (10, 8)
    assert found["genuine"]["precision"]["value"] == pytest.approx(60 / 80)
    assert found["all"]["precision"]["value"] == pytest.approx((8 * 60 + 2 * 20) / 800)
    assert found["all"]["strict_precision"]["value"] == pytest.approx(0.5)
    assert found["all"]["recall"]["value"] == pytest.approx(0.4)
    assert found["all"]["auc"]["value"] == 1 and found["all"]["recall_at_precision"]["value"] == 1
