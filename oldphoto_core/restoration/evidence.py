"""How far what the networks say is believed, so that a photo with nothing wrong is left alone.

Two bounds, both measured in docs/do-no-harm.md; neither takes a statistic over space that a tile would not see.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_CHANGE = 16 / 255
"""What the translation may change of a pixel, beside its tone: the strength of grain, not of a letter or a thread."""
NEAR_END, LEAST_CHANGE = 32 / 255, 2 / 255
"""Nearer to black or white than the first it may change less, at the end itself the second: there grain is clipped."""

_WHITE_FROM, _WHITE_SURE = 0.92, 0.98
_BLACK_SURE, _BLACK_FROM = 0.01, 0.05
_CAST_FROM, _CAST_SURE = 0.05, 0.1
_END_SHARE = 0.005
_MARGIN = 5
"""Of a thumbnail's 64 pixels a side."""


def evidence_of_fading(thumbnail: Tensor) -> float:
    """Gives how far a photo's tone may be corrected, from 0 to 1.

    A print that has faded, yellowed or lost its contrast holds pure white no more, nor black. Where the lightest 1 in
    200 of a thumbnail is white in all three channels (0.92 begins to count, 0.98 settles it), or the darkest 1 in 200
    black (0.05 begins to count, 0.01 settles it), there is nothing to correct. Yellowed paper keeps its black: where
    the lights have a cast (0.05 between channels begins to count, 0.1 settles it), black tells nothing. The outermost
    8 % of each side do not count: there lie margins, mounts, album pages, and the lid of the scanner.

    Args:
        thumbnail: (1, 3, 64, 64) in [-1, 1], of intact pixels.
    """
    inner = thumbnail[0, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].float().flatten(1)
    values = (inner + 1) / 2
    ends = torch.quantile(values, values.new_tensor([_END_SHARE, 1 - _END_SHARE]), dim=1)  # (2, 3)
    darkest, lightest, cast = float(ends[0].max()), float(ends[1].min()), float(ends[1].max() - ends[1].min())
    without_white = (_WHITE_SURE - lightest) / (_WHITE_SURE - _WHITE_FROM)
    without_black = (darkest - _BLACK_SURE) / (_BLACK_FROM - _BLACK_SURE)
    without_black = max(without_black, (cast - _CAST_FROM) / (_CAST_SURE - _CAST_FROM))
    return min(max(min(without_white, without_black), 0.0), 1.0)


def kept_within_grain(toned: Tensor, restored: Tensor) -> Tensor:
    """Gives the restoration, with no pixel farther than `MOST_CHANGE` from the toned photo, less near black and white.

    What is damaged was mended before. The translation takes thin bright strokes down wherever they are, and with them
    letters and lace.

    Args:
        toned, restored: (B, 3, H, W) in [-1, 1].
    """
    to_the_end = (1 - toned.abs()).clamp_min(0) / (2 * NEAR_END)
    most = 2 * (LEAST_CHANGE + (MOST_CHANGE - LEAST_CHANGE) * to_the_end.clamp_max(1))
    return toned + (restored - toned).clamp(-most, most)
