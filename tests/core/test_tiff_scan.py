"""A large TIFF by rows: what it gives is what decoding it whole gives, and what it holds does not grow with it."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_types import DecodedImage, DecodeLimits, OpenedImage
from oldphoto_core.images import decode_image, encode_image, open_image
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.scan import ArrayScan
from oldphoto_core.tiff_scan import TiffScan
from tests import icc
from tests.images import BAD, ODD, deep_grey_picture, deep_picture, grey_picture, picture, rich_exif, tiff, tiff_pages

HEIGHT, WIDTH = 101, 83


@pytest.fixture(autouse=True, scope="module")
def small_bands() -> Iterator[None]:
    """Every TIFF counts as large, a band holds at least five rows, and only two bands are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oldphoto_core.opening.LARGE_PX", 0)
        patch.setattr("oldphoto_core.tiff_bands._BAND_PX", 5 * WIDTH)
        patch.setattr("oldphoto_core.tiff_scan.CACHE_BYTES", 0)
        yield


def samples(kind: str, bits: int) -> np.ndarray:
    colour = deep_picture(HEIGHT, WIDTH) if bits == 16 else picture(HEIGHT, WIDTH)
    grey = deep_grey_picture(HEIGHT, WIDTH) if bits == 16 else grey_picture(HEIGHT, WIDTH)
    planes = {
        "grey": grey,
        "grey with alpha": np.dstack([grey, grey[::-1]]),
        "rgb": colour,
        "rgba": np.dstack([colour, grey]),
        "premultiplied": np.dstack([np.minimum(colour, grey[..., None]), grey]),
        "unexplained fourth": np.dstack([colour, grey]),
        "five": np.dstack([colour, grey, grey[::-1]]),
        "cmyk": np.dstack([colour, grey]),
        "cmyk with alpha": np.dstack([colour, grey, grey[::-1]]),
        "lab": colour,
        "icc lab": colour,
    }
    return planes[kind]


KINDS: dict[str, dict[str, Any]] = {
    "grey": {"photometric": "minisblack"},
    "grey with alpha": {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
    "rgb": {"photometric": "rgb"},
    "rgba": {"photometric": "rgb", "extrasamples": ["unassalpha"]},
    "premultiplied": {"photometric": "rgb", "extrasamples": ["assocalpha"]},
    "unexplained fourth": {"photometric": "rgb", "extrasamples": ["unspecified"]},
    "five": {"photometric": "rgb", "extrasamples": ["unassalpha", "unspecified"]},
    "cmyk": {"photometric": "separated"},
    "cmyk with alpha": {"photometric": "separated", "extrasamples": ["unassalpha"]},
    "lab": {"photometric": "cielab"},
    "icc lab": {"photometric": "icclab"},
}

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "single rows": {"rowsperstrip": 1},
    "tiles": {"tile": (32, 16)},
    "wide tiles": {"tile": (16, 96)},
    "one strip": {"rowsperstrip": HEIGHT},
}

PACKING: dict[str, dict[str, Any]] = {
    "none": {},
    "lzw": {"compression": "lzw"},
    "lzw, predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib"},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "zstd, predictor": {"compression": "zstd", "predictor": True},
    "packbits": {"compression": "packbits"},
    "lzma": {"compression": "lzma"},
}


def opened(data: bytes, **options: Any) -> OpenedImage:
    return open_image(io.BytesIO(data), "photo.tif", **options)


def assert_same(data: bytes, *, by_rows: bool = True) -> OpenedImage:
    """Opens the file, compares it with what decoding it whole gives, and gives it."""
    whole = decode_image(data, "photo.tif")
    image = opened(data, hashed=True)
    assert isinstance(image.scan, TiffScan if by_rows else ArrayScan)
    assert (image.scan.shape, image.scan.dtype) == (whole.pixels.shape, whole.pixels.dtype)
    height = whole.pixels.shape[0]
    for step in (height, 11):
        for scan, wanted in ((image.scan, whole.pixels), (image.alpha, whole.alpha)):
            assert (scan is None) == (wanted is None)
            if scan is not None and wanted is not None:
                parts = [scan.rows(top, min(top + step, height)) for top in range(0, height, step)]
                assert all(part.dtype == wanted.dtype and part.flags.c_contiguous for part in parts)
                assert np.array_equal(np.concatenate(parts), wanted)
    for field in fields(whole):
        if field.name not in ("pixels", "alpha"):
            assert getattr(image, field.name) == getattr(whole, field.name), field.name
    return image


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["strips", "tiles"])
def test_every_kind_of_samples_is_read_as_whole(kind: str, bits: int, layout: str) -> None:
    assert_same(tiff(samples(kind, bits), compression="zlib", **KINDS[kind], **LAYOUTS[layout]))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packing", PACKING)
def test_every_layout_is_read_as_whole(packing: str, layout: str, bigtiff: bool, byteorder: str) -> None:
    """One strip that is compressed is decoded whole; uncompressed it is read by rows."""
    options = KINDS["rgb"] | LAYOUTS[layout] | PACKING[packing]
    for bits in (8, 16):
        data = tiff(samples("rgb", bits), bigtiff=bigtiff, byteorder=byteorder, **options)
        assert_same(data, by_rows=layout != "one strip" or packing == "none")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", ["strips", "tiles", "one strip"])
def test_min_is_white_is_inverted_by_rows(layout: str, bits: int) -> None:
    for byteorder in "<>":
        assert_same(tiff(samples("grey", bits), photometric="miniswhite", byteorder=byteorder, **LAYOUTS[layout]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["grey", "rgba", "cmyk"])
@pytest.mark.parametrize("layout", ["strips", "tiles", "one strip"])
def test_every_orientation_comes_out_upright(layout: str, kind: str, orientation: int) -> None:
    """Four of them leave rows being rows; the others are decoded whole."""
    options = KINDS[kind] | LAYOUTS[layout] | {"extratags": [(274, 3, 1, orientation, True)]}
    image = assert_same(tiff(samples(kind, 8), resolution=(300, 200), **options), by_rows=orientation <= 4)
    assert image.facts.orientation == orientation


@pytest.mark.parametrize("packing", ["none", "lzw", "deflate, predictor"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["rgb", "rgba", "cmyk"])
def test_planes_apart_are_joined_by_rows(kind: str, layout: str, packing: str) -> None:
    for bits, byteorder in ((8, "<"), (16, ">")):
        options = KINDS[kind] | LAYOUTS[layout] | PACKING[packing] | {"byteorder": byteorder}
        data = tiff(np.moveaxis(samples(kind, bits), -1, 0), planarconfig="separate", **options)
        assert_same(data, by_rows=layout != "one strip" or packing == "none")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_predictor_without_compression_means_nothing(bits: int) -> None:
    """As libtiff has it, which Pillow reads with."""
    pixels = samples("rgb", bits)
    for layout in ("strips", "one strip"):
        data = tiff(pixels, photometric="rgb", extratags=[(65000, 3, 1, 2, True)], **LAYOUTS[layout])
        data = data.replace(struct.pack("<HHI", 65000, 3, 1), struct.pack("<HHI", 317, 3, 1))
        assert np.array_equal(decode_image(data, "photo.tif").pixels, pixels)
        assert_same(data)
        assert bits == 16 or np.array_equal(np.array(Image.open(io.BytesIO(data))), pixels)


def test_bits_the_other_way_round_are_decoded_whole() -> None:
    turned = imagecodecs.bitorder_decode(samples("rgb", 8))
    data = tiff(turned, photometric="rgb", rowsperstrip=7, extratags=[(65000, 3, 1, 2, True)])
    data = data.replace(struct.pack("<HHI", 65000, 3, 1), struct.pack("<HHI", 266, 3, 1))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages[0].aspage().fillorder == 2
    assert np.array_equal(decode_image(data, "photo.tif").pixels, samples("rgb", 8))
    assert_same(data, by_rows=False)


@pytest.mark.parametrize("kind", ["rgb", "cmyk"])
def test_profiles_that_do_not_come_back_are_converted_by_rows(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """And what is broken is taken as it is, by rows as whole; the log says so once, not for every band."""
    cut = icc.tables(back=False)[:-4000] if kind == "rgb" else icc.inks()[:-4000]
    for profile in (icc.tables(back=False), icc.inks(), cut, b"not a profile"):
        data = tiff(samples(kind, 16), rowsperstrip=7, iccprofile=profile, **KINDS[kind])
        is_kept = assert_same(data).icc_profile == profile
        assert not (is_kept and profile in (icc.tables(back=False), icc.inks()))
        caplog.clear()
        opened(data, hashed=True)
        assert len([one for one in caplog.records if one.levelname == "WARNING"]) <= 1


@pytest.mark.parametrize(
    "options", [{"rowsperstrip": 20}, {"planarconfig": "separate"}, {"planarconfig": "separate", "rowsperstrip": 20}]
)
def test_strips_may_stand_in_any_order(options: dict[str, Any]) -> None:
    """With gaps between them, as editors leave them."""
    pixels = samples("rgb", 16)
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    data = bytearray(tiff(stored, photometric="rgb", **options))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        tag, offsets, counts = page.tags[273], page.dataoffsets, page.databytecounts
    moved = []
    for at, count in reversed(list(zip(offsets, counts, strict=True))):
        moved.insert(0, len(data) + 6)
        data += b"a gap." + data[at : at + count]
    struct.pack_into(f"<{len(moved)}I", data, tag.valueoffset, *moved)
    assert np.array_equal(decode_image(bytes(data), "a.tif").pixels, pixels)
    assert_same(bytes(data))


def test_words_and_packets_are_those_of_the_whole() -> None:
    data = encode_image(samples("rgb", 16), format="tif", exif=rich_exif(), dpi=(300, 240))
    image, whole = opened(data, hashed=True), decode_image(data, "photo.tif")
    assert (image.facts, image.exif, image.dpi) == (whole.facts, whole.exif, whole.dpi)
    assert image.facts.capture["description"] == "Großmutter, 1931"
    extras = [(700, 7, 7, b"<xmp/>\0", True), (33723, 7, 8, b"\x1c\x02\x05\0\x03abc", True)]
    image = assert_same(tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7, extratags=extras))
    assert (image.xmp, image.iptc) == (b"<xmp/>", b"\x1c\x02\x05\0\x03abc")


BULK = 40 << 20

READ_WORDS = """
import sys, tracemalloc
from oldphoto_core.images import open_image
open_image(open(sys.argv[1], "rb"), "small.tif")
tracemalloc.start()
with open(sys.argv[2], "rb") as file, open_image(file, "large.tif") as image:
    print(image.facts.capture["make"], image.facts.orientation, tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize(("byteorder", "bigtiff"), [("<", False), (">", False), ("<", True), (">", True)])
def test_photoshop_s_layers_are_passed_over(tmp_path: Path, byteorder: str, bigtiff: bool) -> None:
    """They may be larger than the photo itself; words beside them are read."""
    small, large = tmp_path / "small.tif", tmp_path / "large.tif"
    tags = [(271, 2, 0, "Phase One", True), (274, 3, 1, 3, True), (37724, 7, BULK, bytes(BULK), True)]
    options = {"photometric": "rgb", "rowsperstrip": 64, "byteorder": byteorder, "bigtiff": bigtiff}
    large.write_bytes(tiff(np.zeros((4001, 4000, 3), np.uint8), extratags=tags, **options))
    small.write_bytes(tiff(np.zeros((64, 64, 3), np.uint8), **options))
    done = subprocess.run(
        [sys.executable, "-c", READ_WORDS, str(small), str(large)], capture_output=True, text=True, check=True
    )
    *words, peak = done.stdout.split()
    assert words == ["Phase", "One", "3"]
    assert int(peak) < BULK / 4


@pytest.mark.parametrize("name", sorted(set(ODD) - {"fax.tif"}))
def test_any_file_can_be_opened(name: str) -> None:
    """What is no TIFF, and a TIFF of other kinds, is decoded at once."""
    data = ODD[name]()
    image, whole = open_image(io.BytesIO(data), name, hashed=True), decode_image(data, name)
    assert np.array_equal(image.scan.rows(0, image.scan.shape[0]), whole.pixels)
    assert (image.facts, image.icc_profile) == (whole.facts, whole.icc_profile)


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_whole_is_refused_by_rows(name: str) -> None:
    with pytest.raises(ImageRefused) as whole:
        decode_image(BAD[name][1](), name)
    with pytest.raises(ImageRefused) as by_rows:
        open_image(io.BytesIO(BAD[name][1]()), name, hashed=True)
    assert str(by_rows.value) == str(whole.value)


@given(
    kind=st.sampled_from(["grey", "rgba", "cmyk", "lab"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    orientation=st.integers(1, 4),
    ranges=st.lists(st.tuples(st.integers(0, HEIGHT), st.integers(0, HEIGHT), st.booleans()), max_size=8),
)
def test_rows_may_be_asked_for_in_any_order(
    kind: str, layout: str, orientation: int, ranges: list[tuple[int, int, bool]]
) -> None:
    """And overlapping, empty, of the pixels and of the alpha in turn."""
    packing = {} if layout == "one strip" else {"compression": "zlib"}
    options = KINDS[kind] | LAYOUTS[layout] | packing | {"extratags": [(274, 3, 1, orientation, True)]}
    data = tiff(samples(kind, 8), **options)
    whole, image = decode_image(data, "photo.tif"), opened(data)
    assert isinstance(image.scan, TiffScan)
    for one, other, is_alpha in ranges:
        top, bottom = sorted((one, other))
        if is_alpha and image.alpha is not None and whole.alpha is not None:
            assert np.array_equal(image.alpha.rows(top, bottom), whole.alpha[top:bottom])
        assert np.array_equal(image.scan.rows(top, bottom), whole.pixels[top:bottom])
        assert image.scan.rows(top, bottom).shape == whole.pixels[top:bottom].shape


FUZZED: dict[str, bytes] = {
    f"{kind} {layout} {packing}": tiff(samples(kind, bits), byteorder=order, **KINDS[kind], **layouts, **packings)
    for kind, bits, order in (("grey", 16, ">"), ("rgba", 8, "<"), ("cmyk", 8, "<"))
    for layout, layouts in (("strips", {"rowsperstrip": 20}), ("tiles", {"tile": (32, 48)}), ("one strip", {}))
    for packing, packings in (("none", {}), ("deflate", {"compression": "zlib", "predictor": True}))
} | {
    f"planes apart {packing}": tiff(
        np.moveaxis(samples("rgb", 8), -1, 0), photometric="rgb", planarconfig="separate", rowsperstrip=20, **options
    )
    for packing, options in (("none", {}), ("deflate", {"compression": "zlib"}))
}


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(FUZZED)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5),
    where=st.sampled_from(["head", "anywhere", "tail"]),
    kept=st.sampled_from([1.0, 1.0, 0.99, 0.5]),
)
def test_damaged_files_fare_as_they_do_when_decoded_whole(
    name: str, changes: list[tuple[float, int]], where: str, kept: float
) -> None:
    """Refused for the same reason, or of the same values."""
    damaged = bytearray(FUZZED[name])
    reach = min(len(damaged), 400) if where != "anywhere" else len(damaged)
    for share, value in changes:
        at = int(reach * share)
        damaged[at if where != "tail" else len(damaged) - 1 - at] = value
    data = bytes(damaged[: int(len(damaged) * kept)])
    limits = DecodeLimits(max_pixels=1_000_000)
    found: list[OpenedImage | DecodedImage | str] = []
    for read in (lambda: decode_image(data, name, limits), lambda: opened(data, limits=limits, hashed=True)):
        try:
            found.append(read())
        except ImageRefused as refused:
            found.append(refused.reason)
    whole, image = found
    if isinstance(whole, DecodedImage) and isinstance(image, OpenedImage):
        assert image.facts == whole.facts
        assert np.array_equal(image.scan.rows(0, image.scan.shape[0]), whole.pixels)
    else:
        assert image == whole


@pytest.mark.parametrize("layout", ["strips", "single rows", "tiles"])
def test_strips_are_decoded_in_threads_where_there_are_cores(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same values, and a broken one is found."""
    monkeypatch.setattr("oldphoto_core.tiff_bands.usable_cores", lambda: 8)
    data = tiff(samples("rgb", 16), photometric="rgb", compression="zlib", predictor=True, **LAYOUTS[layout])
    image = assert_same(data)
    image.scan.rows(0, HEIGHT)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("oldphoto-tiff")]
    damaged = broken_strip(data, 5, lambda data, at, count: data.__setitem__(slice(at, at + count), b"\x55" * count))
    with pytest.raises(ImageRefused, match="corrupt"):
        opened(damaged, hashed=True)
    image.release()


def test_threads_may_read_the_same_scan(tmp_path: Path) -> None:
    """From one open file, whose place they share."""
    pixels = samples("rgba", 16)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pixels, compression="zlib", **KINDS["rgba"], **LAYOUTS["strips"]))
    with path.open("rb") as file, open_image(file, "a.tif") as image, ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)
        alpha = image.alpha
        assert alpha is not None

        def read(first: int) -> bool:
            start.wait(10)
            tops = [*range(first, HEIGHT, 3), *range(first)]
            return all(
                np.array_equal(image.scan.rows(top, top + 5), pixels[top : top + 5, :, :3])
                and np.array_equal(alpha.rows(top, top + 1), pixels[top : top + 1, :, 3])
                for top in tops
            )

        assert list(pool.map(read, range(4))) == [True] * 4


def broken_strip(data: bytes, strip: int, change: Callable[[bytearray, int, int], None]) -> bytes:
    damaged = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        change(damaged, page.dataoffsets[strip], page.databytecounts[strip])
    return bytes(damaged)


def test_a_broken_strip_is_found_when_its_rows_are_read() -> None:
    """With the file's name, and for the reason that decoding it whole gives; rows of other strips can be had."""

    def garble(data: bytearray, at: int, count: int) -> None:
        data[at : at + count] = b"\x55" * count

    for compression in ("zlib", "lzw", "zstd", "lzma"):
        data = tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7, compression=compression)
        damaged = broken_strip(data, 9, garble)
        with pytest.raises(ImageRefused) as whole:
            decode_image(damaged, "album/a.tif")
        image = open_image(io.BytesIO(damaged), "album/a.tif")
        assert np.array_equal(image.scan.rows(0, 63), samples("rgb", 8)[:63])
        with pytest.raises(ImageRefused, match=r"album/a\.tif") as by_rows:
            image.scan.rows(60, 70)
        assert np.array_equal(image.scan.rows(70, HEIGHT), samples("rgb", 8)[70:])
        with pytest.raises(ImageRefused) as hashed:
            open_image(io.BytesIO(damaged), "album/a.tif", hashed=True)
        assert by_rows.value.reason == hashed.value.reason == whole.value.reason, compression


def test_a_file_that_is_cut_while_it_is_open_is_truncated(tmp_path: Path) -> None:
    for options in ({}, {"compression": "zlib"}):
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7, **options))
        with path.open("rb") as file:
            image = open_image(file, "a.tif")
            os.truncate(path, path.stat().st_size // 2)
            with pytest.raises(ImageRefused) as caught:
                image.scan.rows(HEIGHT - 5, HEIGHT)
        assert caught.value.reason == "truncated"


def test_a_page_that_lists_too_few_strips_is_truncated() -> None:
    """Its last rows would be whatever was in memory before."""
    data = bytearray(tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7, compression="zlib"))
    for tag in (273, 279):
        at = next(at for at in range(8, len(data) - 12) if struct.unpack_from("<H", data, at)[0] == tag
                  and struct.unpack_from("<I", data, at + 4)[0] == 15)  # fmt: skip
        struct.pack_into("<I", data, at + 4, 14)
    for read in (lambda: decode_image(bytes(data), "a.tif"), lambda: opened(bytes(data))):
        with pytest.raises(ImageRefused, match="14 of 15 strips") as caught:
            read()
        assert caught.value.reason == "truncated"


class FailingDisk(io.FileIO):
    """A file on a network share that is gone after so many bytes."""

    good_bytes = 1 << 30

    def readinto(self, buffer: Any) -> int:
        if self.tell() > self.good_bytes:
            raise OSError(5, "Input/output error")
        return super().readinto(buffer)

    def read(self, size: int = -1) -> bytes:
        if self.tell() > self.good_bytes:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_disk_that_fails_says_nothing_of_the_photo(tmp_path: Path) -> None:
    for options in ({}, {"compression": "zlib"}):
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7, **options))
        with FailingDisk(path) as file:
            image = open_image(file, "a.tif")
            file.good_bytes = path.stat().st_size // 2
            with pytest.raises(OSError, match="Input/output error"):
                image.scan.rows(0, HEIGHT)
            with pytest.raises(OSError, match="Input/output error"):
                file.good_bytes = 0
                open_image(file, "a.tif")


def test_limits_hold_before_anything_is_read() -> None:
    data = tiff(samples("rgb", 8), photometric="rgb", rowsperstrip=7)
    with pytest.raises(ImageRefused, match="bomb"):
        opened(data, limits=DecodeLimits(max_pixels=HEIGHT * WIDTH - 1))
    assert opened(data).facts.perceptual_hash == ""
    with pytest.raises(ImageRefused, match="2 pages that are 96 x 72 pixels"):
        opened(tiff_pages((picture(seed=1), 0), (picture(seed=2), 0)), limits=DecodeLimits(max_pixels=96 * 72 - 1))


@given(st.integers(32, 1100), st.integers(32, 1100), st.sampled_from([1, 3]), st.sampled_from([8, 16]))
def test_the_perceptual_hash_by_rows_is_that_of_the_whole(height: int, width: int, channels: int, bits: int) -> None:
    """As Pillow makes it of a whole picture: grey, then means over boxes."""
    import imagehash

    eight = picture(height, width) if channels == 3 else grey_picture(height, width)
    pixels = eight if bits == 8 else eight.astype(np.uint16) * 257
    grey = Image.fromarray(eight).convert("L")
    wanted = str(imagehash.phash(grey.reduce(max(1, max(grey.size) // 256))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oldphoto_core.perceptual._BLOCK_PX", 5000)
        assert perceptual_hash(ArrayScan(pixels)) == wanted


READ_THROUGH = """
import sys
from pathlib import Path
from oldphoto_core.images import open_image

def peak():  # not ru_maxrss, in which the parent counts too
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

open_image(open(sys.argv[1], "rb"), "small.tif", hashed=True)  # so that all libraries are loaded
before = peak()
with open(sys.argv[2], "rb") as file, open_image(file, "large.tif", hashed=True) as image:
    height = image.scan.shape[0]
    for top in range(0, height, 512):
        image.scan.rows(max(0, top - 64), min(top + 512, height))
print(peak() - before, image.held_bytes / 2**20)
"""


PACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: lambda strip: strip,
    "zlib": lambda strip: zlib.compress(strip, 1),
    "lzw": lambda strip: bytes(imagecodecs.lzw_encode(strip)),
}


def large_tiff(path: Path, height: int, width: int, compression: str | None = None) -> None:
    """A 16-bit RGB TIFF with noise in its low bits, written strip by strip."""
    strip = PACK[compression](deep_picture(100, width).tobytes())
    tifffile.imwrite(
        path, (strip for _ in range(0, height, 100)), shape=(height, width, 3), dtype=np.uint16, photometric="rgb",
        rowsperstrip=100, compression=compression, metadata=None,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak of memory without /proc")
@pytest.mark.parametrize(
    ("megapixels", "compression"),
    [(30, "zlib"), pytest.param(100, None, marks=pytest.mark.slow), pytest.param(100, "lzw", marks=pytest.mark.slow)],
)
def test_memory_does_not_grow_with_the_scan(tmp_path: Path, megapixels: int, compression: str | None) -> None:
    """Less than 160 MiB for a scan of 180 or 600 MB, by a process that reads it twice: for the hash, and in bands."""
    large_tiff(tmp_path / "small.tif", 1000, 1000)
    large_tiff(tmp_path / "large.tif", megapixels * 100, 10_000, compression=compression)
    done = subprocess.run(
        [sys.executable, "-c", READ_THROUGH, str(tmp_path / "small.tif"), str(tmp_path / "large.tif")],
        capture_output=True, text=True, timeout=300, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    grown, held = map(float, done.stdout.split())
    assert grown < 160, (grown, held)
    assert held < 80
