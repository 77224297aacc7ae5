"""Refusals: what is not carried says so, with a reason, and nothing else ever comes out."""

from __future__ import annotations

import io
import pickle
from functools import cache

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from oldphoto_core.color import srgb_profile
from oldphoto_core.errors import REFUSAL_REASONS, ConfigError, CoreError, ImageRefused
from oldphoto_core.images import DecodedImage, DecodeLimits, decode_image, encode_image
from tests.images import BAD, ODD, deep_picture, grey_picture, picture, rich_exif, save, tiff, tiff_pages

MORE = {
    "progressive.jpg": lambda: save(picture(), "JPEG", progressive=True),
    "lzw.tif": lambda: save(picture(), "TIFF", compression="tiff_lzw"),
    "photo.avif": lambda: save(picture(), "AVIF"),
    "photo.ppm": lambda: save(picture(), "PPM"),
    "rich.tif": lambda: encode_image(picture(), format="tif", exif=rich_exif(), dpi=(300, 300)),
    "rich.jpg": lambda: encode_image(picture(), format="jpg", exif=rich_exif(">"), icc_profile=srgb_profile()),
    "lossless.webp": lambda: save(picture(), "WEBP", lossless=True),
}
WHOLE = ODD | MORE


def refusal(data: bytes, name: str = "album/photo.jpg", limits: DecodeLimits | None = None) -> ImageRefused:
    with pytest.raises(ImageRefused) as caught:
        decode_image(data, name, limits or DecodeLimits())
    return caught.value


@cache
def whole_file(name: str) -> tuple[bytes, DecodedImage]:
    data = WHOLE[name]()
    return data, decode_image(data, name)


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(name: str) -> None:
    reason, make = BAD[name]
    error = refusal(make(), name)
    assert error.reason == reason
    text = str(error)
    assert text.startswith(f"{name}: {reason}: expected ")
    assert "\n" not in text
    assert error.advice in text


def test_a_name_with_a_line_break_stays_on_one_line() -> None:
    assert str(refusal(b"", "two\nlines.jpg")).startswith("two\\nlines.jpg: empty: ")


def test_a_refusal_survives_pickling() -> None:
    error = refusal(b"", "photo.jpg")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason, again.name) == (str(error), "empty", "photo.jpg")
    assert isinstance(again, CoreError)


def test_reasons_of_bad_files_are_declared() -> None:
    assert {reason for reason, _ in BAD.values()} <= set(REFUSAL_REASONS)


@settings(max_examples=150)
@given(st.sampled_from(sorted(WHOLE)), st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_or_gives_the_same_pixels(name: str, share: float) -> None:
    data, whole = whole_file(name)
    try:
        image = decode_image(data[: int(len(data) * share)], name)
    except ImageRefused:
        return
    assert np.array_equal(image.pixels, whole.pixels)


# libtiff writes of damaged faxes to standard error; these files are decoded by others.
QUIET = sorted(set(WHOLE) - {"fax.tif"})


@settings(max_examples=120)
@given(
    name=st.sampled_from(QUIET),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    head_only=st.booleans(),
)
def test_a_damaged_file_is_refused_or_can_be_written_again(
    name: str, changes: list[tuple[float, int]], head_only: bool
) -> None:
    damaged = bytearray(whole_file(name)[0])
    reach = min(len(damaged), 300) if head_only else len(damaged)
    for share, value in changes:
        damaged[int(reach * share)] = value
    try:
        image = decode_image(bytes(damaged), name, DecodeLimits(max_pixels=1_000_000))
    except ImageRefused:
        return
    extras = {"icc_profile": image.icc_profile, "dpi": image.dpi, "exif": image.exif}
    for format in ("tif", "png"):
        written = encode_image(image.pixels, format=format, alpha=image.alpha, **extras)  # type: ignore[arg-type]
        assert np.array_equal(decode_image(written, name).pixels, image.pixels)
    if image.pixels.dtype == np.uint8:
        assert encode_image(image.pixels, format="jpg", **extras)  # type: ignore[arg-type]


@given(st.binary(max_size=200), st.sampled_from([make()[:16] for make in WHOLE.values()] + [b""]))
def test_random_bytes_are_refused(tail: bytes, head: bytes) -> None:
    refusal(head + tail)


def test_deep_colour_is_never_cut() -> None:
    photoshop = b"8BPS\0\1" + bytes(6) + (3).to_bytes(2, "big") + (48).to_bytes(4, "big") + (72).to_bytes(4, "big")
    photoshop += (16).to_bytes(2, "big") + (3).to_bytes(2, "big") + bytes(12)
    assert refusal(photoshop + bytes(100_000)).reason in ("sixteen-bit-colour", "corrupt")
    by_other_means = [
        tiff(deep_picture(), photometric="rgb", compression=compression) for compression in ("jpegxl", "jpeg2000")
    ]
    ycbcr = tiff(deep_picture(), photometric="ycbcr")
    inks = np.dstack([deep_picture(), deep_picture()])[..., :5]
    five_inks = tiff(inks, photometric="separated", extratags=[(332, 3, 1, 2, True)])
    for data in (*by_other_means, ycbcr, five_inks):
        assert refusal(data).reason == "sixteen-bit-colour"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32, np.complex64])
def test_samples_whose_range_must_be_guessed_are_refused(dtype: type) -> None:
    assert refusal(tiff(grey_picture().astype(dtype))).reason == "unsupported-mode"


def test_the_bomb_limit_holds_before_decoding() -> None:
    limits = DecodeLimits(max_pixels=48 * 72 - 1)
    for make in WHOLE.values():
        if decode_image(make(), "photo").pixels.shape[:2] == (48, 72):
            assert refusal(make(), limits=limits).reason == "bomb"
    assert refusal(tiff(grey_picture(64, 64)), limits=DecodeLimits(max_pixels=4095)).reason == "bomb"


def test_the_smallest_side_is_a_setting() -> None:
    data = save(picture(40, 33), "PNG")
    assert decode_image(data, "photo").pixels.shape == (40, 33, 3)
    assert refusal(data, limits=DecodeLimits(min_side_px=34)).reason == "too-small"


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ConfigError):
        DecodeLimits(min_side_px=0)
    with pytest.raises(ConfigError):
        DecodeLimits(max_pixels=100)


def test_pages_of_equal_standing_are_no_single_picture() -> None:
    """`open_image` gives each of them, see `test_pages.py`."""
    half_in_other_shape = tiff_pages((picture(96, 144), 0), (picture(48, 48), 0))
    scan_and_its_back = tiff_pages((picture(600, 900), 0), (picture(400, 600), 0))
    for data in (half_in_other_shape, scan_and_its_back):
        error = refusal(data)
        assert (error.reason, error.found) == ("animated", "2 full pages")


def test_a_page_that_is_announced_but_missing_is_noticed() -> None:
    whole = tiff_pages((picture(seed=1), 0), (picture(seed=2), 0))
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        second = file.pages[1].offset
    assert refusal(whole[:second]).reason == "truncated"


def test_a_stereo_pair_is_refused() -> None:
    pair = save(Image.fromarray(picture()), "MPO", save_all=True, append_images=[Image.fromarray(picture(seed=1))])
    first = pair.index(b"MPF\0") + 4 + 50  # the attribute of the first picture: baseline primary image
    assert pair[first : first + 4] == b"\0\0\3\0"
    assert refusal(pair[:first] + b"\2\0\2\0" + pair[first + 4 :]).reason == "animated"


def test_a_raw_file_is_not_restored_from_its_preview() -> None:
    negative = tiff(picture(), photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
    error = refusal(negative, "IMG_0001.dng")
    assert (error.reason, "camera's raw file" in error.found) == ("unsupported-mode", True)


def test_the_switch_for_truncated_images_is_left_alone() -> None:
    refusal(BAD["cut.jpg"][1]())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
