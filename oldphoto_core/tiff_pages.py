"""What a TIFF file really holds: which of its pages is the photo, and how deep its samples are.

A TIFF that holds *one* photo is carried, whatever stands beside it: pages marked as reduced-resolution copies or as
transparency masks, and unmarked pages of the same proportions that are at most half the size and at most 512 pixels
long (scanners write such thumbnails). Two or more full pages are refused: restoring the first alone would lose the
others without a word.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from oldphoto_core.errors import ImageRefused

if TYPE_CHECKING:
    from tifffile import TiffPage

THUMBNAIL_SIDE_PX = 512
"""Longest side of an unmarked page that may still be a thumbnail."""

MAX_PAGES = 256
"""Pages looked at; a file with more of them is no photo."""

_REDUCED, _MASK = 1, 4
_MIN_IS_WHITE, _MIN_IS_BLACK = 0, 1
_CAMERA_RAW = (32803, 34892)  # colour filter array, linear raw
_DNG_VERSION, _SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 50706, 254, 255
_UNSIGNED, _UNTYPED = 1, 4
_OTHER_SAMPLES = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}


@dataclass(frozen=True)
class TiffPhoto:
    """The one page that is the photo."""

    page: int
    """Its index among the pages of the file."""

    height: int
    """Rows as stored, before orientation."""

    width: int
    """Columns as stored, before orientation."""

    bits: int
    """Bits a sample."""

    icc_profile: bytes | None
    """The profile of this page."""

    dpi: tuple[float, float] | None
    """Dots an inch along the stored rows and columns."""

    exif: Image.Exif
    """The tags of this page; its directories of EXIF and GPS are read when asked for."""


def find_photo(data: bytes, name: str) -> TiffPhoto:
    """Gives the page that is the photo.

    Raises:
        ImageRefused: more than one photo, a camera's raw file, samples that are not carried, strips that are missing.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            pages: list[Any] = []
            for page in file.pages:
                pages.append(page)
                if len(pages) > MAX_PAGES:
                    raise _several(name, f"more than {MAX_PAGES} pages")
            index = _check_and_choose(data, name, pages)
            page = pages[index]
            exif = Image.Exif()
            exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
            exif.load_from_fp(io.BytesIO(data), page.offset)
            return TiffPhoto(
                page=index,
                height=page.imagelength,
                width=page.imagewidth,
                bits=max(_numbers(page, 258, (1,))),
                icc_profile=page.tags.valueof(34675) or None,
                dpi=_dpi(page),
                exif=exif,
            )
    except ImageRefused:
        raise
    except Exception as error:  # a reader raises anything on foreign bytes
        raise ImageRefused(
            name=name,
            reason="corrupt",
            expected="a TIFF whose directory can be read",
            found=str(error) or type(error).__name__,
            advice="copy it again from the scanner or a backup",
        ) from error


def decode_deep_grey(data: bytes, photo: TiffPhoto) -> tuple[np.ndarray, np.ndarray | None]:
    """Gives the (H, W) uint16 grey and alpha, if any, of a 16-bit grey page: black is 0 whatever the file says."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[photo.page]
        samples = page.asarray()
        planes = samples.reshape(photo.height, photo.width, -1, order="C")
        if int(page.tags.valueof(284, 1)) == 2 and samples.ndim == 3:  # planes one after the other
            planes = np.moveaxis(samples, 0, -1)
        grey, alpha = planes[..., 0], planes[..., 1] if planes.shape[2] == 2 else None
        if page.photometric == _MIN_IS_WHITE:
            grey = np.iinfo(np.uint16).max - grey
        if alpha is not None and 1 in tuple(page.extrasamples):  # grey was multiplied by alpha
            whole = grey.astype(np.float64) * 65535 / np.maximum(alpha, 1)
            grey = np.minimum(np.rint(whole), 65535)
        native = np.dtype(np.uint16)
        return grey.astype(native), None if alpha is None else alpha.astype(native)


def _check_and_choose(data: bytes, name: str, pages: list[TiffPage]) -> int:
    index = _choose(name, pages)
    page = pages[index]
    if any(_is_camera_raw(other) for other in pages):
        raise ImageRefused(
            name=name,
            reason="unsupported-mode",
            expected="a developed picture",
            found="a camera's raw file (DNG, NEF or the like), whose TIFF page is a preview",
            advice="develop it to TIFF",
        )
    bits = max(_numbers(page, 258, (1,)))
    kinds = set(_numbers(page, 339, (_UNSIGNED,)))
    samples = int(page.tags.valueof(277, 1))
    photometric = int(page.photometric)
    grey = photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK)
    kind = _OTHER_SAMPLES.get(max(kinds - {_UNSIGNED, _UNTYPED}, default=0))
    if bits > 8 and not grey and kind is None:
        raise refuse_deep_colour(name, f"{bits}-bit colour in a TIFF")
    if kind or bits not in (1, 2, 4, 8, 16) or (grey and bits == 16 and samples > 2):
        raise ImageRefused(
            name=name,
            reason="unsupported-mode",
            expected="8-bit samples, or 16-bit grey",
            found=f"{samples} x {bits}-bit {kind or 'unsigned'} samples",
            advice="convert it to 8-bit or to 16-bit grey",
        )
    _check_strips(data, name, page)
    return index


def checked_dpi(dpi: object) -> tuple[float, float] | None:
    """Gives a resolution in dots an inch to two decimals, or None where a file's figures make no sense."""
    try:
        across, down = (round(float(value), 2) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    # 1 is what writers put where they know nothing.
    return (across, down) if 1 < across < 1e6 and 1 < down < 1e6 else None


def refuse_deep_colour(name: str, found: str) -> ImageRefused:
    """Gives the refusal of colour deeper than 8 bits, which would otherwise be cut in silence."""
    return ImageRefused(
        name=name,
        reason="sixteen-bit-colour",
        expected="8-bit colour, or grey of 8 or 16 bits",
        found=found,
        advice="it is left alone until deep colour is carried; to restore it now, convert a copy to 8 bits",
    )


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    per_inch = {2: 1.0, 3: 2.54}.get(int(page.tags.valueof(296, 2)))
    fractions = [page.tags.valueof(code) for code in (282, 283)]
    if per_inch is None or not all(fractions):
        return None
    return checked_dpi([per_inch * top / bottom if bottom else 0 for top, bottom in fractions])


def _choose(name: str, pages: list[TiffPage]) -> int:
    main = [i for i, page in enumerate(pages) if not _is_reduced(page)] or [0]
    largest = max(main, key=lambda i: pages[i].imagelength * pages[i].imagewidth)
    full = [i for i in main if i == largest or not _is_thumbnail(pages[i], pages[largest])]
    if len(full) > 1:
        raise _several(name, f"{len(full)} full pages")
    return full[0]


def _several(name: str, found: str) -> ImageRefused:
    return ImageRefused(
        name=name, reason="animated", expected="one photo a file", found=found, advice="save each page as its own file"
    )


def _is_reduced(page: TiffPage) -> bool:
    marked = int(page.tags.valueof(_SUBFILE_TYPE, 0)) & (_REDUCED | _MASK)
    return bool(marked) or int(page.tags.valueof(_OLD_SUBFILE_TYPE, 0)) == 2


def _is_thumbnail(page: TiffPage, of: TiffPage) -> bool:
    height, width = page.imagelength, page.imagewidth
    small = max(height, width) <= THUMBNAIL_SIDE_PX and 2 * height <= of.imagelength and 2 * width <= of.imagewidth
    # Same proportions, within a pixel of rounding.
    return small and abs(height * of.imagewidth - width * of.imagelength) <= max(of.imagelength, of.imagewidth)


def _is_camera_raw(page: TiffPage) -> bool:
    if _DNG_VERSION in page.tags or int(page.photometric) in _CAMERA_RAW:
        return True
    return any(int(inner.photometric) in _CAMERA_RAW for inner in page.pages or ())


def _numbers(page: TiffPage, code: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = page.tags.valueof(code, default)
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)


def _check_strips(data: bytes, name: str, page: TiffPage) -> None:
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or min(page.databytecounts) == 0 or len(page.dataoffsets) != len(page.databytecounts):
        found = "strips without data"
    elif max(ends) > len(data):
        found = f"{sum(end > len(data) for end in ends)} of {len(ends)} strips beyond the end of the file"
    else:
        return
    raise ImageRefused(
        name=name,
        reason="truncated",
        expected="a whole TIFF",
        found=found,
        advice="copy it again from the scanner or a backup",
    )
