"""The release that is measured, as a method; it is loaded when it is first used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.baselines import Image, Mask
from oldphoto_core.evaluation.comparison.interface import RESTORED, RESTORED_TRUE, Cost, MaskSource, given_mask
from oldphoto_core.releases.card import ReleaseCard

if TYPE_CHECKING:
    from oldphoto_core.restoration.repair import Mode


class Restoration(Protocol):
    """What a restorer gives back."""

    @property
    def image(self) -> Image:
        """The restored photo."""

    @property
    def mask(self) -> NDArray[np.float32]:
        """(H, W) in [0, 1]: above 0.5 where it was mended."""


class PhotoRestorer(Protocol):
    """The part of `oldphoto_core.Restorer` that is measured."""

    def restore(self, image: Image, mask: Mask | None = None, mode: Mode = "full") -> Restoration:
        """Gives the restored photo."""

    def detect(self, image: Image) -> NDArray[np.float32]:
        """Gives (H, W) probability of structured damage."""


class ReleaseChoice(Protocol):
    """The release that is measured; it goes to other processes, and is loaded there."""

    @property
    def name(self) -> str:
        """Its name, which carries its weights: part of the keys of figures."""

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

    def restore(self, image: Image, mask: Mask | None = None, mode: Mode = "full") -> Restoration:
        """Gives the restored photo."""
        return self.loaded.restore(image, mask=mask, mode=mode)

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
        given = np.asarray(given_mask(mask), np.float32) if self.mask_source == "true" else None
        return self.restorer.restore(image, mask=given).image
