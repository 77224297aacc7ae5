"""The critic of channel statistics: that it is eq. 3's best, when it joins, and that it rests with the encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oldphoto_core.models.discriminators import ChannelDiscriminator, channel_statistics
from oldphoto_core.training.losses import latent_adversary, latent_encoder
from oldphoto_core.training.schedule import Clock, seeded
from oldphoto_core.training.vaes import OldVaeStage, VaeSettings
from tests.core.training_photos import tiny_material

SETTINGS = VaeSettings(
    preset="tiny", batch=4, crop=32, chunk_photos=2, steps_a_chunk=4, pool_chunks=2, latent_from=0.0,
    latent_adversary=0.0, channel_adversary=0.3, channel_crops=16, channel_px=64, encoder_until=0.6,
)  # fmt: skip


def latents(count: int, *, scale: float = 1.0, step: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, 3, 6, 6, generator=seeded(0, f"latents {scale}", step))


def taught(*, shrinkage: float = 0.1, memory: int = 100) -> ChannelDiscriminator:
    judge = ChannelDiscriminator(3, memory=memory, shrinkage=shrinkage)
    for step in range(10):
        judge.remember(latents(10, scale=1.5, step=step), latents(10, step=step))
    return judge


def test_statistics_are_means_and_deviations():
    shown = latents(4)
    found = channel_statistics(shown)
    assert torch.allclose(found[:, :3], shown.mean((2, 3)), atol=1e-6)
    assert torch.allclose(found[:, 3:], shown.flatten(2).std(2, unbiased=False), atol=1e-5)


def test_it_tells_deviations_apart_that_instance_norm_would_hide():
    judge = taught()
    assert (judge(latents(50, scale=1.5, step=100)) > 0.5).float().mean() > 0.9
    assert (judge(latents(50, step=100)) > 0.5).float().mean() < 0.1


def test_no_linear_critic_makes_eq_3_smaller():
    """Least squares over the same crops, solved by another hand, is the same critic."""
    judge = taught(shrinkage=0.0)
    features = torch.cat([judge.old, judge.synthetic]).double().numpy()
    columns = np.concatenate([features, np.ones((200, 1))], axis=1)
    best, *_ = np.linalg.lstsq(columns, np.repeat([1.0, 0.0], 100), rcond=None)
    weights, bias = judge.solved()
    said = features @ weights.double().numpy() + float(bias)
    assert np.allclose(said, columns @ best, atol=0.02)  # covariances are of N - 1, least squares is of N


def test_it_forgets_the_oldest_first_and_wants_as_many_of_either_kind():
    judge = taught(memory=25)
    last = channel_statistics(latents(10, scale=1.5, step=9))
    assert all(any(torch.equal(row, kept) for kept in judge.old) for row in last)
    first = channel_statistics(latents(10, scale=1.5, step=0))
    assert not any(torch.equal(row, kept) for row in first for kept in judge.old)
    with pytest.raises(ValueError, match="got 2 and 3"):
        judge.remember(latents(2), latents(3))


def test_its_gradient_brings_the_kinds_together():
    judge = taught()
    shown = latents(50, scale=1.5, step=200)
    gain = torch.tensor(1.0, requires_grad=True)
    latent_encoder(judge(gain * shown), judge(latents(50, step=200))).backward()
    assert gain.grad is not None
    assert gain.grad > 0  # old photos, whose deviations are larger, are to be scaled down
    said = judge(shown), judge(latents(50, step=200))
    assert latent_adversary(*said) < latent_encoder(*said)


def test_the_critic_joins_the_stage_and_rests_with_the_encoder():
    stage = OldVaeStage(SETTINGS, tiny_material(), look=None)
    encoder = [p for part in stage.vae.encoder_parts for p in part.parameters()]
    decoder = [p for p in stage.vae.parameters() if not any(p is e for e in encoder)]
    assert encoder
    assert decoder
    try:
        first = [p.detach().clone() for p in encoder]
        for step in range(4):  # three to remember, one to be fooled
            losses, _ = stage.step(Clock(step, 0.3), seeded(0, "step", step))
            assert ("channels" in losses) == (step == 3)
        assert any(not torch.equal(p, was) for p, was in zip(encoder, first, strict=True))
        before = [[p.detach().clone() for p in part] for part in (encoder, decoder)]
        losses, _ = stage.step(Clock(4, 0.7), seeded(0, "step", 4))
    finally:
        for source in stage.sources:
            source.close()
    assert set(losses) == {"l1", "kl"}
    assert all(torch.equal(p, was) for p, was in zip(encoder, before[0], strict=True))
    assert any(not torch.equal(p, was) for p, was in zip(decoder, before[1], strict=True))
