"""The pixels of the TIFFs that archives write: whole samples of grey, RGB, CMYK or Lab, losslessly compressed or not.

They are read with tifffile and imagecodecs, because Pillow cuts some of them (16-bit colour), misreads others (16-bit
min-is-white), and its libtiff reads a damaged strip as if nothing were the matter.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oldphoto_core.tiff_pages import Plain, TiffPhoto

if TYPE_CHECKING:
    from tifffile import TiffPage

PLANES_APART = 2
UNCOMPRESSED = NO_PREDICTOR = 1
_MIN_IS_WHITE = 0
_COLOURS: dict[Plain, int] = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3, "icc-lab": 3}
_ASSOCIATED, _UNASSOCIATED = 1, 2


@dataclass(frozen=True)
class Samples:
    """What the samples of a pixel are, in their order."""

    colours: int
    """How many of the first are colours, or grey."""

    is_inverted: bool
    """Whether 0 is white."""

    alpha: int | None
    """TIFF's word for the first of the others where it is alpha: 1 associated, 2 not; None where there is none."""

    @classmethod
    def of(cls, page: TiffPage, plain: Plain) -> Samples:
        """Gives those of a page."""
        count = _COLOURS[plain]
        extras = tuple(int(extra) for extra in page.extrasamples)
        # A further sample that nobody explains is taken for alpha, as other readers do; one called unspecified is not.
        kind = (extras[0] if extras else _UNASSOCIATED) if int(page.samplesperpixel) > count else None
        alpha = kind if kind in (_ASSOCIATED, _UNASSOCIATED) else None
        return cls(count, int(page.photometric) == _MIN_IS_WHITE, alpha)

    def split(self, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Gives the pixels, black being 0, and the alpha if any.

        Args:
            planes: (h, W, samples) uint8 or uint16, as stored.

        Returns:
            (h, W), (h, W, 3) RGB or Lab, or (h, W, 4) CMYK, and (h, W).
        """
        colours = planes[..., : self.colours]
        if self.is_inverted:
            colours = np.iinfo(planes.dtype).max - colours
        alpha = None if self.alpha is None else planes[..., self.colours]
        if alpha is not None and self.alpha == _ASSOCIATED:
            colours = _undo_premultiplication(colours, alpha)
        return (colours[..., 0] if self.colours == 1 else np.ascontiguousarray(colours)), alpha


def plain_page(tiff: Any, photo: TiffPhoto) -> TiffPage:
    """Gives the photo's page, ready for decoding, of tifffile's reader.

    Raises:
        EOFError: its pixels reach beyond the file's end.
    """
    page = tiff.pages[photo.page].aspage()
    if page.compression == UNCOMPRESSED:
        page.predictor = NO_PREDICTOR  # it has no meaning without compression; libtiff passes over it too
    there = tiff.filehandle.size - page.dataoffsets[0]
    if page.is_contiguous and page.nbytes > there:
        raise EOFError(f"{there} of {page.nbytes} bytes of pixels")
    return page


def decode_plain(data: bytes, photo: TiffPhoto) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives the pixels as stored, black being 0, and the alpha if any.

    Args:
        data: The whole file.
        photo: A page whose `plain` is not None.

    Returns:
        (H, W), (H, W, 3) RGB or Lab, or (H, W, 4) CMYK, and (H, W); uint8 or uint16.
    """
    import tifffile

    assert photo.plain is not None
    # Closed, it lets go of the data, which tifffile's circles of objects would keep until somebody collects them.
    with io.BytesIO(data) as held, tifffile.TiffFile(held) as file:
        page = plain_page(file, photo)
        stored = page.asarray()
        if stored.ndim == 3 and page.planarconfig == PLANES_APART:
            stored = np.moveaxis(stored, 0, -1)
        samples = Samples.of(page, photo.plain)
    planes = stored.reshape(photo.height, photo.width, -1).astype(stored.dtype.newbyteorder("="), copy=False)
    return samples.split(planes)


def _undo_premultiplication(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    full = np.iinfo(colours.dtype).max
    whole = colours.astype(np.float32) * full / np.maximum(alpha, 1)[..., None]
    return np.minimum(np.rint(whole), full).astype(colours.dtype)
