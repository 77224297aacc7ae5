"""Which pages of a TIFF stand for themselves, and which ones only beside another: thumbnails, reduced copies, masks.

Beside a photo stand pages that are marked as reduced-resolution copies or as transparency masks, and unmarked pages of
the proportions of another one that are at most half its size and at most 512 pixels long (scanners write such
thumbnails).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tifffile import TiffPage

THUMBNAIL_SIDE_PX = 512
"""Longest side of an unmarked page that may still be a thumbnail."""

_REDUCED, _MASK = 1, 4
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 254, 255


def full_pages(pages: Sequence[TiffPage]) -> list[int]:
    """Gives the indices of the pages that are photos, in order; at least one, the first where all are marked."""
    main = [i for i, page in enumerate(pages) if not _is_reduced(page)] or [0]
    return [i for i in main if not any(_is_thumbnail(pages[i], pages[other]) for other in main if other != i)]


def _is_reduced(page: TiffPage) -> bool:
    marked = int(page.tags.valueof(_SUBFILE_TYPE, 0)) & (_REDUCED | _MASK)
    return bool(marked) or int(page.tags.valueof(_OLD_SUBFILE_TYPE, 0)) == 2


def _is_thumbnail(page: TiffPage, of: TiffPage) -> bool:
    height, width = page.imagelength, page.imagewidth
    small = max(height, width) <= THUMBNAIL_SIDE_PX and 2 * height <= of.imagelength and 2 * width <= of.imagewidth
    # Same proportions, within a pixel of rounding.
    return small and abs(height * of.imagewidth - width * of.imagelength) <= max(of.imagelength, of.imagewidth)
