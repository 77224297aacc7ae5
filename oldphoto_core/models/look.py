"""One look at the whole photo, before any tile is restored.

The damaged photo, area-averaged over its intact pixels to a small square, yields once: a tone map, a conditioning
vector, and 256 source tokens, of which the intact ones serve. Every tile is given the same. Training draws it from
the whole photo too, never from the crop. (Not in the paper, whose networks see a 256-pixel crop and guess the tone
from it.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.blocks import GatedStack
from oldphoto_core.models.tone import GLOBAL_NUMBERS, GRID_NUMBERS, Tone

THUMBNAIL_PX = 64
"""Height and width of the thumbnail: a square, whatever the photo's shape."""
TOKEN_PX = 4
"""Thumbnail pixels a side that one source token stands for: 256 tokens. (1,024 took two thirds of T's time.)"""
_QUANTILES = 16


@dataclass(frozen=True)
class LookConfig:
    """Sizes of the look.

    Attributes:
        width: channels at the tokens' resolution; half as many again at half of it.
        depth: gated blocks at each of the two resolutions.
        token_size: channels of a source token.
        condition_size: length of the conditioning vector.
    """

    width: int
    depth: int
    token_size: int
    condition_size: int


@dataclass(frozen=True)
class Glance:
    """What one look at each photo of a batch gave.

    Attributes:
        tone: the tone maps.
        condition: (B, D) conditioning vectors.
        tokens: (B, N, S) source tokens, N = (THUMBNAIL_PX / TOKEN_PX)^2 = 256.
        token_intact: (B, N) bool, False where a token may not be a source.
    """

    tone: Tone
    condition: Tensor
    tokens: Tensor
    token_intact: Tensor

    def to(self, device: torch.device) -> Glance:
        """Gives the glance on another device."""
        tone = Tone(**{name: value.to(device) for name, value in vars(self.tone).items()})
        return Glance(tone, self.condition.to(device), self.tokens.to(device), self.token_intact.to(device))

    @classmethod
    def together(cls, glances: Sequence[Glance]) -> Glance:
        """Gives the glances of several photos as those of one batch."""
        if len(glances) == 1:
            return glances[0]
        tones = [vars(glance.tone) for glance in glances]
        return cls(
            Tone(**{name: torch.cat([tone[name] for tone in tones]) for name in tones[0]}),
            torch.cat([glance.condition for glance in glances]),
            torch.cat([glance.tokens for glance in glances]),
            torch.cat([glance.token_intact for glance in glances]),
        )

    def repeat(self, count: int) -> Glance:
        """Gives a glance for `count` tiles of one photo (B must be 1)."""
        tone = Tone(**{name: value.expand(count, *value.shape[1:]) for name, value in vars(self.tone).items()})
        return Glance(
            tone,
            self.condition.expand(count, -1),
            self.tokens.expand(count, -1, -1),
            self.token_intact.expand(count, -1),
        )


def make_thumbnail(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Gives the thumbnail of a whole photo, averaged over intact pixels only, and the share of each that is damaged.

    A pixel whose mask is 1 has no influence at all, except on a photo that is damaged everywhere: that one is
    averaged plainly.

    Args:
        image: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in [0, 1].

    Returns:
        thumbnail (B, 3, 64, 64) in [-1, 1] and its mask (B, 1, 64, 64) in [0, 1], both float32.
    """
    image, mask = image.float(), mask.float().clamp(0, 1)
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    intact = 1 - mask
    share = _area(intact, size)  # (B, 1, 64, 64)
    total = _area(image * intact, size)
    plain = image.mean(dim=(2, 3), keepdim=True)
    weight = intact.mean(dim=(2, 3), keepdim=True)
    mean = torch.where(weight > 1e-4, (image * intact).mean(dim=(2, 3), keepdim=True) / weight.clamp_min(1e-4), plain)
    thumbnail = torch.where(share > 1e-3, total / share.clamp_min(1e-3), mean)
    return thumbnail, 1 - share


def _area(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages (B, C, H, W) over areas to the given size; each side that is smaller is interpolated instead."""
    height, width = x.shape[-2:]
    up = (max(height, size[0]), max(width, size[1]))
    if up != (height, width):
        x = F.interpolate(x, up, mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(x, size)


def whole_window(batch: int, device: torch.device | str = "cpu") -> Tensor:
    """Gives the window (B, 4) that is the whole photo."""
    return torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device).expand(batch, -1)


class Look(nn.Module):
    """The network that looks at a thumbnail and its mask; about 0.4 M weights in `archive`.

    Beside the thumbnail it is given each channel's *rank*: the share of the channel's pixels that are darker. No
    monotone curve changes a rank, so that what fading and toning leave alone is there to be read, and a toned grey
    print shows as three ranks alike.
    """

    def __init__(self, config: LookConfig) -> None:
        super().__init__()
        fine, coarse = config.width, config.width * 3 // 2
        self.stem = nn.Conv2d(7, fine, 8, stride=TOKEN_PX, padding=2)
        self.fine = GatedStack(fine, config.depth)
        self.to_tokens = nn.Conv2d(fine, config.token_size, 1)
        self.down = nn.Conv2d(fine, coarse, 2, stride=2)
        self.coarse = GatedStack(coarse, config.depth)
        statistics = 3 * _QUANTILES + 9 + 12
        self.summary = nn.Sequential(nn.Linear(coarse + statistics, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU())
        self.to_condition = nn.Linear(256, config.condition_size)
        self.to_numbers = nn.Linear(256, GLOBAL_NUMBERS)
        self.summary_to_grid = nn.Linear(256, coarse)
        self.to_grid = nn.Conv2d(coarse, GRID_NUMBERS, 1)
        for layer in (self.to_numbers, self.to_grid):
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=1e-3)

    def forward(self, thumbnail: Tensor, thumbnail_mask: Tensor) -> Glance:
        """Looks at (B, 3, 64, 64) in [-1, 1] and (B, 1, 64, 64) in [0, 1]."""
        quantiles = _quantiles(thumbnail)
        ranks = _ranks(thumbnail, quantiles)
        seen = torch.cat([thumbnail, ranks, thumbnail_mask], dim=1)
        fine = self.fine(self.stem(seen))  # (B, W, 16, 16)
        coarse = self.coarse(self.down(fine))  # (B, 1.5 W, 8, 8)
        pooled = torch.cat([coarse.float().mean(dim=(2, 3)), _statistics(thumbnail, quantiles, ranks)], dim=1)
        summary = self.summary(pooled)
        grid = self.to_grid(coarse + self.summary_to_grid(summary)[:, :, None, None])
        # A token is a source only where no pixel of its patch, widened by half a token each way, is mostly damaged.
        worst = F.max_pool2d(thumbnail_mask.float(), 2 * TOKEN_PX, stride=TOKEN_PX, padding=TOKEN_PX // 2)
        return Glance(
            tone=Tone.from_raw(grid, self.to_numbers(summary), *_range(quantiles)),
            condition=self.to_condition(summary).float(),
            tokens=self.to_tokens(fine).flatten(2).transpose(1, 2).float(),
            token_intact=worst.flatten(1) < 0.5,
        )


def _quantiles(thumbnail: Tensor) -> Tensor:
    """Gives (B, 3, 16) values in [-1, 1], from each channel's darkest 1 in 200 to its lightest."""
    ordered = thumbnail.float().flatten(2).sort(dim=2).values
    picks = torch.linspace(0.005, 0.995, _QUANTILES, device=thumbnail.device) * (ordered.shape[2] - 1)
    return ordered[:, :, picks.round().long()]


def _range(quantiles: Tensor) -> tuple[Tensor, Tensor]:
    """Gives the ends of each channel's range, (B, 3) each, in [0, 1]."""
    return ((quantiles[:, :, 0] + 1) / 2).clamp(0, 1), ((quantiles[:, :, -1] + 1) / 2).clamp(0, 1)


def _ranks(thumbnail: Tensor, quantiles: Tensor) -> Tensor:
    """Gives (B, 3, S, S) in [-1, 1]: the share of its channel that is darker, straight between the quantiles."""
    steps = quantiles.diff(dim=2).clamp_min(1e-3)
    value = thumbnail.float()
    ranks = torch.zeros_like(value)
    for k in range(_QUANTILES - 1):
        start, step = quantiles[:, :, k, None, None], steps[:, :, k, None, None]
        ranks = ranks + ((value - start) / step).clamp(0, 1)
    return ranks * (2 / (_QUANTILES - 1)) - 1


def _statistics(thumbnail: Tensor, quantiles: Tensor, ranks: Tensor) -> Tensor:
    """Gives numbers (B, 69): quantiles, means and covariance of values in [-1, 1], contrasts, and colour by rank."""
    flat = thumbnail.float().flatten(2)  # (B, 3, N)
    centred = flat - flat.mean(dim=2, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / flat.shape[2]  # (B, 3, 3)
    upper = torch.triu_indices(3, 3, device=flat.device)
    contrast = (quantiles[:, :, -1] - quantiles[:, :, 0]).clamp_min(0.02).log()  # (B, 3)
    middle = (quantiles[:, :, 10] - quantiles[:, :, 5]).clamp_min(0.01).log()
    apart = ranks - ranks.roll(1, dims=1)  # (B, 3, S, S): between each two channels
    colour = torch.cat([apart.abs().mean(dim=(2, 3)), apart.square().mean(dim=(2, 3)).sqrt()], dim=1) * 4  # (B, 6)
    return torch.cat(
        [quantiles.flatten(1), flat.mean(dim=2), covariance[:, upper[0], upper[1]] * 4, contrast, middle, colour], dim=1
    )
