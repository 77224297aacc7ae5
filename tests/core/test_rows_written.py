"""Files written from rows: the same bytes whatever the blocks, second readers agree, and little is held at once."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oldphoto_core import png_writing, row_pieces, tiff_writing
from oldphoto_core.encoding import OutputFormat, encode_image, write_image
from oldphoto_core.errors import ConfigError
from oldphoto_core.images import decode_image
from oldphoto_core.machine import own_threads
from oldphoto_core.packets import Packets
from oldphoto_core.png_writing import write_png
from oldphoto_core.row_pieces import rows_at_once
from oldphoto_core.scan import ArrayScan
from oldphoto_core.tiff_writing import write_tiff
from tests.images import deep_picture, grey_picture, picture, rich_exif
from tests.strategies import pictures


class CountingScan(ArrayScan):
    """A scan that keeps the numbers of rows it was asked for."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(pixels)
        object.__setattr__(self, "asked", [])

    def rows(self, top: int, bottom: int) -> np.ndarray:
        self.asked.append(bottom - top)
        return super().rows(top, bottom)


@contextmanager
def small_pieces(read_pixels: int = 400, threads: int = 2) -> Iterator[None]:
    """Pieces and strips of a few rows, so that a small picture has many of them."""
    before = own_threads()
    cv2.setNumThreads(threads)
    try:
        with (
            patch.object(row_pieces, "READ_PIXELS", read_pixels),
            patch.object(png_writing, "PIECE_BYTES", 1500),
            patch.object(tiff_writing, "STRIP_BYTES", 1500),
        ):
            yield
    finally:
        cv2.setNumThreads(before)


def planes_of(samples: int, dtype: type, height: int = 53, width: int = 47) -> np.ndarray:
    """Gives a photo-like picture of 1 to 4 samples, 16-bit ones with noise in their lower bytes."""
    one = np.dstack([picture(height, width), grey_picture(height, width)])[..., 4 - samples :]
    noise = np.random.default_rng(7).integers(0, 200, one.shape, dtype=np.uint16)
    planes = one if dtype == np.uint8 else one.astype(np.uint16) * 256 + noise
    return np.ascontiguousarray(planes[..., 0] if samples == 1 else planes)


def written(pixels: np.ndarray, format: OutputFormat, **how: object) -> bytes:
    out = io.BytesIO()
    write_image(out, ArrayScan(pixels), format=format, **how)  # type: ignore[arg-type]
    return out.getvalue()


@settings(max_examples=40)
@given(
    pixels=pictures(),
    format=st.sampled_from(["tif", "png"]),
    with_alpha=st.booleans(),
    tile_px=st.sampled_from([None, 16, 32]),
    read_pixels=st.integers(1, 5000),
    threads=st.integers(1, 4),
)
def test_rows_in_any_block_and_any_threads_give_the_same_bytes(
    pixels: np.ndarray, format: OutputFormat, with_alpha: bool, tile_px: int | None, read_pixels: int, threads: int
) -> None:
    alpha = ArrayScan(pixels if pixels.ndim == 2 else pixels[..., 1]) if with_alpha else None
    how = {"alpha": alpha, "tile_px": tile_px, "exif": rich_exif()}
    with small_pieces(100_000, threads=1):
        wanted = written(pixels, format, **how)
    with small_pieces(read_pixels, threads):
        assert written(pixels, format, **how) == wanted


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_second_readers_of_png_see_every_pixel(samples: int, dtype: type) -> None:
    planes, out = planes_of(samples, dtype), io.BytesIO()
    with small_pieces():
        write_png(out, ArrayScan(planes))
    assert np.array_equal(imagecodecs.png_decode(out.getvalue()), planes)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        seen = np.array(image)
    if dtype == np.uint8 or samples == 1:  # Pillow cuts deep colour to 8 bits
        assert np.array_equal(seen, planes)


def test_every_filter_of_png_is_chosen_where_it_fits_best() -> None:
    """And undone again by another's reader."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, 200, dtype=np.uint8)
    ramp = np.cumsum(rng.integers(0, 9, 200)).astype(np.uint8)
    down = np.array([noise, noise, np.zeros(200), ramp], np.uint8)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (60, 200), dtype=np.uint8), (0, 0), 1.5)
    slope = np.add.outer(np.cumsum(rng.integers(0, 12, 60)), np.cumsum(rng.integers(0, 12, 200))).astype(np.uint8)
    pixels, out = np.concatenate([down, smooth, slope]), io.BytesIO()
    write_png(out, ArrayScan(pixels))
    data = out.getvalue()
    at = data.index(b"IDAT")
    (size,) = struct.unpack_from(">I", data, at - 4)
    rows = np.frombuffer(zlib.decompressobj().decompress(data[at + 4 : at + 4 + size]), np.uint8)
    assert set(rows.reshape(len(pixels), 201)[:, 0]) == {0, 1, 2, 3, 4}
    assert np.array_equal(imagecodecs.png_decode(data), pixels)


def test_png_is_as_small_as_libpngs() -> None:
    rng = np.random.default_rng(2)
    photo = cv2.GaussianBlur(picture(700, 900), (0, 0), 1) // 2 + rng.integers(0, 12, (700, 900, 3), dtype=np.uint8)
    mask = cv2.GaussianBlur((rng.random((700, 900)) > 0.999).astype(np.float32), (0, 0), 2)
    for pixels in (photo, np.rint(mask / mask.max() * 255).astype(np.uint8)):
        assert len(encode_image(pixels, format="png")) < 1.01 * len(imagecodecs.png_encode(pixels, level=6))


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile_px", [None, 16, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_is_what_tifffile_writes_of_the_whole(samples: int, dtype: type, tile_px: int | None, order: str) -> None:
    planes, out, whole = planes_of(samples, dtype), io.BytesIO(), io.BytesIO()
    tifffile.imwrite(
        whole,
        planes,
        byteorder=order,
        rowsperstrip=None if tile_px else 1500 // (planes.nbytes // len(planes)),
        tile=(tile_px, tile_px) if tile_px else None,
        photometric="rgb" if samples > 2 else "minisblack",
        planarconfig="contig" if samples > 1 else None,
        extrasamples=["unassalpha"] if samples in (2, 4) else None,
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
    )
    empty = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIHI", 42, 8, 0, 0)  # it sets the byte order
    with small_pieces():
        write_tiff(out, ArrayScan(planes), packets=Packets(exif=empty), tile_px=tile_px)
    assert out.getvalue() == whole.getvalue()


def test_a_tiled_derivative_has_the_tiles_asked_for() -> None:
    pixels = deep_picture()
    with tifffile.TiffFile(io.BytesIO(written(pixels, "tif", tile_px=32, exif=rich_exif()))) as file:
        assert (file.pages[0].tilelength, file.pages[0].tilewidth) == (32, 32)
        assert np.array_equal(file.asarray(), pixels)
    for side_px in (8, 40, 0):
        with pytest.raises(ConfigError, match=f"multiple of 16 pixels, found {side_px}"):
            written(pixels, "tif", tile_px=side_px)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("format", ["tif", "png", "jpg"])
def test_a_file_holds_what_memory_would(format: OutputFormat, big: bool, tmp_path: Path) -> None:
    """A temporary file without a name, one with a name, and one that is held until it is large."""
    how = {"exif": rich_exif(), "dpi": (300, 300)}
    with patch.object(tiff_writing, "CLASSIC_BYTES", 1000 if big else 1 << 30):
        wanted = written(picture(), format, **how)
        openers = (
            tempfile.TemporaryFile,
            partial(open, tmp_path / "x", "w+b"),
            partial(tempfile.SpooledTemporaryFile, max_size=2000),
        )
        for opener in openers:
            with opener() as file:
                write_image(file, ArrayScan(picture()), format=format, **how)  # type: ignore[arg-type]
                file.seek(0)
                assert file.read() == wanted


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_could_pass_four_gigabytes_is_a_big_tiff_with_all_its_metadata(order: str) -> None:
    with patch.object(tiff_writing, "CLASSIC_BYTES", 1000):
        data = written(picture(), "tif", exif=rich_exif(order), dpi=(300, 300))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert (file.is_bigtiff, file.byteorder) == (True, "<")
        assert np.array_equal(file.asarray(), picture())
        tags = file.pages[0].tags
        assert tags["ExifTag"].value["DateTimeOriginal"] == "1931:05:04 03:02:01"
        assert tags["ExifTag"].value["MakerNote"] == b"maker note, longer than four bytes"
        assert tags["ExifTag"].value["ExposureTime"] == 0.004
        assert tags["GPSTag"].value["GPSLatitude"] == (48, 1, 8, 1, 29, 2)
        assert tags["XResolution"].value == (300, 1)
    image = decode_image(data, "photo")
    assert np.array_equal(image.pixels, picture())
    assert image.facts.capture["description"] == "Großmutter, 1931"
    assert image.facts.capture["date_original"] == "1931:05:04 03:02:01"
    with Image.open(io.BytesIO(data)) as opened:
        inner = opened.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (72, 48)
    assert not tifffile.TiffFile(io.BytesIO(written(picture(), "tif"))).is_bigtiff


@pytest.mark.parametrize(("format", "tile_px"), [("tif", None), ("tif", 16), ("tif", 64), ("png", None)])
def test_no_more_than_a_block_of_rows_is_asked_for(format: OutputFormat, tile_px: int | None) -> None:
    scan, alpha = CountingScan(deep_picture(300, 40)), CountingScan(deep_picture(300, 40)[..., 0].copy())
    with small_pieces(read_pixels=800):
        write_image(io.BytesIO(), scan, format=format, alpha=alpha, tile_px=tile_px)
    for counted in (scan, alpha):
        assert max(counted.asked) <= max(tile_px or 0, 800 // 40)
        assert sum(counted.asked) == 300
    assert rows_at_once(40_000, 7) == 21  # about a megapixel, in whole strips of seven rows
    assert rows_at_once(20_000, 512) == 512


LARGE = """
import sys
import numpy as np
from flows.benchmarking.child import peak_mb
from oldphoto_core.encoding import write_image
from oldphoto_core.png_writing import write_png
from oldphoto_core.scan import DerivedScan

HEIGHT, WIDTH = 8_000, 12_500
grain = np.random.default_rng(0).integers(0, 900, (64, WIDTH, 3), dtype=np.uint16)

class Generated:
    shape, dtype = (HEIGHT, WIDTH, 3), np.dtype(np.uint16)
    def rows(self, top, bottom):
        places = np.arange(top, bottom)
        return grain[places % 64] + (places * 8).astype(np.uint16)[:, None, None]

scan = Generated()
mask = DerivedScan((scan,), (HEIGHT, WIDTH), np.dtype(np.uint8), lambda rows: (rows[..., 0] % 97 == 0) * np.uint8(255))
write_image(open(sys.argv[1], "w+b"), scan, format="tif", tile_px=int(sys.argv[3]) or None)
write_png(open(sys.argv[2], "wb"), mask)
print(round(peak_mb()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("tile_px", [0, 512])
def test_a_hundred_megapixels_take_little_memory(tmp_path: Path, tile_px: int) -> None:
    """The pixels are 600 MB; 300 MB hold the libraries, the blocks and what the threads work on."""
    paths = [tmp_path / "large.tif", tmp_path / "mask.png"]
    done = subprocess.run(
        [sys.executable, "-c", LARGE, *map(str, paths), str(tile_px)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300, done.stdout
    with tifffile.TiffFile(paths[0]) as file:
        assert file.pages[0].shape == (8_000, 12_500, 3)
        segment, _, shape = next(iter(file.pages[0].segments()))
        assert shape[-3:-1] == ((tile_px, tile_px) if tile_px else (3, 12_500))
    assert segment is not None
    with Image.open(paths[1]) as image:
        assert image.size == (12_500, 8_000)
