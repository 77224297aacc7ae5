"""Smooth random fields and random outlines for the second damage generator, in numpy and OpenCV."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]
"""(H, W), float32 where it is kept."""

Picture = NDArray[np.floating]
"""(H, W, 3) sRGB in [0, 1], float32 where it is kept."""


def fractal_noise(
    rng: np.random.Generator, size: tuple[int, int], *, cell_px: float, octaves: int = 4, gain: float = 0.5
) -> Field:
    """Gives Perlin-like noise stretched to [0, 1]: random lattices, enlarged by cubic interpolation and summed.

    Args:
        rng: source of chance.
        size: (height, width).
        cell_px: lattice spacing of the coarsest octave, in pixels.
        octaves: each halves the spacing and multiplies the weight by `gain`.
        gain: weight of an octave relative to the one before it.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    weight = 1.0
    for _ in range(octaves):
        rows, columns = math.ceil(height / cell_px) + 3, math.ceil(width / cell_px) + 3
        lattice = rng.standard_normal((rows, columns)).astype(np.float32)
        full = cv2.resize(lattice, (round(columns * cell_px), round(rows * cell_px)), interpolation=cv2.INTER_CUBIC)
        top, left = rng.integers(0, full.shape[0] - height + 1), rng.integers(0, full.shape[1] - width + 1)
        total += weight * full[top : top + height, left : left + width]
        weight *= gain
        cell_px /= 2
        if cell_px < 1:
            break
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def soft_threshold(field: Field, level: float, softness: float) -> Field:
    """Gives a smooth step from 0 below `level - softness` to 1 above `level + softness`."""
    t = np.clip((field - level + softness) / (2 * softness), 0, 1)
    return t * t * (3 - 2 * t)


def unit_grid(size: tuple[int, int]) -> tuple[Field, Field]:
    """Gives (row, column) coordinates in pixels, each (H, W)."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    return rows.astype(np.float32), columns.astype(np.float32)


def illumination(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """Gives a large-scale field in [0, 1] that says where fading is strong: edges, a corner, a side, or blotches."""
    height, width = size
    rows, columns = unit_grid(size)
    kind = rng.integers(0, 4)
    if kind == 0:  # the edges, where air and the frame reach the print
        to_edge = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))
        reach = rng.uniform(0.08, 0.35) * min(size)
        field = np.exp(-to_edge / reach)
    elif kind == 1:  # a light leak or a damp corner
        corner = rng.integers(0, 2, 2) * (np.array(size) - 1)
        distance = np.hypot(rows - corner[0], columns - corner[1])
        field = np.exp(-((distance / (rng.uniform(0.3, 0.8) * max(size))) ** 2))
    elif kind == 2:  # a window on one side
        angle = rng.uniform(0, 2 * math.pi)
        field = math.cos(angle) * rows / height + math.sin(angle) * columns / width
        field = (field - field.min()) / (field.max() - field.min())
    else:
        field = fractal_noise(rng, size, cell_px=rng.uniform(0.25, 0.7) * max(size), octaves=3)
    waver = fractal_noise(rng, size, cell_px=0.3 * max(size), octaves=3)
    return np.clip(field * (0.7 + 0.6 * waver), 0, 1).astype(np.float32)


def jagged_line(
    rng: np.random.Generator,
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    *,
    roughness: float,
    depth: int = 6,
) -> NDArray[np.float32]:
    """Gives points (N, 2) as (x, y) from `start` to `end` by midpoint displacement, as a tear runs through paper."""
    points = np.stack([start, end]).astype(np.float64)
    reach = roughness * float(np.hypot(*(points[1] - points[0])))
    for _ in range(depth):
        middle = (points[:-1] + points[1:]) / 2 + rng.normal(0, reach / 2, (len(points) - 1, 2))
        merged = np.empty((2 * len(points) - 1, 2))
        merged[0::2], merged[1::2] = points, middle
        points, reach = merged, reach * 0.55
    return points.astype(np.float32)


def fill_outline(points: NDArray[np.floating], size: tuple[int, int], *, softness_px: float = 0.6) -> Field:
    """Gives the coverage in [0, 1] of the polygon `points` (N, 2) as (x, y), feathered by `softness_px`."""
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    field = canvas.astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(field, (0, 0), softness_px)) if softness_px > 0 else field


def blob_outline(
    rng: np.random.Generator, centre: tuple[float, float], radius_px: float, *, roughness: float
) -> NDArray[np.float32]:
    """Gives a closed outline (N, 2) as (x, y): a circle whose radius wavers, stretched and turned at random."""
    count = 64
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    radius = np.ones(count)
    for harmonic in range(2, 10):
        radius += roughness / harmonic * rng.normal() * np.cos(harmonic * angles + rng.uniform(0, 2 * math.pi))
    stretch, turn = rng.uniform(0.5, 1.0), rng.uniform(0, math.pi)
    x, y = radius_px * radius * np.cos(angles), radius_px * radius * np.sin(angles) * stretch
    return np.stack(
        [
            centre[0] + x * math.cos(turn) - y * math.sin(turn),
            centre[1] + x * math.sin(turn) + y * math.cos(turn),
        ],
        axis=1,
    ).astype(np.float32)
