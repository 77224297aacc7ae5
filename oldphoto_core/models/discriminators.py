"""Discriminators: patches of images at several scales, and the latent ones that tell old from synthetic (eqs. 2-3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """A multi-scale PatchGAN: the authors' has 2 scales, 3 layers and 64 filters."""

    def __init__(self, *, inputs: int = 3, filters: int = 64, layers: int = 3, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_PatchStack(inputs, filters, layers) for _ in range(scales))

    def forward(self, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Gives, a scale, (logits (B, 1, h, w), the features of each layer before it); x is (B, inputs, H, W)."""
        answers = []
        for stack in self.scales:
            answers.append(stack(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return answers


class LatentDiscriminator(PatchDiscriminator):
    """Tells Z_R from Z_X: 1 scale, 3 layers, on latents (B, C, h, w)."""

    def __init__(self, latent_channels: int, *, filters: int = 64) -> None:
        super().__init__(inputs=latent_channels, filters=filters, layers=3, scales=1)


class PooledDiscriminator(nn.Module):
    """Tells Z_R from Z_X by each channel's mean and deviation over a crop: what instance norm hides from the other one.

    Both kinds go through it as one batch, whose own statistics bring the channels to one scale.
    """

    def __init__(self, latent_channels: int, *, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(2 * latent_channels, affine=False, track_running_stats=False),
            nn.Linear(2 * latent_channels, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Gives logits (B, 1) of latents (B, C, h, w)."""
        flat = latents.float().flatten(2)
        deviation = (flat.var(2, unbiased=False) + 1e-6).log()
        return self.layers(torch.cat([flat.mean(2), deviation], dim=1))


class _PatchStack(nn.Module):
    """4x4 convolutions of stride 2, then two of stride 1; features are kept for feature matching."""

    def __init__(self, inputs: int, filters: int, layers: int) -> None:
        super().__init__()
        parts = [nn.Sequential(nn.Conv2d(inputs, filters, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
        width = filters
        for layer in range(1, layers + 1):
            following = min(width * 2, 512)
            stride = 2 if layer < layers else 1
            parts.append(
                nn.Sequential(
                    nn.Conv2d(width, following, 4, stride=stride, padding=2),
                    nn.InstanceNorm2d(following),
                    nn.LeakyReLU(0.2),
                )
            )
            width = following
        self.parts = nn.ModuleList(parts)
        self.head = nn.Conv2d(width, 1, 4, padding=2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for part in self.parts:
            x = part(x)
            features.append(x)
        return self.head(x).float(), features
