"""A damaged TIFF by rows is refused as it is whole, and a disk that fails says nothing of the photo."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_types import DecodedImage, DecodeLimits, OpenedImage
from oldphoto_core.images import decode_image, open_image
from tests.core.tiffs_by_rows import (
    HEIGHT,
    KINDS,
    broken_strip,
    opened,
    samples,
    small_bands,
)
from tests.images import tiff


@pytest.fixture(autouse=True, scope="module")
def _small_bands() -> Iterator[None]:
    with small_bands():
        yield


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
