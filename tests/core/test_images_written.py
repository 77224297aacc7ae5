"""Encoding: what is written comes back, and the same pixels give the same bytes."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core.color import srgb_profile
from oldphoto_core.encoding import OutputFormat
from oldphoto_core.errors import ConfigError
from oldphoto_core.images import decode_image, encode_image
from tests.images import deep_grey_picture, grey_picture, picture, rich_exif
from tests.strategies import pictures, resolutions

LOSSLESS: tuple[OutputFormat, ...] = ("tif", "png")


@pytest.mark.parametrize("format", LOSSLESS)
@settings(max_examples=40)
@given(data=st.data())
def test_lossless_formats_give_back_every_pixel(format: OutputFormat, data: st.DataObject) -> None:
    pixels = data.draw(pictures())
    dpi = data.draw(st.none() | resolutions())
    alpha = data.draw(st.none() | st.just(pixels[..., 0] if pixels.ndim == 3 else pixels[::-1]))
    encoded = encode_image(pixels, format=format, dpi=dpi, alpha=alpha)
    image = decode_image(encoded, "photo")
    assert image.pixels.dtype == pixels.dtype
    assert np.array_equal(image.pixels, pixels)
    assert (image.alpha is None) == (alpha is None)
    if alpha is not None:
        assert image.alpha is not None
        assert np.array_equal(image.alpha, alpha)
    assert image.dpi == (None if dpi is None else pytest.approx(dpi, abs=0.02))  # PNG counts in dots a metre


@settings(max_examples=20)
@given(pictures(dtypes=st.just(np.uint8)), st.sampled_from(["tif", "png", "jpg"]), st.booleans())
def test_the_same_pixels_give_the_same_bytes(pixels: np.ndarray, format: OutputFormat, rich: bool) -> None:
    extras = {"dpi": (300.0, 300.0), "exif": rich_exif()} if rich else {}
    if rich and pixels.ndim == 3:
        extras["icc_profile"] = srgb_profile()
    assert encode_image(pixels, format=format, **extras) == encode_image(pixels.copy(), format=format, **extras)


@pytest.mark.parametrize("format", LOSSLESS)
def test_deep_colour_is_written_whole(format: OutputFormat) -> None:
    import imagecodecs
    import tifffile

    deep = picture().astype(np.uint16) * 257 + 1
    data = encode_image(deep, format=format)
    read = imagecodecs.png_decode(data) if format == "png" else tifffile.imread(io.BytesIO(data))
    assert np.array_equal(read, deep)


@pytest.mark.parametrize("format", ["tif", "png", "jpg"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_travels_upright_and_without_its_thumbnail(format: OutputFormat, order: str) -> None:
    data = encode_image(picture(), format=format, exif=rich_exif(order), dpi=(300, 300))
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        inner, gps = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
        assert image.size == (72, 48)
    assert exif.get(0x0112, 1) == 1
    assert inner[0x9003] == "1931:05:04 03:02:01"
    assert inner[0x927C] == b"maker note, longer than four bytes"
    assert (inner[0xA002], inner[0xA003]) == (72, 48)
    assert float(inner[0x829A]) == pytest.approx(0.004)
    assert gps[2] == (48.0, 8.0, 14.5)
    facts = decode_image(data, "photo").facts
    assert facts.capture["description"] == "Großmutter, 1931"
    assert facts.orientation == 1
    assert (facts.dpi_x, facts.dpi_y) == (300, 300)


@pytest.mark.parametrize("first", ["tif", "png", "jpg"])
@pytest.mark.parametrize("second", ["tif", "png", "jpg"])
def test_companions_survive_a_second_derivative(first: OutputFormat, second: OutputFormat) -> None:
    one = decode_image(encode_image(picture(), format=first, exif=rich_exif(), dpi=(600, 300)), "one")
    two = decode_image(
        encode_image(one.pixels, format=second, exif=one.exif, dpi=one.dpi, icc_profile=one.icc_profile), "two"
    )
    assert two.facts.capture == one.facts.capture
    assert two.dpi == one.dpi == (600, 300)
    assert two.facts.icc_profile_name == "sRGB built-in"


def test_the_thumbnail_is_cut_off() -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(picture(8, 12)).save(thumbnail, "JPEG")
    small = thumbnail.getvalue()
    entries = [(0x0103, 3, 1, 6), (0x0201, 4, 1, 8 + 18 + 42), (0x0202, 4, 1, len(small))]
    second = struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    first = struct.pack("<HHHIII", 1, 0x0112, 3, 1, 6, 8 + 18)
    block = b"II*\0\x08\0\0\0" + first + second + small
    with Image.open(io.BytesIO(encode_image(picture(), format="png", exif=block))) as image:
        image.load()
        assert image.getexif().get_ifd(1) == {}
    assert encode_image(picture(), format="tif", exif=block).find(small) == -1


def test_broken_exif_is_left_out() -> None:
    for block in (b"II*\0\xff\xff\xff\0", b"II*\0\x08\0\0\0\xff\xff", b"nonsense"):
        for format in ("tif", "png", "jpg"):
            data = encode_image(picture(), format=format, exif=block)  # type: ignore[arg-type]
            assert decode_image(data, "photo").exif is None


def test_grey_keeps_its_profile_and_colour_gets_none_of_it() -> None:
    grey_profile = srgb_profile().replace(b"RGB XYZ ", b"GRAYXYZ ")
    assert b"GRAYXYZ " in grey_profile
    for format in LOSSLESS:
        data = encode_image(grey_picture(), format=format, icc_profile=grey_profile)
        assert decode_image(data, "photo").icc_profile == grey_profile
    with pytest.raises(ConfigError, match="class RGB"):
        encode_image(picture(), format="png", icc_profile=grey_profile)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixels": deep_grey_picture(), "format": "jpg"}, "JPEG holds 8 bits"),
        ({"alpha": grey_picture(), "format": "jpg"}, "no transparency"),
        ({"quality": 0, "format": "jpg"}, "quality"),
        ({"pixels": np.zeros((1, 70_000), np.uint8), "format": "jpg"}, "65535"),
        ({"format": "bmp"}, "unknown output format"),
        ({"pixels": picture().astype(np.float32)}, "uint8 or uint16"),
        ({"pixels": np.zeros((40, 40, 4), np.uint8)}, r"\(H, W, 3\)"),
        ({"alpha": grey_picture(40, 40)}, "alpha"),
        ({"alpha": deep_grey_picture()}, "alpha"),
    ],
)
def test_what_a_format_cannot_hold_is_said(changes: dict, words: str) -> None:
    arguments = {"pixels": picture(), "format": "png"} | changes
    with pytest.raises(ConfigError, match=words):
        encode_image(arguments.pop("pixels"), **arguments)


def test_too_much_exif_for_a_jpeg_is_left_out() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    assert decode_image(encode_image(picture(), format="jpg", exif=exif.tobytes()), "photo").exif is None
    whole = decode_image(encode_image(picture(), format="png", exif=exif.tobytes()), "photo")
    assert whole.exif is not None


def test_nothing_tells_when_or_by_what_a_file_was_written() -> None:
    for format in ("tif", "png", "jpg"):
        data = encode_image(picture(), format=format, icc_profile=srgb_profile(), dpi=(300, 300))  # type: ignore[arg-type]
        assert not any(word in data.lower() for word in (b"tifffile", b"pillow", b"libpng", b"software"))
