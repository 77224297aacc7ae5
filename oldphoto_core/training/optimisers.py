"""Optimisers whose groups may begin at different shares of the budget, and one clipped step of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.distributed import average_gradients
from oldphoto_core.training.muon import Muon
from oldphoto_core.training.schedule import Clock, learning_rate

CLIP = 1.0
"""Gradient norm above which a step is scaled down."""


def update(optimiser: torch.optim.Optimizer, loss: torch.Tensor, *, clip: float = CLIP) -> None:
    """Does one optimiser step down the loss, its gradient clipped; a gradient that is not finite is let go."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    average_gradients(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    if torch.isfinite(norm):
        optimiser.step()


@dataclass(frozen=True)
class Learners:
    """Networks that learn at one rate, from one share of the budget on."""

    networks: Sequence[nn.Module]
    rate: float
    """Peak learning rate."""
    start: float = 0.0
    """Share of the budget at which they begin, with a warm-up and a cosine of their own."""


def adamw(*learners: Learners) -> torch.optim.AdamW:
    """Gives the recipe's AdamW: betas (.9, .95), weight decay 1e-4 on weights, none on biases and gains."""
    groups = []
    for some in learners:
        parameters = [p for network in some.networks for p in network.parameters()]
        for decay in (1e-4, 0.0):
            chosen = [p for p in parameters if (p.ndim > 1) == (decay > 0)]
            if chosen:
                group = {"params": chosen, "weight_decay": decay, "lr": some.rate, "peak": some.rate}
                groups.append(group | {"start": some.start})
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))


ADAM_SHARE = 0.1
"""Rate of what Muon leaves to Adam, as a share of Muon's."""


def muon(*learners: Learners) -> Muon:
    """Gives Muon for weights that are matrices, at the rate, and Adam at a tenth of it for all others."""
    groups = []
    for some in learners:
        parameters = [p for network in some.networks for p in network.parameters()]
        for is_matrix in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1 and p.shape[1] > 1) == is_matrix]
            rate = some.rate if is_matrix else some.rate * ADAM_SHARE
            if chosen:
                group = {"params": chosen, "lr": rate, "peak": rate, "start": some.start, "orthogonal": is_matrix}
                groups.append(group)
    return Muon(groups)


def adam(*learners: Learners) -> torch.optim.Adam:
    """Gives the paper's Adam, betas (.5, .999), used with an adversary."""
    groups = [
        {"params": [p for n in some.networks for p in n.parameters()], "lr": some.rate, "peak": some.rate}
        | {"start": some.start}
        for some in learners
    ]
    return torch.optim.Adam(groups, betas=(0.5, 0.999))


def set_rates(optimisers: Mapping[str, torch.optim.Optimizer], clock: Clock) -> None:
    """Sets every group's learning rate; a group that starts late has its own warm-up and cosine from there on."""
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            start = group["start"]
            begun = clock.share >= start
            group["lr"] = group["peak"] * learning_rate((clock.share - start) / (1 - start)) if begun else 0.0


OptimiserName = Literal["muon", "adamw", "adam"]


def named_optimiser(name: OptimiserName, *learners: Learners) -> torch.optim.Optimizer:
    """Gives the optimiser of this name.

    Raises:
        TrainingError: there is none.
    """
    known = {"muon": muon, "adamw": adamw, "adam": adam}
    if name not in known:
        raise TrainingError(f"there is no optimiser {name!r}; expected one of {', '.join(known)}")
    return known[name](*learners)


def current_rate(optimisers: Mapping[str, torch.optim.Optimizer]) -> float:
    """Gives the learning rate of the first optimiser's first group, for the curves."""
    return next(iter(optimisers.values())).param_groups[0]["lr"]
