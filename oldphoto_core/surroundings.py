"""What stands around a picture's samples in its file, and what becomes of it: facts, profile, resolution, packets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from oldphoto_core.color import profile_name, profile_space, srgb_profile
from oldphoto_core.exif import capture_words, exif_of_tiff, read_orientation, without_prefix
from oldphoto_core.image_types import ImageFacts
from oldphoto_core.packets import Packets
from oldphoto_core.scan import Scan
from oldphoto_core.tiff_pages import TiffPhoto


@dataclass(frozen=True)
class Surroundings:
    """What a reader found beside the samples."""

    mode: str
    """How the file holds its samples, in Pillow's words."""

    icc: bytes | None
    """The profile as embedded, whatever it is."""

    dpi: tuple[float, float] | None
    """Dots an inch along the stored rows and columns."""

    exif: Image.Exif
    info: Mapping[Any, Any]
    packets: Packets
    """XMP and IPTC."""

    is_converted: bool = False
    """Whether the samples are sRGB by now, and `icc` says what they were."""

    @classmethod
    def of_tiff(cls, photo: TiffPhoto, *, mode: str, is_converted: bool) -> Surroundings:
        """Gives those of a TIFF's page."""
        packets = Packets(photo.xmp, photo.iptc)
        return cls(mode, photo.icc_profile, photo.dpi, photo.exif, {}, packets, is_converted)


@dataclass(frozen=True)
class Described:
    """What travels with the upright pixels; fields as in `oldphoto_core.image_types.DecodedImage`."""

    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    exif: bytes | None
    facts: ImageFacts
    xmp: bytes | None
    iptc: bytes | None


@dataclass(frozen=True)
class ReadExif:
    """What EXIF says, read while its file is open."""

    orientation: int
    capture: dict[str, str]
    block: bytes | None
    """What goes into a derivative."""

    @classmethod
    def of(cls, format: str, around: Surroundings) -> ReadExif:
        """Reads it; on foreign bytes this may raise anything.

        Args:
            format: Pillow's name of the file's format.
            around: What was found in the file.
        """
        is_tiff = format == "TIFF"
        packed = None if is_tiff else around.packets.exif or around.info.get("exif")
        return cls(
            orientation=read_orientation(around.exif),
            capture=capture_words(around.exif, around.info),
            block=exif_of_tiff(around.exif) if is_tiff else without_prefix(packed),
        )


def describe(
    format: str, around: Surroundings, exif: ReadExif, upright: Scan, *, has_alpha: bool, perceptual_hash: str
) -> Described:
    """Gives what travels with a picture, of its upright rows."""
    shape = upright.shape
    dpi = around.dpi[::-1] if around.dpi and exif.orientation >= 5 else around.dpi
    facts = ImageFacts(
        format=format.lower(),
        height=shape[0],
        width=shape[1],
        channels=1 if len(shape) == 2 else 3,
        bit_depth=upright.dtype.itemsize * 8,
        source_mode=around.mode,
        has_alpha=has_alpha,
        orientation=exif.orientation,
        icc_profile_name=profile_name(around.icc),
        dpi_x=dpi[0] if dpi else None,
        dpi_y=dpi[1] if dpi else None,
        capture=exif.capture,
        perceptual_hash=perceptual_hash,
    )
    icc = _profile_to_write(around, is_grey=len(shape) == 2)
    return Described(icc, dpi, exif.block, facts, around.packets.xmp, around.packets.iptc)


def mode_of(photo: TiffPhoto, *, has_alpha: bool) -> str:
    """Gives Pillow's word for the samples of a page that are read as they stand."""
    if photo.plain == "grey":
        mode = "LA" if has_alpha else "I" if photo.bits == 16 else "L"
    elif photo.plain == "rgb":
        mode = "RGBA" if has_alpha else "RGB"
    else:
        mode = "CMYK" if photo.plain == "cmyk" else "LAB"
    return mode + (";16" if photo.bits == 16 else "")


def _profile_to_write(around: Surroundings, *, is_grey: bool) -> bytes | None:
    if is_grey:
        return around.icc if profile_space(around.icc) == "GRAY" else None
    is_kept = not around.is_converted and profile_space(around.icc) == "RGB"
    return around.icc if is_kept else srgb_profile()
