"""What a decoded image is: its pixels, what must travel with them, and the facts that the catalogue keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from oldphoto_core.errors import ConfigError
from oldphoto_core.scan import ArrayScan, Scan


@dataclass(frozen=True)
class DecodeLimits:
    """What `decode_image` and `open_image` accept; checked against the header, before any pixel is decoded."""

    max_pixels: int = 500_000_000
    """Height times width above which an image is refused as a `bomb`; several pages count as they lie below each
    other."""

    min_side_px: int = 32
    """Shorter side below which an image, or a page of it, is refused as `too-small`."""

    def __post_init__(self) -> None:
        """Refuses limits that no image could meet."""
        if self.min_side_px < 1:
            raise ConfigError(f"min_side_px: expected 1 or more, found {self.min_side_px}")
        if self.max_pixels < self.min_side_px**2:
            raise ConfigError(f"max_pixels: expected {self.min_side_px**2} or more, found {self.max_pixels}")


@dataclass(frozen=True)
class ImageFacts:
    """What the catalogue keeps about an image. Sizes are of the upright picture.

    Of several pages: height and width as they lie below each other, channels and depth of the one that has most, a
    word `pages` in `capture`, and the first page's else.
    """

    format: str
    """Short lower-case name of the file format: `jpeg`, `png`, `tiff`, `webp`, `jpeg2000`, ..."""

    height: int
    """Rows of the upright picture."""

    width: int
    """Columns of the upright picture."""

    channels: int
    """1 for grey, 3 for colour; alpha is not counted."""

    bit_depth: int
    """Bits a sample of `pixels`: 8 or 16."""

    source_mode: str
    """How the file holds its samples, in Pillow's words: `L`, `RGB`, `CMYK`, `P`, `1`, `I;16`, `LAB`, ..."""

    has_alpha: bool
    """Whether transparency was kept beside the pixels."""

    orientation: int
    """EXIF orientation as stored, 1 to 8; `pixels` are already upright."""

    icc_profile_name: str | None
    """Description of the embedded profile, as the file names it; None where the file has none."""

    dpi_x: float | None
    """Dots an inch along the rows of the upright picture."""

    dpi_y: float | None
    """Dots an inch along the columns of the upright picture."""

    capture: Mapping[str, str] = field(default_factory=dict)
    """EXIF words of a person's interest (make, model, date, artist, description, ...); values are plain text."""

    perceptual_hash: str = ""
    """64-bit DCT hash, 16 hexadecimal digits: close pictures differ in few bits."""


@dataclass(frozen=True)
class DecodedImage:
    """An image as the core works on it, with what must be written back beside it."""

    pixels: np.ndarray
    """(H, W) or (H, W, 3), uint8 or uint16, C-contiguous, upright; in the master's own
    encoding, which `icc_profile` describes."""

    alpha: np.ndarray | None
    """(H, W) of the same dtype as `pixels`, upright; None where the file has no transparency."""

    icc_profile: bytes | None
    """The profile that describes `pixels`, to be embedded on writing: the master's own, byte for byte; sRGB where
    colour came without one or had to be converted (see `oldphoto_core.color`)."""

    dpi: tuple[float, float] | None
    """Dots an inch (x, y) of the upright picture."""

    exif: bytes | None
    """The file's EXIF block, as read (TIFF structure, without the `Exif` prefix)."""

    facts: ImageFacts
    """What the catalogue keeps."""

    xmp: bytes | None = None
    """The file's XMP packet, as read."""

    iptc: bytes | None = None
    """The file's IPTC datasets (IIM), as read."""


@dataclass(frozen=True)
class OpenedImage:
    """An image whose rows are had when asked for, with what must be written back beside it; close it when done.

    What a field of the same name means in `DecodedImage`, it means here.
    """

    scan: Scan
    """Upright rows, (H, W) or (H, W, 3), uint8 or uint16."""

    alpha: Scan | None
    """(H, W) of the same dtype."""

    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    exif: bytes | None
    facts: ImageFacts
    xmp: bytes | None = None
    iptc: bytes | None = None

    tile_px: int | None = None
    """Side of its tiles where it is a TIFF of square tiles, as its derivative then is too."""

    held_bytes: int = 0
    """What of the image is held in memory: all its pixels, or no more than the strips that are being read."""

    pages: tuple[OpenedImage, ...] = ()
    """The pages, where a TIFF has several: each with a size, depth, profile and words of its own. `scan` is then all of
    them below each other, `icc_profile` describes that, and the other fields are the first page's. Released with it."""

    release: Callable[[], None] = lambda: None
    """Lets go of the file behind it."""

    @classmethod
    def of(cls, image: DecodedImage) -> OpenedImage:
        """Gives an image that lies in memory as one that is opened."""
        return cls(
            scan=ArrayScan(image.pixels),
            alpha=None if image.alpha is None else ArrayScan(image.alpha),
            icc_profile=image.icc_profile,
            dpi=image.dpi,
            exif=image.exif,
            facts=image.facts,
            xmp=image.xmp,
            iptc=image.iptc,
            held_bytes=image.pixels.nbytes + (0 if image.alpha is None else image.alpha.nbytes),
        )

    def __enter__(self) -> OpenedImage:
        """Gives itself; the file is let go of at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
