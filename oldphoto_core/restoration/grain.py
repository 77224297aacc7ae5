"""Grain for what was filled, as strong and as coarse as beside it, so that a mended scratch is no smooth stripe.

Grain is what is left of the sound pixels around the damage when a small blur of them is taken off. It is measured in
cells of 16 pixels: their median deviation, its lag-one correlation, how the channels go together. Edges and texture of
the picture are no grain: a cell counts for its neighbourhood as far as it is one of the calmer ones there.

It is drawn from a hash of each pixel's place, so that no tile and no order of work can change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.restoration.filling import STRIP_PIXELS, Filling, Rows

CELL_PX = 16
_NEAR_CELLS = 4
"""Cells so near to damage are measured."""
_AROUND_CELLS = 3
"""A cell's strength is that of the square of cells around it, so far on each side."""
_CALM = 0.35
"""The share of cells, calmest first, after which the strength of a neighbourhood is read."""
_HALO_PX = 3
_LEAST_COUNT = 64
_BLUR_PX = 1.5
_LEAST = 0.5 / 255
"""Weaker grain than this is rounding."""
_CALMEST = 0.2
_LEAST_CELLS = 8
_MOST = 2.0
_RIM_PX = 8
_REACH_PX = 8
_TONES = np.linspace(0, 1, 9)
_DRAWN_PX = 64
_SPREADS = np.linspace(0, 2.5, 26)


@dataclass(frozen=True)
class Grain:
    """The grain of a photo, near its damage.

    Attributes:
        tones: (9,) float32, standard deviation of the mean of the channels, for tones evenly from 0 to 1.
        places: (ceil(H / 16), ceil(W / 16)) float32, the strength of each cell against that; 0 far from all damage.
        spread_px: the grain is white noise under a Gaussian of this standard deviation.
        mixing: (3, 3) float32, channels from three independent unit ones; None for a grey photo, whose channels agree.
    """

    tones: np.ndarray
    places: np.ndarray
    spread_px: float
    mixing: np.ndarray | None

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to draw."""
        return not bool((self.tones.max() * self.places >= _LEAST).any())


def measure_grain(read: Rows, mask: np.ndarray) -> Grain:
    """Gives the grain of a photo around its damage.

    Args:
        read: gives rows of the photo. Asked once, from the top, for strips that do not overlap; strips far from damage
            are left out.
        mask: (H, W) bool, True where damaged.
    """
    height, width = mask.shape
    every = [np.arange(0, size, CELL_PX) for size in mask.shape]
    damaged = np.logical_or.reduceat(np.logical_or.reduceat(mask, every[0], axis=0), every[1], axis=1)
    near = cv2.dilate(damaged.view(np.uint8), np.ones((2 * _NEAR_CELLS + 1,) * 2, np.uint8)).view(bool)
    measured, is_grey = [], True
    step = max(1, STRIP_PIXELS // width // CELL_PX)
    for first in range(0, len(near), step):
        cells = near[first : first + step]
        if cells.any():
            top, bottom = first * CELL_PX, min((first + step) * CELL_PX, height)
            rows = read(top, bottom)
            is_grey = is_grey and bool((rows[..., :1] == rows).all())
            measured.append(_measured(rows, mask[top:bottom], cells, first))
    cells = np.concatenate(measured) if measured else np.empty((0, 12))
    return _grain(cells, near, is_grey=is_grey)


def _measured(rows: np.ndarray, mask: np.ndarray, cells: np.ndarray, first: int) -> np.ndarray:
    """Gives (n, 12) of the cells: row, column, tone, median deviation, lag-one correlation, six covariances, variance."""
    sound = cv2.dilate(mask.view(np.uint8), np.ones((2 * _HALO_PX + 1,) * 2, np.uint8)) == 0
    weight = _blurred(sound.astype(np.float32))
    smooth = _blurred(np.where(sound[..., None], rows, 0)) / np.maximum(weight, 1e-6)[..., None]
    valid = sound & (weight > 0.5)
    height, width = (size * CELL_PX for size in cells.shape)
    room = ((0, height - rows.shape[0]), (0, width - rows.shape[1]))

    def cut(plane: np.ndarray) -> np.ndarray:
        plane = np.pad(plane, room + ((0, 0),) * (plane.ndim - 2))
        split = plane.reshape(len(cells), CELL_PX, -1, CELL_PX, *plane.shape[2:]).swapaxes(1, 2)
        return split[row, column]

    row, column = np.nonzero(cells)
    count = cut(valid).sum((1, 2))
    row, column = row[count >= _LEAST_COUNT], column[count >= _LEAST_COUNT]
    valid, residual, count = cut(valid), cut(rows - smooth), count[count >= _LEAST_COUNT]
    tone = np.where(valid, cut(smooth.mean(2)), 0).sum((1, 2)) / count
    grey = residual.mean(3)
    sizes = np.sort(np.where(valid, np.abs(grey), np.inf).reshape(len(row), -1), axis=1)
    deviation = 1.4826 * sizes[np.arange(len(row)), count // 2]
    # Dust and edges weigh no more than strong grain does.
    limit = 3 * deviation[:, None, None] + 1e-6
    share = np.where(valid, np.minimum(1, limit / np.maximum(np.abs(grey), 1e-6)), 0)
    residual, grey = residual * share[..., None], grey * share
    variance = (grey**2).sum((1, 2)) / count
    together = (grey[:, :, 1:] * grey[:, :, :-1]).sum((1, 2)) + (grey[:, 1:] * grey[:, :-1]).sum((1, 2))
    pairs = (valid[:, :, 1:] & valid[:, :, :-1]).sum((1, 2)) + (valid[:, 1:] & valid[:, :-1]).sum((1, 2))
    correlation = together / np.maximum(pairs, 1) / np.maximum(variance, 1e-12)
    a, b = np.triu_indices(3)
    covariance = (residual[..., a] * residual[..., b]).sum((1, 2)) / count[:, None]
    return np.column_stack([row + first, column, tone, deviation, correlation, covariance, variance])


def _grain(cells: np.ndarray, near: np.ndarray, *, is_grey: bool) -> Grain:
    row, column, tone, deviation, correlation, covariance, variance = np.split(cells, [1, 2, 3, 4, 5, 11], axis=1)
    row, column, tone, deviation = (
        row.ravel().astype(int),
        column.ravel().astype(int),
        tone.ravel(),
        deviation.ravel(),
    )
    tones = _by_tone(tone, deviation)
    expected = np.interp(tone, _TONES, tones)
    ratio = np.full(near.shape, np.nan, np.float32)
    ratio[row, column] = np.where(expected > 0, deviation / np.maximum(expected, 1e-9), np.nan)
    places = _calm_around(ratio, near)
    calm = (deviation >= _LEAST) & (deviation <= expected * places[row, column])
    if not calm.any():
        return Grain(np.zeros(len(_TONES), np.float32), places, 0.0, None)
    spread, gain = _spread_and_gain(float(np.median(correlation[calm])))
    mixing = None if is_grey else _mixing(np.median(covariance[calm] / variance[calm], axis=0))
    return Grain((tones / gain).astype(np.float32), places, spread, mixing)


def _by_tone(tone: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Gives (9,) the deviation of the calmest cells of each tone; tones with few cells take their neighbours'."""
    near = [deviation[np.abs(tone - knot) < _TONES[1]] for knot in _TONES]
    known = [i for i, cells in enumerate(near) if len(cells) >= _LEAST_CELLS]
    if not known:
        return np.full(len(_TONES), np.quantile(deviation, _CALMEST) if len(deviation) else 0.0)
    return np.interp(_TONES, _TONES[known], [np.quantile(near[i], _CALMEST) for i in known])


def _calm_around(ratio: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Gives (h, w) float32: of the cells around each, the strength of one of the calmer; 1 where there are few."""
    r, width = _AROUND_CELLS, 2 * _AROUND_CELLS + 1
    padded = np.pad(ratio, r, constant_values=np.nan)
    result = np.zeros(ratio.shape, np.float32)
    for row in np.flatnonzero(near.any(1)):
        columns = np.flatnonzero(near[row])
        around = np.sort(
            padded[row : row + width, columns[:, None] + np.arange(width)].swapaxes(0, 1).reshape(-1, width**2)
        )
        count = np.count_nonzero(~np.isnan(around), axis=1)
        calm = around[np.arange(len(columns)), (_CALM * np.maximum(count - 1, 0)).round().astype(int)]
        result[row, columns] = np.where(count >= _LEAST_CELLS, np.minimum(calm, _MOST), 1)
    return result


def _spread_and_gain(correlation: float) -> tuple[float, float]:
    """Gives the spread of white noise that has this lag-one correlation after the blur is taken off, and what is left.

    The second is the standard deviation that is left of one before.
    """
    across = np.cos(2 * np.pi * np.fft.fftfreq(64))
    blur = _response(_BLUR_PX)
    spectra = np.stack([(_response(spread) * (1 - blur)) ** 2 for spread in _SPREADS])
    correlations = (spectra * across).mean((1, 2)) / spectra.mean((1, 2))
    gains = np.sqrt(spectra.mean((1, 2)) / [(_response(spread) ** 2).mean() for spread in _SPREADS])
    spread = float(np.interp(correlation, correlations, _SPREADS))
    return spread, float(np.interp(spread, _SPREADS, gains))


def _response(spread: float) -> np.ndarray:
    """Gives (64, 64) what a Gaussian leaves of each frequency."""
    kernel = _kernel(spread).ravel()
    line = np.abs(np.fft.fft(kernel, 64))
    return line[:, None] * line


def _kernel(spread: float) -> np.ndarray:
    return cv2.getGaussianKernel(2 * _REACH_PX + 1, spread) if spread > 0 else np.eye(1)


def _blurred(image: np.ndarray) -> np.ndarray:
    kernel = _kernel(_BLUR_PX)
    return cv2.sepFilter2D(image.astype(np.float32), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)


def _mixing(covariance: np.ndarray) -> np.ndarray:
    """Gives (3, 3) the root of a covariance of which the channels' mean has variance 1."""
    full = np.empty((3, 3))
    full[np.triu_indices(3)] = covariance
    full.T[np.triu_indices(3)] = covariance
    values, vectors = np.linalg.eigh(full)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return (root / np.linalg.norm(root.mean(0))).astype(np.float32)


def grained(filling: Filling, grain: Grain, *, seed: int) -> Filling:
    """Gives the filling with grain, within [0, 1].

    What a fill takes over from the known pixels beside it has grain already, the more so the nearer it is to them. So
    much less is added there.
    """
    if grain.is_none:
        return filling
    mask, values = filling.mask, filling.values.copy()
    height, width = mask.shape
    channels = 1 if grain.mixing is None else 3
    for top in range(0, height, _DRAWN_PX):
        rows = mask[top : top + _DRAWN_PX]
        if not rows.any():
            continue
        drawn = np.zeros((*rows.shape, channels), np.float32)
        for left in range(0, width, _DRAWN_PX * 4):
            right = min(left + _DRAWN_PX * 4, width)
            if rows[:, left:right].any():
                drawn[:, left:right] = unit_grain(top, left, len(rows), right - left, grain=grain, seed=seed)
        above = max(0, top - _RIM_PX)
        distance = cv2.distanceTransform(mask[above : top + _DRAWN_PX + _RIM_PX].view(np.uint8), cv2.DIST_L2, 3)
        distance = distance[top - above :][: len(rows)][rows]
        here = slice(filling.starts[top], filling.starts[top + len(rows)])
        strength = np.interp(values[here].mean(1), _TONES, grain.tones) * _between_cells(grain.places, top, rows)
        strength *= np.sqrt(1 - _taken_over(distance, grain.spread_px)) * (strength >= _LEAST)
        values[here] = np.clip(values[here] + drawn[rows] * strength[:, None].astype(np.float32), 0, 1)
    return Filling(mask, values)


def _taken_over(distance: np.ndarray, spread: float) -> np.ndarray:
    """Gives the share of the grain's variance that a spline in tension carries so far from the known pixels (measured)."""
    return (0.55 + 0.2 * min(spread, 1.0)) * np.minimum(distance, _RIM_PX) ** -0.55


def _between_cells(places: np.ndarray, top: int, rows: np.ndarray) -> np.ndarray:
    """Gives the cells' strength at the rows' masked pixels, linearly from cell to cell."""
    at = [((of + 0.5) / CELL_PX - 0.5) for of in np.nonzero(rows)]
    at[0] = at[0] + top / CELL_PX
    low = [np.clip(np.floor(a).astype(int), 0, size - 1) for a, size in zip(at, places.shape, strict=True)]
    high = [np.minimum(l + 1, size - 1) for l, size in zip(low, places.shape, strict=True)]
    y, x = (np.clip(a - l, 0, 1) for a, l in zip(at, low, strict=True))
    upper = places[low[0], low[1]] * (1 - x) + places[low[0], high[1]] * x
    lower = places[high[0], low[1]] * (1 - x) + places[high[0], high[1]] * x
    return upper * (1 - y) + lower * y


def unit_grain(top: int, left: int, height: int, width: int, *, grain: Grain, seed: int) -> np.ndarray:
    """Gives (height, width, 1 or 3) float32 grain, the mean of whose channels has variance 1, at this place of a photo."""
    kernel = _kernel(grain.spread_px)
    reach = len(kernel) // 2
    channels = 1 if grain.mixing is None else 3
    window = (top - reach, left - reach, height + 2 * reach, width + 2 * reach)
    white = np.stack([_white(*window, seed=seed, channel=channel) for channel in range(channels)], axis=2)
    drawn = cv2.sepFilter2D(white, -1, kernel, kernel) / np.float32((kernel**2).sum())
    drawn = drawn.reshape(white.shape)[reach : reach + height, reach : reach + width]
    return drawn if grain.mixing is None else drawn @ grain.mixing


def _white(top: int, left: int, height: int, width: int, *, seed: int, channel: int) -> np.ndarray:
    """Gives (height, width) float32, nearly normal, of variance 1: a hash (splitmix64) of seed, channel and place."""
    key = np.array([(seed * 3 + channel) % 2**64], np.uint64)
    row = np.arange(top, top + height).astype(np.uint64)[:, None]
    column = np.arange(left, left + width).astype(np.uint64)
    bits = _mixed(_mixed(key + row) + column)
    halves = bits.view(np.uint16).reshape(height, width, 4)
    return (halves.sum(2, dtype=np.int32) - 2 * 65535).astype(np.float32) / np.float32(65536 / np.sqrt(3))


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = bits * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
