"""The operating point of a release: which probabilities of damage are acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oldphoto_core.restoration.evidence import evidence_of_wear


@dataclass(frozen=True)
class Ramp:
    """Where acting on a probability begins, and where it is full: of a photo as good as new, and of a worn one.

    A card's `operating` gives them as `mask_from`, `mask_sure`, `worn_from` and `worn_sure`; a release without the last
    two treats all photos alike, one without any acts on every probability as it is.
    """

    new: tuple[float, float] = (0.0, 1.0)
    worn: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, operating: Mapping[str, float]) -> Ramp:
        """Reads it from a card's `operating`."""
        new = float(operating.get("mask_from", 0.0)), float(operating.get("mask_sure", 1.0))
        return cls(new, (float(operating.get("worn_from", new[0])), float(operating.get("worn_sure", new[1]))))

    def at(self, wear: float) -> tuple[float, float]:
        """Gives both ends for a photo's wear, from 0 to 1."""
        return (
            self.new[0] + wear * (self.worn[0] - self.new[0]),
            self.new[1] + wear * (self.worn[1] - self.new[1]),
        )

    def mends(self, probability: np.ndarray) -> np.ndarray:
        """Gives (H, W) bool of the probabilities of a whole photo: where damage is acted on by half or more."""
        return probability > self.middle(evidence_of_wear(probability))

    def middle(self, wear: float) -> float:
        """Gives the probability that is acted on by half."""
        return sum(self.at(wear)) / 2
