"""Whether predicted uncertainty is true: predicted scales beside the errors that were found, by decile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.models.uncertainty import within

SAMPLED_PIXELS = 20_000
"""Pixels of each photo that are looked at, at most, evenly spread."""
SHARES = (0.5, 0.8, 0.95)
"""Central intervals whose coverage is reported."""


@dataclass(frozen=True)
class Decile:
    """A tenth of all pixels, in order of their predicted scale; all in levels of 255.

    Attributes:
        lowest, highest: predicted scales at its ends.
        predicted: mean predicted scale, which is the mean absolute error to be expected.
        found: mean absolute error.
    """

    lowest: float
    highest: float
    predicted: float
    found: float


class Calibration:
    """Gathers predicted scales and true errors, photo by photo."""

    def __init__(self) -> None:
        self._scales: list[NDArray[np.float32]] = []
        self._errors: list[NDArray[np.float32]] = []

    def add(self, scale: NDArray[np.floating], error: NDArray[np.floating]) -> None:
        """Takes a photo.

        Args:
            scale: (H, W), predicted, in levels of 255.
            error: (H, W, 3), absolute differences of the channels from the truth, in levels of 255.
        """
        flat, errors = scale.reshape(-1), error.reshape(-1, 3)
        picks = np.linspace(0, len(flat) - 1, min(len(flat), SAMPLED_PIXELS)).round().astype(np.int64)
        self._scales.append(flat[picks].astype(np.float32))
        self._errors.append(errors[picks].astype(np.float32))

    def _both(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return np.concatenate(self._scales), np.concatenate(self._errors)

    @property
    def pixels(self) -> int:
        """Pixels that were looked at."""
        return sum(map(len, self._scales))

    def deciles(self) -> list[Decile]:
        """Gives tenths of the pixels, from the surest to the least sure."""
        scales, errors = self._both()
        order = np.argsort(scales, kind="stable")
        rows = []
        for part in np.array_split(order, 10):
            b = scales[part]
            rows.append(Decile(float(b.min()), float(b.max()), float(b.mean()), float(errors[part].mean())))
        return rows

    def is_monotone(self) -> bool:
        """Whether each decile's error is above the one before."""
        found = [row.found for row in self.deciles()]
        return all(a < b for a, b in zip(found, found[1:], strict=False))

    def coverage(self, share: float) -> float:
        """Gives the share of channel values whose truth lies within the central interval of this share."""
        scales, errors = self._both()
        return float((errors <= within(share) * scales[:, None]).mean())

    def likelihood(self, *, factor: float = 1.0) -> float:
        """Gives the mean log-likelihood of a channel value in [0, 1], all scales times `factor`; higher is better."""
        scales, errors = self._both()
        scales = scales * np.float32(factor)
        return float(-(errors / scales[:, None] + np.log(2 * scales[:, None] / 255)).mean())

    def factor(self) -> float:
        """Gives the factor on all scales that makes the truth most likely; 1 where they are right as they are."""
        scales, errors = self._both()
        return float((errors / scales[:, None]).mean())

    def line(self) -> tuple[float, float]:
        """Gives (offset, factor), both at least 0, of the line on the scales that makes the truth most likely.

        Errors of a kind that a head was never shown add to all that it expects; hence the offset, in levels of 255.
        """
        from scipy.optimize import minimize

        scales, errors = self._both()
        step = max(1, len(scales) // 100_000)
        scales, mean_errors = scales[::step].astype(np.float64), errors[::step].mean(axis=1).astype(np.float64)

        def unlikely(logs: NDArray[np.float64]) -> float:
            stretched = np.exp(logs[0]) + np.exp(logs[1]) * scales
            return float((mean_errors / stretched + np.log(stretched)).mean())

        offset, factor = np.exp(minimize(unlikely, np.log([1.0, 1.0]), method="Nelder-Mead").x)
        return float(offset), float(factor)

    def correlation(self) -> float:
        """Gives Spearman's rank correlation of predicted scale and mean error of a pixel's channels."""
        from scipy.stats import spearmanr

        scales, errors = self._both()
        return float(spearmanr(scales, errors.mean(axis=1)).statistic)

    def summary(self) -> dict[str, object]:
        """Gives all figures as plain values, for JSON and a release's card."""
        return {
            "pixels": self.pixels,
            "deciles": [
                {"predicted": round(row.predicted, 3), "found": round(row.found, 3)} for row in self.deciles()
            ],
            "monotone": self.is_monotone(),
            "coverage": {f"{share:g}": round(self.coverage(share), 4) for share in SHARES},
            "likelihood": round(self.likelihood(), 4),
            "factor": round(self.factor(), 4),
            "rank_correlation": round(self.correlation(), 4),
        }

    def markdown(self) -> str:
        """Gives the tables as Markdown."""
        lines = ["| Decile of pixels | Predicted | Found |", "|---|---:|---:|"]
        for number, row in enumerate(self.deciles(), 1):
            ends = f"{row.lowest:.2f} to {row.highest:.2f}"
            lines.append(f"| {number} ({ends}) | {row.predicted:.2f} | {row.found:.2f} |")
        lines += ["", "| Central interval | Truth within it |", "|---|---:|"]
        lines += [f"| {100 * share:g} % | {100 * self.coverage(share):.1f} % |" for share in SHARES]
        return "\n".join(lines) + "\n"
