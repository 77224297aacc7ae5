"""TIFFs of every kind to read by rows, and the comparison with decoding them whole."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import tifffile

from oldphoto_core.image_types import OpenedImage
from oldphoto_core.images import decode_image, open_image
from oldphoto_core.scan import ArrayScan
from oldphoto_core.tiff_scan import TiffScan
from tests.images import deep_grey_picture, deep_picture, grey_picture, picture

HEIGHT, WIDTH = 101, 83


@contextmanager
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


def broken_strip(data: bytes, strip: int, change: Callable[[bytearray, int, int], None]) -> bytes:
    damaged = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        change(damaged, page.dataoffsets[strip], page.databytecounts[strip])
    return bytes(damaged)
