"""The ablation at toy size: trained alike, resumed, measured on the same photos, and told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from oldphoto_core.evaluation.ablation import __main__ as ablation
from oldphoto_core.evaluation.ablation.plan import Plan, weights, width_of
from oldphoto_core.evaluation.ablation.variants import VARIANTS
from oldphoto_core.evaluation.comparison.trained_methods import Trained, TrainedFolder
from oldphoto_core.evaluation.held_out import held_out_photos
from oldphoto_core.evaluation.sheet import save_picture
from oldphoto_core.models.pix2pix import Pix2pixConfig, Pix2pixGenerator
from oldphoto_core.training.data import resize
from oldphoto_core.training.schedule import pixels_seen, seeded

NAMES = ["reference", "pix2pix", "no-nonlocal"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    generator = seeded(5, "photos on disk", 0)
    for folder, count in (("clean", 24), ("old", 2)):
        for number in range(count):
            field = resize(torch.rand(1, 3, 9, 9, generator=generator), 96)[0].permute(1, 2, 0)
            save_picture(root / folder / f"{number:02d}_x{number}.png", (field * 255).round().byte().numpy())
    return root


def command(folders: Path, run: Path, *more: str) -> list[str]:
    return [
        "--photos", f"{folders / 'clean'}", "--old", f"{folders / 'old'}", "--run", f"{run}", "--steps-look", "1",
        "--steps-vae", "2", "--steps-t", "1", "--batch", "2", "--steps-a-chunk", "100", "--pool-chunks", "1",
        "--chunk-photos", "1", "--count", "2", "--side-px", "64", "--judged", "1", "--only", *NAMES, *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    assert ablation.main(command(folders, folder, "--train-only")) == 0
    assert (folder / "pix2pix/trained.json").is_file() and not (folder / "figures.parquet").exists()
    assert ablation.main(command(folders, folder)) == 0
    return folder


def test_all_variants_are_measured_on_the_same_photos(run: Path, folders: Path):
    table = pq.read_table(run / "figures.parquet").to_pylist()
    photos = {path.name for path in held_out_photos(folders / "clean", role="report", count=2)}
    for generator in ("first", "second"):
        for name in NAMES:
            for source in ("true", "detected"):
                rows = [r for r in table if (r["generator"], r["method"]) == (generator, f"{name}-{source}-mask")]
                assert {row["photo"] for row in rows} == photos
                assert all(row["psnr"] > 3 and row["side_px"] == 64 for row in rows)
    assert len([r for r in table if r["kind"] == "harm/clean"]) == len(NAMES) * len(photos)
    text = (run / "ablation.md").read_text()
    assert "| the whole method |" in text and "| no partial non-local block |" in text
    assert "| in mask, aligned − reference (95 %) |" in text
    assert text.count("| filling alone |") == text.count("| the release |") == 2, "a generator, given the true mask"
    for picture in ("ablation.png", "ablation-sheet.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG\r\n")


def test_what_is_trained_and_measured_is_left_as_it_is(run: Path, folders: Path, capsys):
    names = ("reference/translation/best.safetensors", "pix2pix/pix2pix/best.safetensors")
    before = {name: (run / name).stat().st_mtime_ns for name in names}
    figures = pq.read_table(run / "figures.parquet")
    assert ablation.main(command(folders, run)) == 0
    assert {name: (run / name).stat().st_mtime_ns for name in names} == before
    assert pq.read_table(run / "figures.parquet").equals(figures)
    assert ablation.main(command(folders, run, "--seed", "1")) == 2
    assert "was trained by another plan" in capsys.readouterr().err


def test_variants_that_differ_in_t_alone_share_their_vaes(run: Path):
    ours, theirs = ((run / name / "vae_x/last.safetensors").read_bytes() for name in ("reference", "no-nonlocal"))
    assert ours == theirs
    known = [json.loads((run / name / "trained.json").read_text()) for name in NAMES]
    assert known[0]["pixels"] == known[2]["pixels"]
    assert known[1]["pixels"] == pytest.approx(known[0]["pixels"], rel=0.3)  # as near as whole steps come


def test_a_trained_folder_is_a_method_whose_version_is_its_weights(run: Path):
    image = np.full((40, 56, 3), 90, np.uint8)
    mask = np.zeros((40, 56), bool)
    for name in NAMES:
        method = Trained(TrainedFolder(run / name), "true")
        assert method.name == f"{name}-true-mask"
        assert method.restore(image, mask).shape == image.shape
    versions = {TrainedFolder(run / name).version for name in NAMES}
    assert len(versions) == len(NAMES)
    assert TrainedFolder(run / "pix2pix" / "pix2pix").version in versions


def test_every_variant_sees_as_many_pixels_or_its_share():
    plan = Plan(1, 300, 1000)
    for variant in VARIANTS:
        wanted = plan.vae_pixels + plan.t_pixels * variant.t_share
        if variant.pix2pix is not None:
            settings = plan.pix2pix(variant)
            seen = pixels_seen(settings.phases, plan.pix2pix_steps(settings))
        else:
            vaes, translation = plan.vaes(variant), plan.translation(variant)
            seen = plan.vae_steps(vaes) * vaes.batch * vaes.crop**2
            seen += pixels_seen(translation.phases, plan.t_steps(variant))
        assert seen == pytest.approx(wanted, rel=0.005), variant.name


def test_pix2pix_has_about_as_many_weights_as_the_method():
    plan = Plan(1, 2, 1)
    found = weights(Pix2pixGenerator(Pix2pixConfig(width_of(plan.method_weights))))
    assert found == pytest.approx(plan.method_weights, rel=0.1)
