"""Methods without a network: nothing at all, OpenCV's inpainting, non-local means, auto-levels, wavelets."""

from __future__ import annotations

from dataclasses import dataclass

from oldphoto_core.evaluation import baselines
from oldphoto_core.evaluation.baselines import Algorithm, Image, Mask
from oldphoto_core.evaluation.comparison.interface import INPUT, Cost, MaskSource, given_mask

_TITLES: dict[Algorithm, str] = {"telea": "Telea", "navier-stokes": "Navier-Stokes"}


@dataclass(frozen=True)
class Input:
    """Nothing done."""

    name: str = INPUT
    title: str = "Input, nothing done"
    cost: Cost = "none"
    mask_source: MaskSource = "none"
    version: int = 1

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the picture as it came."""
        return image


@dataclass(frozen=True)
class Inpainting:
    """OpenCV's inpainting alone: marks are filled from beside them, all else is left."""

    algorithm: Algorithm
    mask_source: MaskSource
    cost: Cost = "low"
    version: int = 1

    @property
    def name(self) -> str:
        """Such as `telea-true-mask`."""
        return f"{self.algorithm}-{self.mask_source}-mask"

    @property
    def title(self) -> str:
        """For people."""
        return f"{_TITLES[self.algorithm]}, {self.mask_source} mask"

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the filled picture."""
        return baselines.inpaint(image, given_mask(mask), self.algorithm)


@dataclass(frozen=True)
class Sequential:
    """The classical way, one tool after the other: inpainting, non-local means, auto-levels."""

    algorithm: Algorithm
    mask_source: MaskSource
    cost: Cost = "middle"
    version: int = 1

    @property
    def name(self) -> str:
        """Such as `sequential-telea-true-mask`."""
        return f"sequential-{self.algorithm}-{self.mask_source}-mask"

    @property
    def title(self) -> str:
        """For people."""
        return f"{_TITLES[self.algorithm]}, non-local means, auto-levels, {self.mask_source} mask"

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the picture through all three."""
        filled = baselines.inpaint(image, given_mask(mask), self.algorithm)
        return baselines.auto_levels(baselines.non_local_means(filled))


@dataclass(frozen=True)
class Denoised:
    """Inpainting and non-local means without auto-levels, which cost decibels where a photo had little range."""

    algorithm: Algorithm = "telea"
    mask_source: MaskSource = "true"
    cost: Cost = "middle"
    version: int = 1

    @property
    def name(self) -> str:
        """Such as `telea-nlm-true-mask`."""
        return f"{self.algorithm}-nlm-{self.mask_source}-mask"

    @property
    def title(self) -> str:
        """For people."""
        return f"{_TITLES[self.algorithm]}, non-local means, {self.mask_source} mask"

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the filled and denoised picture."""
        return baselines.non_local_means(baselines.inpaint(image, given_mask(mask), self.algorithm))


@dataclass(frozen=True)
class Wavelets:
    """Wavelet shrinkage (BayesShrink) by scikit-image, where BM3D's licence keeps BM3D out."""

    name: str = "wavelets"
    title: str = "Wavelet shrinkage (BayesShrink)"
    cost: Cost = "low"
    mask_source: MaskSource = "none"
    version: int = 1

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the denoised picture."""
        return baselines.wavelet_shrinkage(image)
