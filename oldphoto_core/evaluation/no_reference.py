"""Figures of a photo that need no truth beside it, from scikit-image, under the names they have there.

They are not scores of quality: a blurred photo has little noise. Beside each other, before and after, they show where
a restoration smooths or sharpens. Why no learned or NIQE-like score is used is said in docs/training.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.metrics import as_float, mean_finite


def no_reference_figures(image: NDArray[np.generic]) -> dict[str, float]:
    """Gives the figures of one picture.

    Args:
        image: (H, W, 3), uint8 or float in [0, 1].

    Returns:
        `blur_effect` (Crété-Roffet et al. 2007; 0 sharp to 1 blurred), `noise_sigma` (Donoho and Johnstone's wavelet
        estimate, of 255), and `contrast` (deviation of the luma, of 255).
    """
    from skimage.measure import blur_effect
    from skimage.restoration import estimate_sigma

    pixels = as_float(image)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    return {
        "blur_effect": float(blur_effect(luma)),
        "noise_sigma": 255 * float(estimate_sigma(luma)),
        "contrast": 255 * float(luma.std()),
    }


def mean_no_reference(images: Sequence[NDArray[np.generic]]) -> dict[str, float]:
    """Gives the means over pictures; empty where there are none."""
    found = [no_reference_figures(image) for image in images]
    return {name: mean_finite(figures[name] for figures in found) for name in (found[0] if found else {})}
