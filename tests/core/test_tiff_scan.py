"""A large TIFF by rows: what it gives is what decoding it whole gives, and what it holds does not grow with it."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_types import DecodeLimits
from oldphoto_core.images import decode_image, encode_image, open_image
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.scan import ArrayScan
from oldphoto_core.tiff_scan import TiffScan
from tests import icc
from tests.core.tiffs_by_rows import (
    HEIGHT,
    KINDS,
    LAYOUTS,
    PACKING,
    WIDTH,
    assert_same,
    broken_strip,
    opened,
    samples,
    small_bands,
)
from tests.images import BAD, ODD, grey_picture, picture, rich_exif, tiff, tiff_pages


@pytest.fixture(autouse=True, scope="module")
def _small_bands() -> Iterator[None]:
    with small_bands():
        yield


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
