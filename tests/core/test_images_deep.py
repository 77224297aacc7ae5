"""Deep colour, and the master's own encoding: every bit and every profile comes through."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from oldphoto_core.color import srgb_profile
from oldphoto_core.conversion import cmyk_to_srgb, lab_to_srgb, rgb_to_srgb
from oldphoto_core.errors import ImageRefused
from oldphoto_core.images import DecodedImage, decode_image
from tests import icc
from tests.images import (
    deep_grey_picture,
    deep_picture,
    deep_png,
    deep_ppm,
    grey_picture,
    jpeg2000,
    picture,
    save,
    tiff,
)

LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def decode(data: bytes) -> DecodedImage:
    return decode_image(data, "photo")


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits", "lzma"])
@pytest.mark.parametrize(
    "layout",
    [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}, {"planarconfig": "separate"}, {"bigtiff": True}],
    ids=["one strip", "strips", "tiles", "planes", "big"],
)
def test_deep_colour_tiffs_are_exact(byteorder: str, compression: str | None, layout: dict) -> None:
    deep = deep_picture()
    stored = np.moveaxis(deep, -1, 0) if "planarconfig" in layout else deep
    predictor = {"predictor": True} if compression in ("lzw", "zlib", "zstd") else {}
    data = tiff(stored, photometric="rgb", byteorder=byteorder, compression=compression, **layout, **predictor)
    image = decode(data)
    assert image.pixels.dtype == np.dtype("=u2")
    assert np.array_equal(image.pixels, deep)
    assert (image.facts.bit_depth, image.facts.source_mode) == (16, "RGB;16")
    assert image.icc_profile == srgb_profile()


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_big_tiff_keeps_its_words_and_its_orientation(byteorder: str) -> None:
    tags = [(270, 2, None, "Hafen", True), (274, 3, 1, 3, True)]
    image = decode(tiff(deep_picture(), photometric="rgb", bigtiff=True, byteorder=byteorder, extratags=tags))
    assert np.array_equal(image.pixels, deep_picture()[::-1, ::-1])
    assert (image.facts.capture["description"], image.facts.orientation) == ("Hafen", 3)


@pytest.mark.parametrize("format", ["tiff", "png", "jpeg 2000"])
def test_deep_colour_with_alpha_is_exact(format: str) -> None:
    planes = np.dstack([deep_picture(), deep_grey_picture()])
    image = decode(
        {
            "tiff": lambda: tiff(planes, photometric="rgb", extrasamples=["unassalpha"], compression="zlib"),
            "png": lambda: deep_png(planes),
            "jpeg 2000": lambda: jpeg2000(planes),
        }[format]()
    )
    assert np.array_equal(image.pixels, planes[..., :3])
    assert image.alpha is not None
    assert np.array_equal(image.alpha, planes[..., 3])
    assert image.facts.source_mode == "RGBA;16"


def test_deep_premultiplied_colour_comes_back() -> None:
    alpha = np.maximum(deep_grey_picture(), 20_000)
    stored = np.rint(deep_picture() * (alpha[..., None] / 65_535)).astype(np.uint16)
    image = decode(tiff(np.dstack([stored, alpha]), photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(image.pixels.astype(int) - deep_picture()).max() <= 2


@pytest.mark.parametrize("encode", [deep_png, jpeg2000, deep_ppm], ids=["png", "jpeg 2000", "ppm"])
def test_deep_colour_of_other_formats_is_exact(encode: object) -> None:
    image = decode(encode(deep_picture()))  # type: ignore[operator]
    assert np.array_equal(image.pixels, deep_picture())
    assert (image.facts.bit_depth, image.facts.channels) == (16, 3)


def test_the_transparent_colour_of_a_deep_png_becomes_alpha() -> None:
    deep = deep_picture()
    clear = deep[0, 0]
    data = deep_png(deep)
    body = b"tRNS" + clear.astype(">u2").tobytes()
    chunk = (6).to_bytes(4, "big") + body + imagecodecs.zlib_crc32(body).to_bytes(4, "big")
    image = decode(data[:33] + chunk + data[33:])
    assert np.array_equal(image.pixels, deep)
    assert image.alpha is not None
    assert np.array_equal(image.alpha == 0, (deep == clear).all(axis=2))


@settings(max_examples=16, deadline=None)
@given(bits=st.integers(9, 16), colour=st.booleans(), whole=st.booleans())
def test_jpeg_2000_of_any_depth_fills_sixteen_bits(bits: int, colour: bool, whole: bool) -> None:
    largest = (1 << bits) - 1
    samples = (deep_picture() if colour else deep_grey_picture()).astype(np.uint32) * largest // 65_535
    samples = samples.astype(np.uint16)
    codec = "jp2" if whole else "j2k"
    data = imagecodecs.jpeg2k_encode(samples, level=0, codecformat=codec, reversible=True, bitspersample=bits)
    image = decode(bytes(data))
    wanted = np.rint(samples.astype(np.float64) * 65_535 / largest)
    assert np.abs(image.pixels - wanted).max() == 0
    assert (image.facts.bit_depth, image.facts.channels) == (16, 3 if colour else 1)


@pytest.mark.parametrize("largest", [1023, 4095, 65_535])
def test_pnm_of_any_depth_fills_sixteen_bits(largest: int) -> None:
    for samples in (deep_grey_picture(), deep_picture()):
        stored = np.rint(samples * (largest / 65_535)).astype(np.uint16)
        found = decode(deep_ppm(stored, largest)).pixels
        assert np.abs(found - np.rint(stored * (65_535 / largest))).max() == 0


def test_what_would_have_to_be_guessed_stays_refused() -> None:
    signed = bytearray(jpeg2000(deep_picture()))
    at = signed.index(b"\xff\x4f\xff\x51") + 42
    signed[at] |= 0x80
    yellow = jpeg2000(deep_picture()).replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x12")
    plain_text = b"P3 40 40 1023 " + b"5 " * 4800
    beyond = deep_ppm(np.full((40, 40, 3), 5000, np.uint16), 4095)
    cut = deep_ppm(deep_picture())[:-1]
    reasons = []
    for data in (bytes(signed), yellow, plain_text, beyond, cut):
        with pytest.raises(ImageRefused) as caught:
            decode(data)
        reasons.append(caught.value.reason)
    assert reasons == ["unsupported-mode"] * 3 + ["corrupt", "truncated"]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("profile", [icc.adobe_rgb, icc.prophoto, icc.tables], ids=["adobe", "prophoto", "tables"])
def test_values_and_profile_stay_those_of_the_master(deep: bool, profile: object) -> None:
    data = profile()  # type: ignore[operator]
    pixels = deep_picture() if deep else picture()
    files = [tiff(pixels, photometric="rgb", iccprofile=data)]
    if not deep:
        files += [save(pixels, "PNG", icc_profile=data), save(pixels, "WEBP", icc_profile=data, lossless=True)]
    for file in files:
        image = decode(file)
        assert np.array_equal(image.pixels, pixels)
        assert image.icc_profile == data


def test_grey_keeps_its_values_and_its_profile() -> None:
    for pixels in (grey_picture(), deep_grey_picture()):
        image = decode(tiff(pixels, iccprofile=icc.grey(1.8)))
        assert np.array_equal(image.pixels, pixels)
        assert image.icc_profile == icc.grey(1.8)


@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_without_a_way_back_is_converted_at_full_depth(deep: bool) -> None:
    pixels = deep_picture() if deep else picture()
    image = decode(tiff(pixels, photometric="rgb", iccprofile=icc.tables(back=False)))
    assert image.pixels.dtype == pixels.dtype
    assert image.icc_profile == srgb_profile()
    assert np.array_equal(image.pixels, rgb_to_srgb(pixels, icc.tables(back=False)))
    wanted = rgb_to_srgb(pixels, icc.adobe_rgb())
    assert np.abs(image.pixels.astype(int) - wanted).mean() < 0.02 * np.iinfo(pixels.dtype).max


@pytest.mark.parametrize("with_profile", [False, True])
def test_cmyk_keeps_its_depth(with_profile: bool) -> None:
    eight = np.array(Image.fromarray(picture()).convert("CMYK"))
    eight[..., 3] = 30
    profile = {"iccprofile": icc.inks()} if with_profile else {}
    shallow = decode(tiff(eight, photometric="separated", compression="zlib", **profile))
    deep = decode(tiff(eight.astype(np.uint16) * 257, photometric="separated", compression="zlib", **profile))
    assert (deep.pixels.dtype, deep.facts.source_mode) == (np.uint16, "CMYK;16")
    assert np.abs(deep.pixels / 257 - shallow.pixels).max() <= 1
    assert len(np.unique(deep.pixels % 257)) > 10  # not eight bits made wider
    assert deep.icc_profile == shallow.icc_profile == srgb_profile()
    if with_profile:
        plainly = cmyk_to_srgb(eight, None).astype(int)
        assert np.abs(shallow.pixels - plainly).mean() > 5


@pytest.mark.parametrize(("photometric", "layout"), [(8, "cie"), (9, "icc")])
@pytest.mark.parametrize("deep", [False, True])
def test_lab_tiffs_come_out_in_their_own_colours(photometric: int, layout: str, deep: bool) -> None:
    lab = imagecodecs.cms_transform(
        picture(), srgb_profile(), LAB, colorspace="rgb", outcolorspace="lab", outdtype="float32", intent=1
    )
    full, unit = ((65_280 if layout == "icc" else 65_535), 256) if deep else (255, 1)
    light = np.rint(lab[..., :1] * full / 100)
    chroma = np.rint((lab[..., 1:] + (128 if layout == "icc" else 0)) * unit)
    kind = (np.uint16 if layout == "icc" else np.int16) if deep else (np.uint8 if layout == "icc" else np.int8)
    unsigned = np.uint16 if deep else np.uint8
    stored = np.concatenate([light.astype(unsigned), chroma.astype(kind).view(unsigned)], axis=-1)
    data = tiff(stored, photometric=photometric, compression="zlib")
    image = decode(data)
    error = np.abs(image.pixels.astype(float) / (257 if deep else 1) - picture())
    assert error.max() < (0.6 if deep else 6)
    assert image.facts.source_mode == ("LAB;16" if deep else "LAB")
    assert image.icc_profile == srgb_profile()
    assert np.array_equal(image.pixels, lab_to_srgb(stored, layout=layout))  # type: ignore[arg-type]


def test_a_palette_in_wide_colours_stays_colour() -> None:
    greys = Image.fromarray(grey_picture()).convert("P")
    assert decode(save(greys, "PNG", icc_profile=icc.adobe_rgb())).icc_profile == icc.adobe_rgb()
    assert decode(save(greys, "PNG")).icc_profile is None


def test_the_hash_is_left_out_where_nobody_needs_it() -> None:
    data = tiff(deep_picture(), photometric="rgb")
    assert decode_image(data, "photo", hashed=False).facts.perceptual_hash == ""
    assert len(decode(data).facts.perceptual_hash) == 16
