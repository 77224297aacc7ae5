"""What a restorer must beat: nothing at all, and the classical tools of OpenCV given the true mask."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""

Mask = NDArray[Any]
"""(H, W); above 0.5 is damaged."""

Algorithm = Literal["telea", "navier-stokes"]
"""OpenCV's two ways of inpainting (Telea 2004; Bertalmio, Bertozzi and Sapiro 2001)."""

INPAINT_RADIUS_PX = 3
MASK_GROWTH_PX = 1
STRENGTH_PER_SIGMA = 1.8
"""Filter strength h for each level of noise; like the growth, the best of those tried on the selection photos."""

_LEAST_STRENGTH, _MOST_STRENGTH = 1.0, 25.0


def identity(image: Image, mask: Mask | None = None) -> Image:
    """Gives the image as it came."""
    return image


def noise_sigma(image: Image) -> float:
    """Gives the standard deviation of the noise in levels (0-255).

    Immerkaer's Laplacian (1996) on the luma, by the median instead of the mean so that edges weigh little.
    """
    luma = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luma, -1, kernel, borderType=cv2.BORDER_REFLECT))
    return float(np.median(response)) / (6 * 0.6745)


def non_local_means(image: Image, mask: Mask | None = None, *, strength: float | None = None) -> Image:
    """Gives the image denoised by non-local means in Lab, as strongly as its noise asks for.

    Args:
        image: (H, W, 3) uint8.
        mask: taken for the sake of one signature, not used.
        strength: filter strength h for lightness, half of it for colour; from the noise of the image when None.
    """
    if strength is None:
        strength = float(np.clip(STRENGTH_PER_SIGMA * noise_sigma(image), _LEAST_STRENGTH, _MOST_STRENGTH))
    source = np.ascontiguousarray(image)
    denoised = cv2.fastNlMeansDenoisingColored(source, None, strength, strength / 2, 7, 21)
    return np.asarray(denoised, np.uint8)


def inpaint(image: Image, mask: Mask, algorithm: Algorithm, *, growth_px: int = MASK_GROWTH_PX) -> Image:
    """Gives the image with its damaged pixels filled from their surroundings.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W), damaged above 0.5.
        algorithm: `telea` or `navier-stokes`.
        growth_px: the mask is grown by so much first, for the rims of marks are half transparent.
    """
    damaged = (np.asarray(mask) > 0.5).astype(np.uint8)
    if growth_px:
        damaged = np.asarray(cv2.dilate(damaged, np.ones((2 * growth_px + 1,) * 2, np.uint8)), np.uint8)
    if not damaged.any() or damaged.all():
        return image.copy()
    flag = cv2.INPAINT_TELEA if algorithm == "telea" else cv2.INPAINT_NS
    return np.asarray(cv2.inpaint(np.ascontiguousarray(image), damaged, INPAINT_RADIUS_PX, flag), np.uint8)


def telea(image: Image, mask: Mask, *, growth_px: int = MASK_GROWTH_PX) -> Image:
    """Gives the image with its damaged pixels filled by Telea's way; see `inpaint`."""
    return inpaint(image, mask, "telea", growth_px=growth_px)


def auto_levels(image: Image, *, cut_percent: float = 0.5) -> Image:
    """Gives the image with each channel stretched to the full range, half a percent cut at either end, by Pillow."""
    from PIL import Image as PillowImage
    from PIL import ImageOps

    stretched = ImageOps.autocontrast(PillowImage.fromarray(np.ascontiguousarray(image)), cutoff=cut_percent)
    return np.asarray(stretched, np.uint8)


def wavelet_shrinkage(image: Image) -> Image:
    """Gives the image denoised by wavelets in YCbCr, each band by its own threshold (BayesShrink), by scikit-image."""
    from skimage.restoration import denoise_wavelet

    found = denoise_wavelet(
        image.astype(np.float64) / 255, channel_axis=-1, convert2ycbcr=True, method="BayesShrink", rescale_sigma=True
    )
    return np.round(np.clip(found, 0, 1) * 255).astype(np.uint8)


def telea_then_non_local_means(image: Image, mask: Mask) -> Image:
    """Gives the image inpainted, then denoised: the classical way."""
    return non_local_means(telea(image, mask))
