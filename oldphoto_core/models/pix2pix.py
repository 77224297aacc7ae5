"""pix2pix (Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks*, CVPR 2017): the rival.

Not a part of any release: it is trained and measured beside ours. Generator and discriminator are as published but
for their sizes: the U-Net halves the picture as often as the crops allow (five times, not eight), and its first width
is chosen so that it has as many weights as what it is compared with. Its input is the picture and the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.errors import ConfigError

DROPPED_SHARE = 0.5
WIDEST = 8
"""Widths double down to this multiple of the first, as published."""


@dataclass(frozen=True)
class Pix2pixConfig:
    """Sizes of the generator.

    Attributes:
        width: channels after the first convolution; 64 as published.
        depth: halvings of height and width; 8 as published, for pictures of 256 pixels alone.
    """

    width: int
    depth: int = 5

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 2:
            raise ConfigError(f"pix2pix has width {self.width} and depth {self.depth}; expected at least 1 and 2")

    @property
    def stride(self) -> int:
        """Heights and widths are multiples of it."""
        return 2**self.depth


class Pix2pixGenerator(nn.Module):
    """The U-Net: convolutions of 4x4 and stride 2, batch norm, leaky ReLU down; ReLU and skips on the way up; tanh.

    Dropout of one half stands in the widest layers on the way up, and is pix2pix's only noise. The authors leave it on
    in use, too, and take batch norm's statistics from the picture at hand. Here both are at rest in evaluation, so that
    the same photo gives the same pixels.
    """

    def __init__(self, config: Pix2pixConfig) -> None:
        super().__init__()
        self.stride = config.stride
        widths = [config.width * min(WIDEST, 2**level) for level in range(config.depth)]
        self.first = nn.Conv2d(4, widths[0], 4, stride=2, padding=1)
        self.downs = nn.ModuleList(
            _down(a, b, normed=level < config.depth - 2)  # the innermost has one place a channel: nothing to norm over
            for level, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        ups = [(b, a) for a, b in zip(widths[:-1], widths[1:], strict=True)][::-1]
        self.ups = nn.ModuleList(_up(b if k == 0 else 2 * b, a) for k, (b, a) in enumerate(ups))
        self.dropped = [a == config.width * WIDEST for _, a in ups]
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], 3, 4, stride=2, padding=1), nn.Tanh())
        _normal_weights(self)

    def forward(self, image: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Gives the restored picture (B, 3, H, W) in [-1, 1].

        Args:
            image: (B, 3, H, W) in [-1, 1], H and W multiples of the stride.
            mask: (B, 1, H, W) in [0, 1], soft.
            generator: draws the dropout of training.
        """
        levels = [self.first(torch.cat([image, mask.to(image.dtype)], dim=1))]
        for down in self.downs:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up, dropped in zip(self.ups, self.dropped, strict=True):
            x = up(x)
            if dropped and self.training:
                kept = torch.rand(x.shape, generator=generator, device=x.device) >= DROPPED_SHARE
                x = x * kept / (1 - DROPPED_SHARE)
            x = torch.cat([x, levels.pop()], dim=1)
        return self.last(x).float()

    def restore(self, image: Tensor, mask: Tensor) -> Tensor:
        """Restores pictures of any size: padded to the stride by mirroring, and cut back; see `forward`."""
        height, width = image.shape[-2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        mode = "reflect" if max(padding) < min(height, width) else "replicate"
        padded = (F.pad(one, padding, mode=mode) for one in (image, mask))
        return self(*padded)[..., :height, :width]


class Pix2pixDiscriminator(nn.Module):
    """The PatchGAN of 70x70 pixels: (input, output) pairs, called real or made, patch by patch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.parts = nn.Sequential(
            nn.Conv2d(4 + 3, w, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *_critic_layer(w, 2 * w, stride=2),
            *_critic_layer(2 * w, 4 * w, stride=2),
            *_critic_layer(4 * w, 8 * w, stride=1),
            nn.Conv2d(8 * w, 1, 4, padding=1),
        )
        _normal_weights(self)

    def forward(self, image: Tensor, mask: Tensor, answer: Tensor) -> Tensor:
        """Gives logits (B, 1, h, w) of the answer (B, 3, H, W) to this image and mask."""
        return self.parts(torch.cat([image, mask.to(image.dtype), answer.to(image.dtype)], dim=1)).float()


def _down(inputs: int, outputs: int, *, normed: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not normed)
    ]  # fmt: skip
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs)) if normed else nn.Sequential(*layers)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def _critic_layer(inputs: int, outputs: int, *, stride: int) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


def _normal_weights(network: nn.Module) -> None:
    """Draws the weights as published: convolutions from N(0, 0.02), batch norm's gains from N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
