"""Profiles, luma, and colour told from grey."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from oldphoto_core.color import (
    chroma_beyond_tone,
    is_neutral_grey,
    is_srgb,
    is_toned_grey,
    luma,
    profile_name,
    profile_space,
    srgb_profile,
)
from oldphoto_core.conversion import cmyk_to_srgb
from tests import icc
from tests.images import grey_picture, picture
from tests.strategies import pictures


def sepia(grey: np.ndarray) -> np.ndarray:
    """Gives a toned print of a grey picture: shadows brown, lights cream."""
    light = grey.astype(np.float32)[..., None] / 255
    return np.rint((light ** np.float32([0.8, 1.0, 1.35])) * np.float32([250, 236, 205])).astype(np.uint8)


def test_our_srgb_profile_has_the_same_bytes_in_every_process() -> None:
    program = (
        "import hashlib; from oldphoto_core.color import srgb_profile as p; print(hashlib.sha256(p()).hexdigest())"
    )
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert (profile_space(srgb_profile()), is_srgb(srgb_profile())) == ("RGB", True)
    assert not is_srgb(icc.adobe_rgb())


def test_cmyk_without_a_profile_is_plain_but_right() -> None:
    inks = np.zeros((2, 2, 4), np.uint8)
    inks[0, 0, 0] = inks[0, 1, 3] = inks[1, 0, :3] = 255
    colours = cmyk_to_srgb(inks, None)
    assert colours[0, 0].tolist() == [0, 255, 255]
    assert colours[0, 1].tolist() == colours[1, 0].tolist() == [0, 0, 0]
    assert colours[1, 1].tolist() == [255, 255, 255]


def test_names_of_profiles() -> None:
    assert profile_name(None) is None
    assert profile_name(b"") is None
    assert profile_name(b"nonsense") == "unreadable"
    assert profile_name(srgb_profile()) == "sRGB built-in"
    assert profile_space(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()) == "Lab"


@given(pictures())
def test_luma_lies_between_the_darkest_and_the_lightest_channel(pixels: np.ndarray) -> None:
    full = np.iinfo(pixels.dtype).max
    planes = pixels.reshape(*pixels.shape[:2], -1) / full
    bright = luma(pixels)
    assert bright.dtype == np.float32
    assert bright.shape == pixels.shape[:2]
    assert (bright >= planes.min(axis=2) - 1e-5).all()
    assert (bright <= planes.max(axis=2) + 1e-5).all()


def test_luma_is_that_of_jpeg() -> None:
    assert np.abs(luma(picture()) * 255 - np.array(Image.fromarray(picture()).convert("L"))).max() <= 1


@given(pictures(channels=st.just(1)))
def test_grey_is_neutral_in_one_channel_and_in_three(pixels: np.ndarray) -> None:
    tripled = np.dstack([pixels] * 3)
    for grey in (pixels, tripled):
        assert is_neutral_grey(grey)
        assert is_toned_grey(grey)
    assert chroma_beyond_tone(tripled) < 1e-4


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_toned_print_is_toned_and_not_neutral(depth: type) -> None:
    toned = sepia(grey_picture(200, 300)).astype(depth) * depth(257 if depth is np.uint16 else 1)
    assert not is_neutral_grey(toned)
    assert is_toned_grey(toned)


def test_uneven_fading_leaves_a_toned_print_toned() -> None:
    toned = sepia(grey_picture(200, 300)).astype(np.float32)
    fade = np.linspace(0, 12, 300, dtype=np.float32)[None, :, None] * np.float32([1, 0.5, -1])
    assert is_toned_grey(np.clip(toned + fade, 0, 255).astype(np.uint8))


def test_colour_is_neither_neutral_nor_toned() -> None:
    assert not is_neutral_grey(picture())
    assert not is_toned_grey(picture(200, 300))


def test_a_few_coloured_pixels_do_not_make_a_grey_scan_colour() -> None:
    grey = np.dstack([grey_picture(200, 300)] * 3)
    grey[100, :50, 0] ^= 128  # a coloured hair: 50 of 60,000
    assert is_neutral_grey(grey)
