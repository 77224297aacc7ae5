"""The held-out photos, in an order that does not change when photos are added, cut to shape for measuring.

One third of them (role "select") chooses between checkpoints while training, the rest (role "report") is kept for the
figures that are printed, so that those are not the best of many draws.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError
from oldphoto_core.splits import is_held_out, split_group

Role = Literal["report", "select", "all"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def held_out_photos(folder: Path, *, role: Role = "report", count: int | None = None) -> list[Path]:
    """Gives the held-out photos under `folder` in hash order, the first `count` of them.

    Raises:
        ConfigError: there are no such photos.
    """
    found = [p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and is_held_out(p.name)]
    if role != "all":
        found = [p for p in found if (_order(split_group(p.name)) % 3 == 0) == (role == "select")]
    if not found:
        raise ConfigError(f"no held-out photos for role {role!r} under {folder}: give a folder with more photos")
    return sorted(found, key=lambda p: (_order(p.name), str(p)))[:count]


def _order(name: str) -> int:
    return int.from_bytes(hashlib.sha256(b"evaluation:" + name.encode()).digest()[:8], "big")


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Gives a photo as (H, W, 3) uint8 sRGB.

    Raises:
        ConfigError: the file cannot be decoded.
    """
    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise ConfigError(f"cannot decode {path} as a picture: remove it from the measuring folder")
    return np.ascontiguousarray(pixels[..., ::-1])


def centre_crop(image: NDArray[np.uint8], *, multiple: int = 16) -> NDArray[np.uint8]:
    """Gives the middle of the image with height and width cut to multiples of `multiple`."""
    height, width = (side - side % multiple for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def centre_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Gives the largest middle square of the image, area-averaged (or enlarged) to `size` x `size`."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(square, (size, size), interpolation=method))
