"""A turned release does as before, is harder to tell apart channel by channel, and stays whole through a retrain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_restoration, preset
from oldphoto_core.training.checkpoint import WEIGHTS, save_weights
from oldphoto_core.training.export import trained_vae
from oldphoto_core.training.loop import RunOptions
from oldphoto_core.training.schedule import Budget, fresh_weights, seeded
from oldphoto_core.training.stages import train_translation, train_vaes
from oldphoto_core.training.translation import TranslationSettings
from oldphoto_core.training.turning import (
    Moments,
    kept_turn,
    least_separating_turn,
    moments,
    separation,
    turn_networks,
)
from oldphoto_core.training.vaes import VaeSettings
from tests.core.training_photos import smooth_photos, tiny_material

PACE = {"preset": "tiny", "batch": 2, "crop": 64, "chunk_photos": 2, "steps_a_chunk": 4, "pool_chunks": 1}
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


@pytest.fixture
def network() -> RestorationNetwork:
    """Networks of the tiny preset in which every weight, also those that start at zero, does something."""
    with fresh_weights(0, "turning"):
        made = build_restoration(preset("tiny"))
        for parameter in made.parameters():
            nn.init.normal_(parameter, parameter.detach().mean().item(), 0.05)
    made.vae_x.initialise_linear_path(smooth_photos(8, 0).centre_windows(range(8), 96) * 2 - 1)
    made.vae_y.load_state_dict(made.vae_x.state_dict())
    return made.eval()


def orthogonal(size: int = 48) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=seeded(0, "orthogonal", 0)))[0]


def test_a_turned_network_restores_and_reconstructs_as_before(network: RestorationNetwork):
    image = smooth_photos(1, 5).centre_windows(range(1), 96) * 2 - 1
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 20:40, 30:80] = 1

    def outputs() -> list[torch.Tensor]:
        mean, logvar = network.vae_x.encode(image)
        restored = network.restore(image, mask, network.glance(image, mask), WHOLE)
        return [restored, network.vae_x.decode(mean), mean, logvar]

    with torch.no_grad():
        before = outputs()
        turn_networks({name: getattr(network, name) for name in ("vae_x", "vae_y", "translation")}, orthogonal())
        after = outputs()
    assert torch.allclose(after[0], before[0], atol=1e-4)
    assert torch.allclose(after[1], before[1], atol=1e-4)
    expected = torch.einsum("ab,nbhw->nahw", orthogonal(), before[2])
    assert torch.allclose(after[2], expected, atol=1e-4)
    assert not torch.allclose(after[2], before[2], atol=0.1)
    assert after[3].mean() == pytest.approx(float(before[3].mean()), abs=1e-3)  # as much noise, spread otherwise


def test_moments_tell_the_statistics_of_a_turned_latent(network: RestorationNetwork):
    images = smooth_photos(3, 6).centre_windows(range(3), 64) * 2 - 1
    found = moments(network.vae_x, images).statistics(orthogonal())
    network.vae_x.turn(orthogonal())
    with torch.no_grad():
        flat = network.vae_x.encode_mean(images).flatten(2)
    assert torch.allclose(found[:, :48], flat.mean(2), atol=0.03)  # convolutions there are in bf16
    assert torch.allclose(found[:, 48:], flat.std(2, unbiased=False), atol=0.03)


def test_a_turn_hides_a_channel_that_differs_among_those_that_do_not():
    generator = seeded(0, "moments", 0)

    def kind(scale: float) -> Moments:
        variance = torch.rand(60, 8, generator=generator) + 0.5
        variance[:, 0] *= scale
        return Moments(torch.randn(60, 8, generator=generator), torch.diag_embed(variance))

    old, synthetic = kind(3.0), kind(1.0)
    rows = torch.arange(60)
    before, after, turn = least_separating_turn(old, synthetic, [(rows, rows)])
    assert before == pytest.approx(float(separation(old, synthetic, torch.eye(8))), rel=1e-4)
    assert after < 0.6 * before
    assert torch.allclose(turn @ turn.T, torch.eye(8), atol=1e-4)


def test_all_that_a_retrain_starts_from_is_turned_alike(network: RestorationNetwork, tmp_path: Path):
    """Nothing is learned (rate 0): what stands in the run folder is the release, turned, and restores as it does."""
    release, run = tmp_path / "release", tmp_path / "run"
    release.mkdir()
    parts = {name: getattr(network, name) for name in ("vae_x", "vae_y", "translation", "look")}
    for name, part in parts.items():
        values = {key: value.contiguous() for key, value in part.state_dict().items()}
        save_file(values, release / f"{name}.safetensors")
    save_weights(run / "look" / WEIGHTS["best"], {"look": network.look}, {"stage": "look"})
    options = RunOptions(run, Budget(steps=2), start=release, start_parts=None, progress=False)
    vaes = VaeSettings(**PACE, rate=0.0, latent_adversary=0.0, turn_photos=8)
    train_vaes(tiny_material(), vaes, options)
    turn = kept_turn(run)
    assert turn is not None
    assert not torch.allclose(turn, torch.eye(48), atol=0.01)
    translation = TranslationSettings(**PACE, rate=0.0, larger_crops=False)
    train_translation(tiny_material(), translation, options)

    turn_networks(parts, turn)
    for name in ("vae_x", "vae_y"):
        found = trained_vae(run, "tiny", name).state_dict()
        assert all(torch.allclose(found[key], value, atol=1e-5) for key, value in parts[name].state_dict().items())
    found = load_file(run / "translation" / WEIGHTS["last"])
    for key, value in network.translation.state_dict().items():
        assert torch.allclose(found[f"translation.{key}"], value, atol=1e-5), key
