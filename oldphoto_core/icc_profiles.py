"""ICC profiles, as far as colours are computed from them here: matrix and tone curves, read without losing a bit.

A colour management system clips to the range of its output, or extends it in a way of its own. What a restoration
needs is a way there and back for colours outside sRGB too, so profiles of a matrix and three curves (nearly all of
scanners, cameras and working spaces) are read into plain numbers. Profiles of tables are left to LittleCMS.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

_HEADER_BYTES = 128
_MAX_TAGS = 200
_MAX_TABLE = 65_536
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""Numbers of a parametric curve, by its type."""


class ProfileUnusable(ValueError):
    """The profile lacks what colours are computed from, or its numbers make no sense; the message says what."""


@dataclass(frozen=True)
class ParametricCurve:
    """y = (a x + b)^g + e from x = d on, and c x + f below (ICC.1, parametricCurveType, function type 4)."""

    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Gives linear light for encoded values in [0, 1]; float64 in and out."""
        power = np.maximum(self.a * x + self.b, 0) ** self.g + self.e
        return np.where(x >= self.d, power, self.c * x + self.f)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Gives encoded values for linear light of any size; what lies below black is mirrored at black."""
        dtype = y.dtype.type
        black = float(self.forward(np.zeros(1))[0])
        rise = np.abs(y - dtype(black))
        above = rise + dtype(black)
        start = float(self.forward(np.array([self.d]))[0])
        x = (np.maximum(above - dtype(self.e), dtype(0)) ** dtype(1 / self.g) - dtype(self.b)) * dtype(1 / self.a)
        if self.d > 0:
            x = np.where(above >= dtype(start), x, (above - dtype(self.f)) * dtype(1 / self.c) if self.c else dtype(0))
        return np.where(y >= dtype(black), x, -x)


@dataclass(frozen=True)
class TableCurve:
    """Samples of linear light at equal steps of the encoded value, straight lines between them."""

    samples: tuple[float, ...]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Gives linear light for encoded values in [0, 1]; float64 in and out."""
        return np.interp(x, np.linspace(0, 1, len(self.samples)), self.samples)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Gives encoded values for linear light of any size: mirrored below black, straight on above white."""
        steps, heights = np.linspace(0, 1, len(self.samples)), np.asarray(self.samples)
        black, white = heights[0], heights[-1]
        rising = np.flatnonzero(np.diff(heights) > 0)  # where a curve stands still, its first value is given
        keep = np.unique(np.concatenate([rising, rising + 1]))
        steps, heights = steps[keep], heights[keep]
        above = np.abs(y - black) + black
        x = np.interp(above, heights, steps)
        slope = (steps[-1] - steps[-2]) / (heights[-1] - heights[-2])
        x = np.where(above > white, 1 + (above - white) * slope, x)
        return np.where(y >= black, x, -x).astype(y.dtype)


Curve = ParametricCurve | TableCurve


@dataclass(frozen=True)
class MatrixProfile:
    """An RGB profile of three curves and a matrix."""

    curves: tuple[Curve, Curve, Curve]
    matrix: np.ndarray
    """(3, 3) float64: linear RGB, as a column, to CIE XYZ under D50."""


def tags_of(icc: bytes) -> dict[bytes, bytes]:
    """Gives a profile's tags by signature. Raises ProfileUnusable where they lie outside the profile."""
    try:
        (count,) = struct.unpack_from(">I", icc, _HEADER_BYTES)
        if icc[36:40] != b"acsp" or count > _MAX_TAGS:
            raise ProfileUnusable("it is no ICC profile")
        tags = {}
        for at in range(_HEADER_BYTES + 4, _HEADER_BYTES + 4 + 12 * count, 12):
            signature, start, size = struct.unpack_from(">4sII", icc, at)
            if start + size > len(icc):
                raise ProfileUnusable(f"its tag {signature!r} lies beyond its end")
            tags[signature] = icc[start : start + size]
        return tags
    except struct.error as error:
        raise ProfileUnusable("it is cut short") from error


def has_tables(tags: dict[bytes, bytes]) -> bool:
    """Tells whether an RGB profile is one of tables; where it has both, the tables count."""
    return b"A2B0" in tags or b"A2B1" in tags


def has_tables_back(tags: dict[bytes, bytes]) -> bool:
    """Tells whether a profile of tables says how to come back from colours to its own values."""
    return b"B2A0" in tags or b"B2A1" in tags


def matrix_profile(tags: dict[bytes, bytes]) -> MatrixProfile:
    """Gives curves and matrix. Raises ProfileUnusable where it has none that can be gone back through."""
    curves = tuple(_curve(tags, name) for name in (b"rTRC", b"gTRC", b"bTRC"))
    matrix = np.stack([_xyz(tags, name) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
    if abs(np.linalg.det(matrix)) < 1e-4:
        raise ProfileUnusable("its primaries lie on a line")
    return MatrixProfile(curves, matrix)  # type: ignore[arg-type]


def grey_curve(tags: dict[bytes, bytes]) -> Curve:
    """Gives the tone curve of a grey profile. Raises ProfileUnusable where there is none."""
    return _curve(tags, b"kTRC")


def _xyz(tags: dict[bytes, bytes], name: bytes) -> np.ndarray:
    body = tags.get(name, b"")
    if body[:4] != b"XYZ " or len(body) < 20:
        raise ProfileUnusable(f"it has no colorant {name.decode()}")
    return np.array(struct.unpack_from(">3i", body, 8)) / 65536


def _curve(tags: dict[bytes, bytes], name: bytes) -> Curve:
    body = tags.get(name, b"")
    try:
        if body[:4] == b"curv":
            return _sampled(body, name)
        if body[:4] == b"para":
            return _parametric(body, name)
    except struct.error as error:
        raise ProfileUnusable(f"its curve {name.decode()} is cut short") from error
    raise ProfileUnusable(f"it has no curve {name.decode()}")


def _sampled(body: bytes, name: bytes) -> Curve:
    (count,) = struct.unpack_from(">I", body, 8)
    if count == 0:
        return ParametricCurve(1.0)
    if count == 1:
        (gamma,) = struct.unpack_from(">H", body, 12)
        return _checked(ParametricCurve(gamma / 256), name)
    if count > _MAX_TABLE or len(body) < 12 + 2 * count:
        raise ProfileUnusable(f"its curve {name.decode()} is cut short")
    samples = np.frombuffer(body, ">u2", count, 12) / 65535
    if (np.diff(samples) < 0).any() or samples[-1] <= samples[0]:
        raise ProfileUnusable(f"its curve {name.decode()} does not rise")
    return TableCurve(tuple(samples.tolist()))


def _parametric(body: bytes, name: bytes) -> ParametricCurve:
    (kind,) = struct.unpack_from(">H", body, 8)
    if kind not in _PARAMETERS:
        raise ProfileUnusable(f"its curve {name.decode()} is of an unknown kind")
    numbers = [value / 65536 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", body, 12)]
    g, a, b = (*numbers, 1.0, 0.0)[:3] if kind == 0 else numbers[:3]
    if kind in (0, 3, 4):
        return _checked(ParametricCurve(g, a, b, *numbers[3:]), name)
    floor = numbers[3] if kind == 2 else 0.0
    return _checked(ParametricCurve(g, a, b, 0.0, -b / a if a else 0.0, floor, floor), name)


def _checked(curve: ParametricCurve, name: bytes) -> ParametricCurve:
    if not (0.1 <= curve.g <= 10 and curve.a > 0 and curve.c >= 0):
        raise ProfileUnusable(f"its curve {name.decode()} does not rise")
    return curve
