"""Whether predicted uncertainty is true: predicted scales beside the errors that were found, by decile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.models.uncertainty import KNOTS, within

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

    def curve(self, knots: int = KNOTS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gives (knots,) scales as they were predicted, and the errors found about them, both rising, in levels.

        Of a Laplace distribution the mean absolute error is the likeliest scale, so each part of the pixels, in order
        of their scale, answers for itself; where errors fall from part to part they are pooled (isotonic regression),
        and tilted by a thousandth, so that no two scales become one.
        """
        from scipy.optimize import isotonic_regression

        scales, errors = self._both()
        order = np.random.default_rng(0).permutation(len(scales))  # scales that are alike have no order
        order = order[np.argsort(scales[order], kind="stable")]
        tail = np.array([0.95, 0.98, 0.99])
        cuts = np.concatenate([np.linspace(0, 0.9, knots - len(tail), endpoint=True)[1:], tail])
        parts = np.split(order, (cuts * len(order)).astype(np.int64))
        apart = 1e-4 * np.arange(knots)  # scales that are all alike stay knots of a line
        asked = np.array([scales[part].mean(dtype=np.float64) for part in parts]) + apart
        found = np.array([errors[part].mean(dtype=np.float64) for part in parts])
        rising = isotonic_regression(found, weights=np.array([len(part) for part in parts])).x
        return asked, rising + 1e-3 * (asked - asked[0])

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
