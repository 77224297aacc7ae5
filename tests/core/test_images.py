"""Decoding: what is carried, and rightly."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from oldphoto_core.color import profile_name, srgb_profile
from oldphoto_core.images import DecodedImage, decode_image, encode_image
from tests.images import (
    HEIGHT,
    ODD,
    WIDTH,
    cmyk_jpeg,
    deep_grey_picture,
    deep_png,
    grey_picture,
    jpeg2000,
    picture,
    save,
    tiff,
    tiff_pages,
    turned_jpeg,
)


def decode(data: bytes) -> DecodedImage:
    return decode_image(data, "photo")


def error(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_carried(name: str) -> None:
    image = decode_image(ODD[name](), name)
    pixels = image.pixels
    assert pixels.dtype in (np.uint8, np.uint16)
    assert pixels.flags.c_contiguous
    assert pixels.shape[:2] == (image.facts.height, image.facts.width)
    assert pixels.ndim == (2 if image.facts.channels == 1 else 3)
    assert image.facts.bit_depth == 8 * pixels.itemsize
    assert image.facts.has_alpha == (image.alpha is not None)
    assert len(image.facts.perceptual_hash) == 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_comes_out_upright(orientation: int) -> None:
    image = decode(turned_jpeg(orientation))
    assert image.pixels.shape == (HEIGHT, WIDTH, 3)
    assert error(image.pixels, picture()) < 2
    assert image.facts.orientation == orientation
    assert image.dpi == ((300, 200) if orientation < 5 else (200, 300))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("deep", "compression"), [(False, "zlib"), (True, None), (False, "jpeg")])
def test_every_orientation_of_a_tiff_comes_out_upright(orientation: int, deep: bool, compression: str | None) -> None:
    upright = deep_grey_picture() if deep else grey_picture()
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    stored = np.ascontiguousarray(turned)
    image = decode(tiff(stored, compression=compression, extratags=[(274, 3, 1, orientation, True)]))
    assert image.pixels.shape == upright.shape
    assert error(image.pixels, upright) < (3 if compression == "jpeg" else 1e-9)


def test_cmyk_comes_out_in_its_own_colours() -> None:
    image = decode(cmyk_jpeg())
    assert image.facts.source_mode == "CMYK"
    assert error(image.pixels, picture()) < 6


def test_cmyk_tiff_equals_pillow() -> None:
    cmyk = Image.fromarray(picture()).convert("CMYK")
    image = decode(tiff(np.array(cmyk), photometric="separated", compression="zlib"))
    assert (image.facts.source_mode, image.facts.channels) == ("CMYK", 3)
    assert np.array_equal(image.pixels, np.array(cmyk.convert("RGB")))


def test_palette_is_expanded() -> None:
    indexed = Image.fromarray(picture()).quantize(64)
    image = decode(save(indexed, "PNG"))
    assert np.array_equal(image.pixels, np.array(indexed.convert("RGB")))
    assert (image.facts.source_mode, image.facts.bit_depth) == ("P", 8)


def test_a_palette_of_greys_becomes_grey() -> None:
    image = decode(save(Image.fromarray(grey_picture()).convert("P"), "PNG"))
    assert np.array_equal(image.pixels, grey_picture())


def test_palette_transparency_becomes_alpha() -> None:
    indexed = Image.fromarray(picture()).quantize(64)
    image = decode(save(indexed, "PNG", transparency=3))
    assert image.alpha is not None
    assert np.array_equal(image.alpha, np.where(np.array(indexed) == 3, 0, 255))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(format: str) -> None:
    bits = Image.fromarray(grey_picture()).convert("1")
    image = decode(save(bits, format))
    assert np.array_equal(image.pixels, np.array(bits) * np.uint8(255))


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_alpha_is_kept_beside(channels: int, format: str) -> None:
    alpha = grey_picture(seed=3)
    pixels = grey_picture() if channels == 2 else picture()
    image = decode(save(np.dstack([pixels, alpha]), format))
    assert np.array_equal(image.pixels, pixels)
    assert image.alpha is not None
    assert np.array_equal(image.alpha, alpha)


def test_transparent_colour_of_a_png_becomes_alpha() -> None:
    pixels = picture()
    clear = tuple(int(v) for v in pixels[0, 0])
    image = decode(save(pixels, "PNG", transparency=clear))
    assert image.alpha is not None
    assert np.array_equal(image.alpha == 0, (pixels == pixels[0, 0]).all(axis=2))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_deep_grey_tiff_is_exact(byteorder: str, photometric: str, compression: str | None) -> None:
    deep = deep_grey_picture()
    stored = 65_535 - deep if photometric == "miniswhite" else deep
    image = decode(tiff(stored, byteorder=byteorder, photometric=photometric, compression=compression))
    assert image.pixels.dtype == np.dtype("=u2")
    assert np.array_equal(image.pixels, deep)


def test_deep_grey_with_alpha_is_exact() -> None:
    planes = np.dstack([deep_grey_picture(), deep_grey_picture()[::-1]])
    files = [deep_png(planes), jpeg2000(planes), tiff(planes, photometric="minisblack", extrasamples=["unassalpha"])]
    for data in files:
        image = decode(data)
        assert image.alpha is not None
        assert np.array_equal(np.dstack([image.pixels, image.alpha]), planes)


@pytest.mark.parametrize("encode", [deep_png, jpeg2000], ids=["png", "jpeg 2000"])
def test_deep_grey_keeps_its_low_bits(encode: object) -> None:
    assert np.array_equal(decode(encode(deep_grey_picture())).pixels, deep_grey_picture())  # type: ignore[operator]


def test_deep_grey_pgm_is_exact() -> None:
    header = f"P5\n# a comment\n{WIDTH} {HEIGHT}\n65535\n".encode()
    assert np.array_equal(decode(header + deep_grey_picture().astype(">u2").tobytes()).pixels, deep_grey_picture())


def test_big_tiff_and_separate_planes_and_tiles() -> None:
    pixels = np.repeat(np.repeat(picture(), 2, axis=0), 2, axis=1)
    for options in ({"bigtiff": True}, {"planarconfig": "separate"}, {"tile": (32, 32)}):
        stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
        assert np.array_equal(decode(tiff(stored, photometric="rgb", **options)).pixels, pixels), options


def test_pixels_of_an_srgb_profile_are_not_touched() -> None:
    image = decode(save(picture(), "PNG", icc_profile=srgb_profile()))
    assert np.array_equal(image.pixels, picture())
    assert image.icc_profile == srgb_profile()


def test_colour_without_a_profile_is_taken_for_srgb_and_says_so() -> None:
    image = decode(save(picture(), "PNG"))
    assert image.icc_profile == srgb_profile()
    assert image.facts.icc_profile_name is None


def test_lab_profile_on_rgb_pixels_is_passed_over() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = decode(save(picture(), "PNG", icc_profile=lab))
    assert np.array_equal(image.pixels, picture())
    assert image.icc_profile == srgb_profile()


def test_a_broken_profile_does_not_stop_the_photo() -> None:
    image = decode(save(picture(), "PNG", icc_profile=b"not a profile"))
    assert image.facts.icc_profile_name == "unreadable"
    assert np.array_equal(image.pixels, picture())


def test_jp2_profile_is_found() -> None:
    data = jpeg2000(picture())
    at = data.index(b"colr") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    header = data.index(b"jp2h") - 4
    box = b"colr\2\0\0" + srgb_profile()
    box = (len(box) + 4).to_bytes(4, "big") + box
    outer = int.from_bytes(data[header : header + 4], "big") + len(box) - length
    data = data[:header] + outer.to_bytes(4, "big") + data[header + 4 : at] + box + data[at + length :]
    assert decode(data).facts.icc_profile_name == profile_name(srgb_profile())


def test_thumbnails_beside_a_photo_are_no_pages() -> None:
    large = picture(96, 144)
    marked = tiff_pages((large, 0), (picture(48, 72), 1))
    unmarked = tiff_pages((large, 0), (picture(48, 72), 0))
    thumbnail_first = tiff_pages((picture(48, 72), 1), (large, 0))
    for data in (marked, unmarked, thumbnail_first):
        assert np.array_equal(decode(data).pixels, large)


def test_the_first_picture_of_an_mpo_is_read() -> None:
    preview = Image.fromarray(picture(24, 36))
    data = save(Image.fromarray(picture()), "MPO", save_all=True, append_images=[preview], quality=95, subsampling=0)
    image = decode(data)
    assert error(image.pixels, picture()) < 2
    assert image.facts.format in ("jpeg", "mpo")


def test_capture_words_are_read_and_cleaned() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Leitz\0\0 "
    exif[0x010E] = "Hochzeit in München\nSaal 2".encode()
    exif.get_ifd(0x8769)[0x9003] = "1987:06:05 04:03:02"
    block = exif.tobytes()
    files = {format: save(picture(), format, exif=block) for format in ("JPEG", "PNG", "WEBP")}
    files["TIFF"] = encode_image(picture(), format="tif", exif=block)  # Pillow would write "?" for the umlaut
    for format, data in files.items():
        words = decode(data).facts.capture
        assert words["make"] == "Leitz", format
        assert words["date_original"] == "1987:06:05 04:03:02", format
        assert words["description"] == "Hochzeit in München Saal 2", format


def test_resolution_is_not_made_up() -> None:
    assert decode(save(picture(), "JPEG")).dpi is None
    exif = Image.Exif()
    exif[0x010F] = "Leitz"
    assert decode(save(picture(), "JPEG", exif=exif)).dpi is None
    assert decode(tiff(picture(), photometric="rgb")).dpi is None
    assert decode(tiff(picture(), photometric="rgb", resolution=(100, 200), resolutionunit=3)).dpi == (254, 508)


def test_the_perceptual_hash_sees_pictures_not_files() -> None:
    photo = picture(240, 320)
    one = int(decode(save(photo, "PNG")).facts.perceptual_hash, 16)
    same = int(decode(save(photo, "JPEG", quality=60)).facts.perceptual_hash, 16)
    turned = int(decode(turned_jpeg(6, photo)).facts.perceptual_hash, 16)
    other = int(decode(save(photo[::-1], "PNG")).facts.perceptual_hash, 16)
    assert (one ^ same).bit_count() <= 4
    assert (one ^ turned).bit_count() <= 4
    assert (one ^ other).bit_count() > 16


def test_no_warning_reaches_the_host_program(caplog: pytest.LogCaptureFixture) -> None:
    broken_exif = save(picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x99" * 30)
    indexed = save(Image.fromarray(picture()).quantize(8), "PNG", transparency=bytes([0, 128, 255]))
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        warnings.simplefilter("error")
        before = list(warnings.filters)
        decode(broken_exif)
        decode(indexed)
        decode(tiff(picture(), photometric="rgb", extratags=[(65000, 2, None, "x" * 40, True)]))
        assert warnings.filters == before
    assert caplog.records == []


def test_our_own_limit_holds_and_not_that_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for format in ("PNG", "JPEG", "TIFF", "BMP"):
        assert decode(save(picture(), format)).pixels.shape == (HEIGHT, WIDTH, 3)


def test_importing_images_is_cheap() -> None:
    heavy = {"torch", "dask", "cv2", "tifffile", "imagecodecs", "scipy", "imagehash", "skimage"}
    program = f"import sys, oldphoto_core.images, oldphoto_core.previews; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_decoding_leaves_the_bytes_alone_and_reads_from_memory() -> None:
    data = save(picture(), "JPEG")
    assert np.array_equal(decode(data).pixels, np.array(Image.open(io.BytesIO(data))))
