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


class ChannelDiscriminator(nn.Module):
    """Tells Z_R from Z_X by each channel's mean and deviation over a crop: what instance norm hides from the other one.

    It is not learned but solved: the linear D that minimises eq. 3 over the last crops of either kind, which is
    Fisher's discriminant. An encoder that moves is thus met by its best linear critic at every step.
    """

    def __init__(self, latent_channels: int, *, memory: int = 320, shrinkage: float = 0.1) -> None:
        """Remembers `memory` crops of either kind; correlations within a kind are drawn to zero by `shrinkage`."""
        super().__init__()
        self.shrinkage = shrinkage
        for kind in ("old", "synthetic"):
            self.register_buffer(kind, torch.zeros(memory, 2 * latent_channels))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    @property
    def ready(self) -> bool:
        """Whether it remembers enough to be right more often than not: as many crops as it has inputs."""
        return int(self.seen) >= self.old.shape[1] // 2

    @torch.no_grad()
    def remember(self, old: Tensor, synthetic: Tensor) -> None:
        """Takes in the statistics of latents (B, C, h, w) of either kind, as many of each, for the oldest it knows."""
        if len(old) != len(synthetic):
            raise ValueError(f"as many latents of either kind are needed, got {len(old)} and {len(synthetic)}")
        places = (self.seen + torch.arange(len(old), device=self.old.device)) % len(self.old)
        self.old[places], self.synthetic[places] = channel_statistics(old), channel_statistics(synthetic)
        self.seen += len(old)

    @torch.no_grad()
    def solved(self) -> tuple[Tensor, Tensor]:
        """Gives the weights (2C,) and the bias of D.

        With S the covariance within a kind, d the difference of the means and m their midpoint, eq. 3 is least at
        D(f) = 1/2 + b (f - m), b = S^-1 d / (4 + d S^-1 d).
        """
        known = min(int(self.seen), len(self.old))
        old, synthetic = self.old[:known].double(), self.synthetic[:known].double()
        within = (torch.cov(old.T) + torch.cov(synthetic.T)) / 2
        spread = within.diagonal().clamp_min(1e-12).sqrt()
        related = (1 - self.shrinkage) * within / spread[:, None] / spread
        related.diagonal().fill_(1.0)
        apart = (old.mean(0) - synthetic.mean(0)) / spread
        fisher = torch.linalg.solve(related, apart)
        weights = fisher / (4 + apart @ fisher) / spread
        bias = 0.5 - weights @ (old.mean(0) + synthetic.mean(0)) / 2
        return weights.float(), bias.float()

    def forward(self, latents: Tensor) -> Tensor:
        """Gives D (B,) of latents (B, C, h, w): about 1 for old photos, 0 for synthetic ones."""
        weights, bias = self.solved()
        return channel_statistics(latents) @ weights + bias


def channel_statistics(latents: Tensor) -> Tensor:
    """Gives each channel's mean and deviation (B, 2C) of latents (B, C, h, w)."""
    flat = latents.float().flatten(2)
    deviation = (flat.var(2, unbiased=False) + 1e-8).sqrt()
    return torch.cat([flat.mean(2), deviation], dim=1)


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
