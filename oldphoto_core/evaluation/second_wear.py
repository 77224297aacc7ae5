"""Large wear of the second generator: folds, crack networks, torn edges, flaked emulsion, tide-lines, tape.

Each gives a `Layer` of second_marks. What a fold or a stain does to the *tone* around it is a multiplication kept in
`Wear.shading`, and is no structured damage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.second_fields import (
    Field,
    Picture,
    blob_outline,
    fill_outline,
    fractal_noise,
    jagged_line,
    soft_threshold,
    unit_grid,
)
from oldphoto_core.evaluation.second_marks import Layer, mark_colour


@dataclass(frozen=True)
class Wear:
    """A layer, and the shading that its shape throws over the photo."""

    layer: Layer
    shading: Picture
    """(H, W, 3) or (H, W, 1) factor, 1 where nothing changes."""


def _no_shading(size: tuple[int, int]) -> Picture:
    return np.ones((*size, 1), np.float32)


def _paper(rng: np.random.Generator, size: tuple[int, int], *, grey: bool) -> Picture:
    """Gives a sheet of bare paper or card, mottled."""
    base = mark_colour(rng, dark=rng.random() < 0.15, grey=grey)
    mottle = fractal_noise(rng, size, cell_px=rng.uniform(6, 40), octaves=4)[..., None] - 0.5
    tooth = rng.standard_normal((*size, 1)).astype(np.float32)
    return np.clip(base + 0.12 * mottle + 0.02 * tooth, 0, 1).astype(np.float32)


def fold(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives creases: a broken bright core where emulsion is lost, a dark and a light shoulder."""
    rows, columns = unit_grid(size)
    opacity, shading = np.zeros(size, np.float32), np.ones(size, np.float32)
    for _ in range(rng.integers(1, 2 + round(2.2 * severity))):
        kind = rng.integers(0, 3)
        angle = (0.0, math.pi / 2, rng.uniform(0, math.pi))[kind] + rng.normal(0, 0.04)
        through = rng.uniform(0.15, 0.85, 2) * size
        distance = (rows - through[0]) * math.cos(angle) - (columns - through[1]) * math.sin(angle)
        distance = distance + 2.5 * (fractal_noise(rng, size, cell_px=30, octaves=4) - 0.5) * rng.uniform(0.5, 2)
        along = (rows - through[0]) * math.sin(angle) + (columns - through[1]) * math.cos(angle)
        reach = np.ones(size, np.float32)
        if kind == 2 and rng.random() < 0.6:  # a crease that dies away
            reach = np.clip(1.5 - np.abs(along) / (rng.uniform(0.15, 0.5) * max(size)), 0, 1)
        core_px = rng.uniform(0.5, 1.0 + 1.3 * severity)
        broken = fractal_noise(rng, size, cell_px=rng.uniform(4, 14), octaves=4, gain=0.7)
        worn = soft_threshold(broken, rng.uniform(0.25, 0.5), 0.12)
        spread = core_px * (0.6 + 1.4 * broken)
        core = np.exp(-((distance / spread) ** 2)) * (rng.uniform(0, 0.4) + 0.7 * worn) * reach
        opacity = np.maximum(opacity, core * rng.uniform(0.5, 1.0))
        shoulder_px = rng.uniform(3, 12)
        side = np.tanh(distance / core_px) * np.exp(-np.abs(distance) / shoulder_px) * reach
        shading *= 1 - rng.uniform(-0.3, 0.3) * side - 0.12 * np.exp(-((distance / shoulder_px) ** 2)) * reach
    colour = _paper(rng, size, grey=grey) if rng.random() < 0.85 else mark_colour(rng, dark=True, grey=grey)
    return Wear(Layer(np.clip(opacity, 0, 1), colour), shading[..., None].astype(np.float32))


def cracks(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives crack trees that branch from an edge, or the cell-like network of a shrunken emulsion."""
    height, width = size
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    opacity: Field
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 3 + round(4 * severity))):
            start = rng.uniform(0, 1, 2) * (width, height)
            start[rng.integers(0, 2)] *= rng.integers(0, 2)
            inward = np.array([width / 2, height / 2]) - start
            _grow(rng, canvas, start, math.atan2(inward[1], inward[0]), rng.uniform(0.25, 0.7) * max(size), 2.2)
        opacity = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    else:
        opacity = _network(rng, size, cells=round(rng.uniform(40, 60 + 240 * severity)))
        region = fractal_noise(rng, size, cell_px=0.4 * max(size), octaves=3)
        opacity = opacity * soft_threshold(region, rng.uniform(0.35, 0.7), 0.12)
    opacity *= 0.4 + 0.6 * fractal_noise(rng, size, cell_px=20, octaves=3)
    layer = Layer(np.clip(opacity * rng.uniform(0.7, 1.3), 0, 1), mark_colour(rng, dark=rng.random() < 0.3, grey=grey))
    return Wear(layer, _no_shading(size))


def _grow(
    rng: np.random.Generator,
    canvas: NDArray[np.uint8],
    start: NDArray[np.floating],
    heading: float,
    length_px: float,
    thickness: float,
) -> None:
    """Draws one branch on the doubled canvas, and lets others leave it."""
    step = 5.0
    point = np.asarray(start, float)
    for _ in range(int(length_px / step)):
        heading += rng.normal(0, 0.28)
        following = point + step * np.array([math.cos(heading), math.sin(heading)])
        ends = [np.round(p * 2).astype(int).tolist() for p in (point, following)]
        cv2.line(canvas, ends[0], ends[1], round(rng.uniform(170, 255)), max(1, round(thickness)), cv2.LINE_AA)
        point = following
        if rng.random() < 0.09 and length_px > 20:
            side = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
            _grow(rng, canvas, point, side, length_px * rng.uniform(0.25, 0.6), 0.75 * thickness)


def _network(rng: np.random.Generator, size: tuple[int, int], *, cells: int) -> Field:
    """Gives the borders between the cells nearest to random seeds (a Voronoi diagram), a pixel or so wide."""
    seeds = np.full((2 * size[0], 2 * size[1]), 255, np.uint8)
    seeds[rng.integers(0, 2 * size[0], cells), rng.integers(0, 2 * size[1], cells)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    jitter = (fractal_noise(rng, labels.shape, cell_px=14, octaves=3) - 0.5) * 10
    rows, columns = unit_grid(labels.shape)
    warped = columns + jitter, rows - jitter
    labels = cv2.remap(labels.astype(np.float32), *warped, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    border = (labels != np.roll(labels, 1, 0)) | (labels != np.roll(labels, 1, 1))
    thick = cv2.dilate(border.astype(np.float32), np.ones((2, 2), np.float32))
    return np.asarray(cv2.resize(thick, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def tear(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives a lost corner, a ragged edge, a slit or a hole, with the white fibres of torn paper along its border."""
    height, width = size
    kind = rng.choice(4, p=[0.4, 0.2, 0.2, 0.2])
    reach = rng.uniform(0.06, 0.12 + 0.22 * severity) * min(size)
    if kind == 0:
        corner = np.array([rng.integers(0, 2) * width, rng.integers(0, 2) * height], float)
        inward = np.sign(np.array([width, height]) / 2 - corner)
        start = corner + inward * (reach * rng.uniform(0.6, 2), -3)
        end = corner + inward * (-3, reach * rng.uniform(0.6, 2))
        points = np.vstack([jagged_line(rng, start, end, roughness=0.16), corner - 3 * inward])
    elif kind == 1:
        top = jagged_line(rng, np.array([-4.0, 0]), np.array([width + 4.0, 0]), roughness=0.03, depth=8)
        top[:, 1] += 0.35 * reach
        points = np.vstack([top, [[width + 4, -9], [-4, -9]]])
        if rng.random() < 0.5:
            points[:, 1] = height - 1 - points[:, 1]
    elif kind == 2:
        start = np.array([rng.uniform(0.1, 0.9) * width, rng.choice([-3.0, height + 3.0])])
        tip = np.array([start[0] + rng.normal(0, 0.2) * width, height * rng.uniform(0.25, 0.75)])
        left = jagged_line(rng, start - np.array([rng.uniform(1, 6), 0]), tip, roughness=0.05)
        back = start + np.array([rng.uniform(1, 6), 0])
        points = np.vstack([left, jagged_line(rng, tip, back, roughness=0.05)])
    else:
        centre = tuple(rng.uniform(0.1, 0.9, 2) * (width, height))
        points = blob_outline(rng, centre, 0.6 * reach, roughness=0.5)
        points = points + rng.normal(0, 0.02 * reach, points.shape).astype(np.float32)
    hole = fill_outline(points, size, softness_px=rng.uniform(0.4, 1.1))
    rim_px = rng.uniform(1, 4)
    wide = cv2.GaussianBlur(hole, (0, 0), rim_px)
    ragged = 0.25 * (fractal_noise(rng, size, cell_px=8, octaves=4) - 0.5)
    fibre = soft_threshold(wide + ragged, 0.22, 0.1) * (wide > 0.02)
    below = _paper(rng, size, grey=grey)
    if rng.random() < 0.25:  # the dark lid of the scanner
        below = np.full((*size, 3), rng.uniform(0, 0.25), np.float32)
    rim = np.full(3, rng.uniform(0.8, 0.98), np.float32)
    colour = np.where(hole[..., None] > 0.6, below, rim)
    shadow = 1 - 0.3 * rng.random() * cv2.GaussianBlur(hole, (0, 0), 3 * rim_px)[..., None]
    return Wear(Layer(np.maximum(hole, fibre * rng.uniform(0.6, 1)), colour.astype(np.float32)), shadow)


def flaking(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives patches where the emulsion came off and the paper shows, as on a print that stuck to its glass."""
    fine = fractal_noise(rng, size, cell_px=rng.uniform(8, 45), octaves=5, gain=0.6)
    where = fractal_noise(rng, size, cell_px=0.45 * max(size), octaves=2)
    score = fine + 0.9 * where
    level = float(np.quantile(score, 1 - rng.uniform(0.008, 0.02 + 0.09 * severity)))
    gone = soft_threshold(score, level, rng.uniform(0.006, 0.03))
    edge = cv2.GaussianBlur(gone, (0, 0), 1.4) - gone
    shading = 1 - rng.uniform(0, 0.5) * np.clip(edge, 0, 1)[..., None]
    return Wear(Layer(gone * rng.uniform(0.6, 1.0), _paper(rng, size, grey=grey)), shading.astype(np.float32))


def tide_line(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives a water stain: a tinted or bleached inside (tone) and the dirt line that the water left (a mark)."""
    height, width = size
    side = rng.integers(0, 4)
    centre = (rng.uniform(0, width), rng.uniform(0, height))
    centre = [(centre[0], 0.0), (centre[0], float(height)), (0.0, centre[1]), (float(width), centre[1])][side]
    outline = blob_outline(rng, centre, rng.uniform(0.18, 0.5) * max(size), roughness=0.35)
    field = fill_outline(outline, size, softness_px=9) + 0.3 * (fractal_noise(rng, size, cell_px=40, octaves=5) - 0.5)
    inside = soft_threshold(field, 0.5, 0.12)
    line = np.exp(-(((field - 0.45) / rng.uniform(0.02, 0.06)) ** 2))
    line *= 0.3 + 0.7 * fractal_noise(rng, size, cell_px=25)
    brown = rng.uniform([0.36, 0.25, 0.12], [0.6, 0.46, 0.3]) if not grey or rng.random() < 0.6 else np.full(3, 0.4)
    tint = 1 - (1 - brown) * rng.uniform(0.05, 0.15 + 0.4 * severity)
    if rng.random() < 0.3:
        tint = 1 / tint
    shading = 1 + (tint.astype(np.float32) - 1) * inside[..., None]
    opacity = line * rng.uniform(0.2, 0.35 + 0.35 * severity)
    return Wear(Layer(opacity.astype(np.float32), brown.astype(np.float32)), shading.astype(np.float32))


def tape(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Wear:
    """Gives a strip of yellowed adhesive tape."""
    height, width = size
    centre, angle = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, math.pi)
    along = np.array([math.cos(angle), math.sin(angle)]) * rng.uniform(0.15, 0.4) * max(size)
    across = np.array([-math.sin(angle), math.cos(angle)]) * rng.uniform(0.025, 0.06) * max(size)
    ends = [
        jagged_line(rng, centre + along * sign - across * sign, centre + along * sign + across * sign, roughness=0.06)
        for sign in (1, -1)
    ]
    strip = fill_outline(np.vstack(ends), size, softness_px=0.7)
    worn = 0.6 + 0.4 * fractal_noise(rng, size, cell_px=20, octaves=4)
    colour = rng.uniform([0.7, 0.55, 0.25], [0.9, 0.78, 0.5])
    colour = np.full(3, colour.mean()) if grey and rng.random() < 0.5 else colour
    return Wear(Layer(strip * worn * rng.uniform(0.3, 0.75), colour.astype(np.float32)), _no_shading(size))
