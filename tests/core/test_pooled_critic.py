"""The critic of channel statistics: what it remembers, and what it tells apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oldphoto_core.models.discriminators import PooledDiscriminator
from oldphoto_core.training.losses import latent_adversary, latent_undecided
from oldphoto_core.training.schedule import Clock, fresh_weights, seeded
from oldphoto_core.training.vaes import OldVaeStage, VaeSettings
from tests.core.training_photos import tiny_material

SETTINGS = VaeSettings(
    preset="tiny", batch=4, crop=32, chunk_photos=2, steps_a_chunk=4, pool_chunks=2, latent_from=0.0,
    latent_adversary=0.0, pooled_adversary=0.3,
)  # fmt: skip


def critic(memory: int = 8) -> PooledDiscriminator:
    with fresh_weights(0, "critic"):
        return PooledDiscriminator(3, memory=memory)


def latents(count: int, *, scale: float = 1.0, step: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, 3, 6, 6, generator=seeded(0, f"latents {scale}", step))


def test_it_remembers_the_newest_of_either_kind():
    judge = critic(memory=5)
    for step in range(3):
        judge.remember(latents(2, step=step), latents(2, scale=2, step=step))
        assert int(judge.held) == min(5, 2 * (step + 1))
    old, synthetic = judge.memory
    assert torch.allclose(old[-2:], judge.pooled(latents(2, step=2)))
    assert torch.allclose(synthetic[-4:-2], judge.pooled(latents(2, scale=2, step=1)))
    again = critic(memory=5)
    again.load_state_dict(judge.state_dict())
    assert torch.equal(again(latents(2)), judge(latents(2))), "what is remembered is kept with the weights"


def test_it_tells_deviations_apart_that_instance_norm_would_hide():
    judge = critic(memory=32)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    for step in range(40):
        judge.remember(latents(4, step=step), latents(4, scale=1.5, step=step))
        loss = latent_adversary(*judge.remembered())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right = (judge(latents(50, step=100)) > 0.5).float().mean(), (judge(latents(50, scale=1.5, step=100)) < 0.5)
    assert right[0] > 0.9
    assert right[1].float().mean() > 0.9


def test_an_encoder_that_leaves_it_undecided_loses_nothing_more():
    half = torch.full((4, 1), 0.5)
    assert latent_undecided(half, half) == 0
    assert latent_undecided(half + 0.5, half - 0.5) == pytest.approx(0.5)


def test_the_critic_joins_the_stage_and_rests_with_the_encoder():
    stage = OldVaeStage(replace(SETTINGS, encoder_until=0.6), tiny_material(), look=None)
    encoder = [p for part in stage.vae.encoder_parts for p in part.parameters()]
    decoder = [p for name, p in stage.vae.named_parameters() if not any(p is e for e in encoder)]
    try:
        heard = [set(stage.step(Clock(step, 0.3), seeded(0, "step", step))[0]) for step in range(6)]
        assert all("pooled_critic" in losses for losses in heard)
        assert ["pooled" in losses for losses in heard] == [False] * 4 + [True] * 2, "not before it knows eight of each"
        before = [[p.detach().clone() for p in part] for part in (encoder, decoder)]
        losses, _ = stage.step(Clock(6, 0.7), seeded(0, "step", 6))
    finally:
        for source in stage.sources:
            source.close()
    assert set(losses) == {"l1", "kl"}
    assert all(torch.equal(p, was) for p, was in zip(encoder, before[0], strict=True))
    assert any(not torch.equal(p, was) for p, was in zip(decoder, before[1], strict=True))
