"""Small and plain pictures for looking at: previews, masks, and what a restoration changed; each made from rows."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from oldphoto_core.errors import ImageRefused
from oldphoto_core.png_writing import write_png
from oldphoto_core.row_pieces import READ_PIXELS
from oldphoto_core.scan import ArrayScan, DerivedScan, Scan, blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oldphoto_core.image_types import DecodedImage

PREVIEW_QUALITY = 85
"""JPEG quality of previews."""

DIFFERENCE_GAIN = 2
"""Levels of a difference picture for each 8-bit level of change."""

DIFFERENCE_ZERO = 128
"""Level of a difference picture where nothing changed; lighter is brighter than before, darker is darker."""


_ROWS = 256
"""Rows converted at once, so that a large scan needs no second array of wider numbers."""


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Gives uint8 pixels: those of 16 bits divided by 257 and rounded, so that white stays white."""
    if pixels.dtype == np.uint8:
        return pixels
    out = np.empty(pixels.shape, np.uint8)
    for row in range(0, len(pixels), _ROWS):
        # In integers, and exact: (v * 255 + 32767) / 65535 rounds v / 257.
        out[row : row + _ROWS] = (pixels[row : row + _ROWS].astype(np.uint32) * 255 + 32_767) // 65_535
    return out


def eight_bits_of(scan: Scan) -> Scan:
    """Gives the scan with its rows as `to_eight_bits` makes them."""
    return scan if scan.dtype == np.uint8 else DerivedScan((scan,), scan.shape, np.dtype(np.uint8), to_eight_bits)


def preview_of(scan: Scan, max_side_px: int = 1024, icc_profile: bytes | None = None) -> bytes:
    """Gives a small JPEG: 8 bits, sRGB, at most `max_side_px` on the longer side, never enlarged.

    Args:
        scan: (H, W) or (H, W, 3), uint8 or uint16.
        max_side_px: Longer side of the preview.
        icc_profile: What describes the pixels; None is sRGB.
    """
    from oldphoto_core.colour_space import WorkingColour

    height, width = scan.shape[:2]
    scale = max_side_px / max(height, width)
    if scale < 1:
        pixels = area_mean(scan, (max(1, round(height * scale)), max(1, round(width * scale))))
    else:
        pixels = scan.rows(0, height)
    colour = WorkingColour.of(icc_profile, channels=1 if pixels.ndim == 2 else 3)
    if not colour.is_srgb:
        pixels = np.rint(np.clip(colour.to_srgb(pixels), 0, 1) * 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(to_eight_bits(pixels)).save(out, "JPEG", quality=PREVIEW_QUALITY)
    return out.getvalue()


def preview_jpeg(pixels: np.ndarray, max_side_px: int = 1024, *, icc_profile: bytes | None = None) -> bytes:
    """Gives what `preview_of` does, for pixels that lie in memory."""
    return preview_of(ArrayScan(pixels), max_side_px, icc_profile)


def area_mean(scan: Scan, size: tuple[int, int]) -> np.ndarray:
    """Gives a smaller picture of which each pixel is the mean of what it covers, of the dtype of the scan.

    Args:
        scan: (H, W) or (H, W, C), uint8 or uint16; read once, about a megapixel at a time.
        size: (height, width), no larger than the scan's.
    """
    import cv2

    height, samples = scan.shape[0], int(np.prod(scan.shape[2:]))
    total = np.zeros((size[0], size[1] * samples))
    step = height / size[0]
    for top, rows in blocks_of(scan, READ_PIXELS):
        narrow = cv2.resize(rows.astype(np.float32), (size[1], len(rows)), interpolation=cv2.INTER_AREA)
        for number, row in enumerate(narrow.reshape(len(rows), -1), top):
            place = int(number / step)
            here = min(1.0, (place + 1) * step - number)  # the rest of the row lies in the one below
            total[place] += here * row
            if here < 1 and place + 1 < size[0]:
                total[place + 1] += (1 - here) * row
    mean = np.rint(total / step).clip(0, np.iinfo(scan.dtype).max)
    return mean.astype(scan.dtype).reshape(*size, *scan.shape[2:])


def write_mask_png(out: BinaryIO, mask: Scan) -> None:
    """Writes a mask as an 8-bit grey PNG.

    Args:
        out: Where it goes.
        mask: (H, W) uint8: 0 intact, 255 damaged.
    """
    assert len(mask.shape) == 2 and mask.dtype == np.uint8, (mask.shape, mask.dtype)
    write_png(out, mask)


def mask_png(mask: np.ndarray) -> bytes:
    """Gives a mask as an 8-bit grey PNG: 0 intact, 255 damaged.

    Args:
        mask: (H, W) float, probability of damage in [0, 1].
    """
    codes = DerivedScan((ArrayScan(mask),), mask.shape, np.dtype(np.uint8), _codes)
    return _bytes_of(lambda out: write_mask_png(out, codes))


def _codes(share: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def write_difference_png(out: BinaryIO, before: Scan, after: Scan) -> None:
    """Writes what changed, as an 8-bit PNG: mid-grey (128) is no change, and a level of change is two levels.

    Changes beyond 63 levels of 255 are cut at black and white. 16-bit pixels are compared as such, then scaled.

    Args:
        out: Where it goes.
        before: (H, W) or (H, W, 3), uint8 or uint16.
        after: The same shape and dtype.
    """
    assert before.shape == after.shape and before.dtype == after.dtype, (before.shape, after.shape)
    write_png(out, DerivedScan((before, after), before.shape, np.dtype(np.uint8), _difference))


def difference_png(before: np.ndarray, after: np.ndarray) -> bytes:
    """Gives what `write_difference_png` writes, for pixels that lie in memory."""
    return _bytes_of(lambda out: write_difference_png(out, ArrayScan(before), ArrayScan(after)))


def _difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    per_level = np.float32(DIFFERENCE_GAIN * 255 / np.iinfo(before.dtype).max)
    change = after.astype(np.float32)
    change -= before
    change *= per_level
    change += DIFFERENCE_ZERO
    return np.clip(np.rint(change, out=change), 0, 255).astype(np.uint8)


def _bytes_of(write: Callable[[BinaryIO], None]) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def read_mask(data: bytes, shape: Sequence[int], name: str = "the mask") -> np.ndarray:
    """Gives the mask that an image file holds: (H, W) float32 in [0, 1], 1 where damaged.

    White is damage; colours count by their luma, and what is transparent is intact. Any format that `decode_image`
    carries will do, so a mask may come from any paint program.

    Args:
        data: The whole file.
        shape: (height, width) of the upright photo; further numbers are passed over.
        name: File name or object key, for messages.

    Raises:
        ImageRefused: not an image that is carried, or of another size than the photo (`wrong-size`).
    """
    image = _mask_image(data, shape, name)
    return _share(image.pixels, image.alpha)


def read_mask_codes(data: bytes, shape: Sequence[int], name: str = "the mask") -> np.ndarray:
    """Gives what `read_mask` does as (H, W) uint8, 255 where damaged, without floats of the whole."""
    image = _mask_image(data, shape, name)
    codes = np.empty(image.pixels.shape[:2], np.uint8)
    for top in range(0, len(codes), _ROWS):
        part = slice(top, top + _ROWS)
        codes[part] = _codes(_share(image.pixels[part], None if image.alpha is None else image.alpha[part]))
    return codes


def _mask_image(data: bytes, shape: Sequence[int], name: str) -> DecodedImage:
    from oldphoto_core.images import decode_image

    image = decode_image(data, name)
    height, width = shape[:2]
    if image.pixels.shape[:2] != (height, width):
        raise ImageRefused(
            name=name,
            reason="wrong-size",
            expected=f"a mask of {height} x {width} pixels, the size of the upright photo",
            found=f"{image.facts.height} x {image.facts.width}",
            advice="paint it on the photo at full size",
        )
    return image


def _share(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    from oldphoto_core.color import luma

    mask = luma(pixels)
    if alpha is not None:
        mask *= luma(alpha)
    return mask
