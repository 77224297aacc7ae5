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

    A batch of crops says little of either kind, so that it remembers those of the last steps, learns from all of them,
    and brings the channels to one scale by them. What it remembers is kept with its weights.
    """

    def __init__(self, latent_channels: int, *, width: int = 32, memory: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * latent_channels, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))
        self.register_buffer("memory", torch.zeros(2, memory, 2 * latent_channels))
        self.register_buffer("held", torch.zeros(1, dtype=torch.long))

    @property
    def ready(self) -> bool:
        """Whether it has seen enough to be listened to: half of what it can remember."""
        return int(self.held) >= self.memory.shape[1] // 2

    @staticmethod
    def pooled(latents: Tensor) -> Tensor:
        """Gives channel means and logarithms of deviations (B, 2C) of latents (B, C, h, w)."""
        flat = latents.float().flatten(2)
        deviation = (flat.var(2, unbiased=False) + 1e-6).log() / 2
        return torch.cat([flat.mean(2), deviation], dim=1)

    @torch.no_grad()
    def remember(self, old: Tensor, synthetic: Tensor) -> None:
        """Takes the latents of a step, as many of either kind, in place of the oldest ones."""
        new = torch.stack([self.pooled(old), self.pooled(synthetic)])
        self.memory.copy_(torch.cat([self.memory[:, new.shape[1] :], new], dim=1))
        self.held.copy_((self.held + new.shape[1]).clamp_max(self.memory.shape[1]))

    def remembered(self) -> tuple[Tensor, Tensor]:
        """Gives the logits (N, 1) of all that is remembered, of old and of synthetic latents."""
        old, synthetic = self.memory[:, -int(self.held) :]
        return self._judge(old), self._judge(synthetic)

    def forward(self, latents: Tensor) -> Tensor:
        """Gives logits (B, 1) of latents (B, C, h, w)."""
        return self._judge(self.pooled(latents))

    def _judge(self, features: Tensor) -> Tensor:
        known = self.memory[:, -max(1, int(self.held)) :].flatten(0, 1)
        return self.layers((features - known.mean(0)) / (known.std(0) + 1e-3))


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
