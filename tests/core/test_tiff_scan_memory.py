"""What is held of a TIFF that is read by rows does not grow with it."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from tests.images import deep_picture

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
