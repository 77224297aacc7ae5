"""Joining a restoration with its original: kept tone, mended scratches only, and monochrome by construction.

All arrays are float32 in [0, 1], (H, W, 3) unless said otherwise. What is done to a pixel depends on nothing farther
away than `MEND_REACH_PX`, so that tiles give what the whole photo gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

_CARRY_SIGMAS_PX = (3.0, 9.0, 27.0)
_FEATHER_REACH_PX = 4
MEND_REACH_PX = round(4 * _CARRY_SIGMAS_PX[-1]) + 1 + _FEATHER_REACH_PX
"""How far away a pixel may change what `mend_scratches` with `repair_weight` makes of another."""


def as_grey(image: np.ndarray) -> np.ndarray:
    """Gives the image with its luma in all three channels: what was grey stays grey."""
    return np.repeat((image @ LUMA)[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class ToneFit:
    """The way back from a restoration's tone to its print's.

    Attributes:
        numbers: (4, 3): of powers of luma and one where monochrome, else of the colour and one.
        monochrome: whether luma alone decides, so that sepia stays exactly the print's sepia.
    """

    numbers: np.ndarray
    monochrome: bool

    def apply(self, restored: np.ndarray) -> np.ndarray:
        """Gives the restoration in the print's tone, clipped to [0, 1]."""
        toned = _tone_features(restored.reshape(-1, 3), monochrome=self.monochrome) @ self.numbers
        return np.clip(toned.reshape(restored.shape), 0, 1)


def fit_tone(original: np.ndarray, restored: np.ndarray, mask: np.ndarray, *, monochrome: bool) -> ToneFit:
    """Gives the best way back over intact pixels of small copies.

    A colour photo gets a 3x4 colour map from restored to original; a monochrome one a cubic of luma for each channel.

    Args:
        original, restored: a few hundred pixels a side: tone is smooth.
        mask: (H, W), 1 where damaged.
        monochrome: whether the photo has no colours of its own.
    """
    intact = mask.ravel() < 0.1
    if intact.sum() < 64:
        intact[:] = True
    features = _tone_features(restored.reshape(-1, 3)[intact], monochrome=monochrome)
    fit, *_ = np.linalg.lstsq(features, original.reshape(-1, 3)[intact], rcond=None)
    return ToneFit(fit.astype(np.float32), monochrome)


def _tone_features(pixels: np.ndarray, *, monochrome: bool) -> np.ndarray:
    """Gives (N, 4) features of pixels (N, 3): powers of luma, or the colour and one."""
    if monochrome:
        luma = pixels @ LUMA
        return np.stack([luma, luma**2, luma**3, np.ones_like(luma)], axis=1)
    return np.concatenate([pixels, np.ones_like(pixels[:, :1])], axis=1)


def repair_weight(mask: np.ndarray, *, threshold: float) -> np.ndarray:
    """Gives how much of the repair each pixel takes (H, W): 1 on damage and its rim, feathered to exactly 0.

    The mask is made hard at the threshold, widened by two pixels and feathered over two more.
    """
    damaged = (mask > threshold).astype(np.uint8)
    core = cv2.dilate(damaged, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    reach = cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    feather = cv2.GaussianBlur(core.astype(np.float32), (5, 5), 1.2)
    return np.where(reach > 0, np.maximum(feather, core), 0).astype(np.float32)


def mend_scratches(original: np.ndarray, restored: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Gives the original with its damaged places taken from the restoration, in the tone of their surroundings.

    The difference between original and restoration, known around each damaged place, is carried smoothly into it, so
    a repair does not show as a patch where the restoration also corrected the tone. In the middle of a hole, farther
    than about 100 pixels from anything intact, the restoration stands as it is. Pixels of weight 0 are the original's
    own, bit for bit.
    """
    if not weight.any():
        return original.copy()
    surroundings = (weight <= 0).astype(np.float32)
    difference = (original - restored) * surroundings[:, :, None]
    carried = np.zeros_like(original)
    known = np.zeros_like(weight)
    for sigma in _CARRY_SIGMAS_PX:  # the nearest surroundings that are there decide
        side = 2 * round(4 * sigma) + 1
        share = cv2.GaussianBlur(surroundings, (side, side), sigma)
        mean = cv2.GaussianBlur(difference, (side, side), sigma) / np.maximum(share, 1e-6)[:, :, None]
        trust = np.clip(share * 4, 0, 1) * (1 - known)
        carried += mean * trust[:, :, None]
        known += trust
    mended = np.clip(restored + carried, 0, 1)
    blended = original + (mended - original) * weight[:, :, None]
    return np.where(weight[:, :, None] > 0, blended, original)
