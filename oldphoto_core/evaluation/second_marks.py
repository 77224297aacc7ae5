"""Fine marks of the second generator: scratches, scuffs, dust, fibres, foxing, ink, fingerprints.

Each function gives a `Layer`: how opaque the mark is at each pixel, and what colour it has. Lines are drawn with OpenCV
on a canvas of twice the size and averaged down, so that widths below one pixel exist.
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
    soft_threshold,
    unit_grid,
)

_SCALE = 2
"""Supersampling of the line canvas."""


@dataclass(frozen=True)
class Layer:
    """One kind of mark, ready to lie over a photo."""

    opacity: Field
    """(H, W) in [0, 1]; 1 hides the photo."""

    colour: Picture
    """(H, W, 3) or (3,) sRGB in [0, 1]."""


def mark_colour(rng: np.random.Generator, *, dark: bool, grey: bool) -> NDArray[np.float32]:
    """Gives the colour of bare paper, of dust (light) or of dirt (dark)."""
    level = rng.uniform(0.02, 0.28) if dark else rng.uniform(0.74, 1.0)
    warmth = 0.0 if grey and rng.random() < 0.6 else rng.uniform(0, 0.14)
    return np.array([level, level - 0.35 * warmth, level - warmth], np.float32).clip(0, 1)


def _bezier(points: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    t = np.linspace(0, 1, count)[:, None]
    a, b, c, d = points
    return (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d


def _stroke(
    canvas: NDArray[np.uint8],
    points: NDArray[np.floating],
    widths: NDArray[np.floating],
    strengths: NDArray[np.floating],
) -> None:
    """Draws a line of changing width (px) and strength (0-1) over `canvas`, keeping the stronger of old and new."""
    own = np.zeros_like(canvas)
    fixed = np.round(points * _SCALE * 16).astype(np.int32)
    for k in range(len(fixed) - 1):
        if strengths[k] > 0.02:
            thickness = max(1, round(float(widths[k]) * _SCALE))
            level = float(strengths[k]) * min(1.0, float(widths[k]) * _SCALE)
            start, end = fixed[k].tolist(), fixed[k + 1].tolist()
            cv2.line(own, start, end, round(255 * level), thickness, cv2.LINE_AA, shift=4)
    np.maximum(canvas, own, out=canvas)


def _wander(rng: np.random.Generator, count: int, smooth: float) -> NDArray[np.float64]:
    """Gives `count` values in [0, 1] that change slowly."""
    values = cv2.GaussianBlur(rng.standard_normal((1, count)), (0, 0), max(smooth, 0.3))[0]
    return (values - values.min()) / max(np.ptp(values), 1e-9)


def _down(canvas: NDArray[np.uint8], size: tuple[int, int]) -> Field:
    return cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _canvas(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.zeros((size[0] * _SCALE, size[1] * _SCALE), np.uint8)


def scratches(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives Bezier scratches: film tramlines, bundles of hairlines, or lone gouges, broken and half transparent."""
    height, width = size
    canvas = _canvas(size)
    diagonal = math.hypot(height, width)
    kind = rng.choice(3, p=[0.25, 0.3, 0.45])
    most = (3 + round(6 * severity), 12 + round(30 * severity), 5 + round(14 * severity))[kind]
    count = rng.integers((1, 5, 2)[kind], most)
    heading = rng.normal(math.pi / 2, 0.05) if kind == 0 else rng.uniform(0, math.pi)
    centre = rng.uniform(0.1, 0.9, 2) * (width, height)
    for _ in range(count):
        if kind == 0:
            length, spread, width_px = rng.uniform(0.3, 1.4) * height, 0.006, rng.uniform(0.4, 1.6)
            start = np.array([rng.uniform(0, width), rng.uniform(-0.4, 0.7) * height])
            angle = heading
        elif kind == 1:
            length, spread, width_px = rng.exponential(0.14) * diagonal + 8, 0.04, rng.uniform(0.3, 1.0)
            start = centre + rng.normal(0, 0.16, 2) * diagonal
            angle = heading + rng.normal(0, 0.22)
        else:
            length, spread, width_px = rng.lognormal(-1.6, 0.7) * diagonal, 0.12, 0.5 + rng.exponential(0.9)
            start = rng.uniform(-0.05, 1.0, 2) * (width, height)
            angle = rng.uniform(0, 2 * math.pi)
        step = np.array([math.cos(angle), math.sin(angle)]) * length
        bend = rng.normal(0, spread, (2, 2)) * length
        inner = start + step / 3 + bend[0], start + step * 2 / 3 + bend[1]
        points = _bezier(np.stack([start, *inner, start + step]), 60)
        along = _wander(rng, 60, rng.uniform(1, 8))
        taper = np.minimum(1, np.minimum(np.arange(60), np.arange(59, -1, -1)) / rng.uniform(2, 15))
        strengths = rng.uniform(0.25, 1.0) * np.clip(0.25 + 1.2 * along - rng.choice([0.0, 0.45]), 0, 1) * taper**0.5
        _stroke(canvas, points, min(width_px, 3.5) * (0.5 + 0.8 * _wander(rng, 60, 4)), strengths)
    opacity = _down(canvas, size) * rng.uniform(0.35, 1.0)
    return Layer(opacity, mark_colour(rng, dark=rng.random() < 0.2, grey=grey))


def dust(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives specks, gathered where a density field is high: small ellipses and a few ragged flakes."""
    height, width = size
    canvas = _canvas(size)
    density = fractal_noise(rng, size, cell_px=0.4 * max(size), octaves=3) ** rng.uniform(0, 4)
    wanted = round(rng.uniform(15, 60 + 420 * severity) * height * width / 320**2)
    chances = density.ravel().astype(np.float64)
    places = rng.choice(height * width, wanted, p=chances / chances.sum())
    median_px = rng.uniform(0.35, 0.9)
    for place in places:
        radius = min(rng.lognormal(math.log(median_px), 0.55), 5.0)
        x, y = place % width + rng.random(), place // width + rng.random()
        level = round(255 * rng.uniform(0.3, 1.0))
        if radius > 1.6 and rng.random() < 0.6:
            outline = blob_outline(rng, (x * _SCALE, y * _SCALE), radius * _SCALE, roughness=0.5)
            cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], level, cv2.LINE_AA, shift=4)
        else:
            axes = (round(radius * _SCALE * 16), round(radius * _SCALE * 16 * rng.uniform(0.4, 1)))
            centre = (round(x * _SCALE * 16), round(y * _SCALE * 16))
            cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, level, -1, cv2.LINE_AA, shift=4)
    return Layer(_down(canvas, size) * rng.uniform(0.5, 1.0), mark_colour(rng, dark=rng.random() < 0.3, grey=grey))


def fibres(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives hairs and lint: thin lines whose heading turns at random."""
    canvas = _canvas(size)
    for _ in range(rng.integers(1, 3 + round(9 * severity))):
        count = int(rng.integers(12, 90))
        turning = cv2.GaussianBlur(rng.normal(0, rng.uniform(0.05, 0.5), (1, count)), (0, 0), rng.uniform(1, 4))[0]
        heading = rng.uniform(0, 2 * math.pi) + np.cumsum(turning + rng.normal(0, 0.03))
        steps = rng.uniform(0.8, 2.4) * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        points = rng.uniform(0, 1, 2) * size[::-1] + np.cumsum(steps, axis=0)
        _stroke(canvas, points, np.full(count, rng.uniform(0.4, 1.3)), np.full(count, rng.uniform(0.4, 1.0)))
    return Layer(_down(canvas, size) * rng.uniform(0.6, 1.0), mark_colour(rng, dark=rng.random() < 0.4, grey=grey))


def foxing(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives rust-brown or pale mould spots with soft rims and a denser heart."""
    opacity = np.zeros(size, np.float32)
    for _ in range(rng.integers(3, 8 + round(26 * severity))):
        radius = min(rng.lognormal(1.0, 0.6), 14.0)
        centre = (rng.uniform(0, size[1]), rng.uniform(0, size[0]))
        outline = blob_outline(rng, centre, radius, roughness=0.35)
        spot = rng.uniform(0.2, 0.8) * fill_outline(outline, size, softness_px=0.25 * radius + 0.4)
        opacity = np.maximum(opacity, spot)
    opacity *= 0.55 + 0.45 * fractal_noise(rng, size, cell_px=6, octaves=2)
    colour: Picture
    if rng.random() < 0.7:
        colour = rng.uniform([0.35, 0.2, 0.06], [0.62, 0.42, 0.24])
        colour = np.full(3, colour.mean()) if grey and rng.random() < 0.5 else colour
    else:
        colour = mark_colour(rng, dark=False, grey=grey)
    return Layer(opacity.astype(np.float32), colour.astype(np.float32))


def ink(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives blots and their splashes, or a pen line, in dark ink."""
    opacity = np.zeros(size, np.float32)
    centre = rng.uniform(0, 1, 2) * size[::-1]
    for k in range(rng.integers(1, 4 + round(14 * severity))):
        radius = rng.uniform(3, 5 + 14 * severity) if k == 0 else min(rng.lognormal(0.1, 0.6), 5)
        place = centre if k == 0 else centre + rng.normal(0, 0.12, 2) * max(size)
        outline = blob_outline(rng, tuple(place), radius, roughness=0.2)
        opacity = np.maximum(opacity, fill_outline(outline, size, softness_px=0.7))
    blue = 0.0 if grey else rng.uniform(0, 0.25)
    colour = np.array([0.08, 0.08 + 0.3 * blue, 0.1 + blue], np.float32)
    return Layer(opacity * rng.uniform(0.5, 0.98), colour)


def fingerprint(rng: np.random.Generator, size: tuple[int, int], severity: float, *, grey: bool) -> Layer:
    """Gives the ridges of one greasy finger, a warped whorl inside an ellipse."""
    rows, columns = unit_grid(size)
    centre = rng.uniform(0.1, 0.9, 2) * size
    turn, radius = rng.uniform(0, math.pi), rng.uniform(0.09, 0.17) * max(size)
    u = (rows - centre[0]) * math.cos(turn) + (columns - centre[1]) * math.sin(turn)
    v = (columns - centre[1]) * math.cos(turn) - (rows - centre[0]) * math.sin(turn)
    distance = np.hypot(u / 1.4, v)
    warp = fractal_noise(rng, size, cell_px=radius, octaves=2) * radius * 0.8
    ridges = 0.5 + 0.5 * np.cos(2 * math.pi * (np.hypot(u / 1.4 + 0.3 * radius, v) + warp) / rng.uniform(3.0, 4.5))
    patchy = soft_threshold(fractal_noise(rng, size, cell_px=12, octaves=3), 0.45, 0.3)
    opacity = ridges**1.5 * np.clip(1.3 - distance / radius, 0, 1) * patchy * rng.uniform(0.25, 0.35 + 0.3 * severity)
    return Layer(opacity.astype(np.float32), mark_colour(rng, dark=rng.random() < 0.5, grey=grey))
