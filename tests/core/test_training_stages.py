"""Each stage learns, leaves its files behind for the next one, and uses the losses it was asked to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.presets import build_restoration, preset
from oldphoto_core.releases import find_release
from oldphoto_core.training.checkpoint import CHECKPOINT, WEIGHTS
from oldphoto_core.training.curves import PARQUET, PICTURE
from oldphoto_core.training.detector import DetectorSettings, DetectorStage
from oldphoto_core.training.export import export_release, keep_by_name, trained_restoration, trained_vae
from oldphoto_core.training.look import LookSettings, LookStage
from oldphoto_core.training.loop import RunOptions, RunResult
from oldphoto_core.training.losses import psnr
from oldphoto_core.training.schedule import Budget, Clock, seeded
from oldphoto_core.training.stages import train_detector, train_look, train_translation, train_vaes
from oldphoto_core.training.translation import TranslationSettings, TranslationStage
from oldphoto_core.training.vaes import CleanVaeStage, OldVaeStage, VaeSettings
from tests.core.training_photos import tiny_material

STILL = {"preset": "tiny", "chunk_photos": 2, "steps_a_chunk": 1000, "pool_chunks": 1}
"""The same two photos at every step, to over-fit to."""
SEED = 16
"""Draws two photos that are both faded and scratched: there is something to learn."""
STEPS = 24

LOOK = LookSettings(batch=4, whole_px=64, **STILL)
DETECTOR = DetectorSettings(batch=2, crop=192, rate=2e-2, **STILL)
VAES = VaeSettings(batch=4, crop=64, kl_warm_up=0.0, **STILL)
TRANSLATION = TranslationSettings(batch=2, crop=128, larger_crops=False, decoder_from=0.5, **STILL)

STAGES = ["look", "detector", "vae_x", "vae_y", "translation"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every stage trained a little, in their order."""
    folder = tmp_path_factory.mktemp("run")
    options = RunOptions(folder, Budget(steps=STEPS), seed=SEED, log_every=4, evaluate_every=STEPS, progress=False)
    results: list[RunResult] = [
        train_look(tiny_material(), LOOK, options),
        train_detector(tiny_material(), DETECTOR, options),
        *train_vaes(tiny_material(), VAES, replace(options, budget=Budget(steps=2 * STEPS))),
        train_translation(tiny_material(), TRANSLATION, options),
    ]
    assert all(result.finished for result in results)
    assert [result.folder.name for result in results] == STAGES
    return folder


def test_there_is_something_to_learn():
    stage = DetectorStage(DETECTOR, tiny_material(), seed=SEED)
    with stage.sources[0] as source:
        (photos,) = source.pool(0)
    assert photos.mask.mean() > 0.01 and (photos.mask.mean(dim=(1, 2, 3)) > 0.001).all()
    assert psnr(photos.image, photos.target) < 25


@pytest.mark.parametrize(("stage", "loss"), [("look", "tone"), ("detector", "dice"), ("translation", "squared")])
def test_the_loss_falls(run: Path, stage: str, loss: str):
    losses = pq.read_table(run / stage / PARQUET)[loss].drop_null().to_pylist()
    assert sum(losses[-2:]) < 0.9 * sum(losses[:2]), losses


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_leaves_curves_weights_and_a_checkpoint(run: Path, stage: str):
    folder = run / stage
    assert (folder / PICTURE).read_bytes().startswith(b"\x89PNG\r\n")
    curves = pq.read_table(folder / PARQUET)
    assert {"step", "share", "seconds", "rate", "images_per_s"} <= set(curves.column_names)
    held_out = [name for name in curves.column_names if name.startswith("held_out/")]
    assert held_out and all(curves[name].to_pylist()[-1] is not None for name in held_out)
    for file in (*WEIGHTS.values(), CHECKPOINT, "run.json"):
        assert (folder / file).stat().st_size > 0, file
    assert not list(folder.glob(".*")), "nothing temporary is left"


def test_vae2_starts_from_vae1_and_both_go_their_own_way(run: Path):
    from_vae1 = CleanVaeStage(VAES, tiny_material(), start=trained_vae(run, "tiny", "vae_x"))
    trained = trained_vae(run, "tiny", "vae_x").state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in from_vae1.vae.state_dict().items())
    other = trained_vae(run, "tiny", "vae_y").state_dict()
    assert any(not torch.equal(value, other[name]) for name, value in trained.items())


def test_a_finished_run_becomes_a_release(run: Path, tmp_path: Path):
    card = export_release(run, tmp_path / "release", card={"data": "smooth fields"})
    assert card.preset == "tiny"
    assert set(card.card["training"]) == set(STAGES)
    assert card.card["data"] == "smooth fields"
    network = trained_restoration(run, "tiny")
    assert not any(torch.equal(p, torch.zeros_like(p)) for p in network.translation.head.parameters())


def test_a_release_without_a_place_of_its_own_is_filed_under_its_name(run: Path, tmp_path: Path):
    first, again = (keep_by_name(partial(export_release, run), tmp_path / "releases") for _ in range(2))
    assert first.folder == again.folder == tmp_path / "releases" / first.name
    assert [folder.name for folder in (tmp_path / "releases").iterdir()] == [first.name]
    assert find_release(first.name, search=[tmp_path / "releases"]).weights_hash == first.weights_hash


def test_a_stage_says_which_one_must_come_first(tmp_path: Path):
    options = RunOptions(tmp_path, Budget(steps=1), progress=False)
    with pytest.raises(TrainingError, match="look.*train that stage first"):
        train_vaes(tiny_material(), VAES, options)
    with pytest.raises(TrainingError, match="vae_x.*train that stage first"):
        train_translation(tiny_material(), TRANSLATION, options)


# What follows takes single steps, by hand.


def one_step(stage, *, share: float = 0.5, step: int = 0) -> dict[str, float]:
    """Takes one step and gives its losses."""
    try:
        losses, images = stage.step(Clock(step, share), seeded(0, "step", step))
    finally:
        for source in stage.sources:
            source.close()
    assert images > 0
    assert all(torch.isfinite(loss) for loss in losses.values())
    return {name: float(loss.detach()) for name, loss in losses.items()}


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def moved(network: nn.Module, before: Mapping[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


def translation_stage(**changes) -> TranslationStage:
    network = build_restoration(preset("tiny"))
    return TranslationStage(replace(TRANSLATION, **changes), tiny_material(), network=network)


@pytest.mark.parametrize(
    ("changes", "terms"), [({}, {"focal", "dice"}), ({"dice": 0.0}, {"focal"}), ({"focal": 0.0}, {"dice"})]
)
def test_the_detector_uses_the_losses_that_have_a_weight(changes: dict, terms: set[str]):
    assert set(one_step(DetectorStage(replace(DETECTOR, **changes), tiny_material()))) == terms


@pytest.mark.parametrize("kind", [OldVaeStage, CleanVaeStage])
def test_a_vae_mends_its_reconstruction(kind: type):
    """A fresh VAE is lossless but for its noise, so this one's decoder is put out of order first."""
    stage = kind(
        replace(VAES, latent_adversary=0.0), tiny_material(), **({"look": None} if kind is OldVaeStage else {})
    )
    with torch.no_grad():
        weight = stage.vae.from_latent.weight
        weight += 0.05 * torch.randn(weight.shape, generator=seeded(0, "disorder", 0))
    losses = [float(stage.step(Clock(step, 0.3), seeded(0, "step", step))[0]["l1"].detach()) for step in range(12)]
    for source in stage.sources:
        source.close()
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3]), losses


@pytest.mark.parametrize("adversary", [0.0, 1.0])
def test_the_vaes_image_adversary_can_be_switched_on(adversary: float):
    stage = CleanVaeStage(replace(VAES, adversary=adversary), tiny_material())
    assert set(stage.critics) == ({"image"} if adversary else set())
    before = {name: weights(critic) for name, critic in stage.critics.items()}
    losses = one_step(stage)
    assert ({"fooling", "critic"} <= set(losses)) == bool(adversary)
    assert all(moved(critic, before[name]) for name, critic in stage.critics.items())


def test_the_latent_adversary_joins_half_way_and_only_where_there_are_old_photos():
    for share, terms in ((0.4, set()), (0.6, {"alike", "latent_critic"})):
        stage = OldVaeStage(VAES, tiny_material(), look=None)
        before = weights(stage.critics["latent"])
        losses = one_step(stage, share=share)
        assert {"alike", "latent_critic"} & set(losses) == terms
        assert moved(stage.critics["latent"], before) == bool(terms)
    for without in (
        OldVaeStage(replace(VAES, latent_adversary=0.0), tiny_material(), look=None),
        OldVaeStage(VAES, replace(tiny_material(), old=None), look=None),
    ):
        assert without.critics == {}
        assert set(one_step(without, share=0.9)) == {"l1", "kl"}


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        ({}, {"pixel", "squared", "latent", "gradient", "tone"}),
        ({"pixel": 0.0, "squared": 0.0, "gradient": 0.0, "tone": 0.0}, {"latent"}),
        (
            {"adversary": 0.1, "pixel": 0.0, "squared": 0.0, "gradient": 0.0, "tone": 0.0},
            {"latent", "fooling", "critic"},
        ),
        ({"adversary": 0.1, "matching": 1.0, "tone": 0.0, "gradient": 0.0, "squared": 0.0},
         {"pixel", "latent", "fooling", "matching", "critic"}),
    ],
)  # fmt: skip
def test_the_translation_uses_the_losses_that_have_a_weight(changes: dict, terms: set[str]):
    stage = translation_stage(**changes)
    before = {name: weights(critic) for name, critic in stage.critics.items()}
    assert set(one_step(stage)) == terms
    assert all(moved(critic, before[name]) for name, critic in stage.critics.items())


@pytest.mark.parametrize(("share", "trained"), [(0.4, False), (0.6, True)])
def test_g_y_is_frozen_until_its_time_and_vae1_throughout(share: float, trained: bool):
    from oldphoto_core.training.optimisers import set_rates

    stage = translation_stage()
    with torch.no_grad():  # at its start T passes nothing back: its head is zero
        stage.translation.head.weight.normal_(std=0.01, generator=seeded(0, "head", 0))
    set_rates(stage.optimisers, Clock(0, share))
    before = {name: weights(getattr(stage, name)) for name in ("vae_x", "vae_y", "look", "translation")}
    one_step(stage, share=share)
    assert {name for name, was in before.items() if moved(getattr(stage, name), was)} == (
        {"look", "translation", "vae_y"} if trained else {"look", "translation"}
    )


def test_paper_settings_are_the_paper_s():
    vaes, detector = VaeSettings.for_preset("paper"), DetectorSettings.for_preset("paper")
    translation = TranslationSettings.for_preset("paper")
    assert {s.crop for s in (vaes, detector, translation)} == {256}
    assert {s.rate for s in (vaes, detector, translation)} == {2e-4}
    assert (vaes.alpha, vaes.adversary, vaes.latent_from, vaes.kl_warm_up) == (10.0, 1.0, 0.0, 0.0)
    assert (translation.latent, translation.adversary, translation.matching) == (60.0, 1.0, 10.0)
    assert (translation.pixel, translation.squared, translation.decoder_from) == (0.0, 0.0, 1.0)
    assert (detector.focal, detector.gamma, detector.dice) == (1.0, 2.0, 0.0)
    with pytest.raises(TrainingError, match="no look"):
        LookStage(LookSettings(preset="paper"), tiny_material())


def test_the_paper_s_vae_takes_a_step_of_equations_2_to_4():
    settings = replace(VaeSettings.for_preset("paper"), crop=32, batch=2, chunk_photos=1, pool_chunks=1)
    stage = OldVaeStage(settings, tiny_material(), look=None)
    assert set(one_step(stage, share=0.01)) == {"l1", "kl", "fooling", "alike", "critic", "latent_critic"}
    assert all(isinstance(optimiser, torch.optim.Adam) for optimiser in stage.optimisers.values())
    assert stage.optimisers["vae_x"].param_groups[0]["betas"] == (0.5, 0.999)
