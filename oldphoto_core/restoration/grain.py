"""Grain for what was filled, as strong and as coarse as beside it, so that a mended scratch is no smooth stripe.

Grain is what is left of the sound pixels around the damage when a small blur of them is taken off. It is measured in
cells of 16 by 16 pixels: their median deviation, how alike neighbours are, how the channels go together. Edges and
texture of the picture are no grain: cells in relief are left out, and a neighbourhood is as strong as its calmer cells.

It is drawn from a hash of each pixel's place: neither tiles nor the order of work can change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.restoration.filling import STRIP_PIXELS, Filling, Rows

CELL_PX = 16
_NEAR = 4
"""Cells this near to damage are measured."""
_AROUND = 3
"""A cell is as strong as the square of cells that reaches so far around it."""
_CALM, _CALMEST = 0.35, 0.25
"""The shares of cells, calmest first, after which a neighbourhood's strength is read, and a tone's."""
_MOST = 1.5
"""A tone that is so many times stronger than the calm cells of all, or a place than its tone, shows the picture."""
_RELIEF = 16 / 255
"""A cell whose blur deviates more shows the picture."""
_LEAST = 0.5 / 255
"""Weaker grain is rounding."""
_LEAST_CELLS, _LEAST_PIXELS = 8, 64
_HALO_PX, _RIM_PX = 3, 6
_BLUR_PX, _KERNEL_PX = 1.5, 17
_TONES, _SPREADS = np.linspace(0, 1, 9), np.linspace(0, 2.5, 26)
_DRAWN = (64, 256)


@dataclass(frozen=True)
class Grain:
    """The grain of a photo, near its damage.

    Attributes:
        tones: (9,) float32, standard deviation of the channels' mean, for tones evenly from 0 to 1.
        places: (ceil(H / 16), ceil(W / 16)) float32, the strength of each cell against that; 0 far from all damage.
        spread_px: the grain is white noise under a Gaussian of this standard deviation.
        mixing: (3, 3) float32, the channels from three independent unit ones; None for a grey photo.
    """

    tones: np.ndarray
    places: np.ndarray
    spread_px: float
    mixing: np.ndarray | None

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to draw."""
        return self.tones.max() * self.places.max(initial=0) < _LEAST


def measure_grain(read: Rows, mask: np.ndarray, *, scale: int = 1, size: tuple[int, int] | None = None) -> Grain:
    """Gives the grain of a photo around its damage.

    Args:
        read: gives rows of the photo. Asked once, from the top, for strips that do not overlap; strips far from damage
            are left out.
        mask: (h, w) bool, True where damaged.
        scale: the photo's pixels a side for one of the mask, at most 16.
        size: (H, W) of the photo; None: the mask's.
    """
    height, width = size or mask.shape
    starts = [np.arange(0, side, CELL_PX) // scale for side in (height, width)]
    damaged = np.logical_or.reduceat(np.logical_or.reduceat(mask, starts[0], axis=0), starts[1], axis=1)
    near = cv2.dilate(damaged.view(np.uint8), np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8)).view(bool)
    step = max(1, STRIP_PIXELS // width // CELL_PX)
    measured, is_grey = [_Cells.none()], True
    for first in range(0, len(near), step):
        if near[first : first + step].any():
            top, bottom = first * CELL_PX, min((first + step) * CELL_PX, height)
            rows = read(top, bottom)
            is_grey = is_grey and bool((rows[..., :1] == rows).all())
            cells = np.argwhere(near[first : first + step])
            here = mask[top // scale : -(-bottom // scale)].repeat(scale, axis=0).repeat(scale, axis=1)
            measured.append(_measured(rows, np.ascontiguousarray(here[: bottom - top, :width]), cells, first))
    return _grain(_Cells(*map(np.concatenate, zip(*map(_Cells.columns, measured), strict=True))), near, is_grey=is_grey)


@dataclass(frozen=True)
class _Cells:
    """What was measured of n cells.

    Attributes:
        place: (n, 2) row and column of the cell.
        tone: (n,) mean of its blur, over the channels as well.
        deviation: (n,) standard deviation of the channels' mean without its blur.
        alikeness: (n,) correlation of neighbours beside and below each other.
        covariance: (n, 3, 3) of the channels, against the variance of their mean.
    """

    place: np.ndarray
    tone: np.ndarray
    deviation: np.ndarray
    alikeness: np.ndarray
    covariance: np.ndarray

    @classmethod
    def none(cls) -> _Cells:
        return cls(np.empty((0, 2), int), *(np.empty(0) for _ in range(3)), np.empty((0, 3, 3)))

    def columns(self) -> tuple[np.ndarray, ...]:
        return self.place, self.tone, self.deviation, self.alikeness, self.covariance


def _measured(rows: np.ndarray, mask: np.ndarray, cells: np.ndarray, first: int) -> _Cells:
    sound = cv2.dilate(mask.view(np.uint8), np.ones((2 * _HALO_PX + 1, 2 * _HALO_PX + 1), np.uint8)) == 0
    weight = _blurred(sound.astype(np.float32))
    blur = _blurred(rows * sound[..., None]) / np.maximum(weight, 1e-6)[..., None]
    residual, valid = _cut(rows - blur, cells), _cut(sound & (weight > 0.5), cells)
    tones = np.where(valid, _cut(blur @ np.full(3, 1 / 3, np.float32), cells), 0)

    count = np.maximum(valid.sum((1, 2)), 1)
    tone = tones.sum((1, 2)) / count
    relief = np.sqrt(np.maximum((tones**2).sum((1, 2)) / count - tone**2, 0))
    mean = residual @ np.full(3, 1 / 3, np.float32)
    sizes = np.sort(np.where(valid, np.abs(mean), np.inf).reshape(len(cells), -1), axis=1)
    deviation = 1.4826 * sizes[np.arange(len(cells)), count // 2]

    # Dust and edges weigh no more than strong grain does.
    weight = valid * np.minimum(1, 3 * deviation[:, None, None] / np.maximum(np.abs(mean), 1e-6))
    residual, mean = (residual * weight[..., None]).reshape(len(cells), -1, 3), mean * weight
    variance = np.maximum((mean**2).sum((1, 2)) / count, 1e-12)
    products = (mean[:, :, 1:] * mean[:, :, :-1]).sum((1, 2)) + (mean[:, 1:] * mean[:, :-1]).sum((1, 2))
    pairs = (valid[:, :, 1:] & valid[:, :, :-1]).sum((1, 2)) + (valid[:, 1:] & valid[:, :-1]).sum((1, 2))
    alikeness = products / np.maximum(pairs, 1) / variance
    covariance = residual.swapaxes(1, 2) @ residual / (count * variance)[:, None, None]

    place = cells + np.array([first, 0])
    kept = (valid.sum((1, 2)) >= _LEAST_PIXELS) & (relief < _RELIEF)
    return _Cells(*(column[kept] for column in (place, tone, deviation, alikeness, covariance)))


def _cut(plane: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Gives (n, 16, 16, ...): the cells of a plane, zero beyond it."""
    room = [(0, -size % CELL_PX) for size in plane.shape[:2]] + [(0, 0)] * (plane.ndim - 2)
    plane = np.pad(plane, room)
    split = plane.reshape(len(plane) // CELL_PX, CELL_PX, -1, CELL_PX, *plane.shape[2:])
    return split[cells[:, 0], :, cells[:, 1]]


def _grain(cells: _Cells, near: np.ndarray, *, is_grey: bool) -> Grain:
    tones = _by_tone(cells.tone, cells.deviation)
    expected = np.interp(cells.tone, _TONES, tones)
    strengths = np.full(near.shape, np.nan, np.float32)
    at = tuple(cells.place.T)
    strengths[at] = np.where(expected > 0, cells.deviation / np.maximum(expected, 1e-9), np.nan)
    places = _calm_around(strengths, near)
    calm = (cells.deviation >= _LEAST / 2) & (cells.deviation <= expected * places[at])
    if not calm.any():
        return Grain(np.zeros(len(_TONES), np.float32), places, 0.0, None)
    spread, left = _spread_and_rest(float(np.median(cells.alikeness[calm])))
    mixing = None if is_grey else _root(np.median(cells.covariance[calm], axis=0))
    return Grain((tones / left).astype(np.float32), places, spread, mixing)


def _by_tone(tone: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Gives (9,) the deviation of the calmest cells of each tone; tones with few cells take their neighbours'."""
    if not len(tone):
        return np.zeros(len(_TONES))
    alike = [deviation[np.abs(tone - knot) < _TONES[1]] for knot in _TONES]
    known = [i for i, some in enumerate(alike) if len(some) >= _LEAST_CELLS]
    every = np.quantile(deviation, _CALM)
    if not known:
        return np.full(len(_TONES), every)
    curve = np.interp(_TONES, _TONES[known], [np.quantile(alike[i], _CALMEST) for i in known])
    return np.minimum(curve, _MOST * every)


def _calm_around(strengths: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Gives (h, w) float32 the strength of the calmer cells around each; 1 where few were measured."""
    width = 2 * _AROUND + 1
    padded = np.pad(strengths, _AROUND, constant_values=np.nan)
    result = np.zeros(strengths.shape, np.float32)
    for row in np.flatnonzero(near.any(1)):
        columns = np.flatnonzero(near[row])
        around = padded[row : row + width, columns[:, None] + np.arange(width)]  # (width, n, width)
        around = np.sort(around.swapaxes(0, 1).reshape(len(columns), -1), axis=1)  # nan last
        count = np.count_nonzero(~np.isnan(around), axis=1)
        calm = around[np.arange(len(columns)), np.rint(_CALM * np.maximum(count - 1, 0)).astype(int)]
        result[row, columns] = np.where(count >= _LEAST_CELLS, np.minimum(calm, _MOST), 1)
    return result


def _spread_and_rest(alikeness: float) -> tuple[float, float]:
    """Gives the spread of grain whose neighbours are so alike without its blur, and what deviation is left of one."""
    frequency = np.fft.fftfreq(64)
    grain = np.stack([_response(spread) for spread in _SPREADS])
    rest = grain * (1 - np.sqrt(_response(_BLUR_PX))) ** 2
    rest_variance = rest.mean((1, 2))
    alike = (rest * np.cos(2 * np.pi * frequency)).mean((1, 2)) / rest_variance
    spread = float(np.interp(alikeness, alike, _SPREADS))
    return spread, float(np.interp(spread, _SPREADS, np.sqrt(rest_variance / grain.mean((1, 2)))))


def _response(spread: float) -> np.ndarray:
    """Gives (64, 64) the share of power that a Gaussian leaves to each frequency."""
    line = np.abs(np.fft.fft(_kernel(spread).ravel(), 64)) ** 2
    return line[:, None] * line


def _kernel(spread: float) -> np.ndarray:
    return cv2.getGaussianKernel(_KERNEL_PX, spread) if spread > 0 else np.eye(1)


def _blurred(image: np.ndarray) -> np.ndarray:
    kernel = _kernel(_BLUR_PX)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Gives (3, 3) float32 the root of a covariance, for channels whose mean has variance 1."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return (root / np.linalg.norm(root.mean(0))).astype(np.float32)


def grained(filling: Filling, grain: Grain, *, seed: int) -> Filling:
    """Gives the filling with grain, within [0, 1]: the same for the same photo, mask and seed.

    What a fill takes over from the known pixels beside it has grain already, so at its rim less is added.
    """
    if grain.is_none:
        return filling
    mask, values = filling.mask, filling.values.copy()
    for top in range(0, len(mask), _DRAWN[0]):
        rows = mask[top : top + _DRAWN[0]]
        if not rows.any():
            continue
        drawn = np.zeros((*rows.shape, 1 if grain.mixing is None else 3), np.float32)
        for left in range(0, rows.shape[1], _DRAWN[1]):
            part = drawn[:, left : left + _DRAWN[1]]
            if rows[:, left : left + _DRAWN[1]].any():
                part[:] = unit_grain(top, left, *part.shape[:2], grain=grain, seed=seed)
        here = slice(filling.starts[top], filling.starts[top + len(rows)])
        strength = np.interp(values[here].mean(1), _TONES, grain.tones) * _between_cells(grain.places, top, rows)
        strength *= np.sqrt(1 - _taken_over(mask, top, len(rows), grain.spread_px)) * (strength >= _LEAST)
        values[here] = np.clip(values[here] + drawn[rows] * strength[:, None].astype(np.float32), 0, 1)
    return Filling(mask, values)


def lay_grain(rows: np.ndarray, top: int, share: np.ndarray, grain: Grain, *, seed: int) -> None:
    """Adds grain to rows (h, W, 3) in [0, 1] of a photo that begin at `top`, in place, by shares (h, W) in [0, 1]."""
    mended = share > 0
    if grain.is_none or not mended.any():
        return
    for left in range(0, rows.shape[1], _DRAWN[1]):
        part = np.s_[:, left : left + _DRAWN[1]]
        here = mended[part]
        if here.any():
            strength = np.interp(rows[part][here].mean(1), _TONES, grain.tones)
            strength *= _between_cells(grain.places, top, here, left) * (strength >= _LEAST) * share[part][here]
            drawn = unit_grain(top, left, *here.shape, grain=grain, seed=seed)[here]
            rows[part][here] += drawn * strength[:, None].astype(np.float32)


def _taken_over(mask: np.ndarray, top: int, height: int, spread: float) -> np.ndarray:
    """Gives the share of the fine grain's variance that a spline takes over from the rim, as measured."""
    above = max(0, top - _RIM_PX)
    distance = cv2.distanceTransform(mask[above : top + height + _RIM_PX].view(np.uint8), cv2.DIST_L2, 3)
    distance = distance[top - above :][:height][mask[top : top + height]]
    return (0.3 + 0.1 * min(spread, 1.5)) * np.exp(1 - distance)


def _between_cells(places: np.ndarray, top: int, rows: np.ndarray, left: int = 0) -> np.ndarray:
    """Gives the cells' strength in the rows' masked pixels, linearly from cell to cell."""
    sides = []
    for at, size, offset in zip(np.nonzero(rows), places.shape, (top, left), strict=True):
        centre = np.clip((at + offset + 0.5) / CELL_PX - 0.5, 0, size - 1)
        low = centre.astype(int)
        sides.append(((low, 1 - centre + low), (np.minimum(low + 1, size - 1), centre - low)))
    return sum(places[y, x] * tall * wide for y, tall in sides[0] for x, wide in sides[1])


def unit_grain(top: int, left: int, height: int, width: int, *, grain: Grain, seed: int) -> np.ndarray:
    """Gives (height, width, C) float32 grain of this place, whose channels' mean has variance 1; C is 1 for grey."""
    kernel = _kernel(grain.spread_px)
    reach = len(kernel) // 2
    window = (top - reach, left - reach, height + 2 * reach, width + 2 * reach)
    white = np.dstack([_white(*window, seed=3 * seed + channel) for channel in range(1 if grain.mixing is None else 3)])
    drawn = cv2.sepFilter2D(white, -1, kernel, kernel).reshape(white.shape) / np.float32((kernel**2).sum())
    drawn = drawn[reach : reach + height, reach : reach + width]
    return drawn if grain.mixing is None else drawn @ grain.mixing


def _white(top: int, left: int, height: int, width: int, *, seed: int) -> np.ndarray:
    """Gives (height, width) float32, nearly normal, of variance 1: the sum of four uniform parts of a hash."""
    row = np.arange(top, top + height).astype(np.uint64)[:, None]
    column = np.arange(left, left + width).astype(np.uint64)
    bits = _hashed(_hashed(_hashed(np.array([seed % 2**64], np.uint64)) + row) + column)
    pairs = (bits & np.uint64(0xFFFF0000FFFF)) + (bits >> np.uint64(16) & np.uint64(0xFFFF0000FFFF))
    total = (pairs + (pairs >> np.uint64(32)) & np.uint64(0xFFFFFFFF)).astype(np.float32)
    return (total - np.float32(2 * 65535)) * np.float32(np.sqrt(3) / 65536)


def _hashed(bits: np.ndarray) -> np.ndarray:
    """Gives each number's hash (splitmix64)."""
    bits = bits * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
