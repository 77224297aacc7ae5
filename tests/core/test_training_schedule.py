"""How far a run is, and what follows: rates, averages, phases, random numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.checkpoint import WeightAverage
from oldphoto_core.training.optimisers import Learners, adamw, set_rates, update
from oldphoto_core.training.schedule import (
    Budget,
    Clock,
    Phase,
    ema_decay,
    fresh_weights,
    learning_rate,
    phase_at,
    seeded,
)
from oldphoto_core.training.translation import TranslationSettings


@pytest.mark.parametrize("given", [{}, {"steps": 3, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}])
def test_a_budget_is_steps_or_minutes_and_above_zero(given):
    with pytest.raises(TrainingError, match="budget"):
        Budget(**given)


def test_a_budget_in_steps_does_not_look_at_the_clock():
    assert Budget(steps=8).clock(2, 1e6) == Clock(2, 0.25)
    assert Budget(steps=8).clock(9, 0.0).share == 1


def test_a_budget_in_minutes_does_not_count_steps():
    assert Budget(minutes=2.0).clock(10**6, 30.0) == Clock(10**6, 0.25)
    assert Budget(minutes=2.0).clock(0, 500.0).share == 1


@pytest.mark.parametrize(
    ("share", "factor"),
    [(0.0, 0.01), (0.015, 0.5), (0.03, 1.0), (0.515, 0.505), (1.0, 0.01), (1.5, 0.01)],
)
def test_the_rate_warms_up_and_follows_a_cosine_to_its_floor(share, factor):
    assert learning_rate(share) == pytest.approx(factor)


def test_the_rate_only_falls_after_its_warm_up():
    rates = [learning_rate(0.03 + 0.97 * i / 50) for i in range(51)]
    assert rates == sorted(rates, reverse=True)


def test_a_group_that_starts_late_stands_still_and_then_warms_up_by_itself():
    early, late = nn.Linear(2, 2), nn.Linear(2, 2)
    optimiser = adamw(Learners([early], 1.0), Learners([late], 0.1, start=0.85))
    for share, rates in [(0.5, (learning_rate(0.5), 0.0)), (0.85 + 0.15 * 0.03, (None, 0.1)), (1.0, (0.01, 0.001))]:
        set_rates({"all": optimiser}, Clock(0, share))
        by_start = {group["start"]: group["lr"] for group in optimiser.param_groups}
        assert by_start[0.85] == pytest.approx(rates[1])
        assert rates[0] is None or by_start[0.0] == pytest.approx(rates[0])


def test_biases_and_gains_do_not_decay():
    optimiser = adamw(Learners([nn.Linear(3, 2)], 1.0))
    decays = {tuple(p.shape): g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    assert decays == {(2, 3): 1e-4, (2,): 0.0}


@pytest.mark.parametrize(
    ("step", "decay"), [(0, 0.1), (1, 2 / 11), (2999, 0.99), (3000, 0.3001e4 / 3010), (10**5, 0.999)]
)
def test_the_average_remembers_longer_as_a_run_goes_on(step, decay):
    assert ema_decay(step) == pytest.approx(decay)


def test_the_average_moves_towards_the_weights_and_leaves_them_alone():
    network = nn.BatchNorm1d(2)  # weights, and a count that is an integer
    average = WeightAverage({"net": network})
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked.fill_(7)
    average.update(1)
    moved = average.networks["net"]
    assert moved.weight.tolist() == pytest.approx([1 + 2 * 9 / 11] * 2)  # 1 to 3, by 1 - 2/11
    assert moved.num_batches_tracked == 7
    assert network.weight.tolist() == [3.0, 3.0]
    assert not any(p.requires_grad for p in moved.parameters())


def test_phases_end_where_they_say_and_the_last_one_stays():
    phases = (Phase(0.7, 96, 16), Phase(0.95, 128, 12), Phase(1.0, 224, 4))
    assert [phase_at(phases, s).crop_px for s in (0.0, 0.699, 0.7, 0.95, 1.0, 1.1)] == [96, 96, 128, 224, 224, 224]
    assert TranslationSettings().phases == phases
    assert TranslationSettings.for_preset("paper").phases == (Phase(1.0, 256, 4),)


def test_random_numbers_depend_on_seed_purpose_and_index_alone():
    def number(*of) -> float:
        return float(torch.rand((), generator=seeded(*of)))

    torch.rand(3)
    assert number(0, "a", 1) == number(0, "a", 1)
    assert len({number(0, "a", 1), number(1, "a", 1), number(0, "b", 1), number(0, "a", 2)}) == 4


def test_fresh_weights_depend_on_the_seed_and_leave_no_trace():
    before = torch.random.get_rng_state()
    weights = []
    for seed in (0, 0, 1):
        with fresh_weights(seed, "net"):
            weights.append(nn.Linear(3, 3).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_gradient_that_is_not_finite_is_let_go_and_a_large_one_is_clipped():
    network = nn.Linear(1, 1, bias=False)
    start = network.weight.detach().clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    update(optimiser, network.weight.sum() * float("nan"))
    assert torch.equal(network.weight, start)
    update(optimiser, network.weight.sum() * 1e6)
    assert float((start - network.weight).detach()) == pytest.approx(1.0, abs=1e-4)
