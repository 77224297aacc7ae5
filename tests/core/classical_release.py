"""A restorer without a network, whose figures are known beforehand, as a release that processes can load."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.evaluation import baselines


@dataclass
class Restoration:
    """What it gives back."""

    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class ClassicalRestorer:
    """Marks are what differs from the median of the neighbourhood, and are inpainted."""

    mends_above: float = 0.5

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Gives the distance to the median as a score."""
        difference = cv2.absdiff(image, cv2.medianBlur(image, 9)).max(axis=2)
        return np.clip(difference.astype(np.float32) / 128, 0, 1)

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None, mode: str = "full") -> Restoration:
        """Gives the image with the mask inpainted."""
        used = (self.detect(image) > self.mends_above).astype(np.float32) if mask is None else mask
        return Restoration(baselines.telea(image, used), used)


@dataclass(frozen=True)
class ClassicalRelease:
    """The same as a release."""

    name: str = "classical-1"
    mends_above: float = 0.5

    def load(self) -> ClassicalRestorer:
        """Loads it."""
        return ClassicalRestorer(self.mends_above)
