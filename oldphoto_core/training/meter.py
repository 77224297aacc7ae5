"""Means of a run's losses, and its speed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch

from oldphoto_core.training.batches import CropSource


class Meter:
    """Means of losses and speeds since the last row, and what the whole run's time went into."""

    def __init__(self, sources: Sequence[CropSource]):
        self._sources = sources
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = self._all_images = 0
        self._since = self._begun = time.perf_counter()

    def add(self, losses: Mapping[str, torch.Tensor], images: int) -> None:
        """Counts a step."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0) + loss.detach().float()
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images
        self._all_images += images

    def row(self) -> dict[str, float]:
        """Gives the means since the last row, and images a second."""
        now = time.perf_counter()
        row = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        row["images_per_s"] = self._images / (now - self._since)
        self._sums, self._counts, self._images, self._since = {}, {}, 0, now
        return row

    def bound(self) -> str:
        """Says what bounds the speed."""
        total = max(time.perf_counter() - self._begun, 1e-9)
        waited = sum(source.waited_s for source in self._sources)
        busy = sum(source.synthesis_s for source in self._sources)
        bound = "synthesis" if waited > 0.5 * total else "the networks"
        return (
            f"{self._all_images / total:.1f} images/s, bound by {bound}: {100 * waited / total:.0f}% of the time was "
            f"waiting for damaged photos, synthesis ran {100 * busy / total:.0f}% of it"
        )
