"""How far a restoration may be from the truth, pixel by pixel: the scale of a Laplace distribution of its error.

A small head, trained last, on what a frozen release makes of photos whose truth is known. It is shown the damaged
photo, its mask, the restoration and the difference of the two, and changes none of them. Its answer b is the mean
absolute error to be expected, apart from tone: with the restoration r, and the truth y brought into r's own tone,

    p(y | r, b) = exp(-|y - r| / b) / (2 b)          central interval of share c:  r +- b ln(1 / (1 - c))

Nothing is averaged over space, so a tile sees what the whole photo would.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.blocks import GatedBlock, upsample_conv

CELL_PX = 4
"""Squares of so many pixels a side are folded into channels: the head's finest resolution."""
FLOOR = 0.25 / 255
"""The least scale it can give, in [0, 1]: a file of 8 bits hides smaller errors."""
KNOTS = 17
"""Of the line that brings answers to what was found."""
INPUTS = 10
"""Damaged and restored photo, their difference, and the mask."""

_FINE, _COARSE = 32, 40
_START = 0.03  # the scale that a fresh head gives, about a typical error


class UncertaintyHead(nn.Module):
    """Gives the scale of a restoration's error; about 0.05 M weights.

    Attributes:
        total_stride: tiles start and end at multiples of so many pixels.
        reach_px: how far away a pixel may change the answer.
        asked, answered: (`KNOTS`,) what the network says, rising, and what is answered for it, with straight lines
            between; fitted once on photos of another hand than the training's, each its own at first.
    """

    total_stride = 2 * CELL_PX
    reach_px = 31
    asked: Tensor
    answered: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(INPUTS * CELL_PX**2, _FINE, 1)
        self.fine = GatedBlock(_FINE)
        self.down = nn.Conv2d(_FINE, _COARSE, 2, stride=2)
        self.coarse = nn.ModuleList(GatedBlock(_COARSE) for _ in range(2))
        self.up = upsample_conv(_COARSE, _FINE)
        self.joined = GatedBlock(_FINE)
        self.out = nn.Conv2d(_FINE, CELL_PX**2, 1)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.constant_(self.out.bias, math.log(math.expm1(_START)))
        self.register_buffer("asked", torch.linspace(FLOOR, 1, KNOTS))
        self.register_buffer("answered", self.asked.clone())

    def forward(self, damaged: Tensor, mask: Tensor, restored: Tensor) -> Tensor:
        """Gives the scale b of each pixel's error, the same for its three channels.

        Args:
            damaged: (B, 3, H, W) in [-1, 1], sRGB; H and W multiples of `total_stride`.
            mask: (B, 1, H, W) in [0, 1], the detector's probability or the mask that was given.
            restored: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, 1, H, W) float32, in values of [0, 1]: times 255 for levels. No gradient reaches the inputs.
        """
        change = 4 * (restored - damaged)  # most changes are small
        seen = torch.cat([damaged, restored, change, mask], dim=1).detach()
        fine = self.fine(self.stem(F.pixel_unshuffle(seen, CELL_PX)))  # (B, 32, H/4, W/4)
        coarse = self.down(fine)  # (B, 40, H/8, W/8)
        for block in self.coarse:
            coarse = block(coarse)
        answer = self.out(self.joined(fine + self.up(coarse)))
        return self.calibrated(FLOOR + F.softplus(F.pixel_shuffle(answer.float(), CELL_PX)))

    def calibrated(self, scale: Tensor) -> Tensor:
        """Gives what is answered for these scales, of any shape; beyond the last knot in proportion to it."""
        above = torch.bucketize(scale, self.asked).clamp(1, KNOTS - 1)
        low, high = self.asked[above - 1], self.asked[above]
        share = ((scale - low) / (high - low)).clamp(0, 1)
        between = torch.lerp(self.answered[above - 1], self.answered[above], share)
        return between * (scale / self.asked[-1]).clamp_min(1)


def laplace_loss(scale: Tensor, restored: Tensor, truth: Tensor) -> Tensor:
    """Gives the mean negative log-likelihood of the truth, over pixels and channels.

    Args:
        scale: (B, 1, H, W), of values in [0, 1].
        restored, truth: (B, 3, H, W) in [-1, 1].
    """
    error = (restored - truth).abs() / 2
    return (error / scale + torch.log(2 * scale)).mean()


def within(share: float) -> float:
    """Gives how many scales to each side hold this central share of a Laplace distribution."""
    return -math.log(1 - share)
