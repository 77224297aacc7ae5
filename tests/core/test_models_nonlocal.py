"""Facts about the partial non-local block (eqs. 7-10)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core.models.partial_nonlocal import PartialNonLocal, fuse, intact_attention


def features(batch: int, channels: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def plain_equation_7_and_9(block: PartialNonLocal, f: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Eqs. 7-9 as printed, place by place."""
    flat, damaged = f[0].flatten(1).T, mask[0].flatten()
    theta, phi, mu = block.theta(flat), block.phi(flat), block.mu(flat)
    places = len(flat)
    rows = []
    for i in range(places):
        affinity = [math.exp(float(theta[i] @ phi[j])) for j in range(places)]  # eq. 8
        total = sum((1 - float(damaged[k])) * affinity[k] for k in range(places))
        gathered = torch.zeros(mu.shape[1])
        for j in range(places):
            gathered += (1 - float(damaged[j])) * affinity[j] / total * mu[j]  # eq. 7
        rows.append(block.nu(gathered))  # eq. 9
    return torch.stack(rows).T.reshape(f.shape)


@given(seed=st.integers(0, 1000), height=st.integers(2, 5), width=st.integers(2, 5))
@settings(max_examples=15, deadline=None)
def test_attention_equals_a_plain_double_loop_of_equation_7(seed, height, width):
    torch.manual_seed(seed)
    block = PartialNonLocal(6, 4)
    f = features(1, 6, height, width, seed)
    mask = (torch.rand(1, 1, height, width) > 0.5).float()
    mask[..., 0, 0] = 0
    with torch.no_grad():
        assert torch.allclose(block(f, mask), plain_equation_7_and_9(block, f, mask), atol=1e-5)


def test_damaged_places_are_never_a_source():
    block = PartialNonLocal(8, 4)
    mask = torch.zeros(1, 1, 6, 7)
    mask[..., 2:4, 1:5] = 1
    f = features(1, 8, 6, 7)
    changed = torch.where(mask > 0, features(1, 8, 6, 7, seed=1) * 100, f)
    intact = (mask == 0).expand_as(f)
    assert torch.equal(block(f, mask)[intact], block(changed, mask)[intact])


def test_a_damaged_place_gathers_only_intact_values():
    query, key = torch.randn(1, 3, 4), torch.randn(1, 5, 4)
    value = torch.tensor([[[1.0], [1.0], [9.0], [9.0], [1.0]]])
    intact = torch.tensor([[True, True, False, False, True]])
    assert torch.allclose(intact_attention(query, key, value, intact, torch.zeros(1)), torch.ones(1, 3, 1))


def test_all_damaged_gives_the_fallback_and_a_finite_gradient():
    block = PartialNonLocal(8, 4)
    f = features(2, 8, 4, 4).requires_grad_()
    out = block(f, torch.ones(2, 1, 4, 4))
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(f.grad).all()
    assert torch.allclose(out, block.nu(block.fallback)[None, :, None, None].expand_as(out))


def test_the_fallback_is_silent_where_any_place_is_intact():
    block = PartialNonLocal(8, 4)
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 0, 0] = 0
    before = block(features(1, 8, 4, 4), mask)
    block.fallback.fill_(1e3)
    assert torch.equal(before, block(features(1, 8, 4, 4), mask))


def test_tokens_serve_as_sources():
    block = PartialNonLocal(8, 4, source_channels=5)
    out = block.from_tokens(features(2, 8, 3, 4), torch.randn(2, 7, 5), torch.ones(2, 7, dtype=torch.bool))
    assert out.shape == (2, 8, 3, 4)


@pytest.mark.parametrize(("mask", "expected"), [(0.0, 2.0), (1.0, 5.0), (0.5, 3.5)])
def test_fusion_takes_the_gathered_branch_where_damaged(mask, expected):
    local, gathered = torch.full((1, 1, 2, 2), 2.0), torch.full((1, 1, 2, 2), 5.0)
    assert torch.equal(fuse(torch.full((1, 1, 2, 2), mask), local, gathered), torch.full((1, 1, 2, 2), expected))


def test_memory_does_not_grow_with_the_square_of_the_photo():
    places, width = 4096, 16
    query, key, value = torch.randn(3, 1, places, width)
    intact = torch.rand(1, places) > 0.2
    with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
        intact_attention(query, key, value, intact, torch.zeros(width))
    taken = max(event.cpu_memory_usage for event in profile.events())
    assert taken < places * places  # bytes; one attention matrix has four times as many
