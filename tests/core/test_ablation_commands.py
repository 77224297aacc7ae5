"""The two measurements by hand, at toy size: what labels are worth, and what the latent adversary does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import alignment, fine_tuning
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.painted_kinds import KINDS, Painter, painted_sets
from oldphoto_core.evaluation.sheet import save_picture
from oldphoto_core.training.data import resize
from oldphoto_core.training.schedule import seeded
from tests.core.retraining_material import tiny_release


def write_photos(folder: Path, count: int, side: int, seed: int) -> None:
    import torch

    generator = seeded(seed, "photos on disk", 0)
    for number in range(count):
        field = resize(torch.rand(1, 3, 9, 9, generator=generator), side)[0].permute(1, 2, 0)
        field = (field + 0.03 * torch.randn(field.shape, generator=generator)).clamp(0, 1)
        save_picture(folder / f"{number:02d}_photo{seed}x{number}.png", (field * 255).round().byte().numpy())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    write_photos(root / "clean", 8, 96, 1)
    write_photos(root / "old", 18, 208, 2)
    tiny_release(root / "release")
    return root


def scores(rng: np.random.Generator, gap: float) -> ScoreHistogram:
    truth = rng.random(500) < 0.2
    histogram = ScoreHistogram()
    histogram.add(np.clip(0.4 + gap * truth + 0.1 * rng.standard_normal(500), 0, 1), truth)
    return histogram


def test_a_comparison_resamples_photos_alike_for_both():
    rng = np.random.default_rng(0)
    before, after = [scores(rng, 0.05) for _ in range(30)], [scores(rng, 0.2) for _ in range(30)]
    found = fine_tuning.compare(before, after)
    assert found.before < found.after
    assert found.before_interval[0] < found.before < found.before_interval[1]
    assert 0 < found.change_interval[0] < found.after - found.before < found.change_interval[1]
    same = fine_tuning.compare(before, before)
    assert same.change_interval == (0.0, 0.0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"film-dust"}))
def test_a_painted_kind_changes_its_mask_and_hardly_anything_else(kind: str):
    photo = np.full((240, 300, 3), 120, np.uint8)
    photo[:, 150:] = 60
    for seed in range(3):
        painted = Painter([kind]).paint("a", photo, (seed,))
        again = Painter([kind]).paint("a", photo, (seed,))
        assert np.array_equal(painted.image, again.image)
        change = np.abs(painted.image.astype(int) - photo).max(axis=2)
        assert change[painted.mask].min(initial=255) >= 4
        assert not (painted.mask & painted.ignore).any()
        elsewhere = change[~painted.mask & ~painted.ignore]
        if KINDS[kind].draw and kind not in ("fold", "flaking", "tear"):  # those shade the photo around them
            assert np.percentile(elsewhere, 99) <= 16


def test_dust_of_real_film_is_read_from_the_textures(tmp_path: Path):
    with pytest.raises(ConfigError, match="film-dust is read from"):
        Painter(["film-dust"], textures=tmp_path)
    with pytest.raises(ConfigError, match="no kind of damage frost; known: tape"):
        Painter(["frost"])
    dust = np.zeros((200, 200), np.uint8)
    dust[50:60, 50:60] = 255
    save_picture(tmp_path / "0000_fds-realmask_Scan1_tile0.png", np.repeat(dust[..., None], 3, 2))
    painted = Painter(["film-dust"], textures=tmp_path).paint("a", np.full((240, 300, 3), 120, np.uint8), (1,))
    assert 0.001 < painted.mask.mean() < 0.02


def test_the_worth_of_labels_is_measured_on_photos_that_were_not_trained_on(folders: Path, tmp_path: Path):
    code = fine_tuning.main(
        ["--photos", f"{folders / 'clean'}", "--old", f"{folders / 'old'}", "--kind", "tape", "--labelled", "3",
         "--validation", "2", "--test", "10", "--steps", "2", "--forget-steps", "2", "--judged", "2",
         "--release", f"{folders / 'release'}", "--out", f"{tmp_path}"]
    )  # fmt: skip
    figures = json.loads((tmp_path / "fine_tuning.json").read_text())
    assert code == (0 if all(figures["met"].values()) else 1)
    assert figures["labelled"] == 3
    assert figures["this kind"]["photos"] == figures["old kinds"]["photos"] == 10
    assert 0 <= figures["this kind"]["before"] <= 1
    assert "| this kind | 10 |" in (tmp_path / "fine_tuning.md").read_text()
    names = {
        name: {p.name for p in photos}
        for name, photos in painted_sets(
            sorted((folders / "old").iterdir()), "tape", labelled=3, validation=2, test=10, textures=None, seed=0
        ).items()
    }
    assert not names["train"] & (names["test"] | names["validation"])
    assert names["test"] == names["others"]


def test_a_folder_with_too_few_old_photos_is_told(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = fine_tuning.main(
        ["--photos", f"{folders / 'clean'}", "--old", f"{folders / 'old'}", "--labelled", "30", "--judged", "2",
         "--release", f"{folders / 'release'}", "--out", f"{tmp_path}"]
    )  # fmt: skip
    assert code == 2
    assert "18 old photos of 200 px or more; expected at least 52" in capsys.readouterr().err


def test_both_variants_of_the_ablation_are_measured_on_held_out_photos(folders: Path, tmp_path: Path):
    code = alignment.main(
        ["--photos", f"{folders / 'clean'}", "--old", f"{folders / 'old'}", "--steps", "2", "--release",
         f"{folders / 'release'}", "--out", f"{tmp_path}"]
    )  # fmt: skip
    figures = json.loads((tmp_path / "alignment.json").read_text())
    assert set(figures["variants"]) == {"without", "with"}
    assert all(row["psnr"] > 10 and row["wasserstein"] > 0 for row in figures["variants"].values())
    assert code == (0 if all(figures["met"].values()) else 1)
    assert "reconstruction, dB" in (tmp_path / "alignment.md").read_text()


def test_the_ablation_is_met_by_half_the_probe_and_one_decibel():
    without = {"probe": 0.2, "psnr": 50.0}
    assert all(alignment.verdict(without, {"probe": 0.1, "psnr": 49.0}).values())
    assert not all(alignment.verdict(without, {"probe": 0.11, "psnr": 50.0}).values())
    assert not all(alignment.verdict(without, {"probe": 0.0, "psnr": 48.9}).values())
    assert not any(alignment.verdict(without, {"probe": float("nan"), "psnr": 40.0}).values())
