"""What a restoration changed, in figures that a catalogue keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DAMAGED_ABOVE = 0.5
"""Mask probability above which a pixel counts as damaged in figures."""


@dataclass(frozen=True)
class RestorationReport:
    """How a restoration went.

    Attributes:
        seconds: wall-clock time, detection included.
        device: `cpu` or the GPU's name.
        precision: `float32` or `bfloat16`.
        tiles: tiles the restoration was made in.
        mask_coverage: share of pixels whose mask is above 0.5, in [0, 1].
        change_outside_mask: mean absolute change of pixels not above 0.5, in 8-bit levels (1/255 of full range).
        mean_change: the same over all pixels.
        left_alone: True where the photo came back bit for bit.
        monochrome: `no`, `neutral` or `toned`: what the photo was taken for.
        mode, tone, strength: as asked for.
    """

    seconds: float
    device: str
    precision: str
    tiles: int
    mask_coverage: float
    change_outside_mask: float
    mean_change: float
    left_alone: bool
    monochrome: str
    mode: str
    tone: str
    strength: float

    def as_dict(self) -> dict[str, Any]:
        """Gives the report as plain values, for JSON."""
        return asdict(self)


def measure_change(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Gives the mean absolute change outside the mask and over all pixels, in 8-bit levels.

    Args:
        before, after: (H, W) or (H, W, 3), the same dtype, uint8 or uint16.
        mask: (H, W) in [0, 1].
    """
    levels = 255.0 / np.iinfo(before.dtype).max
    change = np.abs(after.astype(np.float32) - before.astype(np.float32)) * levels
    if change.ndim == 3:
        change = change.mean(axis=2)
    outside = mask <= DAMAGED_ABOVE
    return float(change[outside].mean()) if outside.any() else 0.0, float(change.mean())
