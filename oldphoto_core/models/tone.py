"""A bounded, identity-initialised tone map: what fading and toning did to a whole photo, undone in one smooth step.

Four parts, applied in this order on values in [0, 1]: a stretch of each channel's own range towards all of it (fading),
a coarse grid of gain and offset (uneven fading), a monotone curve a channel (contrast, density), and a 3x4 colour
matrix (casts, toning). The map is drawn once from the whole photo and given to every tile, which is why it cannot
make a seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 8
"""Cells a side of the grid of gain and offset."""
SEGMENTS = 8
"""Straight pieces of each channel's curve."""
GRID_NUMBERS = 6
"""Numbers a grid cell: gain and offset for each of three channels."""
GLOBAL_NUMBERS = 6 + 3 * (SEGMENTS + 1) + 12
"""Numbers a photo for stretch, curves and matrix."""

_REACH = 1.2  # a channel's darkest and lightest values go up to 1.2 times the way to black and white, or away from it
_NARROWEST = 0.08  # no channel is taken for narrower than this, so that a blank page is not stretched to noise
_GAIN, _OFFSET = 0.7, 0.3  # a cell's gain is within exp(-0.7)..exp(0.7), its offset within -0.3..0.3
_SLOPE, _LIFT = 1.8, 0.5  # a curve's slope is within exp(-1.8)..exp(1.8), its start within -0.5..0.5
_MATRIX, _SHIFT = 1.0, 0.3  # the matrix is within 1 of the identity, its shift within 0.3


@dataclass(frozen=True)
class Tone:
    """The numbers of a batch of tone maps, already bounded.

    Attributes:
        slope: (B, 3) of the stretch, 1 is the identity.
        intercept: (B, 3) of the stretch, 0 is the identity.
        gain: (B, 3, GRID, GRID), 1 is the identity.
        offset: (B, 3, GRID, GRID), 0 is the identity.
        slopes: (B, 3, SEGMENTS), 1 is the identity.
        lift: (B, 3), the curve's value at 0.
        matrix: (B, 3, 3).
        shift: (B, 3).
    """

    slope: Tensor
    intercept: Tensor
    gain: Tensor
    offset: Tensor
    slopes: Tensor
    lift: Tensor
    matrix: Tensor
    shift: Tensor

    @classmethod
    def from_raw(
        cls, grid: Tensor, numbers: Tensor, darkest: Tensor | None = None, lightest: Tensor | None = None
    ) -> Tone:
        """Bounds raw network outputs; zeros give the identity.

        Args:
            grid: (B, GRID_NUMBERS, GRID, GRID).
            numbers: (B, GLOBAL_NUMBERS).
            darkest, lightest: (B, 3) ends of each channel's range in [0, 1]; 0 and 1 where not given, which leaves
                nothing to stretch.
        """
        grid, numbers = torch.tanh(grid.float()), torch.tanh(numbers.float())
        batch = len(numbers)
        down, up, slopes, lift, matrix, shift = numbers.split([3, 3, 3 * SEGMENTS, 3, 9, 3], dim=1)
        low = torch.zeros_like(down) if darkest is None else darkest.float()
        high = torch.ones_like(up) if lightest is None else torch.maximum(lightest.float(), low + _NARROWEST)
        wanted_low, wanted_high = low - _REACH * down * low, high + _REACH * up * (1 - high)
        slope = (wanted_high - wanted_low) / (high - low)
        identity = torch.eye(3, device=numbers.device)
        return cls(
            slope=slope,
            intercept=wanted_low - slope * low,
            gain=torch.exp(_GAIN * grid[:, :3]),
            offset=_OFFSET * grid[:, 3:],
            slopes=torch.exp(_SLOPE * slopes).view(batch, 3, SEGMENTS),
            lift=_LIFT * lift,
            matrix=identity + _MATRIX * matrix.view(batch, 3, 3),
            shift=_SHIFT * shift,
        )

    @classmethod
    def identity(cls, batch: int, device: torch.device | str = "cpu") -> Tone:
        """Gives tone maps that change nothing."""
        return cls.from_raw(
            torch.zeros(batch, GRID_NUMBERS, GRID, GRID, device=device),
            torch.zeros(batch, GLOBAL_NUMBERS, device=device),
        )

    def apply(self, image: Tensor, window: Tensor) -> Tensor:
        """Gives the image with its tone corrected.

        Args:
            image: (B, 3, H, W) in [-1, 1], a whole photo or a window of it.
            window: (B, 4) top, left, bottom, right of the window as fractions of the whole photo.

        Returns:
            (B, 3, H, W) float32, about [-1, 1], not clipped.
        """
        value = (image.float() + 1) / 2
        value = value * self.slope[:, :, None, None] + self.intercept[:, :, None, None]
        gain, offset = self._over_window(window, image.shape[-2:])
        value = value * gain + offset
        value = self._curves(value)
        flat = torch.einsum("bij,bjhw->bihw", self.matrix, value) + self.shift[:, :, None, None]
        return flat * 2 - 1

    def _over_window(self, window: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
        """Gives gain and offset (B, 3, H, W) at each pixel, bilinear between the centres of the grid's cells."""
        height, width = size
        device = self.gain.device
        rows = (torch.arange(height, device=device) + 0.5) / height  # (H,) fractions of the window
        columns = (torch.arange(width, device=device) + 0.5) / width
        window = window.to(device).float()
        y = window[:, 0:1] + rows * (window[:, 2:3] - window[:, 0:1])  # (B, H) fractions of the photo
        x = window[:, 1:2] + columns * (window[:, 3:4] - window[:, 1:2])
        place = torch.stack(
            [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1
        )  # (B, H, W, 2)
        both = torch.cat([self.gain, self.offset], dim=1)
        drawn = F.grid_sample(both, place * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False)
        return drawn[:, :3], drawn[:, 3:]

    def _curves(self, value: Tensor) -> Tensor:
        """Applies each channel's monotone curve; the end pieces go on straight beyond 0 and 1."""
        scaled = value * SEGMENTS
        slopes = self.slopes / SEGMENTS
        result = self.lift[:, :, None, None].expand_as(value)
        for piece in range(SEGMENTS):
            low = None if piece == 0 else 0.0
            high = None if piece == SEGMENTS - 1 else 1.0
            run = (scaled - piece) if low is None and high is None else (scaled - piece).clamp(low, high)
            result = torch.addcmul(result, slopes[:, :, piece, None, None], run)
        return result

    def strength(self, amount: float) -> Tone:
        """Gives the map moved towards the identity: 0 changes nothing, 1 is the whole map."""
        identity = Tone.identity(len(self.lift), self.lift.device)
        return Tone(**{name: torch.lerp(getattr(identity, name), value, amount) for name, value in vars(self).items()})
