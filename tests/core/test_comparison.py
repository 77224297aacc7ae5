"""The protocol of `oldphoto evaluate`: kinds of damage, methods, rows that are not computed twice."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import cv2
import duckdb
import numpy as np
import pytest

from oldphoto_core.errors import ConfigError, ReleaseError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.comparison import running
from oldphoto_core.evaluation.comparison.harm import measured_harm
from oldphoto_core.evaluation.comparison.interface import needs_true_mask
from oldphoto_core.evaluation.comparison.kinds import KINDS, MARKED, Kind, make_kind_damager
from oldphoto_core.evaluation.comparison.learned_distance import LearnedDistance, why_not
from oldphoto_core.evaluation.comparison.methods import CLASSICAL_TRUE_MASK, all_methods
from oldphoto_core.evaluation.comparison.release_methods import FolderRelease, LateRestorer
from oldphoto_core.evaluation.comparison.rows import DETECTOR, Row, RowStore, key_of
from oldphoto_core.evaluation.comparison.running import Comparison, run_comparison
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings
from oldphoto_core.evaluation.comparison.summary import summarise
from oldphoto_core.evaluation.generators import Generator
from oldphoto_core.evaluation.second_generator import damage
from oldphoto_core.releases.card import find_release
from oldphoto_core.training.material_folder import write_labelled
from tests.core.classical_release import ClassicalRelease, ClassicalRestorer


def scene(height: int = 96, width: int = 112, seed: int = 5) -> np.ndarray:
    small = np.random.default_rng(seed).integers(20, 235, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 photos, of which some are held out."""
    folder = tmp_path_factory.mktemp("clean")
    for k in range(60):
        cv2.imwrite(str(folder / f"{k:04d}_photo{k}.png"), scene(seed=k))
    return folder


def settings_for(photos: Path, **changed: object) -> ComparisonSettings:
    small = ComparisonSettings(
        photos, drawn_count=2, kind_count=0, old_count=1, harm_count=0, side_px=64, shown=1, role="all"
    )
    return replace(small, **changed)  # type: ignore[arg-type]


def measured(
    photos: Path, out: Path, *, code: str = "1", release: str = "classical-1", **changed: object
) -> Comparison:
    given = {"generators": ("second",), "old_dir": photos, **changed}
    return run_comparison(settings_for(photos, **given), out, release=ClassicalRelease(release), code_version=code)


@pytest.mark.parametrize("generator", ["first", "second"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_damage_grows_with_its_severity_and_is_repeatable(generator: Generator, kind: Kind) -> None:
    clean = scene(96, 96)
    found = {}
    for severity in ("mild", "bad"):
        damager = make_kind_damager(generator, kind, severity)
        made = [damager(clean, seed) for seed in range(8)]
        found[severity] = np.mean([metrics.psnr(one.image, one.target) for one in made])
        assert any(one.mask.any() for one in made) == (kind in MARKED)
        again = make_kind_damager(generator, kind, severity)(clean, 3)
        assert np.array_equal(again.image, made[3].image)
        assert not (again.mask & again.ignore).any()
    assert found["bad"] < found["mild"]


def test_mixed_damage_as_drawn_is_what_the_second_generator_makes() -> None:
    clean = scene(64, 64)
    ours, own = make_kind_damager("second", "mixed", "drawn")(clean, 7), damage(clean, 7, kind="mixed")
    assert np.array_equal(ours.image, own.image) and np.array_equal(ours.mask, own.mask)


def test_methods_have_names_of_their_own_and_say_whether_they_need_the_true_mask() -> None:
    methods = all_methods(LateRestorer(ClassicalRelease()))
    names = [method.name for method in methods]
    assert len(set(names)) == len(names)
    assert set(CLASSICAL_TRUE_MASK) <= set(names)
    assert all(needs_true_mask(method) == method.name.endswith("true-mask") for method in methods)
    assert not any(method.mask_source == "detected" for method in all_methods(None))


def test_every_method_gives_a_picture_of_the_same_size_and_none_harms_a_scratch_with_the_true_mask() -> None:
    clean = scene(96, 96)
    mask = np.zeros((96, 96), np.uint8)
    cv2.line(mask, (5, 10), (90, 80), 1, 2)
    damaged = np.where(mask[..., None] > 0, np.uint8(250), clean)
    for method in all_methods(ClassicalRestorer()):
        result = method.restore(damaged, mask)
        assert result.shape == damaged.shape and result.dtype == np.uint8
        if needs_true_mask(method):
            assert metrics.aligned_psnr(result, clean, mask > 0) > metrics.psnr(damaged, clean) + 3, method.name


def test_rows_come_back_from_parquet_as_they_were_and_can_be_queried(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "figures.parquet")
    row = Row(
        "k1", "a.png", "00ff", "second", "scratch", "mild", DETECTOR, psnr=31.5,
        damaged_by_score=(1, 2), sound_by_score=(3, 4), further={"marked": 0.25},
    )  # fmt: skip
    store.add([row, replace(row, key="k2", method="input", damaged_by_score=(), further={})])
    store.save()
    again = RowStore(tmp_path / "figures.parquet")
    assert list(again) == ["k1", "k2"]
    one = again.rows(["k1"])[0]
    for field in fields(Row):
        value, wanted = getattr(one, field.name), getattr(row, field.name)
        assert value == wanted or (math.isnan(value) and math.isnan(wanted)), field.name
    found = duckdb.sql(f"SELECT avg(psnr) FROM '{tmp_path}/figures.parquet' WHERE method = 'input'").fetchall()
    assert found == [(31.5,)]


def test_another_table_is_not_taken_for_figures(tmp_path: Path) -> None:
    path = tmp_path / "figures.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(ConfigError, match="no table of this protocol"):
        RowStore(path)
    assert path.read_bytes() == b"no table"


def test_keys_differ_with_all_that_decides_a_figure() -> None:
    assert key_of(a=1, b="x") == key_of(b="x", a=1)
    assert len({key_of(a=1, b="x"), key_of(a=2, b="x"), key_of(a=1, b="y")}) == 3


def test_nothing_is_computed_twice_and_a_new_release_computes_what_it_had_a_hand_in(
    photos: Path, tmp_path: Path
) -> None:
    first = measured(photos, tmp_path)
    assert first.computed == len(first.rows) > 0
    assert measured(photos, tmp_path).computed == 0
    more = measured(photos, tmp_path, drawn_count=3)
    assert 0 < more.computed < first.computed
    other = measured(photos, tmp_path, release="classical-2", shown=0)
    again = {row.method for row in other.rows if row.release == "classical-2"}
    assert again == {DETECTOR, "restored", "restored-true-mask"} | {
        method.name for method in all_methods(ClassicalRestorer()) if method.mask_source == "detected"
    }
    assert measured(photos, tmp_path, code="2").computed == len(first.rows)


def test_other_methods_are_given_what_the_release_would_mend(photos: Path, tmp_path: Path) -> None:
    settings = settings_for(photos, generators=("second",), shown=0)
    found = {
        above: run_comparison(
            settings, tmp_path, release=ClassicalRelease(f"classical-{above}", above), code_version="1"
        )
        for above in (0.2, 1.0)
    }  # fmt: skip
    marked = {above: [r.further["marked"] for r in one.rows if r.method == DETECTOR] for above, one in found.items()}
    assert all(marked[0.2]) and not any(marked[1.0])
    figures = {(r.photo, r.method): r.psnr for r in found[1.0].rows}
    assert all(figures[p, "telea-detected-mask"] == figures[p, "input"] for p, m in figures if m == "input")


def test_a_run_that_was_stopped_goes_on_with_the_same_figures(photos: Path, tmp_path: Path) -> None:
    whole = measured(photos, tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(
            settings_for(photos, generators=("second",), old_dir=photos), tmp_path / "stopped",
            release=ClassicalRelease(), code_version="1", progress=stop,
        )  # fmt: skip
    left = measured(photos, tmp_path / "stopped")
    assert 0 < left.computed < whole.computed
    assert [(r.key, r.method, str(r.psnr)) for r in left.rows] == [(r.key, r.method, str(r.psnr)) for r in whole.rows]


def test_two_processes_find_what_one_finds(photos: Path, tmp_path: Path) -> None:
    one = measured(photos, tmp_path / "one")
    settings = settings_for(photos, generators=("second",), old_dir=photos)
    two = run_comparison(settings, tmp_path / "two", release=ClassicalRelease(), code_version="1", jobs=2)
    assert [(r.key, str(r.psnr), r.further) for r in one.rows] == [(r.key, str(r.psnr), r.further) for r in two.rows]


def test_pictures_of_shown_cases_are_kept_and_made_again_when_they_are_gone(photos: Path, tmp_path: Path) -> None:
    found = measured(photos, tmp_path)
    _, folder = found.shown[0]
    names = {path.stem for path in folder.iterdir()}
    assert {"input", "restored", "true-mask", "detected-mask", "target"} <= names
    (folder / "target.png").unlink()
    assert measured(photos, tmp_path).computed > 0
    assert (folder / "target.png").exists()


def test_mistakes_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no held-out photos"):
        measured(tmp_path, tmp_path / "out", old_dir=None)
    with pytest.raises(ConfigError, match="jobs is 0"):
        run_comparison(settings_for(photos), tmp_path, release=None, code_version="1", jobs=0)
    with pytest.raises(ConfigError, match="side_px"):
        settings_for(photos, side_px=20)


def test_without_a_release_the_classical_ways_are_measured(photos: Path, tmp_path: Path) -> None:
    settings = settings_for(photos, generators=("second",))
    found = run_comparison(settings, tmp_path, release=None, code_version="1")
    assert {row.method for row in found.rows} == {method.name for method in all_methods(None)}
    assert not (tmp_path / running.PICTURES / "detected-mask.png").exists()


def test_the_detector_is_measured_on_labelled_photos_by_peoples_masks(photos: Path, tmp_path: Path) -> None:
    clean = scene(96, 96)
    marks = np.zeros((96, 96), np.uint8)
    cv2.line(marks, (10, 10), (80, 70), 1, 2)
    damaged = np.where(marks[..., None] > 0, np.uint8(250), clean)
    folder = tmp_path / "material"
    write_labelled(folder, "test", "aa" * 32, damaged, marks > 0)
    write_labelled(folder, "test", "bb" * 32, damaged[::-1].copy(), marks[::-1] > 0)
    write_labelled(folder, "train", "cc" * 32, damaged, marks > 0)
    found = measured(photos, tmp_path / "out", old_dir=None, labelled_dir=folder)
    own = [row for row in found.rows if row.kind == "labelled"]
    assert [row.method for row in own] == [DETECTOR, DETECTOR]
    summary = summarise(found, all_methods(ClassicalRestorer()))
    (entry,) = (e for e in summary["detection"] if e["kind"] == "labelled")
    assert entry["photos"] == 2 and entry["auc"]["value"] > 0.95
    assert sum(own[0].damaged_by_score) == marks.sum()
    assert 0 < sum(own[0].sound_by_score) < 96 * 96 - 2 * marks.sum()  # beside the mask nothing counts
    (goal,) = (goal for goal in summary["goals"] if goal["figure"] == "marked.all.auc")
    assert goal["value"] == entry["auc"]["value"] and goal["met"] == (entry["auc"]["value"] >= 0.96)

    write_labelled(folder, "test", "aa" * 32, damaged, marks > 1)
    assert measured(photos, tmp_path / "out", old_dir=None, labelled_dir=folder).computed == 1
    with pytest.raises(ConfigError, match="no photo with a mask"):
        measured(photos, tmp_path / "out", labelled_dir=tmp_path)


def test_harm_is_measured_once_for_a_release_and_becomes_rows(photos: Path, tmp_path: Path) -> None:
    settings = settings_for(photos, harm_count=2)
    card = find_release("default")
    found = measured_harm(settings, FolderRelease(card, "cpu"), tmp_path, "1", sections=("clean",))
    assert {row.kind for row in found.rows} == {"harm/clean"} and len(found.rows) == 2
    assert all(row.further["scratches"] > 30 for row in found.rows)
    assert any(check.what == "PSNR to the input, dB, full, mean" for check in found.checks)

    gone = FolderRelease(replace(card, folder=tmp_path / "gone"), "cpu")
    again = measured_harm(settings, gone, tmp_path, "1", sections=("clean",))
    assert again == found
    with pytest.raises(ReleaseError):
        measured_harm(settings, gone, tmp_path, "2", sections=("clean",))


def test_lpips_is_measured_where_all_of_it_is_at_hand_and_nowhere_else() -> None:
    assert (LearnedDistance.at_hand() is None) == (why_not() is not None)
