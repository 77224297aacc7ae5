"""Randomness of one batch: small parameters on the CPU, full fields on the device, both from one seed.

Parameters decide which samples an operation touches, so they are drawn where a decision costs no wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Dice:
    """Draws everything that one batch needs.

    Args:
        generator: source of the one number that seeds this batch; it advances by that one draw.
        device: where fields are drawn and parameters are sent.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device).item())
        self.device = device
        self.parameters = torch.Generator().manual_seed(seed)
        self.fields = torch.Generator(device=device).manual_seed(seed ^ 0x5DEECE66D)

    def chance(self, probability: float | Tensor, count: int) -> Tensor:
        """Gives (count,) bool on the CPU, true with the probability."""
        return torch.rand(count, generator=self.parameters) < probability

    def choice(self, weights: Sequence[float], count: int) -> Tensor:
        """Gives (count,) int64 on the CPU: an index into `weights`, drawn by weight."""
        edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        draws = torch.rand(count, generator=self.parameters, dtype=torch.float64) * edges[-1]
        return torch.searchsorted(edges, draws, right=True).clamp_max(len(weights) - 1)

    def integers(self, low: int, high: int, count: int) -> Tensor:
        """Gives (count,) int64 on the CPU in [low, high]."""
        return torch.randint(low, high + 1, (count,), generator=self.parameters)

    def shares(self, count: int) -> Tensor:
        """Gives (count,) float32 on the CPU, uniform in [0, 1): for decisions and numbers of things."""
        return torch.rand(count, generator=self.parameters)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Gives float32 on the device, uniform in [low, high)."""
        return self.send(torch.rand(shape, generator=self.parameters) * (high - low) + low)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Gives float32 on the device, uniform in the logarithm: small values as likely as large ones."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Gives float32 standard normal parameters on the device."""
        return self.send(torch.randn(shape, generator=self.parameters))

    def field(self, *shape: int) -> Tensor:
        """Gives a large standard normal field, drawn on the device."""
        return torch.randn(shape, generator=self.fields, device=self.device)

    def send(self, values: Tensor) -> Tensor:
        """Moves parameters to the device."""
        return values.to(self.device, non_blocking=True)

    def indices(self, chosen: Tensor) -> Tensor:
        """Gives the positions of true values of a CPU mask, on the device."""
        return self.send(chosen.nonzero().squeeze(1))


def each(values: Tensor) -> Tensor:
    """Shapes (B,) to (B, 1, 1, 1), or (B, C) to (B, C, 1, 1), for use beside an image batch."""
    return values.reshape(*values.shape[:1], -1, 1, 1)
