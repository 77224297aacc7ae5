"""What is refused before a pixel is decoded: other files than pictures, sizes, depths and numbers of pictures."""

from __future__ import annotations

from typing import Any

from oldphoto_core.deep_decoding import DEEP_FORMATS, refuse_deep
from oldphoto_core.errors import ImageRefused
from oldphoto_core.image_formats import CARRIED, DeclaredDepth, describe_foreign, sniff
from oldphoto_core.image_types import DecodeLimits
from oldphoto_core.pillow_reading import not_an_image, unsupported

HEAD_BYTES = 1024
"""What `check_bytes` looks at."""


def check_bytes(data: bytes, name: str) -> str:
    """Gives the format, by Pillow's name, that a file's first `HEAD_BYTES` announce.

    Raises:
        ImageRefused: none that is carried.
    """
    if not data:
        advice = "copy it again from the scanner or a backup"
        raise ImageRefused(name=name, reason="empty", expected=CARRIED, found="a file of 0 bytes", advice=advice)
    format = sniff(data)
    if format:
        return format
    found, is_picture = describe_foreign(data)
    if is_picture:
        raise unsupported(name, CARRIED, found, "convert a copy to TIFF or PNG")
    raise not_an_image(name, found)


def check_size(height: int, width: int, name: str, limits: DecodeLimits) -> None:
    """Refuses sizes beyond the limits."""
    if height * width > limits.max_pixels:
        raise ImageRefused(
            name=name,
            reason="bomb",
            expected=f"at most {limits.max_pixels / 1e6:.0f} megapixels",
            found=f"{height} x {width} pixels ({height * width / 1e6:.0f} megapixels)",
            advice="check that the file is what it claims to be, or raise the limit",
        )
    if min(height, width) < limits.min_side_px:
        raise ImageRefused(
            name=name,
            reason="too-small",
            expected=f"at least {limits.min_side_px} x {limits.min_side_px} pixels",
            found=f"{height} x {width}",
            advice="scan it larger, or add a pattern to the ignored ones if it is a thumbnail",
        )


def check_depth(depth: DeclaredDepth | None, format: str, name: str) -> None:
    """Refuses deep samples that would be cut in silence."""
    if depth is None or depth.bits <= 8:
        return
    if format not in DEEP_FORMATS or depth.bits > 16:
        raise refuse_deep(name, depth, format)


def check_frames(image: Any, format: str, name: str) -> None:
    """Refuses files of several pictures; previews and gain maps beside a photo are none."""
    frames = 1 if format == "PSD" else getattr(image, "n_frames", 1)  # Photoshop's layers are no pages
    advice = "save each picture as its own file"
    if format == "JPEG" and frames > 1:
        kinds = {entry["Attribute"]["MPType"] for entry in image.mpinfo.get(0xB002, [])}
        if not any("Multi-Frame" in kind for kind in kinds):
            return
    if frames > 1:
        found = f"{frames} pictures in a {format} file"
        raise ImageRefused(name=name, reason="animated", expected="one photo a file", found=found, advice=advice)
