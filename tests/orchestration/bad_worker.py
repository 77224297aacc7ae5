"""A Dask worker's preload: PNG masters of a chosen size kill the process, fill its memory, or take their time.

`dask worker --preload tests/orchestration/bad_worker.py`; nothing of ours is changed, only Pillow's reading of pixels.
"""

from __future__ import annotations

import os
import time
from typing import Any

from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

KILLS, FILLS, SLOW_S = "BAD_WORKER_KILLS", "BAD_WORKER_FILLS", "BAD_WORKER_SLOW_S"
"""Variables: a size as `97x73` (width and height), a size, and seconds for every photo."""

_filled: list[bytearray] = []


def load(image: PngImageFile) -> Any:
    """Reads the pixels, unless the photo is one of the bad ones."""
    size = f"{image.width}x{image.height}"
    if image.tile:  # not decoded yet
        time.sleep(float(os.environ.get(SLOW_S, 0)))
    if size == os.environ.get(KILLS):
        os._exit(9)
    while size == os.environ.get(FILLS):
        _filled.append(bytearray(os.urandom(1024)) * (100 * 1024))  # touched, so it counts
        time.sleep(0.05)
    return ImageFile.load(image)


PngImageFile.load = load  # type: ignore[method-assign]  # Dask runs this file several times: once more does no harm
