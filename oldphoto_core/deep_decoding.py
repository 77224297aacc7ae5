"""Samples of more than 8 bits in PNG, JPEG 2000 and PNM, which Pillow would cut to 8 without a word.

TIFF has readers of its own (`oldphoto_core.tiff_pixels`).

JPEG 2000 and PNM may have a largest value other than 65,535. They are brought to 16 bits by v * 65535 / largest,
rounded: black stays black, white stays white, and every value stays apart from its neighbours.
"""

from __future__ import annotations

import re

import numpy as np

from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_formats import DeclaredDepth, jpeg2000_components
from oldphoto_core.pillow_reading import broken, unsupported

_FULL = 65_535
DEEP_FORMATS = frozenset({"PNG", "JPEG2000", "PPM"})
"""Formats, by Pillow's names, of which more than 8 bits are read here."""


def refuse_deep(name: str, depth: DeclaredDepth, format: str) -> ImageRefused:
    """Gives the refusal of deep samples in a file that would be cut in silence or whose range must be guessed."""
    found = f"{depth.bits}-bit {'colour' if depth.colour else 'grey'} in a {format} file"
    if not depth.colour:
        return unsupported(name, "grey of 8 or 16 bits", found, "convert a copy to 16-bit grey TIFF or PNG")
    return ImageRefused(
        name=name,
        reason="sixteen-bit-colour",
        expected="deep colour as TIFF, PNG, JPEG 2000 or PPM",
        found=found,
        advice="save a copy as 16-bit TIFF; it is not cut to 8 bits",
    )


def decode_deep(data: bytes, format: str, depth: DeclaredDepth, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives the pixels and the alpha if any, as stored: (H, W) or (H, W, 3), and (H, W); uint16.

    Args:
        data: The whole file, of more than 8 bits a sample.
        format: One of `DEEP_FORMATS`.
        depth: What the file declares.
        name: The file, for messages.

    Raises:
        ImageRefused: samples or channels that are not carried.
    """
    import imagecodecs

    if format == "PPM":
        return _decode_pnm(data, name), None
    if format == "PNG":
        planes = imagecodecs.png_decode(data)
    else:
        _check_components(data, depth, name)
        # The bare codestream: of a whole file the decoder would apply the colour profile, and we keep the values.
        codestream = data[data.index(b"\xff\x4f\xff\x51") :]
        planes = _widened(imagecodecs.jpeg2k_decode(codestream), (1 << depth.bits) - 1)
    if planes.dtype != np.uint16 or planes.ndim not in (2, 3):
        raise refuse_deep(name, depth, format)
    if planes.ndim == 2:
        return planes, None
    count = planes.shape[2]
    alpha = np.ascontiguousarray(planes[..., -1]) if count in (2, 4) else None
    return np.ascontiguousarray(planes[..., 0] if count < 3 else planes[..., :3]), alpha


def _check_components(data: bytes, depth: DeclaredDepth, name: str) -> None:
    components = jpeg2000_components(data)
    if components.is_plain and len(components.bits) in (1, 2, 3, 4) and set(components.bits) == {depth.bits}:
        return
    found = f"{len(components.bits)} components of {', '.join(map(str, components.bits))} bits"
    if not components.is_plain:
        found += ", signed, subsampled, of a palette or in another colour space than grey and RGB"
    raise unsupported(
        name, "whole unsigned components of one depth, grey or RGB", found, "convert a copy to 16-bit TIFF"
    )


def _widened(planes: np.ndarray, largest: int) -> np.ndarray:
    if largest == _FULL or planes.dtype != np.uint16:
        return planes
    table = (np.arange(_FULL + 1, dtype=np.uint64) * _FULL + largest // 2) // largest
    return np.minimum(table, _FULL).astype(np.uint16)[planes]


def _decode_pnm(data: bytes, name: str) -> np.ndarray:
    header = re.match(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s", data)
    if header is None or header[1] in b"23":
        raise unsupported(name, "binary samples (P5 or P6)", "a deep PNM of plain text", "convert a copy to PNG")
    width, height, largest = (int(header[i]) for i in (2, 3, 4))
    channels = 1 if header[1] == b"5" else 3
    if len(data) - header.end() < 2 * height * width * channels:
        raise broken(name, "PPM", "truncated", f"{len(data)} bytes of {header.end() + 2 * height * width * channels}")
    samples = np.frombuffer(data, ">u2", height * width * channels, header.end())
    if largest < _FULL and int(samples.max(initial=0)) > largest:
        raise ValueError(f"samples above the largest value of {largest}")
    pixels = _widened(samples.astype(np.uint16), largest)
    return pixels.reshape(height, width) if channels == 1 else pixels.reshape(height, width, 3)
