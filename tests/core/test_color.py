"""Profiles, luma, and colour told from grey."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from oldphoto_core.color import (
    is_neutral_grey,
    is_srgb,
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


def test_toned_and_coloured_pictures_are_not_neutral() -> None:
    assert not is_neutral_grey(sepia(grey_picture(200, 300)))
    assert not is_neutral_grey(picture())


def test_a_few_coloured_pixels_do_not_make_a_grey_scan_colour() -> None:
    grey = np.dstack([grey_picture(200, 300)] * 3)
    grey[100, :50, 0] ^= 128  # a coloured hair: 50 of 60,000
    assert is_neutral_grey(grey)
