"""A photo of any size to measure with: the same every time, soft shapes and edges under grain, and some scratches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

PATCH_PX = 1024
"""Side of the picture that a larger photo repeats, mirrored at every other turn."""
STRIP_PX = 512
JPEG_MEGAPIXELS = 12.0
"""Up to this size a photo is a JPEG of 8 bits, above it a TIFF of 16, as scanners make them."""


def size_for(megapixels: float) -> tuple[int, int]:
    """Gives (height, width), 3 to 4, of about so many megapixels and not more, at least 64 x 64."""
    height = max(64, int((megapixels * 1e6 * 3 / 4) ** 0.5))
    return height, max(64, int(megapixels * 1e6 / height))


def picture(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gives a picture (1024, 1024, 3) float32 in [0, 1], faded and warm, and its scratches (1024, 1024) bool."""
    import cv2

    generator = np.random.default_rng(seed)
    light = np.zeros((PATCH_PX, PATCH_PX), np.float32)
    for level in range(2, 9):  # like photographs: about as much contrast in every octave
        cells = generator.standard_normal((2**level, 2**level)).astype(np.float32)
        light += cv2.resize(cells, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_CUBIC) * 0.8**level
    for _ in range(40):
        centre, radius = generator.integers(0, PATCH_PX, 2), int(generator.integers(8, 120))
        cv2.circle(light, [int(c) for c in centre], radius, float(generator.normal(0, 0.8)), -1, cv2.LINE_AA)
    light = (light - light.min()) / (light.max() - light.min())
    light = 0.2 + 0.6 * light + generator.normal(0, 0.015, light.shape).astype(np.float32)
    damage = np.zeros((PATCH_PX, PATCH_PX), np.uint8)
    for _ in range(12):
        start = generator.integers(0, PATCH_PX, 2)
        end = start + generator.integers(-400, 400, 2)
        cv2.line(damage, [int(c) for c in start], [int(c) for c in end], 255, int(generator.integers(1, 4)))
    image = light[:, :, None] * np.array([1.0, 0.9, 0.74], np.float32)
    scratched = damage > 0
    image[scratched] = 0.96
    return np.clip(image, 0, 1).astype(np.float32), scratched


def strips(height: int, width: int, *, top_level: int) -> Iterator[np.ndarray]:
    """Gives a photo in strips (at most 512, width, 3), uint8 or uint16 as `top_level` needs."""
    levels = np.round(picture()[0] * top_level).astype(np.uint8 if top_level < 256 else np.uint16)
    columns = _mirrored(width)
    rows = _mirrored(height)
    for top in range(0, height, STRIP_PX):
        yield levels[rows[top : top + STRIP_PX]][:, columns]


def damage_of(height: int, width: int) -> np.ndarray:
    """Gives where such a photo is scratched, (height, width) bool."""
    return picture()[1][_mirrored(height)][:, _mirrored(width)]


def write_photo(folder: Path, megapixels: float) -> Path:
    """Writes a JPEG, or above 12 megapixels a tiled TIFF of 16 bits, and gives its path; a strip at a time."""
    height, width = size_for(megapixels)
    if megapixels <= JPEG_MEGAPIXELS:
        from PIL import Image

        path = folder / f"{megapixels:g}.jpg"
        Image.fromarray(np.concatenate(list(strips(height, width, top_level=255)))).save(path, quality=92)
        return path
    import tifffile

    path = folder / f"{megapixels:g}.tif"
    tifffile.imwrite(
        path, _tiles(height, width), shape=(height, width, 3), dtype=np.uint16, tile=(STRIP_PX, STRIP_PX),
        photometric="rgb", resolution=(600, 600),
    )  # fmt: skip
    return path


def _tiles(height: int, width: int) -> Iterator[np.ndarray]:
    for strip in strips(height, width, top_level=65535):
        for left in range(0, width, STRIP_PX):
            tile = strip[:, left : left + STRIP_PX]
            yield np.pad(tile, ((0, STRIP_PX - tile.shape[0]), (0, STRIP_PX - tile.shape[1]), (0, 0)))


def _mirrored(length: int) -> np.ndarray:
    """Gives `length` places of the picture: forth, back, forth..."""
    place = np.arange(length) % (2 * PATCH_PX)
    return np.where(place < PATCH_PX, place, 2 * PATCH_PX - 1 - place)
