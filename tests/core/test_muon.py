"""The optimiser whose updates are orthogonal."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.muon import orthogonal
from oldphoto_core.training.optimisers import ADAM_SHARE, Learners, muon, named_optimiser, update


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.logspace(0, -1, shape[1])
    )
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = values > 0.05 * values.max()
    assert values.max() / values[kept].min() > 2.5
    made = orthogonal(matrix)
    found = torch.linalg.svdvals(made)[kept]
    assert 0.6 < found.min() <= found.max() < 1.3
    aligned = left.T @ made @ right.T  # diagonal where the singular vectors are the same
    assert (aligned - torch.diag(aligned.diagonal())).abs().max() < 1e-3


def small_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 1, 1)
        )


def test_matrices_go_to_muon_and_all_else_to_adam():
    network = small_network()
    optimiser = muon(Learners([network], 0.02))
    by_kind = {group["orthogonal"]: group for group in optimiser.param_groups}
    assert {p.shape for p in by_kind[True]["params"]} == {network[0].weight.shape, network[3].weight.shape}
    assert by_kind[False]["lr"] == pytest.approx(0.02 * ADAM_SHARE)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(network.parameters()))


def losses_of(network: nn.Module, optimiser: torch.optim.Optimizer, steps: int) -> list[float]:
    image = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    target = (image[:, :1] - image[:, 1:2]).abs()
    losses = []
    for _ in range(steps):
        loss = (network(image) - target).square().mean()
        update(optimiser, loss)
        losses.append(loss.item())
    return losses


def test_it_learns_and_goes_on_from_a_saved_state_as_if_never_stopped():
    network = small_network()
    optimiser = muon(Learners([network], 0.02))
    first = losses_of(network, optimiser, 60)
    assert first[-1] < 0.8 * first[0]
    again = small_network()
    again.load_state_dict(network.state_dict())
    resumed = muon(Learners([again], 0.02))
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert losses_of(again, resumed, 5) == losses_of(network, optimiser, 5)


def test_an_unknown_optimiser_is_refused_by_name():
    with pytest.raises(TrainingError, match="muon, adamw, adam"):
        named_optimiser("sgd", Learners([small_network()], 0.1))  # type: ignore[arg-type]
