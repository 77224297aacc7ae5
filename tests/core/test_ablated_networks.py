"""What each switch of the ablation takes away, and that nothing else goes with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.look import Glance, whole_window
from oldphoto_core.models.presets import ABLATED, build_restoration, build_translation, preset
from oldphoto_core.models.tone import GLOBAL_NUMBERS, GRID, GRID_NUMBERS, Tone
from oldphoto_core.models.translation import GatedTranslation, ResidualTranslation, TranslationConfig
from oldphoto_core.training.export import trained_vae
from oldphoto_core.training.loop import RunOptions
from oldphoto_core.training.schedule import Budget, Clock, seeded
from oldphoto_core.training.stages import vaes_beside
from oldphoto_core.training.vaes import CleanVaeStage, OldVaeStage, VaeSettings
from tests.core.test_models import photos, wake
from tests.core.training_photos import tiny_material

GATED = TranslationConfig("gated", latent_channels=4, widths=(8, 8, 8), depths=(0, 0, 0, 0), inner=8)
RESIDUAL = TranslationConfig("residual", latent_channels=4, widths=(8, 8), depths=(1, 1), inner=4)
VAES = VaeSettings(preset="tiny", batch=6, crop=64, kl_warm_up=0.0, chunk_photos=2, steps_a_chunk=1000, pool_chunks=1)


def glance_with(tokens: torch.Tensor, intact: torch.Tensor) -> Glance:
    batch = len(tokens)
    tone = Tone.from_raw(
        torch.zeros(batch, GRID_NUMBERS, GRID, GRID), torch.zeros(batch, GLOBAL_NUMBERS), torch.zeros(batch, 3),
        torch.ones(batch, 3),
    )  # fmt: skip
    return Glance(tone, torch.zeros(batch, 8), tokens, intact)


@pytest.mark.parametrize(("attention", "reached"), [("partial", False), ("plain", True), ("none", False)])
def test_a_damaged_token_is_a_source_for_plain_attention_alone(attention, reached):
    config = replace(GATED, condition_size=8, token_size=8, attention=attention)
    translation = wake(GatedTranslation(config)).eval()
    latent, mask = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1
    tokens, intact = torch.randn(1, 6, 8), torch.tensor([[True, True, False, True, True, True]])
    other = tokens.clone()
    other[:, 2] += 3
    before, after = (translation(latent, mask, glance_with(t, intact)) for t in (tokens, other))
    assert torch.equal(before, after) != reached
    intact_changed = tokens.clone()
    intact_changed[:, 0] += 3
    changed = translation(latent, mask, glance_with(intact_changed, intact))
    assert torch.equal(before, changed) == (attention == "none")


@pytest.mark.parametrize(("attention", "reached"), [("partial", False), ("plain", True), ("none", False)])
def test_without_a_look_a_far_damaged_place_is_a_source_for_plain_attention_alone(attention, reached):
    translation = wake(GatedTranslation(replace(GATED, attention=attention))).eval()
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., :48, :48] = 1
    mask[..., 112:120, 112:120] = 1
    latent = torch.randn(1, 4, 32, 32)
    other = latent.clone()
    other[..., :2, :2] += 5  # deep inside the other damage
    before, after = (translation(one, mask)[..., 28:30, 28:30] for one in (latent, other))
    assert torch.allclose(before, after, atol=1e-6) != reached
    assert (translation.reach_px is None) == (attention != "none")


@pytest.mark.parametrize("attention", ["partial", "plain", "none"])
def test_the_papers_translation_can_do_without_too(attention):
    translation = wake(ResidualTranslation(replace(RESIDUAL, attention=attention))).eval()
    latent, mask = torch.randn(1, 4, 8, 8), torch.ones(1, 1, 32, 32)
    whole = translation(latent, mask)
    assert torch.isfinite(whole).all()
    empty = translation(latent, torch.zeros(1, 1, 32, 32))
    # damaged all over: nothing to gather from, and plain attention gathers all the same
    assert torch.equal(whole, empty) == (attention != "plain")
    assert (translation.nonlocal_block is None) == (attention == "none")


def test_an_unknown_attention_is_refused():
    with pytest.raises(ConfigError, match="attention is 'some'; expected one of partial, plain, none"):
        replace(GATED, attention="some")


@pytest.mark.parametrize("chosen", ABLATED, ids=lambda p: p.name)
def test_each_ablated_preset_restores_and_learns_in_all_its_weights(chosen):
    network = build_restoration(preset(chosen.name))
    wake(network.translation)
    image, mask = photos(1, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 16:32, 16:48] = 1
    restored = network.restore(image, mask, network.glance(image, mask), whole_window(1))
    assert restored.shape == image.shape
    restored.square().mean().backward()
    still = [name for name, p in network.translation.named_parameters() if p.grad is None]
    assert [name for name in still if "fallback" not in name] == []


@pytest.mark.parametrize("name", ["quarter", "quarter-plain", "quarter-blind"])
def test_squares_with_damage_give_what_the_whole_gives(name):
    translation = wake(build_translation(preset(name))).eval()
    network = build_restoration(preset(name)).eval()
    latent, mask = torch.randn(1, 48, 96, 32) * 0.3, torch.zeros(1, 1, 384, 128)
    mask[..., 300:310, 20:50] = 1
    glance = network.glance(photos(1, 384, 128), mask)
    with torch.no_grad():
        squares = translation(latent, mask, glance)
    assert torch.allclose(squares, translation(latent, mask, glance), atol=1e-4)


@pytest.mark.parametrize("variational", [True, False])
def test_without_kl_the_code_has_no_variance(variational):
    stage = CleanVaeStage(replace(VAES, variational=variational), tiny_material())
    wake(stage.vae.encoder_logvar)
    image = photos(1, 64, 64)
    with stage.sources[0]:
        (_, losses, first, _), (_, _, second, _) = (
            stage._reconstruct(image, seeded(0, "noise", number), kl_share=1.0) for number in range(2)
        )
    assert ("kl" in losses) == variational
    assert torch.equal(first, second) != variational


def test_one_vae_sees_old_damaged_and_clean_photos_and_is_both(tmp_path):
    settings = replace(VAES, shared=True, latent_from=0.0)
    stage = OldVaeStage(settings, tiny_material(), look=None)
    losses, images = stage.step(Clock(0, 0.5), seeded(0, "step", 0))
    for source in stage.sources:
        source.close()
    assert [source._name for source in stage.sources] == ["synthetic", "old", "clean"]
    assert images == 6 and "alike" in losses

    options = RunOptions(tmp_path, Budget(steps=2), progress=False, evaluate_every=10)
    results = vaes_beside(tiny_material(), settings, options, look=None, detect=None)
    assert [result.step for result in results] == [2]
    one, other = (trained_vae(tmp_path, "tiny", name).state_dict() for name in ("vae_x", "vae_y"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
