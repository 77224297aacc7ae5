"""The critic of channel statistics: what it tells apart, when it joins, and that it rests with the encoder."""

from __future__ import annotations

import torch

from oldphoto_core.models.discriminators import PooledDiscriminator
from oldphoto_core.training.losses import latent_adversary
from oldphoto_core.training.schedule import Clock, fresh_weights, seeded
from oldphoto_core.training.vaes import OldVaeStage, VaeSettings
from tests.core.training_photos import tiny_material

SETTINGS = VaeSettings(
    preset="tiny", batch=4, crop=32, chunk_photos=2, steps_a_chunk=4, pool_chunks=2, latent_from=0.0,
    latent_adversary=0.0, pooled_adversary=0.3, encoder_until=0.6,
)  # fmt: skip


def latents(count: int, *, scale: float = 1.0, step: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, 3, 6, 6, generator=seeded(0, f"latents {scale}", step))


def test_it_tells_deviations_apart_that_instance_norm_would_hide():
    with fresh_weights(0, "critic"):
        judge = PooledDiscriminator(3, width=16)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    for step in range(60):
        said = judge(torch.cat([latents(8, step=step), latents(8, scale=1.5, step=step)]))
        loss = latent_adversary(said[:8], said[8:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    said = judge(torch.cat([latents(50, step=100), latents(50, scale=1.5, step=100)])) > 0.5
    assert said[:50].float().mean() > 0.9
    assert said[50:].float().mean() < 0.1


def test_the_critic_joins_the_stage_and_rests_with_the_encoder():
    stage = OldVaeStage(SETTINGS, tiny_material(), look=None)
    encoder = [p for part in stage.vae.encoder_parts for p in part.parameters()]
    decoder = [p for p in stage.vae.parameters() if not any(p is e for e in encoder)]
    assert encoder
    assert decoder
    try:
        first = [p.detach().clone() for p in encoder]
        losses, _ = stage.step(Clock(0, 0.3), seeded(0, "step", 0))
        assert {"pooled", "pooled_critic"} <= set(losses)
        assert any(not torch.equal(p, was) for p, was in zip(encoder, first, strict=True))
        before = [[p.detach().clone() for p in part] for part in (encoder, decoder)]
        losses, _ = stage.step(Clock(1, 0.7), seeded(0, "step", 1))
    finally:
        for source in stage.sources:
            source.close()
    assert set(losses) == {"l1", "kl"}
    assert all(torch.equal(p, was) for p, was in zip(encoder, before[0], strict=True))
    assert any(not torch.equal(p, was) for p, was in zip(decoder, before[1], strict=True))
