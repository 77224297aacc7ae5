"""Files to upright rows: a large TIFF is read as its rows are asked for, anything else is decoded at once.

What is carried, what is refused, and what the values are is the same either way: see `oldphoto_core.decoding`. Only
here a TIFF of several pages is carried too (`oldphoto_core.page_opening`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import IO

from oldphoto_core.decoding import DEFAULT_LIMITS, decode_image
from oldphoto_core.image_checks import HEAD_BYTES, check_bytes, check_size
from oldphoto_core.image_types import DecodeLimits, OpenedImage
from oldphoto_core.page_opening import open_page, open_pages
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.pillow_reading import quiet_decoders, refusing
from oldphoto_core.tiff_pages import find_photos

LARGE_PX = 16_000_000
"""TIFFs of more pixels are read by rows; smaller ones are decoded at once, since that is quicker."""


def open_image(
    file: IO[bytes], name: str, limits: DecodeLimits = DEFAULT_LIMITS, *, hashed: bool = False
) -> OpenedImage:
    """Gives an image file's upright rows, and what belongs to them.

    A TIFF of several pages is one image of them below each other (`oldphoto_core.stacked_scan`), and each of its
    `pages` an image of its own. Rows that are read later may turn out to be broken, and then raise ImageRefused as
    this does; with `hashed` all of them have been read once.

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
    if check_bytes(file.read(HEAD_BYTES), name) != "TIFF":
        file.seek(0)
        return OpenedImage.of(decode_image(file.read(), name, limits, hashed=hashed))
    opened = _open_tiff(file, name, limits)
    if not hashed:
        return opened
    return replace(opened, facts=replace(opened.facts, perceptual_hash=perceptual_hash(opened.scan)))


def _open_tiff(file: IO[bytes], name: str, limits: DecodeLimits) -> OpenedImage:
    with quiet_decoders(name), refusing(name, "TIFF"):
        photos = find_photos(file, name)
    by_rows = sum(photo.height * photo.width for photo in photos) > LARGE_PX
    if len(photos) > 1:
        return open_pages(file, photos, name, limits, by_rows=by_rows)
    check_size(photos[0].height, photos[0].width, name, limits)
    return open_page(file, photos[0], name, by_rows=by_rows)
