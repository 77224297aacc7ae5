"""A restoration in its print's own tone, and monochrome by construction.

All arrays are float32 in [0, 1], (H, W, 3) unless said otherwise. What is done to a pixel depends on it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def as_grey(image: np.ndarray) -> np.ndarray:
    """Gives pixels (..., 3) with their luma in all three channels: what was grey stays grey."""
    return np.repeat((image @ LUMA)[..., None], 3, axis=-1)


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
