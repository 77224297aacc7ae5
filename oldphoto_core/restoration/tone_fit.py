"""The smooth global tone map that best explains a restoration: what is left beside it is change of the picture itself.

The map is the network's own kind (`oldphoto_core.models.tone`) without its grid: a monotone curve for each channel,
then a 3x4 colour matrix, then a monotone curve again. Undoing fading, toning or a cast is such a map; smoothing skin
or inventing texture is not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ToneMap = Callable[[np.ndarray], np.ndarray]

_BINS = 64
_TABLE = 4096  # a curve is looked up, not interpolated: sixteen steps an 8-bit level
_LEAST_IN_BIN = 8
_LEAST_FIT_PIXELS = 64
_ROUNDS = 3  # of least squares in which far pixels weigh less: an unmarked scratch that was mended is not tone
_FAR = 2 / 255  # residuals beyond this weigh less, so that a quiet majority decides


def fit_tone(before: np.ndarray, after: np.ndarray) -> ToneMap:
    """Gives the tone map, from (..., 3) to (..., 3) in [0, 1], that brings `before` nearest to `after`.

    The nearest by mean absolute difference of three: leaving the pixels alone, matrix then curves, and curves, matrix,
    curves. So what the map leaves over is never more than the whole change.

    Args:
        before, after: (N, 3) float32 sRGB in [0, 1], the same intact pixels; fewer than 64 give the identity.
    """
    if len(before) < _LEAST_FIT_PIXELS or np.array_equal(before, after):
        return _identity
    curves = _fit_curves(before, after)
    choices = [_identity, _matrix_then_curves(before, after)]
    second = _matrix_then_curves(curves(before), after)
    choices.append(lambda pixels: second(curves(pixels)))
    return min(choices, key=lambda tone: float(np.abs(tone(before) - after).mean()))


def _identity(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _matrix_then_curves(before: np.ndarray, after: np.ndarray) -> ToneMap:
    matrix = _fit_matrix(before, after)
    curves = _fit_curves(_apply_matrix(matrix, before), after)
    return lambda pixels: curves(_apply_matrix(matrix, pixels))


def _apply_matrix(matrix: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels @ matrix[:3] + matrix[3], 0, 1)


def _fit_matrix(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Gives (4, 3) float32, by least squares in which pixels far from the map weigh less (Huber's weights)."""
    rows = np.concatenate([before, np.ones_like(before[:, :1])], axis=1)
    weight = np.ones_like(rows[:, :1])
    for _ in range(_ROUNDS):
        weighted = rows * weight
        # Grey photos have three equal columns: lstsq gives the least of the many equal answers.
        matrix, *_ = np.linalg.lstsq(
            (weighted.T @ rows).astype(np.float64), (weighted.T @ after).astype(np.float64), rcond=1e-7
        )
        matrix = matrix.astype(np.float32)
        residual = np.abs(rows @ matrix - after).mean(axis=1, keepdims=True)
        weight = 1 / np.maximum(residual / _FAR, 1)
    return matrix


def _fit_curves(before: np.ndarray, after: np.ndarray) -> ToneMap:
    """Gives one monotone curve for each channel: isotonic regression of the means of 64 bins, straight between them."""
    from scipy.optimize import isotonic_regression

    knots = []
    for x, y in zip(before.T, after.T, strict=True):
        which = np.minimum((x * _BINS).astype(np.int32), _BINS - 1)
        count = np.bincount(which, minlength=_BINS)
        some = count >= min(_LEAST_IN_BIN, count.max())
        at = np.bincount(which, x, minlength=_BINS)[some] / count[some]
        to = np.bincount(which, y, minlength=_BINS)[some] / count[some]
        knots.append(_with_ends(at, isotonic_regression(to, weights=count[some]).x))
    steps = np.linspace(0, 1, _TABLE)
    tables = [np.interp(steps, at, to).astype(np.float32) for at, to in knots]
    return lambda pixels: _look_up(tables, pixels)


def _look_up(tables: list[np.ndarray], pixels: np.ndarray) -> np.ndarray:
    nearest = (pixels * np.float32(_TABLE - 1) + np.float32(0.5)).astype(np.int32)
    return np.stack([table[nearest[..., channel]] for channel, table in enumerate(tables)], axis=-1)


def _with_ends(at: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives the curve's knots with one at 0 and one at 1, where the first and last straight pieces lead."""
    if len(at) < 2:
        shift = to[0] - at[0]
        return np.array([0.0, 1.0]), np.clip([shift, 1 + shift], 0, 1)
    slopes = np.diff(to)[[0, -1]] / np.maximum(np.diff(at)[[0, -1]], 1e-6)
    first, last = to[0] - slopes[0] * at[0], to[-1] + slopes[1] * (1 - at[-1])
    return np.concatenate([[0.0], at, [1.0]]), np.clip(np.concatenate([[first], to, [last]]), 0, 1)
