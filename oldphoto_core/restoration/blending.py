"""Joining a restoration with its original: kept tone, mended scratches only, and monochrome by construction.

All arrays are float32 in [0, 1], (H, W, 3) unless said otherwise.
"""

from __future__ import annotations

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FIT_PX = 512  # tone is fitted on a reduction to about this size: it is smooth


def as_grey(image: np.ndarray) -> np.ndarray:
    """Gives the image with its luma in all three channels: what was grey stays grey."""
    return np.repeat((image @ LUMA)[:, :, None], 3, axis=2)


def keep_tone(original: np.ndarray, restored: np.ndarray, mask: np.ndarray, *, monochrome: bool) -> np.ndarray:
    """Gives the restoration in the tone of the original: contrast, cast and toning stay as the print shows them.

    A colour photo gets the best 3x4 colour map from restored to original over intact pixels; a monochrome one a cubic
    of luma for each channel, so that sepia stays exactly the print's sepia.
    """
    scale = min(1.0, _FIT_PX / max(original.shape[:2]))
    size = (max(1, round(original.shape[1] * scale)), max(1, round(original.shape[0] * scale)))
    small_original = cv2.resize(original, size, interpolation=cv2.INTER_AREA)
    small_restored = cv2.resize(restored, size, interpolation=cv2.INTER_AREA)
    intact = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).ravel() < 0.1
    if intact.sum() < 64:
        intact[:] = True
    features = _tone_features(small_restored.reshape(-1, 3), monochrome=monochrome)
    target = small_original.reshape(-1, 3)
    fit, *_ = np.linalg.lstsq(features[intact], target[intact], rcond=None)
    toned = _tone_features(restored.reshape(-1, 3), monochrome=monochrome) @ fit.astype(np.float32)
    return np.clip(toned.reshape(restored.shape), 0, 1)


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
    a repair does not show as a patch where the restoration also corrected the tone. Pixels of weight 0 are the
    original's own, bit for bit.
    """
    if not weight.any():
        return original.copy()
    surroundings = (weight <= 0).astype(np.float32)
    difference = (original - restored) * surroundings[:, :, None]
    carried = np.zeros_like(original)
    known = np.zeros_like(weight)
    for sigma in (3.0, 9.0, 27.0, 81.0):  # the nearest surroundings that are there decide
        share = cv2.GaussianBlur(surroundings, (0, 0), sigma)
        mean = cv2.GaussianBlur(difference, (0, 0), sigma) / np.maximum(share, 1e-6)[:, :, None]
        trust = np.clip(share * 4, 0, 1) * (1 - known)
        carried += mean * trust[:, :, None]
        known += trust
    mended = np.clip(restored + carried, 0, 1)
    blended = original + (mended - original) * weight[:, :, None]
    return np.where(weight[:, :, None] > 0, blended, original)
