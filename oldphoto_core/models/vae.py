"""The variational autoencoders: VAE1 over old and damaged photos, VAE2 over clean ones (eq. 2).

Both give a mean and a log-variance for a latent at a quarter of the height and width. Training samples with the
re-parameterisation trick; restoration uses the mean. (The authors' released code has no variance head; the paper has.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oldphoto_core.models.blocks import GatedStack, conv_norm_relu, residual_stack

LOGVAR_START = -7.0
"""Log-variance of a fresh latent: a small noise, so that reconstruction is learned before compression."""


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a VAE.

    Attributes:
        kind: `linear` (archive) or `residual` (the authors').
        latent_channels: channels of the latent, at 1/4 of height and width.
        width: channels of the hidden layers.
        depth: blocks each way.
    """

    kind: str
    latent_channels: int
    width: int
    depth: int


class VAE(nn.Module, ABC):
    """What both kinds share: sampling, and the pass of eq. 2."""

    stride: int = 4
    encoder_reach_px: int | None = None
    """How far a pixel can change a latent place's pixels; None: any distance (instance norm)."""
    decoder_reach_px: int | None = None
    """How far a latent place's pixels can change a pixel; None: any distance."""

    @abstractmethod
    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Gives (mean, log-variance), each (B, C, H/4, W/4), of an image (B, 3, H, W) in [-1, 1]."""

    @abstractmethod
    def encode_mean(self, image: Tensor) -> Tensor:
        """Gives the mean of `encode` alone: what restoration uses."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Gives the image (B, 3, H, W), about [-1, 1] but not clipped, of a latent (B, C, H/4, W/4)."""

    @property
    @abstractmethod
    def encoder_parts(self) -> list[nn.Module]:
        """The networks that `encode` uses: E, of which the rest is G."""

    @staticmethod
    def sample(mean: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws z = mean + exp(logvar / 2) * noise."""
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
        return mean + torch.exp(0.5 * logvar) * noise.to(mean.dtype)

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Gives (reconstruction, mean, log-variance), with a sampled latent."""
        mean, logvar = self.encode(image)
        return self.decode(self.sample(mean, logvar, generator)), mean, logvar

    def initialise_linear_path(self, images: Tensor) -> None:
        """Starts the linear path from the principal components of 4x4 patches; nothing to do in `paper`."""


class LinearPathVAE(VAE):
    """A linear 4x4 patch transform through the latent, plus convolutional residuals that start at zero.

    It starts as a lossless orthogonal change of basis (the decoder is the encoder's inverse), so there is no
    pixel-shuffle grid to unlearn, and VAE1 and VAE2 share one geometry: the linear one.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        latent, width = config.latent_channels, config.width
        self.latent_channels = latent
        self.encoder_reach_px = 5 + 4 * config.depth  # the 8x8 stem, then one cell a block
        self.decoder_reach_px = 3 + 4 * (1 + config.depth) + 1  # in the cell, the blocks, the last convolution
        self.to_latent = nn.Conv2d(3, latent, 4, stride=4)
        self.from_latent = nn.ConvTranspose2d(latent, 3, 4, stride=4)
        self.encoder_in = nn.Conv2d(3, width, 8, stride=4, padding=2)
        self.encoder_blocks = GatedStack(width, config.depth)
        self.encoder_mean = nn.Conv2d(width, latent, 1)
        self.encoder_logvar = nn.Conv2d(width, latent, 1)
        self.decoder_in = nn.Conv2d(latent, width, 3, padding=1)
        self.decoder_blocks = GatedStack(width, config.depth)
        self.decoder_up = nn.Sequential(nn.Conv2d(width, 16 * 8, 1), nn.PixelShuffle(4))
        self.decoder_out = nn.Conv2d(8 + 3, 3, 3, padding=1)
        for layer in (self.encoder_mean, self.encoder_logvar, self.decoder_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.encoder_logvar.bias, LOGVAR_START)
        self._set_basis(torch.eye(48), torch.ones(48))

    @torch.no_grad()
    def initialise_linear_path(self, images: Tensor) -> None:
        """Starts the linear path from images (B, 3, H, W) in [-1, 1]: PCA of 4x4x3 patches, largest first.

        Component i is scaled by its standard deviation to the power of -1/2: half-way between plain PCA, in which
        the mean grey drowns the detail, and whitening, in which noise counts as much as shape.
        """
        patches = nn.functional.unfold(images.float(), 4, stride=4).transpose(1, 2).reshape(-1, 48)
        covariance = patches.T @ patches / len(patches)  # about zero, not the mean: mid-grey stays at the origin
        values, vectors = torch.linalg.eigh(covariance.double())
        order = torch.arange(47, -1, -1)
        spread = values[order].clamp_min(1e-6).sqrt().float().to(vectors.device)
        self._set_basis(vectors[:, order].T.float(), spread.clamp_min(0.02).rsqrt())

    @torch.no_grad()
    def _set_basis(self, basis: Tensor, scale: Tensor) -> None:
        """Sets encoder rows to basis * scale and decoder columns to its inverse. basis: (48, 48) orthonormal rows."""
        kept = min(48, self.latent_channels)
        for layer in (self.to_latent, self.from_latent):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        rows = basis[:kept].to(self.to_latent.weight)
        scale = scale[:kept].to(self.to_latent.weight)
        self.to_latent.weight[:kept] = (rows * scale[:, None]).reshape(kept, 3, 4, 4)
        self.from_latent.weight[:kept] = (rows / scale[:, None]).reshape(kept, 3, 4, 4)

    @property
    def encoder_parts(self) -> list[nn.Module]:
        return [self.to_latent, self.encoder_in, self.encoder_blocks, self.encoder_mean, self.encoder_logvar]

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder_blocks(self.encoder_in(image))
        return self._mean(image, hidden), self.encoder_logvar(hidden).float().clamp(-14.0, 4.0)

    def encode_mean(self, image: Tensor) -> Tensor:
        return self._mean(image, self.encoder_blocks(self.encoder_in(image)))

    def _mean(self, image: Tensor, hidden: Tensor) -> Tensor:
        return self.to_latent(image).float() + self.encoder_mean(hidden).float()

    def decode(self, latent: Tensor) -> Tensor:
        linear = self.from_latent(latent)
        hidden = self.decoder_up(self.decoder_blocks(self.decoder_in(latent)))  # (B, 8, H, W)
        residual = self.decoder_out(torch.cat([hidden, linear.to(hidden.dtype)], dim=1))
        return linear.float() + residual.float()


class ResidualVAE(VAE):
    """The authors' sizes: 7x7 convolution, two 4x4 convolutions of stride 2, four residual blocks, and back."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        width, latent = config.width, config.latent_channels
        self.latent_channels = latent
        self.encoder = nn.Sequential(
            conv_norm_relu(3, width, 7, padding=3),
            conv_norm_relu(width, width, 4, stride=2, padding=1),
            conv_norm_relu(width, latent, 4, stride=2, padding=1),
            residual_stack(latent, config.depth),
        )
        self.logvar = nn.Conv2d(latent, latent, 1)  # the paper's variance, which the released code leaves out
        nn.init.zeros_(self.logvar.weight)
        nn.init.constant_(self.logvar.bias, LOGVAR_START)
        self.decoder = nn.Sequential(
            residual_stack(latent, config.depth),
            nn.ConvTranspose2d(latent, width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
            nn.InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )

    @property
    def encoder_parts(self) -> list[nn.Module]:
        return [self.encoder, self.logvar]

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.encoder(image)
        return mean.float(), self.logvar(mean).float().clamp(-14.0, 4.0)

    def encode_mean(self, image: Tensor) -> Tensor:
        return self.encoder(image).float()

    def decode(self, latent: Tensor) -> Tensor:
        return self.decoder(latent).float()


def build_vae(config: VAEConfig) -> VAE:
    """Gives a fresh VAE of the given kind and sizes."""
    return LinearPathVAE(config) if config.kind == "linear" else ResidualVAE(config)
