"""Bootstrap intervals over photos: photos are what was drawn from the world, so photos are what is drawn again.

Differences of two methods are taken photo by photo first, so that what makes a photo hard for both falls out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLINGS = 1000
SHARE = 0.95
LEAST_PHOTOS = 5
"""With fewer there is no interval: the resamplings of two photos span no more than the two."""

_SEED = 20261125


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; NaN bounds where fewer than `LEAST_PHOTOS` were measured."""

    value: float
    low: float
    high: float
    photos: int

    def plain(self) -> dict[str, float | int | None]:
        """Gives plain values for JSON; NaN becomes None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(v) else v for name, v in values.items()} | {"photos": self.photos}


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def mean_over_photos(values: Mapping[str, Sequence[float]]) -> Estimate:
    """Gives the mean over photos of each photo's mean.

    Args:
        values: photo -> its figures, of several severities perhaps; NaN ones are left out.
    """
    means = [float(np.mean(kept)) for found in values.values() if (kept := [v for v in found if not math.isnan(v)])]
    if not means:
        return NOTHING
    found = np.array(means)
    resampled = found[_draws(len(found))].mean(axis=1)
    return _estimate(float(found.mean()), resampled, len(found))


def percentile_over_photos(values: Mapping[str, Sequence[float]], percent: float) -> Estimate:
    """Gives a percentile over photos of each photo's mean; of few photos its interval is too narrow."""
    means = [float(np.mean(kept)) for found in values.values() if (kept := [v for v in found if not math.isnan(v)])]
    if not means:
        return NOTHING
    found = np.array(means)
    resampled = np.percentile(found[_draws(len(found))], percent, axis=1)
    return _estimate(float(np.percentile(found, percent)), resampled, len(found))


def difference_over_photos(
    values: Mapping[str, Mapping[str, float]], others: Mapping[str, Mapping[str, float]]
) -> Estimate:
    """Gives the mean of value - other, paired by photo and by case within it.

    Args:
        values: photo -> case -> figure.
        others: the same of the other method; what is missing in either is left out.
    """
    pairs = {
        photo: [value - others[photo][case] for case, value in found.items() if case in others.get(photo, {})]
        for photo, found in values.items()
    }
    return mean_over_photos(pairs)


def pooled_over_photos(
    counts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    score: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    *,
    resamplings: int = 300,
) -> Estimate:
    """Gives a score of counts that are summed over photos, such as an AUC.

    Args:
        counts: a pair of counts a photo.
        score: gives the score of the summed pair.
        resamplings: times that photos are drawn again.
    """
    if not counts:
        return NOTHING
    first, second = (np.stack([pair[k] for pair in counts]) for k in (0, 1))
    value = score(first.sum(axis=0), second.sum(axis=0))
    if math.isnan(value):
        return Estimate(value, math.nan, math.nan, len(counts))
    weights = np.stack([np.bincount(d, minlength=len(counts)) for d in _draws(len(counts), resamplings)])
    resampled = np.array([score(w @ first, w @ second) for w in weights])
    return _estimate(value, resampled[~np.isnan(resampled)], len(counts))


def _draws(count: int, resamplings: int = RESAMPLINGS) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, count, (resamplings, count))


def _estimate(value: float, resampled: NDArray[np.float64], photos: int) -> Estimate:
    if photos < LEAST_PHOTOS or len(resampled) == 0:
        return Estimate(value, math.nan, math.nan, photos)
    low, high = np.quantile(resampled, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Estimate(value, float(low), float(high), photos)
