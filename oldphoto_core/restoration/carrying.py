"""What of a repair at the working scale is carried up to the scan: all of it on damage, elsewhere its coarse part.

Outside the mask a repair takes away grain, and detail as fine as grain: at the working scale that is the scan's own
sharpness. What is an octave or more below the working scale's limit, such as blotches, stains and uneven fading, it
may take away; the finer part of the change stays behind. All sizes are in working pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

_COARSE_SIGMA_PX = 1.5
"""Of the change outside the mask, waves of 4 pixels keep 6 %, of 8 pixels half, of 16 pixels 84 %."""
_RIM_PX = 2
"""So far beyond the mask the change is carried whole: a scratch's edge is repaired with the scratch."""
_FEATHER_SIGMA_PX = 1.2

_FEATHER_REACH_PX = 3
_BLUR_REACH_PX = 5
CARRY_REACH_PX = _RIM_PX + _FEATHER_REACH_PX + _BLUR_REACH_PX
"""How far away a pixel may change what `carried_change` gives for another."""


def carried_change(change: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Gives the part of the change that is carried up, (h, w, 3) float32.

    The coarse change around damage is the intact pixels' alone, so that what was done to the damage does not spread.

    Args:
        change: (h, w, 3) float32, the repair less the working photo in the repair's tone.
        share: (h, w) float32 in [0, 1], the mask as acted on.
    """
    near = _near(share)
    intact = 1 - near
    known = _blurred(intact, _COARSE_SIGMA_PX, _BLUR_REACH_PX)
    coarse = _blurred(change * intact[:, :, None], _COARSE_SIGMA_PX, _BLUR_REACH_PX)
    coarse /= np.maximum(known, 1e-4)[:, :, None]
    return coarse + near[:, :, None] * (change - coarse)


def _near(share: np.ndarray) -> np.ndarray:
    """Gives (h, w) in [0, 1]: 1 on damage and its rim, then smoothly to 0."""
    side = 2 * _RIM_PX + 1
    rim = cv2.dilate(share, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.maximum(share, _blurred(rim, _FEATHER_SIGMA_PX, _FEATHER_REACH_PX))


def _blurred(values: np.ndarray, sigma_px: float, reach_px: int) -> np.ndarray:
    side = 2 * reach_px + 1
    return cv2.GaussianBlur(values, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE)
