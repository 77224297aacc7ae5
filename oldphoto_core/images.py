"""Images in and out: bytes to upright pixels with all that belongs to them, and back.

    decoded = decode_image(data, "album/photo.tif")  # raises ImageRefused, never guesses
    with open_image(file, "album/master.tif") as opened:  # the same by rows, for scans that are too large to hold
        rows = opened.scan.rows(0, 256)
    data = encode_image(decoded.pixels, format="tif", icc_profile=decoded.icc_profile, dpi=decoded.dpi)

What is carried, and what is refused, is said in `oldphoto_core.decoding`.
"""

from __future__ import annotations

from oldphoto_core.decoding import decode_image
from oldphoto_core.encoding import encode_image
from oldphoto_core.image_types import DecodedImage, DecodeLimits, ImageFacts, OpenedImage
from oldphoto_core.opening import open_image

__all__ = ["DecodeLimits", "DecodedImage", "ImageFacts", "OpenedImage", "decode_image", "encode_image", "open_image"]
