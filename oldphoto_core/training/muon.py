"""Muon: momentum whose update is made orthogonal, for weights that are matrices (Jordan et al. 2024).

A gradient of a convolution lies mostly along few directions; orthogonalising its momentum by a Newton-Schulz iteration
moves all of them alike. PyTorch's own Muon takes parameters of two dimensions alone; here a convolution's weight is
taken as the matrix (outputs, inputs x height x width). What is no such matrix (biases, gains, depthwise convolutions)
is left to Adam, in the same optimiser.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that takes singular values in (0, 1] towards 1; Jordan's, steep at 0 and loose at 1."""
_ITERATIONS = 5
_EPS = 1e-8


class Muon(torch.optim.Optimizer):
    """Muon for groups with `orthogonal`, Adam without weight decay for the others.

    Args:
        groups: parameter groups, each with `params`, `lr` and `orthogonal`.
        momentum: of Muon, Nesterov's.
        betas: of Adam.
        weight_decay: of Muon, times the rate: its updates have the same size at each step, and only this keeps weights
            before a norm, where their size changes nothing, from growing for ever.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(groups, {"momentum": momentum, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Does one step of every group."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["orthogonal"]:
                    self._orthogonal_step(parameter, group)
                else:
                    self._adam_step(parameter, group)

    def _orthogonal_step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.mul_(group["momentum"]).add_(gradient)
        update = gradient.add(momentum, alpha=group["momentum"]).flatten(1)
        tall = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(orthogonal(update).view_as(parameter), alpha=-group["lr"] * tall)

    def _adam_step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient, (first, second) = self.state[parameter], parameter.grad, group["betas"]
        assert gradient is not None
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].lerp_(gradient.square(), 1 - second)
        scale = (square / (1 - second ** state["step"])).sqrt_().add_(_EPS)
        parameter.addcdiv_(mean, scale, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonal(matrix: Tensor) -> Tensor:
    """Gives a matrix (M, N) of the same singular vectors whose singular values lie near 1, within about 0.7 to 1.2."""
    a, b, c = _COEFFICIENTS
    x = matrix.float()
    x = x / (x.norm() + _EPS)
    turned = x.shape[0] > x.shape[1]
    if turned:
        x = x.T
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if turned else x).to(matrix.dtype)
