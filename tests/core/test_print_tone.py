"""A toned print is told from colour and from grey, and keeps its own hue over restored tones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core.color import LUMA_WEIGHTS
from oldphoto_core.restoration.print_tone import (
    PrintTone,
    fit_print_tone,
    from_oklab,
    tell_monochrome,
    to_oklab,
)
from tests.images import grey_picture, picture

LUMA = np.float32(LUMA_WEIGHTS)
SIZE = (220, 300)
NOTHING = np.zeros(SIZE, np.float32)
TONINGS = {"sepia": (0.8, 1.0, 1.35), "cyanotype": (1.5, 1.0, 0.75), "selenium": (0.95, 1.1, 0.95)}


def tones() -> np.ndarray:
    """Gives the luma of a picture with all tones, and grain: (h, w) float32 in [0, 1]."""
    grey = grey_picture(*SIZE).astype(np.float32)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    return np.clip(0.96 * grey + 0.02 + np.random.default_rng(1).normal(0, 0.01, SIZE), 0, 1).astype(np.float32)


def as_colour(luma: np.ndarray) -> np.ndarray:
    return np.repeat(luma[:, :, None], 3, axis=2)


def toned(luma: np.ndarray, toning: str = "sepia") -> np.ndarray:
    """Gives a print of one hue: (h, w, 3) float32."""
    return (luma[:, :, None] ** np.float32(TONINGS[toning])).astype(np.float32)


def faded(image: np.ndarray) -> np.ndarray:
    """Gives a print under a veil, with little contrast."""
    return 0.3 + 0.45 * image


def hue_deg(colours: np.ndarray) -> np.ndarray:
    _, a, b = to_oklab(colours.reshape(-1, 3)).T
    return np.degrees(np.arctan2(b, a))


def apart_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs((one - other + 180) % 360 - 180)


def test_oklab_leads_back() -> None:
    colours = np.random.default_rng(0).uniform(0, 1, (1000, 3))
    assert np.abs(from_oklab(to_oklab(colours)) - colours).max() < 1e-6
    assert np.abs(to_oklab(np.float32([[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]))[:, 1:]).max() < 1e-6


@pytest.mark.parametrize("toning", TONINGS)
@pytest.mark.parametrize("fade", [lambda image: image, faded])
def test_a_print_of_one_hue_is_toned(toning: str, fade) -> None:
    assert tell_monochrome(fade(toned(tones(), toning)), NOTHING) == "toned"


def test_grey_is_neutral_and_so_is_grey_with_the_chroma_noise_of_jpeg() -> None:
    grey = as_colour(tones())
    assert tell_monochrome(grey, NOTHING) == "neutral"
    noise = np.random.default_rng(2).normal(0, 1 / 255, grey.shape).astype(np.float32)
    assert tell_monochrome(np.clip(grey + noise, 0, 1), NOTHING) == "neutral"
    _, code = cv2.imencode(".jpg", np.rint(toned(tones()) * 255)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert tell_monochrome(np.float32(cv2.imdecode(code, 1)[:, :, ::-1]) / 255, NOTHING) == "toned"


def test_a_colour_photo_is_told_as_colour_even_where_it_has_faded() -> None:
    colour = picture(*SIZE).astype(np.float32) / 255
    assert tell_monochrome(colour, NOTHING) == "no"
    assert tell_monochrome(0.3 + 0.5 * colour * np.float32([1, 0.9, 0.75]), NOTHING) == "no"


def test_a_painted_face_makes_a_print_a_colour_photo() -> None:
    """A face is a few hundredths of the photo; lips are less, and of a stronger colour."""
    for radius, paint in ((24, (1.15, 0.9, 0.85)), (12, (1.4, 0.7, 0.7))):
        painted = as_colour(np.clip(tones(), 0.3, 0.7))
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        there = (rows - 110) ** 2 + (columns - 150) ** 2 < radius**2
        painted[there] *= np.float32(paint)
        assert tell_monochrome(painted, NOTHING) == "no", radius


def test_uneven_fading_leaves_a_print_toned() -> None:
    uneven = np.linspace(0, 0.05, SIZE[1], dtype=np.float32)[None, :, None] * np.float32([1, 0.5, -1])
    assert tell_monochrome(np.clip(faded(toned(tones())) + uneven, 0, 1), NOTHING) == "toned"


def test_damage_of_another_colour_does_not_decide() -> None:
    print_, mask = toned(tones()), NOTHING.copy()
    restored = as_colour(tones())
    clean = fit_print_tone(print_, restored, mask)
    print_[60:120, 80:200] = (0.1, 0.3, 0.9)
    mask[60:120, 80:200] = 1
    assert tell_monochrome(print_, NOTHING) == "no"
    assert tell_monochrome(print_, mask) == "toned"
    assert np.abs(fit_print_tone(print_, restored, mask).table - clean.table).max() < 0.02


def test_an_album_page_around_a_print_does_not_decide() -> None:
    print_ = toned(tones())
    page = np.ones(SIZE, bool)
    page[16:-16, 22:-22] = False
    print_[page] = (0.2, 0.35, 0.25)
    assert tell_monochrome(print_, NOTHING) == "toned"


def test_a_stain_that_no_mask_shows_is_mended() -> None:
    """Each tone's majority decides, so that the stain comes out in the hue of the print."""
    luma, print_ = tones(), faded(toned(tones()))
    print_[20:100, 30:120] *= np.float32([1, 0.85, 0.5])
    kept = fit_print_tone(print_, as_colour(luma), NOTHING).apply(as_colour(luma))
    wanted = fit_print_tone(faded(toned(luma)), as_colour(luma), NOTHING).apply(as_colour(luma))
    assert np.abs(kept - wanted).mean() < 0.01


@pytest.mark.parametrize("toning", TONINGS)
def test_tones_that_stay_give_the_print_back(toning: str) -> None:
    luma = tones()
    print_ = toned(luma, toning)
    same = fit_print_tone(print_, print_, NOTHING).apply(print_)
    inner = (luma > 0.1) & (luma < 0.9)  # nearer the ends the chroma is eased
    assert np.abs(same - print_)[inner].max() < 6 / 255
    assert np.abs(same - print_).mean() < 1 / 255


@pytest.mark.parametrize("toning", TONINGS)
def test_a_faded_print_keeps_its_hue_over_all_tones(toning: str) -> None:
    luma = tones()
    print_ = faded(toned(luma, toning))
    kept = fit_print_tone(print_, as_colour(luma), NOTHING).apply(as_colour(luma))
    inner = (luma > 0.06) & (luma < 0.97)
    assert np.percentile(apart_deg(hue_deg(kept[inner]), hue_deg(print_[inner])), 99) < 4
    chroma = np.hypot(*to_oklab(kept[inner])[:, 1:].T)
    assert chroma.mean() > 0.5 * np.hypot(*to_oklab(print_[inner])[:, 1:].T).mean()


def test_the_darkest_tone_keeps_the_hue_of_the_darkest() -> None:
    """A split toning: blue shadows and yellow lights, of which fading left the middle alone."""
    luma = tones()
    share = luma[:, :, None]
    print_ = 0.35 + 0.4 * share + (1 - share) * np.float32([-0.04, 0, 0.06]) + share * np.float32([0.04, 0.02, -0.08])
    ends = fit_print_tone(print_.astype(np.float32), as_colour(luma), NOTHING).apply(
        as_colour(np.float32([[0.12, 0.9]]))
    )
    wanted = hue_deg(np.float32([[-0.04, 0, 0.06], [0.04, 0.02, -0.08]]) * 0.8 + np.float32([[0.4], [0.7]]))
    assert apart_deg(hue_deg(ends), wanted).max() < 12


def tone_of(toning: str) -> PrintTone:
    return fit_print_tone(faded(toned(tones(), toning)), as_colour(tones()), NOTHING)


def test_grey_in_grey_out() -> None:
    grey = as_colour(tones())
    kept = fit_print_tone(grey, grey**0.7, NOTHING).apply(grey)
    assert np.abs(kept - grey).max() < 1e-5


@pytest.mark.parametrize("toning", TONINGS)
def test_luma_is_that_of_the_restoration_and_no_channel_leaves_its_range(toning: str) -> None:
    restored = np.random.default_rng(3).uniform(0, 1, (200, 300, 3)).astype(np.float32)
    kept = tone_of(toning).apply(restored)
    assert kept.dtype == np.float32 and kept.shape == restored.shape
    assert kept.min() >= 0 and kept.max() <= 1
    assert np.abs(kept @ LUMA - restored @ LUMA).max() < 1 / 65_535


@pytest.mark.parametrize("toning", TONINGS)
def test_every_step_of_sixteen_bits_stays_a_step(toning: str) -> None:
    steps = tone_of(toning).apply(as_colour(np.linspace(0, 1, 65_536, dtype=np.float32)[None]))[0]
    assert (np.diff(steps @ LUMA.astype(np.float64)) > 0).all()
    assert np.diff(steps, axis=0).min() > -1e-6  # no channel turns back
    assert np.diff(steps, axis=0).max() < 6 / 65_535  # nor jumps
    assert np.abs(steps[[0, -1]] - np.float32([[0], [1]])).max() < 1e-6  # black and white have no colour


@settings(max_examples=20)
@given(st.integers(0, 150), st.integers(0, 250), st.integers(1, 60), st.integers(1, 40))
def test_windows_equal_the_whole(top: int, left: int, height: int, width: int) -> None:
    restored = np.random.default_rng(4).uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    tone = PrintTone(np.stack([np.linspace(0, 1, 65_536)] * 3, axis=1).astype(np.float32) ** np.float32([0.8, 1, 1.3]))
    window = slice(top, top + height), slice(left, left + width)
    apart = np.abs(tone.apply(restored)[window] - tone.apply(restored[window].copy()))
    assert apart.max() < 2 / 65_535  # one step of luma, where a processor adds in another order


def test_a_second_time_changes_next_to_nothing() -> None:
    luma = as_colour(tones())
    once = fit_print_tone(faded(toned(tones())), luma, NOTHING).apply(luma)
    twice = fit_print_tone(once, once, NOTHING).apply(once)
    assert np.sqrt(np.mean((twice - once) ** 2)) < 1 / 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 512), (33, 40)])
def test_any_small_size_is_told_and_fitted(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), (0.6, 0.5, 0.4), np.float32)
    for mask in (np.zeros(shape, np.float32), np.ones(shape, np.float32)):
        assert tell_monochrome(image, mask) == "toned"
        kept = fit_print_tone(image, image, mask).apply(image)
        assert np.abs(kept - image).max() < 0.02
