"""How well a detector finds structured damage: ROC, AUC, best thresholds, calibration, streamed over pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_BINS = 1024


@dataclass(frozen=True)
class Best:
    """The best value of a score and the threshold that gives it."""

    value: float
    threshold: float


@dataclass
class ScoreHistogram:
    """Counts of damaged and sound pixels by score, in 1024 bins over [0, 1]: all that a ROC curve needs.

    Counting is exact up to the width of a bin, and takes the same memory for one picture or a million.
    """

    positive: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Damaged pixels in each bin."""

    negative: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Sound pixels in each bin."""

    total_score: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_BINS))
    """Sum of scores in each bin, for calibration."""

    def add(
        self,
        scores: NDArray[np.floating],
        mask: NDArray[np.bool_],
        *,
        ignore: NDArray[np.bool_] | None = None,
    ) -> None:
        """Counts the pixels of one or more pictures.

        Args:
            scores: probability of damage in [0, 1], any shape.
            mask: True where damaged, the same shape.
            ignore: True where a pixel does not count, the same shape.

        Raises:
            ValueError: the shapes differ, or a score is not finite.
        """
        if scores.shape != mask.shape or (ignore is not None and ignore.shape != mask.shape):
            raise ValueError(f"shapes differ: scores {scores.shape}, mask {mask.shape}")
        if not np.isfinite(scores).all():
            raise ValueError("scores hold NaN or infinity")
        keep = np.ones(mask.shape, bool) if ignore is None else ~ignore
        values, truth = np.clip(scores[keep].astype(np.float64), 0, 1), mask[keep].astype(bool)
        bins = np.minimum((values * _BINS).astype(np.int64), _BINS - 1)
        self.positive += np.bincount(bins[truth], minlength=_BINS)
        self.negative += np.bincount(bins[~truth], minlength=_BINS)
        self.total_score += np.bincount(bins, weights=values, minlength=_BINS)

    def roc(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Gives (false positive rate, true positive rate, threshold), from no pixel found to all found."""
        hits, alarms = self._found()
        thresholds = np.concatenate([[1.0], np.arange(_BINS - 1, -1, -1) / _BINS])
        return alarms / max(alarms[-1], 1), hits / max(hits[-1], 1), thresholds

    def auc(self) -> float:
        """Gives the area under the ROC curve; NaN unless there are damaged and sound pixels."""
        if not self.positive.any() or not self.negative.any():
            return math.nan
        false_rate, true_rate, _ = self.roc()
        return float(np.trapezoid(true_rate, false_rate))

    def average_precision(self) -> float:
        """Gives the mean precision over recall, each step of recall at its own precision; NaN as for `auc`."""
        if not self.positive.any() or not self.negative.any():
            return math.nan
        hits, alarms = self._found()
        precision = hits[1:] / np.maximum(hits[1:] + alarms[1:], 1)
        return float((np.diff(hits) / hits[-1] * precision).sum())

    def threshold_at(self, false_rate: float) -> float:
        """Gives the lowest threshold at which at most this share of sound pixels is taken for damaged."""
        alarms, _, thresholds = self.roc()
        return float(thresholds[np.searchsorted(alarms, false_rate, side="right") - 1])

    def false_rate_at(self, threshold: float) -> float:
        """Gives the share of sound pixels that score at least this."""
        return float(self.negative[min(int(threshold * _BINS), _BINS - 1) :].sum() / max(self.negative.sum(), 1))

    def recall_at(self, false_rate: float) -> float:
        """Gives the share of damaged pixels found where this share of sound ones is, too; NaN as for `auc`.

        Between two thresholds of the histogram the ROC curve is straight.
        """
        if not self.positive.any() or not self.negative.any():
            return math.nan
        alarms, hits, _ = self.roc()
        return float(np.interp(false_rate, alarms, hits))

    def recall_at_precision(self, precision: float) -> float:
        """Gives the largest share of damaged pixels found at any threshold of at least this precision; NaN as above."""
        if not self.positive.any() or not self.negative.any():
            return math.nan
        hits, alarms = self._found()
        right = hits >= precision * np.maximum(hits + alarms, 1)
        return float(hits[right].max(initial=0.0) / hits[-1])

    def best_f1(self) -> Best:
        """Gives the highest F1 (2 TP / (2 TP + FP + FN)) over thresholds."""
        hits, alarms = self._found()
        return self._best(2 * hits / np.maximum(hits + alarms + hits[-1], 1))

    def best_iou(self) -> Best:
        """Gives the highest intersection over union (TP / (TP + FP + FN)) over thresholds."""
        hits, alarms = self._found()
        return self._best(hits / np.maximum(alarms + hits[-1], 1))

    def calibration(self, *, bins: int = 16) -> list[tuple[float, float, int]]:
        """Gives (mean score, share damaged, pixels) for equal score intervals that hold pixels."""
        step = _BINS // bins
        rows = []
        for start in range(0, _BINS, step):
            part = slice(start, start + step)
            damaged, count = int(self.positive[part].sum()), int((self.positive[part] + self.negative[part]).sum())
            if count:
                rows.append((float(self.total_score[part].sum()) / count, damaged / count, count))
        return rows

    def calibration_error(self, *, bins: int = 16) -> float:
        """Gives the expected calibration error: mean |score - share damaged|, weighted by pixels."""
        rows = self.calibration(bins=bins)
        total = sum(count for _, _, count in rows)
        return sum(abs(score - share) * count for score, share, count in rows) / total if total else math.nan

    def _found(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gives true and false positives for falling thresholds, starting from none."""
        hits = np.concatenate([[0.0], np.cumsum(self.positive[::-1])])
        alarms = np.concatenate([[0.0], np.cumsum(self.negative[::-1])])
        return hits, alarms

    def _best(self, values: NDArray[np.float64]) -> Best:
        index = int(np.argmax(values))
        return Best(float(values[index]), float(self.roc()[2][index]))
