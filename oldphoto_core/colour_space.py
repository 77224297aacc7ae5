"""Between a master's own colours and the sRGB that the networks see.

A master keeps its pixels and its profile. The networks see sRGB, and what they change is brought back into the
master's encoding. Colours outside sRGB must survive that way, so nothing is clipped: such colours lie below 0 or above
1, with the curve of sRGB mirrored at black (as extended sRGB and CSS Color 4 have it).

- **Matrix profiles and grey ones** are computed here in float32, unbounded both ways. A value comes back to within
  a step of 16 bits, but for the darkest channel of a strongly saturated colour under a pure power curve: there
  float32 sRGB itself holds no more (see `tests/core/test_colour_space.py` for figures).
- **Profiles of tables** go through LittleCMS, relative colorimetric with black point compensation. Colours outside
  sRGB are kept on the way there; on the way back the table ends where the device's colours end, and it answers to
  within its own accuracy.
- A table profile that has no way back, one that is broken, and one for other channels count as sRGB, and the log says
  so. `oldphoto_core.decoding` converts pixels of the first kind to sRGB as it reads them.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial

import numpy as np

from oldphoto_core.color import is_srgb, profile_space, srgb_profile
from oldphoto_core.icc_profiles import (
    Curve,
    MatrixProfile,
    ParametricCurve,
    ProfileUnusable,
    grey_curve,
    has_tables,
    has_tables_back,
    matrix_profile,
    tags_of,
)

log = logging.getLogger(__name__)

SRGB_CURVE = ParametricCurve(g=2.4, a=1 / 1.055, b=0.055 / 1.055, c=1 / 12.92, d=0.04045)
"""IEC 61966-2-1."""

_BLOCK_PX = 1 << 17
"""Pixels computed at once, so that intermediate arrays stay in the cache."""


class WorkingColour:
    """Between a master's own colours and the sRGB that the networks see.

    Objects are immutable, shared between threads, and pickled as the profile that they were made of.
    """

    is_srgb: bool
    """Whether there is nothing to convert: sRGB, no profile, grey without a profile or with sRGB's own tone curve."""

    @classmethod
    def of(cls, icc_profile: bytes | None, *, channels: int) -> WorkingColour:
        """Gives the way for pixels with this profile; kept for the next call.

        Args:
            icc_profile: The profile of the pixels. None, broken, of another class, or without a way back: sRGB.
            channels: 1 for grey, 3 for colour.
        """
        assert channels in (1, 3), channels
        return _cached(cls, icc_profile or None, channels)

    def __init__(self, icc_profile: bytes | None, channels: int) -> None:
        """Reads the profile; use `of`."""
        self._icc, self._channels = icc_profile, channels
        self._way: _MatrixWay | _GreyWay | _TableWay | None = None
        if icc_profile is not None:
            try:
                self._way = _way_of(icc_profile, channels)
            except ProfileUnusable as error:
                log.warning("A colour profile is not used (%s); the values are taken as sRGB.", error)
        self.is_srgb = self._way is None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles the profile, not the tables made of it."""
        return partial(WorkingColour.of, channels=self._channels), (self._icc,)

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """Gives sRGB values, not clipped: colours outside sRGB lie below 0 or above 1.

        Args:
            pixels: (h, W, 3) or (h, W), uint8 or uint16, in the profile's encoding.

        Returns:
            float32 of the same shape.
        """
        self._check(pixels)
        if self._way is None:
            return np.multiply(pixels, np.float32(1 / np.iinfo(pixels.dtype).max), dtype=np.float32)
        return _in_blocks(self._way.to_srgb, pixels)

    def from_srgb(self, srgb: np.ndarray) -> np.ndarray:
        """Gives values in the profile's encoding, 0 to 1 being its range; not clipped, the caller quantises.

        Args:
            srgb: (h, W, 3) or (h, W) float32, as `to_srgb` gives.
        """
        self._check(srgb)
        if self._way is None:
            return srgb.astype(np.float32)
        return _in_blocks(self._way.from_srgb, srgb.astype(np.float32, copy=False))

    def _check(self, pixels: np.ndarray) -> None:
        wanted = pixels.ndim == 2 if self._channels == 1 else pixels.ndim == 3 and pixels.shape[2] == 3
        assert wanted, f"expected pixels of {self._channels} channels, found {pixels.shape}"


def comes_back(icc_profile: bytes) -> bool:
    """Tells whether an RGB profile says how to return from colours to its own values; some of scanners do not."""
    try:
        tags = tags_of(icc_profile)
    except ProfileUnusable:
        return True  # broken: taken as sRGB
    return not has_tables(tags) or has_tables_back(tags)


@lru_cache(maxsize=32)
def _cached(cls: type[WorkingColour], icc_profile: bytes | None, channels: int) -> WorkingColour:
    return cls(icc_profile, channels)


def _way_of(icc: bytes, channels: int) -> _MatrixWay | _GreyWay | _TableWay | None:
    wanted, found = ("GRAY" if channels == 1 else "RGB"), profile_space(icc)
    if found != wanted:
        raise ProfileUnusable(f"expected class {wanted}, found {found or 'nothing readable'}")
    tags = tags_of(icc)
    if channels == 1:
        grey = _GreyWay(grey_curve(tags), is_lightness=icc[20:24] == b"Lab ")
        return None if grey.is_identity() else grey
    if is_srgb(icc):
        return None
    if not has_tables(tags):
        return _MatrixWay(matrix_profile(tags))
    if not has_tables_back(tags):
        raise ProfileUnusable("its tables lead to colours and not back")
    return _TableWay(icc)


class _MatrixWay:
    """Own curves, then a matrix in linear light, then the curve of sRGB; unbounded."""

    def __init__(self, profile: MatrixProfile) -> None:
        srgb = matrix_profile(tags_of(srgb_profile())).matrix
        self._curves = profile.curves
        self._there = np.ascontiguousarray((np.linalg.inv(srgb) @ profile.matrix).T.astype(np.float32))
        self._back = np.ascontiguousarray((np.linalg.inv(profile.matrix) @ srgb).T.astype(np.float32))
        self._linear: dict[int, np.ndarray] = {}

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        levels = np.iinfo(pixels.dtype).max + 1
        if levels not in self._linear:
            ramp = np.linspace(0, 1, levels)
            self._linear[levels] = np.stack([curve.forward(ramp) for curve in self._curves]).astype(np.float32)
        tables = self._linear[levels]
        linear = np.stack([tables[i][pixels[:, i]] for i in range(3)], axis=1)
        return _encoded(linear @ self._there)

    def from_srgb(self, srgb: np.ndarray) -> np.ndarray:
        linear = _decoded(srgb) @ self._back
        return np.stack([curve.inverse(linear[:, i]) for i, curve in enumerate(self._curves)], axis=1)


class _GreyWay:
    """A grey's own tone curve, then that of sRGB."""

    def __init__(self, curve: Curve, *, is_lightness: bool) -> None:
        self._curve, self._is_lightness = curve, is_lightness

    def is_identity(self) -> bool:
        """Whether no grey of 8 bits moves by more than a level."""
        ramp = np.arange(256, dtype=np.uint8)
        return float(np.abs(self.to_srgb(ramp) * 255 - ramp).max()) <= 1

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        linear = self._curve.forward(np.linspace(0, 1, np.iinfo(pixels.dtype).max + 1))
        table = _encoded((_LIGHTNESS.forward(linear) if self._is_lightness else linear).astype(np.float32))
        return table[pixels]

    def from_srgb(self, srgb: np.ndarray) -> np.ndarray:
        linear = _decoded(srgb)
        return self._curve.inverse(_LIGHTNESS.inverse(linear) if self._is_lightness else linear)


class _TableWay:
    """Through LittleCMS, to and from linear light of sRGB's primaries, in which it does not clip."""

    def __init__(self, icc: bytes) -> None:
        self._icc, self._linear_srgb = icc, _linear_srgb_profile()
        try:
            self.from_srgb(self.to_srgb(np.zeros((1, 3), np.uint8)))
        except Exception as error:  # imagecodecs raises an error of its own kind, known only once it is loaded
            raise ProfileUnusable(f"LittleCMS does not take it: {error}") from error

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        scaled = pixels * np.float32(1 / np.iinfo(pixels.dtype).max)
        return _encoded(_through_cms(scaled, self._icc, self._linear_srgb))

    def from_srgb(self, srgb: np.ndarray) -> np.ndarray:
        return _through_cms(_decoded(srgb), self._linear_srgb, self._icc)


_LIGHTNESS = ParametricCurve(g=3.0, a=1 / 1.16, b=0.16 / 1.16, c=100 / 903.3, d=0.08)
"""CIE L* of 0 to 1 to linear light."""


def _through_cms(values: np.ndarray, icc: bytes, out_icc: bytes) -> np.ndarray:
    import imagecodecs

    return imagecodecs.cms_transform(
        np.ascontiguousarray(values[None]),
        icc,
        out_icc,
        colorspace="rgb",
        outcolorspace="rgb",
        outdtype="float32",
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )[0]


@lru_cache(maxsize=1)
def _linear_srgb_profile() -> bytes:
    """Gives our sRGB profile with straight lines in place of its curves."""
    import imagecodecs

    primaries = [0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0]
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=primaries, gamma=1.0))


def _encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB, mirrored at black."""
    return SRGB_CURVE.inverse(linear)


def _decoded(srgb: np.ndarray) -> np.ndarray:
    """SRGB to linear light, mirrored at black; float32."""
    size = np.abs(srgb)
    power = (size * np.float32(SRGB_CURVE.a) + np.float32(SRGB_CURVE.b)) ** np.float32(SRGB_CURVE.g)
    linear = np.where(size >= np.float32(SRGB_CURVE.d), power, size * np.float32(SRGB_CURVE.c))
    return np.copysign(linear, srgb)


def _in_blocks(convert: object, pixels: np.ndarray) -> np.ndarray:
    flat = pixels.reshape(-1, *pixels.shape[2:])
    out = np.empty(flat.shape, np.float32)
    for at in range(0, len(flat), _BLOCK_PX):
        out[at : at + _BLOCK_PX] = convert(flat[at : at + _BLOCK_PX])  # type: ignore[operator]
    return out.reshape(pixels.shape)
