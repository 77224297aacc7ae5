"""What a restoration changed, in figures that a catalogue keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DAMAGED_ABOVE = 0.5
"""Mask probability above which a pixel counts as damaged in figures."""


@dataclass(frozen=True)
class FidelityFigures:
    """What a restoration did to a photo, as `FidelityMeter` measures it.

    Outside means: mask at most 0.5, and more than 3 pixels from where it is above. *Tone-free* figures are what is
    left when the smooth global tone map that best explains the restoration (`fit_tone`) is taken off.

    Attributes:
        mask_coverage: share of all pixels whose mask is above 0.5, in [0, 1].
        delta_e_mean, delta_e_p95: CIEDE2000 colour difference outside the mask, mean and 95th percentile; about 1 is
            just visible.
        tone_free_delta_e_mean, tone_free_delta_e_p95: the same, tone-free.
        gradient_correlation: of the luma's gradients before and after outside the mask, tone-free, in [-1, 1]; 1 is
            the same structure.
        clipped_black_growth, clipped_white_growth: share of channel values outside the mask that are at 0 (at 1) after,
            less the share before; in [-1, 1].
        added_chroma: mean growth of CIELAB chroma, over all measured pixels, where the photo is neutral grey; else 0.
        changed_share: share of pixels, damaged ones too, of which a channel changed by more than one 8-bit level.
        measured_px: pixels that were measured; `mask_coverage` is of all.
    """

    mask_coverage: float
    delta_e_mean: float
    delta_e_p95: float
    tone_free_delta_e_mean: float
    tone_free_delta_e_p95: float
    gradient_correlation: float
    clipped_black_growth: float
    clipped_white_growth: float
    added_chroma: float
    changed_share: float
    measured_px: int

    def as_dict(self) -> dict[str, Any]:
        """Gives the figures as plain values, for JSON."""
        return asdict(self)


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
        mode, tone, strength, mending: as asked for.
        working_scale: scan pixels a side for one pixel that was repaired; 1: the scan as it is.
        notes: what else a person should know, such as memory that ran out.
        fidelity: what was done to the photo, measured; None where it was left alone.
        pages: where several were restored, how each went; the rest is then of all (`page_report.combined_report`).
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
    mending: str
    fidelity: FidelityFigures | None = None
    working_scale: int = 1
    notes: tuple[str, ...] = ()
    pages: tuple[RestorationReport, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Gives the report as plain values, for JSON; `pages` where there are several."""
        plain = {**asdict(self), "notes": list(self.notes)}  # a list, as JSON gives it back
        del plain["pages"]
        return plain | ({"pages": [page.as_dict() for page in self.pages]} if self.pages else {})


def measure_change(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Gives the mean absolute change outside the mask and over all pixels, in 8-bit levels.

    Args:
        before, after: (H, W) or (H, W, 3), the same dtype, uint8 or uint16.
        mask: (H, W) in [0, 1].
    """
    import cv2

    channels = 1 if before.ndim == 2 else before.shape[2]
    levels = 255.0 / np.iinfo(before.dtype).max / channels
    change = cv2.absdiff(np.ascontiguousarray(before), np.ascontiguousarray(after))
    if change.ndim == 3:
        red, green, blue = (change[:, :, channel] for channel in range(3))
        change = red.astype(np.uint32) + green + blue
    total, damaged = int(change.sum(dtype=np.int64)), mask > DAMAGED_ABOVE
    inside, intact = int(change[damaged].sum(dtype=np.int64)), change.size - int(np.count_nonzero(damaged))
    return (total - inside) * levels / intact if intact else 0.0, total * levels / change.size
