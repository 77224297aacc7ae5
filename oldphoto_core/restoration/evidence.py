"""How far what the networks say is believed, so that a photo with nothing wrong is left alone.

Three bounds, all measured in docs/do-no-harm.md; none takes a statistic over space that a tile would not see.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_SQUARES = ((31, 0.1, 0.14), (63, 0.06, 0.08))
"""Squares around a pixel that bound what is believed of it: side in pixels, and how much doubt and crowd are free."""
EVIDENCE_REACH_PX = max(side for side, _, _ in _SQUARES) // 2 + 1

RIM_PX = 2
"""How far around damage the translation may change pixels as it likes."""
MOST_CHANGE = 16 / 255
"""What it may change of a pixel elsewhere, beside its tone: the strength of grain, not of a letter or a thread."""

_CROWD_SLOPE, _UNSURE_SLOPE, _UNSURE_BELOW = 4.0, 2.0, 0.8
_LEAST_CAP = 0.5
_WHITE_FROM, _WHITE_SURE = 0.92, 0.98
_BLACK_SURE, _BLACK_FROM = 0.01, 0.05
_CAST_FROM, _CAST_SURE = 0.05, 0.1
_END_SHARE = 0.005
_MARGIN = 5
"""Of a thumbnail's 64 pixels a side."""


def bounded_by_surroundings(probability: np.ndarray) -> np.ndarray:
    """Gives probabilities of damage, capped where the detector is unsure all around, or strokes stand in a crowd.

    On thatch, leaves and hair a detector is half sure of much; in lace, print and handwriting it is quite sure of many
    strokes side by side. A scratch stands alone, on ground that it is sure of. So what is believed of a pixel is at
    most 1 - 2 (u - 0.1) and 1 - 4 (e - 0.14), and at least 0.5: with u the mean, in the square of 31 pixels around it,
    of probabilities below 0.8, and e the mean of their steps across and down; and at most 1 - 2 (u - 0.06) and
    1 - 4 (e - 0.08) with those of the 63 pixels around it. A line has two edges whatever its width, so that a lone one
    stays free (e is 0.06 to 0.13, and half as much in the wide square), and so does a hole. The small square doubts a
    single line of letters; the wide one, cloth and pages. Nothing crosses 0.5 by this.

    Args:
        probability: (h, w) float32 in [0, 1].
    """
    unsure = np.where(probability < _UNSURE_BELOW, probability, np.float32(0))
    steps = np.abs(np.diff(probability, axis=1, append=probability[:, -1:]))
    steps += np.abs(np.diff(probability, axis=0, append=probability[-1:]))
    doubt = np.zeros_like(probability)
    for side, unsure_free, crowd_free in _SQUARES:
        around, edges = (cv2.blur(values, (side, side)) for values in (unsure, steps))
        np.maximum(doubt, _UNSURE_SLOPE * (around - unsure_free), out=doubt)
        np.maximum(doubt, _CROWD_SLOPE * (edges - crowd_free), out=doubt)
    cap = np.clip(1 - doubt, _LEAST_CAP, 1)
    return np.minimum(probability, cap).astype(np.float32)


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


def kept_within_grain(toned: Tensor, restored: Tensor, mask: Tensor) -> Tensor:
    """Gives the restoration, with no pixel farther than `MOST_CHANGE` from the toned photo where nothing is damaged.

    The translation takes thin bright strokes down even where no mask asks for it, and with them letters and lace.

    Args:
        toned, restored: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in [0, 1], as acted on.
    """
    near = toned + (restored - toned).clamp(-2 * MOST_CHANGE, 2 * MOST_CHANGE)
    side = 2 * RIM_PX + 1
    free = F.max_pool2d(mask, (side, 1), stride=1, padding=(RIM_PX, 0))
    free = F.max_pool2d(free, (1, side), stride=1, padding=(0, RIM_PX))
    return torch.lerp(near, restored, free)
