"""What is compared on the same pictures. A method is a small class with a name, a cost and the mask that it is given.

Pictures are (H, W, 3) uint8 sRGB; masks (H, W), above 0.5 damaged. A change of what a method does raises its `version`,
so that figures of the old one are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import baselines
from oldphoto_core.evaluation.baselines import Algorithm, Image, Mask
from oldphoto_core.releases.card import ReleaseCard

MaskSource = Literal["none", "true", "detected"]
"""Which mask a method is given: none, the one that the generator knows, or what the release would mend."""

Cost = Literal["none", "low", "middle", "high"]
"""Processor time a megapixel: up to a second, up to twenty, more."""

INPUT, RESTORED, RESTORED_TRUE = "input", "restored", "restored-true-mask"


class Method(Protocol):
    """One way to restore a picture."""

    @property
    def name(self) -> str:
        """Stable, for tables of figures."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def cost(self) -> Cost:
        """Processor time."""

    @property
    def mask_source(self) -> MaskSource:
        """Which mask it is given."""

    @property
    def version(self) -> int:
        """Raised whenever it gives other pixels."""

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the restored picture; `mask` is None for methods of source `none`."""


def needs_true_mask(method: Method) -> bool:
    """Whether a method could be used only where somebody had painted the mask: no rival, but a bound."""
    return method.mask_source == "true"


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
        return baselines.inpaint(image, _given(mask), self.algorithm)


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
        filled = baselines.inpaint(image, _given(mask), self.algorithm)
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
        return baselines.non_local_means(baselines.inpaint(image, _given(mask), self.algorithm))


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


class Restoration(Protocol):
    """What a restorer gives back."""

    @property
    def image(self) -> Image:
        """The restored photo."""

    @property
    def mask(self) -> NDArray[np.float32]:
        """(H, W) in [0, 1], the mask that was used."""


class PhotoRestorer(Protocol):
    """The part of `oldphoto_core.Restorer` that is measured."""

    def restore(self, image: Image, mask: Mask | None = None) -> Restoration:
        """Gives the restored photo."""

    def detect(self, image: Image) -> NDArray[np.float32]:
        """Gives (H, W) probability of structured damage."""


class ReleaseChoice(Protocol):
    """The release that is measured; it goes to other processes, and is loaded there."""

    @property
    def name(self) -> str:
        """Its name, which carries its weights: part of the keys of figures."""

    @property
    def acted_above(self) -> float:
        """Probability of damage from which it mends: where its mask, soft as it is, becomes one for other methods."""

    def load(self) -> PhotoRestorer:
        """Loads it."""


@dataclass(frozen=True)
class FolderRelease:
    """A release in a folder."""

    card: ReleaseCard
    device: str = "auto"

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.name

    @property
    def acted_above(self) -> float:
        """The middle of the ramp that its card gives, as in the do-no-harm figures."""
        operating = self.card.card.get("operating", {})
        return float(operating.get("mask_from", 0.0) + operating.get("mask_sure", 1.0)) / 2

    def load(self) -> PhotoRestorer:
        """Loads it."""
        from oldphoto_core import Restorer

        return cast(PhotoRestorer, Restorer.from_release(self.card.folder, device=self.device))


class LateRestorer:
    """A release that is loaded when it is first used: a run with nothing to do never does.

    Args:
        choice: which.
    """

    def __init__(self, choice: ReleaseChoice) -> None:
        self._choice = choice
        self._loaded: PhotoRestorer | None = None

    @property
    def loaded(self) -> PhotoRestorer:
        """The release itself."""
        if self._loaded is None:
            self._loaded = self._choice.load()
        return self._loaded

    def restore(self, image: Image, mask: Mask | None = None) -> Restoration:
        """Gives the restored photo."""
        return self.loaded.restore(image, mask=mask)

    def detect(self, image: Image) -> NDArray[np.float32]:
        """Gives (H, W) probability of structured damage."""
        return self.loaded.detect(image)


@dataclass(frozen=True)
class Release:
    """The release that is measured."""

    restorer: PhotoRestorer
    mask_source: MaskSource
    cost: Cost = "middle"
    version: int = 1

    @property
    def name(self) -> str:
        """`restored`, or `restored-true-mask`."""
        return RESTORED_TRUE if self.mask_source == "true" else RESTORED

    @property
    def title(self) -> str:
        """For people."""
        return f"This release, {'true' if self.mask_source == 'true' else 'its own'} mask"

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the restored picture; with its own mask it is asked for none."""
        given = np.asarray(_given(mask), np.float32) if self.mask_source == "true" else None
        return self.restorer.restore(image, mask=given).image


def all_methods(restorer: PhotoRestorer | None) -> Sequence[Method]:
    """Gives every method, in the order of tables; without a restorer those that need none."""
    algorithms: tuple[Algorithm, ...] = ("telea", "navier-stokes")
    sources: tuple[MaskSource, ...] = ("true", "detected") if restorer is not None else ("true",)
    methods: list[Method] = [Input(), Wavelets(), Denoised()]
    for source in sources:
        methods += [Inpainting(algorithm, source) for algorithm in algorithms]
        methods += [Sequential(algorithm, source) for algorithm in algorithms]
    if restorer is not None:
        methods += [Release(restorer, "true"), Release(restorer, "detected")]
    return methods


CLASSICAL_TRUE_MASK = (
    "wavelets", "telea-nlm-true-mask", "telea-true-mask", "navier-stokes-true-mask",
    "sequential-telea-true-mask", "sequential-navier-stokes-true-mask",
)  # fmt: skip
"""Classical methods at their best: the bar for the release, which must find the mask by itself."""

_TITLES: dict[Algorithm, str] = {"telea": "Telea", "navier-stokes": "Navier-Stokes"}


def _given(mask: Mask | None) -> Mask:
    assert mask is not None, "this method is given a mask"
    return mask
