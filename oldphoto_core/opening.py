"""Files to upright rows: a large TIFF is read as its rows are asked for, anything else is decoded at once.

What is carried, what is refused, and what the values are is the same either way: see `oldphoto_core.decoding`.
"""

from __future__ import annotations

from typing import IO

from oldphoto_core.decoding import DEFAULT_LIMITS, decode_image
from oldphoto_core.exif import read_orientation
from oldphoto_core.image_checks import HEAD_BYTES, check_bytes, check_size
from oldphoto_core.image_types import DecodeLimits, OpenedImage
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.pillow_reading import quiet_decoders, refusing
from oldphoto_core.surroundings import ReadExif, Surroundings, describe, mode_of
from oldphoto_core.tiff_pages import find_photo
from oldphoto_core.tiff_scan import open_scan

LARGE_PX = 16_000_000
"""TIFFs of more pixels are read by rows; smaller ones are decoded at once, since that is quicker."""


def open_image(
    file: IO[bytes], name: str, limits: DecodeLimits = DEFAULT_LIMITS, *, hashed: bool = False
) -> OpenedImage:
    """Gives an image file's upright rows, and what belongs to them.

    Rows that are read later may turn out to be broken, and then raise ImageRefused as this does; with `hashed` all of
    them have been read once.

    Args:
        file: The whole file, seekable, in memory or not. It stays the caller's, who leaves it open and alone until the
            image is released.
        name: File name or object key, for messages only: what a file is follows from its bytes.
        limits: What is accepted; checked before any pixel is decoded.
        hashed: Whether `facts.perceptual_hash` is computed, for which all rows are read.

    Raises:
        ImageRefused: with a reason of `oldphoto_core.errors.REFUSAL_REASONS`.
        OSError: the disk or the network share fails, which says nothing of the image.
    """
    file.seek(0)
    if check_bytes(file.read(HEAD_BYTES), name) == "TIFF":
        opened = _open_large_tiff(file, name, limits, hashed=hashed)
        if opened is not None:
            return opened
    file.seek(0)
    return OpenedImage.of(decode_image(file.read(), name, limits, hashed=hashed))


def _open_large_tiff(file: IO[bytes], name: str, limits: DecodeLimits, *, hashed: bool) -> OpenedImage | None:
    """The image, or None where it is small or has to be decoded whole."""
    with quiet_decoders(name), refusing(name, "TIFF"):
        photo = find_photo(file, name)
        check_size(photo.height, photo.width, name, limits)
        if photo.height * photo.width <= LARGE_PX:
            return None
        scan = open_scan(file, photo, read_orientation(photo.exif), name)
        if scan is None:
            return None
        alpha = scan.alpha
        mode = mode_of(photo, has_alpha=alpha is not None)
        around = Surroundings.of_tiff(photo, mode=mode, is_converted=scan.is_converted)
        exif = ReadExif.of("TIFF", around)
    seen = perceptual_hash(scan) if hashed else ""
    described = describe("TIFF", around, exif, scan, has_alpha=alpha is not None, perceptual_hash=seen)
    return OpenedImage(
        scan=scan,
        alpha=alpha,
        tile_px=photo.tile_px,
        held_bytes=scan.held_bytes,
        release=scan.close,
        **vars(described),
    )
