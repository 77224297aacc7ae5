"""Building blocks of the networks: no-statistics blocks for scans, and the paper's residual blocks.

The `archive` networks never take a statistic over space: their normalisation looks at the channels of one place only.
A tile therefore sees exactly what the whole photo would, and no seam can appear between tiles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place, (B, C, H, W) -> (B, C, H, W); computed in float32."""

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1).to(self.weight.dtype)  # (B, H, W, C): a view where channels-last
        normed = F.layer_norm(last, (x.shape[1],), self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2).to(x.dtype)


class GatedBlock(nn.Module):
    """A gated depthwise residual block in the manner of NAFNet, without its pooling over space.

    Two residual steps: 1x1 to 2C, depthwise 3x3, multiplicative gate, 1x1 back; then a gated 1x1 feed-forward.
    Both are scaled by learned factors that start small, so that a deep stack starts near the identity.
    A condition (B, D) from the look at the whole photo shifts and scales the normalised features.

    Reach: one cell of its own resolution.
    """

    def __init__(self, channels: int, *, condition_size: int = 0) -> None:
        super().__init__()
        self.norm_mix = ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.norm_feed = ChannelNorm(channels)
        self.feed_in = nn.Conv2d(channels, 2 * channels, 1)
        self.feed_out = nn.Conv2d(channels, channels, 1)
        self.mix_scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))
        self.feed_scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))
        self.film = nn.Linear(condition_size, 2 * channels) if condition_size else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        y = self.norm_mix(x)
        if self.film is not None and condition is not None:
            scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)  # each (B, C, 1, 1)
            y = y * (1 + scale) + shift
        left, right = self.mix(self.widen(y)).chunk(2, dim=1)
        x = x + self.mix_scale * self.narrow(left * right)
        left, right = self.feed_in(self.norm_feed(x)).chunk(2, dim=1)
        return x + self.feed_scale * self.feed_out(left * right)


class GatedStack(nn.Module):
    """Gated blocks one after another, all given the same condition."""

    def __init__(self, channels: int, depth: int, *, condition_size: int = 0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(GatedBlock(channels, condition_size=condition_size) for _ in range(depth))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, condition)
        return x


class ResidualBlock(nn.Module):
    """The paper's residual block: two reflect-padded 3x3 convolutions with instance norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residual_stack(channels: int, depth: int) -> nn.Sequential:
    """Gives `depth` of the paper's residual blocks in a row."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(depth)))


def conv_norm_relu(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """Gives the paper's reflect-padded convolution, instance norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, padding_mode="reflect"),
        nn.InstanceNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsample_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Gives a 1x1 convolution and a pixel shuffle to twice the height and width."""
    return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2))
