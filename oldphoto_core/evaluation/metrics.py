"""How near a restoration is to its target: PSNR, tone-aligned PSNR, SSIM, colour difference.

Pictures are (H, W, 3) or (H, W), either uint8 in [0, 255] or float in [0, 1]; the two may be mixed.
A mask is (H, W) bool, True where damaged. PSNR is capped at `PSNR_CAP_DB`, which stands for "the same".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PSNR_CAP_DB = 60.0
"""PSNR of pictures that do not differ, so that means stay finite."""

_LEAST_FIT_PIXELS = 64


def as_float(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Gives the picture as float64 in [0, 1]."""
    if image.dtype == np.uint8:
        return image.astype(np.float64) / 255
    if image.dtype == np.uint16:
        return image.astype(np.float64) / 65535
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float64)
    raise ValueError(f"expected a uint8, uint16 or float picture, found {image.dtype}")


def psnr(
    result: NDArray[np.generic], reference: NDArray[np.generic], *, where: NDArray[np.bool_] | None = None
) -> float:
    """Gives the peak signal-to-noise ratio in dB, over the whole picture or the pixels of `where`.

    Args:
        result: the picture to judge.
        reference: what it should be; the same shape.
        where: (H, W) bool; NaN is given when it selects no pixel.
    """
    if result.shape != reference.shape:
        raise ValueError(f"pictures differ in shape: result {result.shape}, reference {reference.shape}")
    error = (as_float(result) - as_float(reference)) ** 2
    if where is not None:
        error = error[where]
    if error.size == 0:
        return math.nan
    mean = float(error.mean())
    return PSNR_CAP_DB if mean <= 10 ** (-PSNR_CAP_DB / 10) else -10 * math.log10(mean)


def align_tone(
    result: NDArray[np.generic], reference: NDArray[np.generic], mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """Gives `result` after the one 3x4 colour map that brings its unmasked pixels nearest to the reference.

    Least squares on the pixels where `mask` is False, the map then applied to every pixel and clipped to [0, 1].
    Pictures that differ by an affine change of colour become equal, so what is left is detail, noise and marks.
    With fewer than 64 unmasked pixels all pixels are fitted.

    Args:
        result: (H, W, 3).
        reference: (H, W, 3).
        mask: (H, W) bool, True where damaged; None fits on all pixels.
    """
    source, goal = as_float(result), as_float(reference)
    keep = np.ones(source.shape[:2], bool) if mask is None else ~mask
    if int(keep.sum()) < _LEAST_FIT_PIXELS:
        keep = np.ones_like(keep)
    rows = np.concatenate([source[keep], np.ones((int(keep.sum()), 1))], axis=1)
    # Grey pictures have three equal columns: lstsq gives the least of the many equal answers.
    matrix, *_ = np.linalg.lstsq(rows.T @ rows, rows.T @ goal[keep], rcond=1e-10)
    return np.clip(source @ matrix[:3] + matrix[3], 0, 1)


def aligned_psnr(result: NDArray[np.generic], reference: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> float:
    """Gives PSNR in dB over all pixels after `align_tone`: what is left when tone is forgiven."""
    return psnr(align_tone(result, reference, mask), as_float(reference))


def ssim(result: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    """Gives the mean structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), channels averaged."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            as_float(result),
            as_float(reference),
            data_range=1.0,
            channel_axis=-1 if result.ndim == 3 else None,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def delta_e(result: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    """Gives the mean CIEDE2000 colour difference of two (H, W, 3) sRGB pictures; about 1 is just visible."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    return float(deltaE_ciede2000(rgb2lab(as_float(reference)), rgb2lab(as_float(result))).mean())


def mean_finite(values: Iterable[float]) -> float:
    """Gives the mean of the values that are not NaN; NaN when there is none."""
    kept = [v for v in values if not math.isnan(v)]
    return float(np.mean(kept)) if kept else math.nan
