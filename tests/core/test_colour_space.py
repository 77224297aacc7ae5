"""Working colour: there and back without loss, and nothing clipped on the way."""

from __future__ import annotations

import logging
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest

from oldphoto_core.color import srgb_profile
from oldphoto_core.colour_space import WorkingColour, comes_back
from tests import icc
from tests.images import picture

_RAMP = np.linspace(0, 1, 1024)
_SAMPLES = np.rint((0.9 * _RAMP**2 + 0.1 * _RAMP) * 65_535).astype(int)
TABLE = b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *_SAMPLES)
_TOE = np.rint(np.array([2.2, 0.95, 0.05, 0.1, 0.04]) * 65_536).astype(int)
TOE = b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *_TOE)
COLOUR = {
    "sRGB": srgb_profile(),
    "Adobe RGB": icc.adobe_rgb(),
    "ProPhoto": icc.prophoto(),
    "curves of samples": icc.with_curve(icc.adobe_rgb(), TABLE),
    "curves with a toe": icc.with_curve(icc.prophoto(), TOE),
    "straight lines": icc.with_curve(icc.adobe_rgb(), b"curv" + bytes(8)),
}


def there_and_back(icc_profile: bytes | None, pixels: np.ndarray) -> np.ndarray:
    """Gives the differences after the way to sRGB and back, in levels of the pixels' own depth."""
    colour = WorkingColour.of(icc_profile, channels=1 if pixels.ndim == 2 else 3)
    srgb = colour.to_srgb(pixels)
    assert srgb.dtype == np.float32
    assert srgb.shape == pixels.shape
    back = colour.from_srgb(srgb)
    assert back.dtype == np.float32
    return np.abs(back * np.float64(np.iinfo(pixels.dtype).max) - pixels)


@pytest.mark.parametrize("name", COLOUR)
def test_every_value_of_grey_comes_back(name: str) -> None:
    for dtype in (np.uint8, np.uint16):
        ramp = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None, :, None].repeat(3, axis=2)
        assert there_and_back(COLOUR[name], ramp).max() < 1


@pytest.mark.parametrize("name", COLOUR)
def test_colours_come_back_the_saturated_ones_too(name: str) -> None:
    rng = np.random.default_rng(0)
    assert there_and_back(COLOUR[name], rng.integers(0, 256, (300, 300, 3), np.uint8)).max() < 0.5
    deep = rng.integers(0, 65_536, (300, 300, 3), np.uint16)
    lost = there_and_back(COLOUR[name], deep)
    # Float32 sRGB does not hold a dark channel beside bright ones to 16 bits under a pure power curve.
    assert lost[deep > 600].max() < 2
    assert lost.max() < 80


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_every_grey_of_a_grey_profile_comes_back(gamma: float) -> None:
    for dtype in (np.uint8, np.uint16):
        ramp = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None]
        assert there_and_back(icc.grey(gamma), ramp).max() < 1
    assert not WorkingColour.of(icc.grey(gamma), channels=1).is_srgb


@pytest.mark.parametrize("name", ["Adobe RGB", "ProPhoto", "curves of samples", "curves with a toe"])
def test_colours_within_srgb_are_those_of_littlecms(name: str) -> None:
    pixels = picture().astype(np.uint16) * 257
    wanted = imagecodecs.cms_transform(
        pixels, COLOUR[name], srgb_profile(), colorspace="rgb", outcolorspace="rgb", outdtype="float32", intent=1
    )
    found = WorkingColour.of(COLOUR[name], channels=3).to_srgb(pixels)
    inside = (wanted >= 0).all(axis=2)
    assert inside.mean() > 0.2
    assert np.abs(found - wanted)[inside].max() < 2e-4


def test_colours_outside_srgb_lie_beyond_0_and_1() -> None:
    green = np.array([[[0, 255, 0]]], np.uint8)
    srgb = WorkingColour.of(icc.adobe_rgb(), channels=3).to_srgb(green)[0, 0]
    assert srgb[0] < -0.5
    assert srgb[1] == pytest.approx(1, abs=1e-3)
    red = WorkingColour.of(icc.prophoto(), channels=3).to_srgb(np.array([[[65535, 0, 0]]], np.uint16))[0, 0]
    assert red[0] > 1.3


def test_values_above_white_are_not_clipped_on_the_way_back() -> None:
    for profile in (*COLOUR.values(), None):
        colour = WorkingColour.of(profile, channels=3)
        beyond = colour.from_srgb(np.full((1, 1, 3), 1.1, np.float32))
        assert (beyond > 1.02).all()
        assert (colour.from_srgb(np.full((1, 1, 3), -0.1, np.float32)) < -0.01).all()


def test_nothing_is_converted_where_there_is_nothing_to_convert(caplog: pytest.LogCaptureFixture) -> None:
    for profile, channels in [(None, 1), (None, 3), (b"", 3), (srgb_profile(), 3)]:
        colour = WorkingColour.of(profile, channels=channels)
        assert colour.is_srgb
        pixels = picture() if channels == 3 else picture()[..., 0]
        assert np.array_equal(np.rint(colour.to_srgb(pixels) * 255), pixels)
    assert not caplog.records


def test_profiles_that_cannot_be_used_count_as_srgb_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    cases = [
        (b"nonsense", 3),
        (icc.grey(2.2), 3),
        (icc.adobe_rgb(), 1),
        (icc.adobe_rgb()[:300], 3),
        (icc.with_curve(icc.adobe_rgb(), b"curv\0\0\0\0\0\0\0\2\xff\xff\0\0"), 3),  # falls
        (icc.tables(back=False), 3),
    ]
    for profile, channels in cases:
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert WorkingColour(profile, channels).is_srgb
            assert "taken as sRGB" in caplog.text
    assert comes_back(icc.tables())
    assert comes_back(icc.adobe_rgb())
    assert not comes_back(icc.tables(back=False))


def test_tables_lead_there_and_back_within_their_own_accuracy() -> None:
    pixels = picture().astype(np.uint16) * 257
    colour = WorkingColour.of(icc.tables(), channels=3)
    by_matrix = WorkingColour.of(icc.adobe_rgb(), channels=3)
    assert not colour.is_srgb
    assert np.abs(colour.to_srgb(pixels) - by_matrix.to_srgb(pixels)).mean() < 0.02
    assert there_and_back(icc.tables(), pixels).mean() < 0.02 * 65_535
    green = colour.to_srgb(np.array([[[0, 255, 0]]], np.uint8))[0, 0]
    assert green[0] < -0.3  # outside sRGB, and not clipped on the way there


def test_sixteen_bits_see_the_colours_of_eight() -> None:
    for profile in COLOUR.values():
        colour = WorkingColour.of(profile, channels=3)
        assert np.allclose(colour.to_srgb(picture()), colour.to_srgb(picture().astype(np.uint16) * 257), atol=1e-6)


def test_it_is_pickled_as_its_profile_and_shared_between_threads() -> None:
    colour = WorkingColour.of(icc.prophoto(), channels=3)
    again = pickle.loads(pickle.dumps(colour))
    assert again is colour
    assert len(pickle.dumps(colour)) < 4000
    pixels = [picture(seed=i) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(colour.to_srgb, pixels), map(colour.to_srgb, pixels), strict=True):
            assert np.array_equal(one, other)
