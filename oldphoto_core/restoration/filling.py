"""What damaged places are filled with, before the networks see them: a continuous-curvature spline in tension.

Of all surfaces through the known pixels around a damaged place the one is taken that is smoothest, measured by

    sum of tension * |gradient|^2 + (1 - tension) * |laplacian|^2

(Smith and Wessel, *Gridding with continuous curvature splines in tension*, Geophysics 1990). The first term alone, a
soap film, makes a kink at the rim; the second alone, a thin plate, overshoots where the photo has grain. With Q the
matrix of that sum, f the damaged pixels and k the known ones, the fill solves Q_ff u_f = -Q_fk u_k. Q couples pixels at
most two steps apart, so damaged places further apart are solved apart, each on the photo itself: tiles cannot differ.

Wide places are solved on the pixels in their rim alone. Deeper in bending has died out, the spline is a harmonic
function, and the photo reduced to half shows it as well; and so on, half by half. Rim and depth overlap, and each is
solved in turn with the other's values at its edge (Schwarz), until they agree within half a level of 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from oldphoto_core.errors import ConfigError

Rows = Callable[[int, int], np.ndarray]
"""(top, bottom) -> (h, W, 3) float32 in [0, 1]: rows of the photo."""

TENSION = 0.3
REACH_PX = 2
"""How far from a damaged pixel the known ones lie that its fill is solved from, in steps up, down, left or right."""
STRIP_PIXELS = 1 << 21

Solve = Callable[[np.ndarray], np.ndarray]
"""(n, C) values of nodes -> the same, the unknown ones solved for."""

_CELL_PX = 4
_BATCH = 16_000
"""Pixels solved together: the factors of more no longer fit a cache, and those of fewer take longer to start."""
_RIM, _OVERLAP = 8, 6
"""Cells of two by two pixels: how deep the rim goes, and how much of that is solved on the reduced photo as well."""
_TURNS, _TURNS_REDUCED = 24, 2
_AGREED = 0.25 / 255
"""Rim and depth agree when a turn changes no more; a turn leaves a quarter of the difference or less."""
_DIAMOND = (np.abs(np.mgrid[-REACH_PX : REACH_PX + 1, -REACH_PX : REACH_PX + 1]).sum(0) <= REACH_PX).astype(np.uint8)
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Filling:
    """What damaged pixels are filled with.

    Attributes:
        mask: (H, W) bool, True where damaged.
        values: (N, 3) float32 in [0, 1], sRGB: the mask's pixels, row by row.
    """

    mask: np.ndarray
    values: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """(H + 1,) where each row's values begin, and where the last row's end."""
        return np.concatenate([[0], np.cumsum(np.count_nonzero(self.mask, axis=1))])

    @cached_property
    def columns(self) -> np.ndarray:
        """(N,) int32, the column of each value."""
        step = max(1, STRIP_PIXELS // max(1, self.mask.shape[1]))
        found = [np.nonzero(self.mask[top : top + step])[1].astype(np.int32) for top in range(0, len(self.mask), step)]
        return np.concatenate([np.empty(0, np.int32), *found])

    def put(self, top: int, rows: np.ndarray, left: int = 0) -> None:
        """Writes the values into (h, w, 3) float32 rows of the photo that begin at (top, left), in place."""
        height, width = rows.shape[:2]
        here = self.mask[top : top + height]
        values = self.values[self.starts[top] : self.starts[top + height]]
        if width < here.shape[1]:
            columns = self.columns[self.starts[top] : self.starts[top + height]]
            values = values[(columns >= left) & (columns < left + width)]
        rows[here[:, left : left + width]] = values


def fill(read: Rows, mask: np.ndarray, *, tension: float = TENSION) -> Filling:
    """Gives what the damaged pixels of a photo are filled with.

    Args:
        read: gives rows of the photo. Asked once, from the top, for strips that do not overlap; strips with nothing
            damaged are left out.
        mask: (H, W) bool, True where damaged. A photo with no known pixel at all stays as it is.
        tension: weight of the harmonic part, in (0, 1].
    """
    if mask.dtype != bool or mask.ndim != 2:
        raise ConfigError(f"A mask to fill is (H, W) bool; this one is {mask.shape} {mask.dtype}.")
    if not 0 < tension <= 1:
        raise ConfigError(f"Tension lies in (0, 1]; this one is {tension}.")
    mask = np.ascontiguousarray(mask)
    if mask.all():
        rows = [read(top, bottom).reshape(-1, 3) for top, bottom in strips(*mask.shape)]
        return Filling(mask, np.concatenate([np.empty((0, 3), np.float32), *rows]))
    level = _Level(mask, tension, read=read)
    level.settle(_TURNS)
    level.limit()
    values = np.empty((np.count_nonzero(mask), 3), np.float32)
    values[:] = np.clip(level.completed()[1], 0, 1)
    return Filling(mask, values)


def filled(image: np.ndarray, mask: np.ndarray, *, tension: float = TENSION) -> np.ndarray:
    """Gives a copy of (H, W, 3) float32 in [0, 1] with what the (H, W) bool mask marks filled from around it."""
    result = image.copy()
    fill(lambda top, bottom: image[top:bottom], mask, tension=tension).put(0, result)
    return result


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Gives the (top, bottom) of the strips in which a photo is read."""
    step = max(1, STRIP_PIXELS // max(width, 1))
    return ((top, min(top + step, height)) for top in range(0, height, step))


class _Nodes:
    """Some pixels of a photo, or of a reduced one.

    Attributes:
        places: (n,) sorted flat places.
        shape: (height, width) of the photo.
        last: height of its last row and width of its last column, in (0, 1]: a photo of odd size is halved too.
        row, column: (n,) of each node.
    """

    def __init__(self, places: np.ndarray, shape: tuple[int, int], last: tuple[float, float]) -> None:
        self.places, self.shape, self.last = places, shape, last
        self.row, self.column = (at.astype(np.int32) for at in np.divmod(places, shape[1]))

    def at(self, places: np.ndarray) -> np.ndarray:
        """Gives the indices of nodes by their places; n where there is none."""
        found = np.searchsorted(self.places, places).astype(np.int32)
        found[np.append(self.places, -1)[found] != places] = len(self.places)
        return found

    def beside(self) -> np.ndarray:
        """Gives (n, 4) indices of the nodes above, left, right and below; n where there is none among the nodes."""
        n = len(self.places)
        result = np.full((n, 4), n, np.int32)
        right = np.flatnonzero((np.diff(self.places) == 1) & (self.column[1:] > 0))
        result[right, 2], result[right + 1, 1] = right + 1, right
        below = self.at(self.places + self.shape[1])
        down = np.flatnonzero(below < n)
        result[down, 3], result[below[down], 0] = below[down], down
        return result

    def laplacian(self, beside: np.ndarray) -> sparse.csr_matrix:
        """Gives (n, n): each node's differences to those beside it, summed. The photo's edges are natural."""
        n = len(self.places)
        tall, wide = (
            np.append(np.where(at == size - 1, last, 1.0), 1.0)
            for at, size, last in zip((self.row, self.column), self.shape, self.last, strict=True)
        )
        columns = np.insert(beside, 2, np.arange(n, dtype=np.int32), axis=1)
        there = columns < n
        weights = np.zeros((n, 5))
        for i, across, along in ((0, wide, tall), (1, tall, wide), (3, tall, wide), (4, wide, tall)):
            weights[:, i] = -2 * across[:-1] / (along[:-1] + along[columns[:, i]]) * there[:, i]
        weights[:, 2] = -weights.sum(1)
        ends = np.concatenate([[0], np.cumsum(there.sum(1))])
        return sparse.csr_matrix((weights[there], columns[there], ends), shape=(n, n))

    def components(self) -> np.ndarray:
        """Gives (n,) from 0 on, which component each node belongs to.

        Components are joined over gaps of a few pixels, by cells, so that no labels of the whole photo are held.
        """
        cells = np.zeros([-(-size // _CELL_PX) for size in self.shape], np.uint8)
        cell = (self.row // _CELL_PX, self.column // _CELL_PX)
        cells[cell] = 1
        return cv2.connectedComponents(cells)[1][cell] - 1


class _Level:
    """A photo, or one reduced by halves: the rim of its unknown places, and the level below it for their depth.

    Attributes:
        mask: (H, W) bool, unknown.
        nodes: the rim, and what lies within reach of it.
        unknown: (n,) bool, the rim.
        values: (n, C) float32; C is 1 for a grey photo.
        below: the photo reduced to half, unknown where this one is and two cells in; None where nothing is deep.
    """

    def __init__(
        self,
        mask: np.ndarray,
        tension: float,
        *,
        last: tuple[float, float] = (1.0, 1.0),
        read: Rows | None = None,
        start: np.ndarray | None = None,
    ) -> None:
        inner = _shrunk(_halved(mask), _RIM - _OVERLAP)
        self.mask, self._deep_cells = mask, _shrunk(inner, _OVERLAP)
        places, values = self._near_rim(read)
        self.nodes = _Nodes(places, mask.shape, last)
        masked, deep = mask.ravel()[places], self._is_deep(self.nodes.row, self.nodes.column)
        self.unknown, self._deep = masked & ~deep, np.flatnonzero(deep)
        if start is None:
            known = values[~masked]
            values = values[:, : 1 if (known == known[:, :1]).all() else 3]
            start = known.mean(0, dtype=np.float64)[: values.shape[1]] if len(known) else np.zeros(values.shape[1])
            values[deep] = start
        else:
            values = np.tile(start.astype(np.float32), (len(places), 1))
        self.values = values
        self._solvers = list(self._solve_or_keep(tension, deep, is_photo=read is not None))
        self.below = None
        if len(self._deep):
            halves = tuple((side + (size % 2 == 0)) / 2 for side, size in zip(last, mask.shape, strict=True))
            softer = 4 * tension / (1 + 3 * tension)  # bending counts a quarter on a grid twice as wide
            self.below = _Level(inner, softer if softer < 0.99 else 1.0, last=halves, start=start)
            self._enlarging = _enlarging(places[deep], self.nodes, self.below.nodes)
            self._edge, self._averaging = _averaging(self.nodes, self.below.nodes, self.below.mask)

    def _rim_rows(self, top: int, bottom: int) -> np.ndarray:
        rows = self.mask[top:bottom]
        deep = self._deep_cells[top // 2 : -(-bottom // 2)]
        if not deep.any():
            return rows
        return rows & ~deep.repeat(2, 0).repeat(2, 1)[top % 2 :][: bottom - top, : rows.shape[1]]

    def _is_deep(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return self._deep_cells[row // 2, column // 2]

    def _near_rim(self, read: Rows | None) -> tuple[np.ndarray, np.ndarray]:
        """Gives (n,) flat places within reach of the rim, and (n, 3) float32 what is read there."""
        height, width = self.mask.shape
        places, values = [np.empty(0, np.int64)], [np.empty((0, 3), np.float32)]
        for top, bottom in strips(height, width):
            above = max(0, top - REACH_PX)
            rim = self._rim_rows(above, min(bottom + REACH_PX, height))
            if rim.any():
                near = cv2.dilate(rim.view(np.uint8), _DIAMOND)[top - above :][: bottom - top] > 0
                places.append(np.flatnonzero(near) + top * width)
                if read is not None:
                    values.append(read(top, bottom)[near])
        return np.concatenate(places), np.concatenate(values)

    def _solve_or_keep(self, tension: float, deep: np.ndarray, *, is_photo: bool) -> Iterator[tuple[np.ndarray, Solve]]:
        """Solves what depends on known pixels alone, and gives the parts that do not with their solvers."""
        for part in _parts(self.nodes.components()):
            nodes = _Nodes(self.nodes.places[part], self.nodes.shape, self.nodes.last)
            solve = _solver(nodes, self.unknown[part], tension)
            if is_photo and not deep[part].any():
                self.values[part] = solve(self.values[part])
            else:
                yield part, solve

    def settle(self, turns: int) -> None:
        """Solves for the rim and, in turns with it until they agree, for the depth."""
        self._solve()
        for _ in range(turns if self.below else 0):
            self.below.values[self._edge] = self._averaging @ self.values
            self.below.settle(_TURNS_REDUCED)
            before, self.values[self._deep] = self.values[self._deep], self._enlarging @ self.below.values
            self._solve()
            if np.abs(self.values[self._deep] - before).max() < _AGREED:
                break

    def _solve(self) -> None:
        for part, solve in self._solvers:
            self.values[part] = solve(self.values[part])

    def limit(self) -> None:
        """Holds the rim within the range of what its component is solved from: a spline may overshoot."""
        component, known = self.nodes.components(), ~self.unknown
        order = np.flatnonzero(known)[np.argsort(component[known], kind="stable")]
        starts = np.searchsorted(component[order], np.arange(component.max(initial=-1) + 1))
        if len(starts):
            low, high = (limit.reduceat(self.values[order], starts)[component] for limit in (np.minimum, np.maximum))
            np.clip(self.values, low, high, out=self.values)

    def completed(self) -> tuple[np.ndarray, np.ndarray]:
        """Gives (N,) all the places of the mask, in order, and (N, C) float32 their values."""
        places = np.flatnonzero(self.mask)
        values = np.empty((len(places), self.values.shape[1]), np.float32)
        deep = self._is_deep(*np.divmod(places, self.mask.shape[1]))
        values[~deep] = self.values[self.unknown]
        if self.below:
            lower, lower_values = self.below.completed()
            lower = _Nodes(lower, self.below.nodes.shape, self.below.nodes.last)
            deep = np.flatnonzero(deep)
            for start in range(0, len(deep), STRIP_PIXELS):
                some = deep[start : start + STRIP_PIXELS]
                values[some] = _enlarging(places[some], self.nodes, lower) @ lower_values
        return places, values


def _halved(mask: np.ndarray) -> np.ndarray:
    """Gives, of cells of two by two pixels, those that are masked as far as they lie on the photo."""
    height, width = mask.shape[0] // 2, mask.shape[1] // 2
    cells = mask[::2, ::2].copy()
    cells[:height] &= mask[1::2, ::2]
    cells[:, :width] &= mask[::2, 1::2]
    cells[:height, :width] &= mask[1::2, 1::2]
    return cells


def _shrunk(mask: np.ndarray, steps: int) -> np.ndarray:
    """Gives what of the mask lies more than so many steps from its edge; the photo's edge is none."""
    return cv2.erode(mask.view(np.uint8), _CROSS, iterations=steps).view(bool) if mask.any() else mask


def _parts(component: np.ndarray) -> Iterator[np.ndarray]:
    """Gives indices of nodes that are solved together: large components alone, small ones in batches."""
    order = np.argsort(component, kind="stable")
    ends = np.cumsum(np.bincount(component))
    start = 0
    while start < len(order):
        first_end = ends[np.searchsorted(ends, start, "right")]  # at least one component, and more while they fit
        end = max(first_end, ends[np.searchsorted(ends, start + _BATCH, "right") - 1])
        yield np.sort(order[start:end])
        start = end


def _solver(nodes: _Nodes, unknown: np.ndarray, tension: float) -> Solve:
    # Q_f = L_f ((1 - tension) L + tension I), of which the second factor counts where L_f is not zero.
    beside, n = nodes.beside(), len(unknown)
    around = np.append(unknown, False)
    around[beside[unknown]] = True
    rows, around = np.flatnonzero(unknown), np.flatnonzero(around[:-1])
    laplacian = nodes.laplacian(beside)[around]
    unit = sparse.csr_matrix((np.full(len(around), tension), (np.arange(len(around)), around)), shape=(len(around), n))
    stiffness = (laplacian * (1 - tension) if tension < 1 else 0 * unit) + unit
    own = laplacian[:, rows].T.tocsr()
    matrix = own @ stiffness[:, rows]
    factors = splu(
        sparse.csc_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape),  # it is symmetric
        permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, relax=1, panel_size=1, options={"SymmetricMode": True},
    )  # fmt: skip

    def solve(values: np.ndarray) -> np.ndarray:
        known = np.where(unknown[:, None], 0.0, values)
        result = values.copy()
        result[rows] = factors.solve(-(own @ (stiffness @ known)))
        return result

    return solve


def _enlarging(places: np.ndarray, nodes: _Nodes, below: _Nodes) -> sparse.csr_matrix:
    """Gives (m, n below): interpolates, linearly each way, what lies at places of the level of these nodes."""
    at, axes = np.divmod(places, nodes.shape[1]), []
    for axis in range(2):
        fine, coarse = (
            np.append(np.arange(size - 1) + 0.5, size - 1 + last / 2)
            for size, last in ((level.shape[axis], level.last[axis]) for level in (nodes, below))
        )
        own = np.arange(len(fine)) // 2
        other = np.clip(own + np.sign(fine / 2 - coarse[own]).astype(int), 0, len(coarse) - 1)
        share = (fine / 2 - coarse[own]) / np.where(other == own, np.inf, coarse[other] - coarse[own])
        axes.append([(own[at[axis]], 1 - share[at[axis]]), (other[at[axis]], share[at[axis]])])
    corners = [(below.at(y * below.shape[1] + x), tall * wide) for y, tall in axes[0] for x, wide in axes[1]]
    columns, weights = (np.stack(of, axis=1) for of in zip(*corners, strict=True))
    return sparse.csr_matrix(
        (weights.ravel(), columns.ravel(), np.arange(len(places) + 1) * 4), shape=(len(places), len(below.places))
    )


def _averaging(nodes: _Nodes, below: _Nodes, unknown: np.ndarray) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Gives the known nodes of the level below, and (those, n): the means of the nodes in each of their cells."""
    edge = np.flatnonzero(~unknown.ravel()[below.places])
    edge_nodes = _Nodes(below.places[edge], below.shape, below.last)
    cell = edge_nodes.at((nodes.row // 2).astype(np.int64) * below.shape[1] + nodes.column // 2)
    inside = np.flatnonzero(cell < len(edge))
    weights = 1 / np.bincount(cell[inside], minlength=len(edge))[cell[inside]]
    return edge, sparse.csr_matrix((weights, (cell[inside], inside)), shape=(len(edge), len(nodes.places)))
