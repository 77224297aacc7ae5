"""Faces and words: found in the clean photo, measured inside alone; and the few photos of slow methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.comparison import parts
from oldphoto_core.evaluation.comparison.figures import paired_figures
from oldphoto_core.evaluation.comparison.methods import all_methods
from oldphoto_core.evaluation.comparison.parts import FaceCache, Region, faces_in, union, with_words
from oldphoto_core.evaluation.comparison.prior_method import PRIOR, PriorSettings
from oldphoto_core.evaluation.comparison.running import Comparison, run_comparison
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings
from oldphoto_core.evaluation.comparison.summary import summarise
from oldphoto_core.evaluation.second_generator import damage
from oldphoto_core.splits import is_held_out
from tests.core.classical_release import ClassicalRelease, ClassicalRestorer

SHA = "ab" * 32


def portrait() -> np.ndarray:
    """An astronaut's head and shoulders, (112, 112, 3), the face near the middle."""
    head = skimage.data.astronaut()[10:210, 120:320]
    return np.asarray(cv2.resize(head, (112, 112), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_face_is_found_where_it_is_and_none_where_there_is_none() -> None:
    (face,) = faces_in(portrait(), SHA)
    assert face.top < 55 < face.top + face.height and face.left < 55 < face.left + face.width
    assert 38 < face.width < 100
    assert faces_in(np.ascontiguousarray(portrait()[::-1]), SHA) == ()


def test_what_a_person_saw_to_be_no_face_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = parts._agreed(portrait())
    monkeypatch.setattr(parts, "SEEN_NO_FACE", {f"{SHA[:12]}/112x112/{found.top}/{found.left}"})
    assert faces_in(portrait(), SHA) == ()
    assert len(faces_in(portrait(), "cd" * 32)) == 1


def test_faces_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FaceCache(tmp_path / "faces.json")
    found = cache.faces(portrait(), SHA)
    cache.save()
    monkeypatch.setattr(parts, "faces_in", lambda photo, sha256: pytest.fail("looked for again"))
    assert FaceCache(tmp_path / "faces.json").faces(portrait(), SHA) == found != ()


def test_words_are_where_they_are_said_to_be() -> None:
    ground = np.full((200, 320, 3), 90, np.uint8)
    for seed in (4, 5):
        picture, regions = with_words(ground, seed)
        changed = (picture != ground).any(axis=2)
        assert changed.any() and not (changed & ~union(regions, changed.shape)).any()
    assert not np.array_equal(with_words(ground, 4)[0], with_words(ground, 5)[0])


def test_figures_of_a_region_are_those_of_its_pixels_alone() -> None:
    damaged = damage(portrait(), 3, kind="mixed", severity=0.6)
    region = Region(20, 30, 60, 50)
    result = damaged.image.copy()
    figures = paired_figures(result, damaged, (region,), None)
    assert figures["psnr"] == pytest.approx(metrics.psnr(region.crop(result), region.crop(damaged.target)))
    assert figures["ssim"] == pytest.approx(metrics.ssim(region.crop(result), region.crop(damaged.target)))
    assert figures["mask_coverage"] == pytest.approx(region.crop(damaged.mask).mean())
    outside = result.copy()
    outside[:20] = 0
    again = paired_figures(outside, damaged, (region,), None)
    assert all(again[name] == figures[name] for name in ("psnr", "masked_psnr", "ssim", "delta_e"))
    assert paired_figures(result, damaged, (), None)["psnr"] == metrics.psnr(result, damaged.target)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """One portrait with faces and words and as the one of the few, one photo of mixed damage."""
    folder = tmp_path_factory.mktemp("clean")
    name = next(n for n in (f"{k:04d}_photo{k}.png" for k in range(99)) if is_held_out(n))
    cv2.imwrite(str(folder / name), portrait()[..., ::-1])
    settings = ComparisonSettings(
        folder, drawn_count=1, kind_count=0, harm_count=0, shown=1, role="all", generators=("second",), side_px=112,
        prior_side_px=96, faces_count=1, text_count=1, prior_photos=1, prior=PriorSettings(steps=2, width=4, scales=2),
    )  # fmt: skip
    out = tmp_path_factory.mktemp("out")
    return run_comparison(settings, out, release=ClassicalRelease(), code_version="1")


def rows_of(found: Comparison, kind: str) -> dict[str, float]:
    return {row.method: row.psnr for row in found.rows if row.kind == kind}


def test_slow_methods_are_run_on_the_few_alone_and_all_others_on_the_same(measured: Comparison) -> None:
    assert [row.kind for row in measured.rows if row.method == PRIOR] == ["few"]
    few = [row for row in measured.rows if row.kind == "few"]
    assert {row.side_px for row in few} == {96}
    assert {row.side_px for row in measured.rows if row.kind == "mixed"} == {112}
    assert {row.method for row in few} == {m.name for m in all_methods(ClassicalRestorer(), prior=PriorSettings())}


def test_faces_and_words_are_measured_for_every_other_method_and_their_crops_are_kept(measured: Comparison) -> None:
    for kind in ("faces", "text"):
        assert set(rows_of(measured, kind)) == {m.name for m in all_methods(ClassicalRestorer())}
    ((case, folder),) = ((case, folder) for case, folder in measured.shown if case.kind == "faces")
    for name in ("target", "input", "restored", "sequential-telea-true-mask"):
        assert cv2.imread(str(folder / f"{name}.png")).shape[:2] == (case.regions[0].height, case.regions[0].width)
    assert rows_of(measured, "faces")["input"] != rows_of(measured, "mixed")["input"]


def test_the_summary_sets_them_beside_each_other_and_never_the_few_beside_all(measured: Comparison) -> None:
    summary = summarise(measured, all_methods(ClassicalRestorer(), prior=measured.settings.prior_used))
    tables = {(t["kind"], t["severity"]): t["methods"] for t in summary["paired"]}
    assert PRIOR not in tables["mixed", "drawn"] and PRIOR in tables["few", "drawn"]
    over = tables["few", "drawn"]["restored"][f"aligned_psnr_over_{PRIOR}"]["value"]
    by = {row.method: row.aligned_psnr for row in measured.rows if row.kind == "few"}
    assert over == pytest.approx(by["restored"] - by[PRIOR])
    (goal,) = (goal for goal in summary["goals"] if goal["figure"] == f"aligned_psnr_over_{PRIOR}")
    assert goal["met"] == (over > 0)


def test_the_prior_is_fitted_again_where_its_settings_change_alone(measured: Comparison, tmp_path: Path) -> None:
    settings = replace(measured.settings, shown=0, faces_count=0, text_count=0)

    def methods_computed(prior: PriorSettings) -> Sequence[str]:
        before = run_comparison(settings, tmp_path, release=None, code_version="1").rows
        after = run_comparison(replace(settings, prior=prior), tmp_path, release=None, code_version="1")
        assert after.computed == len({row.key for row in after.rows} - {row.key for row in before})
        return [row.method for row in after.rows if row.key not in {old.key for old in before}]

    assert methods_computed(settings.prior) == []
    assert methods_computed(replace(settings.prior, steps=3)) == [PRIOR]


def test_the_seen_finds_name_photos_sizes_and_places() -> None:
    for one in parts.SEEN_NO_FACE:
        sha, size, top, left = one.split("/")
        assert len(sha) == 12 and int(sha, 16) >= 0
        height, width = map(int, size.split("x"))
        assert int(top) < height and int(left) < width
