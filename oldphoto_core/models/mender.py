"""The mender: what a smooth filling lacks inside the mask, at full resolution.

A spline (`oldphoto_core.restoration.filling`) continues tones and their slopes into a hole, and blurs what crosses it:
a collar, a shoulder. This network sees the filled photo and where it was filled, and adds the rest there and nowhere
else.
(Not in the paper, whose T works at a quarter of the resolution, where a scratch of one pixel has no place of its own.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.blocks import ChannelNorm
from oldphoto_core.models.detector import pad_to_multiple, square_mean

DEPTH = 2
KERNEL = 5
FOLD = 2
SURROUNDINGS_PX = 63
"""Side of the square whose mean a pixel is shown against: the network knows shapes, not tones."""


class GatedMix(nn.Module):
    """A gated block with a depthwise convolution of 5x5; its last layers start at zero, the whole at the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_mix = ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, 2 * channels, KERNEL, padding=KERNEL // 2, groups=2 * channels)
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.norm_feed = ChannelNorm(channels)
        self.feed_in = nn.Conv2d(channels, 2 * channels, 1)
        self.feed_out = nn.Conv2d(channels, channels, 1)
        for last in (self.narrow, self.feed_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.mix(self.widen(self.norm_mix(x))).chunk(2, dim=1)
        x = x + self.narrow(left * right)
        left, right = self.feed_in(self.norm_feed(x)).chunk(2, dim=1)
        return x + self.feed_out(left * right)


class Mender(nn.Module):
    """A U-shaped network from 1/2 to 1/16 of the sides; 0.8 M weights in `archive`.

    Args:
        widths: channels from 1/2 of the sides down, each level at half the resolution of the one before.

    Attributes:
        total_stride: sides of windows are best multiples of it.
        reach_px: how far a pixel may change another.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        pairs = list(zip(widths, widths[1:], strict=False))
        self.stem = nn.Conv2d(7 * FOLD**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(_stack(width) for width in widths)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.ups = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairs)
        self.decoder = nn.ModuleList(_stack(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 3 * FOLD**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.total_stride = FOLD * 2 ** len(pairs)
        cells = sum((1 + (level < len(pairs))) * 2**level for level in range(len(widths)))
        self.reach_px = FOLD * (DEPTH * (KERNEL // 2) * cells + 2) + self.total_stride + SURROUNDINGS_PX // 2

    def forward(self, filled: Tensor, mask: Tensor) -> Tensor:
        """Gives the photo mended: itself, bit for bit, where the mask is 0.

        Args:
            filled: (B, 3, H, W) in [-1, 1], filled where the mask is 1.
            mask: (B, 1, H, W) in {0, 1}.

        Returns:
            (B, 3, H, W) float32, not clipped.
        """
        return filled + self.lacking(filled, mask) * mask

    def lacking(self, filled: Tensor, mask: Tensor) -> Tensor:
        """Gives (B, 3, H, W) float32: what is to be added inside the mask."""
        image, (height, width) = pad_to_multiple(filled, self.total_stride)
        holes = F.pad(mask, (0, image.shape[-1] - width, 0, image.shape[-2] - height))
        shape = image - square_mean(image, SURROUNDINGS_PX)
        seen = torch.cat([shape, holes, shape * (1 - holes)], dim=1)
        x = self.stem(F.pixel_unshuffle(seen.to(self.stem.weight.dtype), FOLD))
        levels = []
        for blocks, down in zip(self.encoder, [*self.downs, None], strict=True):
            x = blocks(x)
            if down is not None:
                levels.append(x)
                x = down(x)
        for up, blocks in zip(reversed(self.ups), reversed(self.decoder), strict=True):
            x = blocks(F.pixel_shuffle(up(x), 2) + levels.pop())
        return F.pixel_shuffle(self.head(x), FOLD)[..., :height, :width].float()


def _stack(channels: int) -> nn.Sequential:
    return nn.Sequential(*(GatedMix(channels) for _ in range(DEPTH)))
