"""A retrain goes from a release to a candidate, stage by stage, and a killed one ends as one that was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from oldphoto_core.errors import TrainingError
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.checkpoint import WEIGHTS
from oldphoto_core.training.retraining import STAGES, Hooks, begin_run, pack_candidate, stage_folders, train_stage
from oldphoto_core.training.schedule import Budget
from tests.core.retraining_material import labelled_material, tiny_release

STEPS = 8
OPERATING = {"logit_offset": 0.3}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> ReleaseCard:
    return tiny_release(tmp_path_factory.mktemp("parent") / "release", operating=OPERATING)


def retrain(run: Path, parent: ReleaseCard, stages=STAGES, **given):
    begin_run(run, parent, first=stages[0])
    return [
        train_stage(s, labelled_material(), run, parent=parent, budget=Budget(steps=STEPS), seed=5, threads=1, **given)
        for s in stages
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, parent: ReleaseCard):
    folder = tmp_path_factory.mktemp("run")
    told: list[tuple[float, float | None]] = []
    saved: list[str] = []
    hooks = Hooks(
        saved=lambda place: saved.append(place.name),
        progress=lambda share, left, figures: told.append((share, left)),
    )
    outcomes = retrain(folder, parent, hooks=hooks)
    return folder, outcomes, told, saved


def test_each_stage_tells_its_figures_before_and_after(run):
    _, outcomes, _, _ = run
    assert [o.stage for o in outcomes] == list(STAGES)
    assert all(o.finished for o in outcomes)
    detector, vaes, translation = outcomes
    assert {"labelled/auc", "labelled/f1", "labelled/threshold", "second/auc", "own/ap"} <= set(detector.figures)
    assert {"clean/psnr", "old and damaged/psnr", "old and damaged/wasserstein"} <= set(vaes.figures)
    assert {"detected/psnr", "true mask/ssim", "clean/psnr", "old/blur_effect"} <= set(translation.figures)
    for outcome in outcomes:
        assert set(outcome.figures) == set(outcome.figures_before)
        assert outcome.table[0]["change"] is not None
        assert outcome.sheet_path is not None
        assert outcome.report_path is not None
        for picture in (outcome.sheet_path, *outcome.pictures):
            assert picture.read_bytes().startswith(b"\x89PNG"), picture
        assert "before" in outcome.report_path.read_text()


def test_the_roc_curve_is_kept_as_numbers(run):
    folder, outcomes, _, _ = run
    rows = pq.read_table(folder / "detector" / "roc.parquet").to_pylist()
    assert {row["detector"] for row in rows} == {"before", "after"}
    assert {row["set"] for row in rows} == {"own", "second", "labelled"}
    after = [(r["false_rate"], r["true_rate"]) for r in rows if (r["detector"], r["set"]) == ("after", "labelled")]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(after, after[1:], strict=False))
    assert area == pytest.approx(outcomes[0].figures["labelled/auc"], abs=1e-6)


def test_hooks_hear_of_progress_and_of_every_networks_checkpoints(run):
    _, _, told, saved = run
    shares = [share for share, _ in told]
    assert all(0 < share <= 1 for share in shares)
    assert list(dict.fromkeys(saved)) == [n for stage in STAGES for n in stage_folders(stage)]
    assert shares.count(1.0) == len(STAGES), "each stage, of however many networks, ends at the whole"
    assert all(left is None or left >= 0 for _, left in told)


def test_a_candidate_holds_what_was_trained_and_names_its_parent(run, parent: ReleaseCard, tmp_path: Path):
    folder, outcomes, _, _ = run
    card = pack_candidate(folder, tmp_path / "candidate", parent, {"snapshot": "ab" * 32, "seeds": {"detector": 5}})
    assert card.name != parent.name
    assert card.card["parent"] == {"name": parent.name, "weights_hash": parent.weights_hash}
    assert card.card["snapshot"] == "ab" * 32
    assert card.metrics["detector"]["after"]["second/auc"] == outcomes[0].figures["second/auc"]
    assert set(card.card["operating"]) == set(OPERATING)
    assert abs(card.card["operating"]["logit_offset"]) < 4
    assert set(card.files) == set(parent.files)
    kept = {name for name in card.files if card.files[name] == parent.files[name]}
    assert kept - {"look.safetensors"} == {"mender.safetensors"}
    load_release(card)
    again = pack_candidate(folder, tmp_path / "again", parent, {"snapshot": "ab" * 32, "seeds": {"detector": 5}})
    assert again.name == card.name


class Killed(BaseException):
    """Ends a run as a kill would: nothing after it is written."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_with_the_same_weights(run, parent: ReleaseCard, tmp_path: Path, stage: str):
    whole, outcomes, _, _ = run
    folder = tmp_path / "killed"
    begin_run(folder, parent)
    for name in [n for s in STAGES[: STAGES.index(stage)] for n in stage_folders(s)]:
        shutil.copytree(whole / name, folder / name)
    calls = []

    def kill(place: Path) -> None:
        calls.append(place.name)
        raise Killed

    with pytest.raises(Killed):
        retrain(folder, parent, (stage,), hooks=Hooks(saved=kill)) if stage == "detector" else train_stage(
            stage, labelled_material(), folder, parent=parent, budget=Budget(steps=STEPS), seed=5, threads=1,
            hooks=Hooks(saved=kill),
        )  # fmt: skip
    assert calls == [stage_folders(stage)[0]]
    outcome = train_stage(
        stage, labelled_material(), folder, parent=parent, budget=Budget(steps=STEPS), seed=5, threads=1
    )
    for name in stage_folders(stage):
        first, second = (load_file(where / name / WEIGHTS["best"]) for where in (whole, folder))
        assert all(torch.equal(value, second[key]) for key, value in first.items()), name
    assert outcome.figures == pytest.approx(outcomes[STAGES.index(stage)].figures, nan_ok=True)
    assert outcome.figures_before == pytest.approx(outcomes[STAGES.index(stage)].figures_before, nan_ok=True)


def test_a_retrain_from_a_later_stage_keeps_the_parents_detector(parent: ReleaseCard, tmp_path: Path):
    begin_run(tmp_path / "run", parent, first="translation")
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"look", "detector", "vae_x", "vae_y"}
    [outcome] = retrain(tmp_path / "run", parent, ("translation",))
    assert outcome.finished
    card = pack_candidate(tmp_path / "run", tmp_path / "candidate", parent)
    assert card.card["operating"] == OPERATING
    kept = load_file(card.folder / "detector.safetensors"), load_file(parent.folder / "detector.safetensors")
    assert all(torch.equal(value, kept[1][key]) for key, value in kept[0].items())


def test_new_vaes_are_not_packed_with_a_translation_that_does_not_know_them(run, parent: ReleaseCard, tmp_path: Path):
    for name in ("look", "vae_x", "vae_y"):
        shutil.copytree(run[0] / name, tmp_path / "run" / name)
    with pytest.raises(TrainingError, match="no translation"):
        pack_candidate(tmp_path / "run", tmp_path / "candidate", parent)


def test_a_run_folder_of_another_parent_is_refused(parent: ReleaseCard, tmp_path: Path):
    other = tiny_release(tmp_path / "other", operating={"logit_offset": 0.9})
    begin_run(tmp_path / "run", parent)
    begin_run(tmp_path / "run", parent)
    with pytest.raises(TrainingError, match=f"is of {parent.name}, expected {other.name}"):
        begin_run(tmp_path / "run", other)


def test_an_unknown_setting_is_named(parent: ReleaseCard, tmp_path: Path):
    with pytest.raises(TrainingError, match="no setting ratte"):
        train_stage(
            "vaes", labelled_material(), tmp_path, parent=parent, budget=Budget(steps=1), changes={"ratte": 1}
        )


def test_the_report_is_json_without_nan(run):
    for name in ("detector", "vae_x", "translation"):
        json.loads((run[0] / name / "report.json").read_text(), parse_constant=lambda word: pytest.fail(word))
