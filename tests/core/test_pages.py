"""A TIFF of several pages: each is an image of its own, and all are one picture below each other."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile

from oldphoto_core import opening
from oldphoto_core.color import srgb_profile
from oldphoto_core.conversion import rgb_to_srgb
from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_types import DecodeLimits, OpenedImage
from oldphoto_core.images import decode_image, open_image
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.previews import preview_of
from oldphoto_core.scan import ArrayScan
from oldphoto_core.stacked_scan import cut_by_page, stack_masks, stack_pictures
from tests import icc
from tests.images import deep_grey_picture, deep_picture, grey_picture, picture, tiff, tiff_pages

RGB = {"photometric": "rgb", "metadata": None}

PAGES: list[tuple[np.ndarray, dict[str, Any]]] = [
    (deep_picture(100, 80), RGB | {"iccprofile": icc.adobe_rgb(), "resolution": (600, 600), "resolutionunit": 2,
                                   "compression": "zlib", "rowsperstrip": 10}),
    (grey_picture(60, 120), {"photometric": "minisblack", "metadata": None, "compression": "jpeg"}),
    (picture(64, 50), RGB | {"tile": (16, 16), "extratags": [(274, 3, 1, 6, True)]}),
    (picture(32, 25), RGB | {"subfiletype": 1}),  # the thumbnail of the page before
    (np.dstack([picture(40, 44), grey_picture(40, 44)]), RGB | {"extrasamples": ["unassalpha"]}),
    (deep_grey_picture(33, 200), {"photometric": "minisblack", "metadata": None}),
]  # fmt: skip


def file_of(pages: list[tuple[np.ndarray, dict[str, Any]]]) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for samples, how in pages:
            writer.write(samples, **how)
    return out.getvalue()


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A large file is read one page at a time; that gives the same."""
    if request.param == "large":
        monkeypatch.setattr(opening, "LARGE_PX", 0)
    return request.param


def opened(data: bytes, **options: Any) -> OpenedImage:
    return open_image(io.BytesIO(data), "album.tif", **options)


def whole(image: OpenedImage) -> np.ndarray:
    return image.scan.rows(0, image.scan.shape[0])


def test_each_page_is_what_a_file_of_it_alone_would_be(size: str) -> None:
    """In any order of reading."""
    image = opened(file_of(PAGES))
    full = [page for page in PAGES if page[1].get("subfiletype") is None]
    assert len(image.pages) == len(full) == 5
    for page, (samples, how) in reversed(list(zip(image.pages, full, strict=True))):
        alone = decode_image(tiff(samples, **how), "alone.tif", hashed=False)
        assert np.array_equal(whole(page), alone.pixels)
        assert page.scan.dtype == alone.pixels.dtype
        assert (page.alpha is None) == (alone.alpha is None)
        if page.alpha is not None:
            assert np.array_equal(page.alpha.rows(0, 40), alone.alpha)
        assert (page.icc_profile, page.dpi, page.facts) == (alone.icc_profile, alone.dpi, alone.facts)
    assert image.pages[2].tile_px == 16
    image.release()


def test_pages_of_several_kinds_are_shown_as_eight_bits_of_srgb(size: str) -> None:
    image = opened(file_of(PAGES), hashed=True)
    stack = whole(image)
    assert (stack.shape, stack.dtype, image.icc_profile) == ((283, 200, 3), np.uint8, srgb_profile())
    assert (stack[:100, 80:] == 128).all()
    assert np.array_equal(stack[100:160, :120], np.repeat(whole(image.pages[1])[..., None], 3, axis=2))
    assert np.array_equal(stack[160:210, :64], whole(image.pages[2]))
    by_cms = rgb_to_srgb(whole(image.pages[0]), icc.adobe_rgb()) / 257  # LittleCMS's, against our own matrices
    assert np.percentile(np.abs(stack[:100, :80] - by_cms), 95) < 2  # but for the edge of sRGB
    assert np.percentile(np.abs(whole(image.pages[0]) / 257 - by_cms), 95) > 10
    facts = image.facts
    assert (facts.height, facts.width, facts.channels, facts.bit_depth, facts.has_alpha) == (283, 200, 3, 16, True)
    assert (facts.source_mode, facts.dpi_x, facts.capture["pages"]) == ("RGB;16", 600, "5")
    assert facts.perceptual_hash == perceptual_hash(ArrayScan(stack))
    assert len(preview_of(image.scan, 64, image.icc_profile)) > 300
    pieces = [image.scan.rows(top, min(top + 7, 283)) for top in range(0, 283, 7)]
    assert np.array_equal(np.concatenate(pieces), stack)
    assert image.scan.rows(0, 0).shape == (0, 200, 3)


def test_pages_of_one_kind_keep_their_values(size: str) -> None:
    how = RGB | {"iccprofile": icc.adobe_rgb()}
    image = opened(file_of([(deep_picture(40, 50), how), (deep_picture(64, 32, seed=1), how)]))
    stack = whole(image)
    assert (stack.dtype, image.icc_profile) == (np.uint16, icc.adobe_rgb())
    assert np.array_equal(stack[:40], deep_picture(40, 50))
    assert np.array_equal(stack[40:, :32], deep_picture(64, 32, seed=1))
    assert (stack[40:, 32:] == 32_768).all()


def test_a_large_file_holds_one_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has to be decoded whole is let go of when another is read."""
    monkeypatch.setattr(opening, "LARGE_PX", 0)
    pages = [(picture(64, 64, seed), RGB | {"compression": "jpeg"}) for seed in range(6)]
    large = opened(file_of(pages))
    assert large.held_bytes == 64 * 64 * 3
    monkeypatch.undo()
    assert opened(file_of(pages)).held_bytes == 6 * 64 * 64 * 3


@pytest.mark.parametrize("packing", [{}, {"compression": "zlib"}])
def test_a_page_that_is_cut_short_is_told_by_its_number(size: str, packing: dict[str, str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    data = file_of([(picture(), RGB), (noise, RGB | packing | {"rowsperstrip": 20})])
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        second = file.pages[1]
        strip, directory = second.dataoffsets[-1], second.offset
    cut = data[: strip + 100]
    assert directory < strip  # so that the directory is there
    with pytest.raises(ImageRefused, match="truncated") as refused:
        opened(cut, hashed=True)
    assert refused.value.name == "album.tif, page 2"


def test_a_strip_that_is_broken_is_told_by_its_page(size: str) -> None:
    pages = [(picture(64, 64, seed), RGB | {"compression": "zlib", "rowsperstrip": 8}) for seed in range(3)]
    data = bytearray(file_of(pages))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        at = file.pages[1].dataoffsets[5]
    data[at : at + 8] = b"\xff" * 8
    with pytest.raises(ImageRefused) as refused:
        opened(bytes(data), hashed=True)
    assert (refused.value.name, refused.value.reason) == ("album.tif, page 2", "corrupt")


def test_a_page_that_is_not_carried_is_told_by_its_number() -> None:
    floats = np.zeros((64, 64), np.float32)
    data = file_of([(picture(), RGB), (floats, {"photometric": "minisblack", "metadata": None})])
    with pytest.raises(ImageRefused, match=r"album.tif, page 2: unsupported-mode: .*32-bit floating-point"):
        opened(data)


def test_limits_are_of_all_pages_and_the_smallest_side_of_each() -> None:
    data = tiff_pages((picture(64, 40), 0), (picture(40, 64), 0))
    assert opened(data, limits=DecodeLimits(max_pixels=104 * 64)).scan.shape == (104, 64, 3)
    with pytest.raises(ImageRefused, match="bomb"):
        opened(data, limits=DecodeLimits(max_pixels=104 * 64 - 1))
    with pytest.raises(ImageRefused, match=r"page 1: too-small"):
        opened(data, limits=DecodeLimits(min_side_px=41))


def test_a_book_is_no_photo() -> None:
    page = picture(32, 32)
    assert len(opened(tiff_pages(*[(page, 0)] * 256)).pages) == 256
    with pytest.raises(ImageRefused, match="animated: expected at most 256 pages, found more"):
        opened(tiff_pages(*[(page, 0)] * 300))


def test_thumbnails_of_any_page_are_none_themselves(size: str) -> None:
    """Those of the smaller page too."""
    recto, verso = picture(120, 200), picture(200, 90)
    data = tiff_pages((recto, 0), (picture(60, 100), 0), (verso, 0), (picture(100, 45), 0), (recto, 1))
    assert [page.scan.shape for page in opened(data).pages] == [(120, 200, 3), (200, 90, 3)]
    assert opened(tiff_pages((recto, 0), (picture(60, 100), 0))).pages == ()


def test_a_mask_painted_on_all_pages_is_cut_by_page() -> None:
    pages = [ArrayScan(grey_picture(40, 50)), ArrayScan(grey_picture(50, 33))]
    mask = np.random.default_rng(0).integers(0, 256, (90, 50)).astype(np.uint8)
    first, second = cut_by_page(ArrayScan(mask), pages)
    assert (first.shape, second.shape) == ((40, 50), (50, 33))
    assert np.array_equal(first.rows(5, 40), mask[5:40])
    assert np.array_equal(second.rows(10, 50), mask[50:, :33])
    stacked = stack_masks([first, second]).rows(0, 90)
    assert np.array_equal(stacked[:, :33], mask[:, :33])
    assert not stacked[40:, 33:].any()
    assert stack_pictures(pages, [None, None])[0].shape == (90, 50)
