"""What a TIFF file really holds: which of its pages are photos, and how deep their samples are.

Thumbnails and masks beside a photo are no pages (`oldphoto_core.tiff_standing`). Of several pages, such as recto and
verso of a print, each is a photo with a size, depth, profile and words of its own.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

from PIL import Image
from PIL.ExifTags import IFD, Base

from oldphoto_core.errors import ImageRefused
from oldphoto_core.exif import DESCRIPTIVE_TAGS
from oldphoto_core.packets import iptc_of_resources, whole_iptc, whole_xmp
from oldphoto_core.pillow_reading import broken, is_disk_failure, unsupported
from oldphoto_core.tiff_standing import full_pages
from oldphoto_core.tiff_wholeness import check_chain, check_whole, open_tiff, read_at, starts_beyond

if TYPE_CHECKING:
    from tifffile import TiffPage

log = logging.getLogger(__name__)

MAX_PAGES = 256
"""Pages looked at, thumbnails among them; a file with more of them is a book, and belongs into a file a page."""

_BULK_BYTES = 1 << 16
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _SEPARATED, _CIE_LAB, _ICC_LAB = 0, 1, 2, 5, 8, 9
_LOSSLESS_COMPRESSIONS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""None, LZW, deflate, PackBits, deflate by its old number, LZMA, Zstandard."""

LARGEST_TILE_PX = 1024
_CAMERA_RAW = (32803, 34892)  # colour filter array, linear raw
_DNG_VERSION = 50706
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 700, 33723, 34377
_UNSIGNED, _UNTYPED = 1, 4
_PLANES = (1, 2)
"""Samples together, pixel by pixel, or plane by plane."""
_OTHER_SAMPLES = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}


Plain = Literal["grey", "rgb", "cmyk", "lab", "icc-lab"]
"""Kinds of samples that are read as they stand."""


@dataclass(frozen=True)
class TiffPhoto:
    """A page that is a photo."""

    page: int
    """Its index among the pages of the file."""

    height: int
    """Rows as stored, before orientation."""

    width: int
    """Columns as stored, before orientation."""

    bits: int
    """Bits a sample."""

    plain: Plain | None
    """What the samples are, where they stand there as such: see `oldphoto_core.tiff_pixels`; None otherwise."""

    icc_profile: bytes | None
    """The profile of this page."""

    dpi: tuple[float, float] | None
    """Dots an inch along the stored rows and columns."""

    exif: Image.Exif
    """The tags of this page; its directories of EXIF and GPS are read when asked for."""

    xmp: bytes | None
    """Its XMP packet."""

    iptc: bytes | None
    """Its IPTC datasets, from their own tag or among Photoshop's resources."""

    tile_px: int | None = None
    """Side of its tiles, where they are square and a writer would choose such ones: multiples of 16, up to 1024."""


def find_photo(file: IO[bytes], name: str) -> TiffPhoto:
    """Gives the page that is the photo, where there is one only; see `find_photos`.

    Raises:
        ImageRefused: more than one photo, or what `find_photos` refuses.
        OSError: the disk or the network share fails.
    """
    photos = find_photos(file, name)
    if len(photos) > 1:
        advice = "save each page as its own file, or read it with `open_image`, which gives each"
        raise _several(name, "one photo a file", f"{len(photos)} full pages", advice)
    return photos[0]


def find_photos(file: IO[bytes], name: str) -> list[TiffPhoto]:
    """Gives the pages that are photos, in their order; at least one.

    Args:
        file: The whole file, in memory or not; of its pixels nothing is read. It must stay open as long as `exif` is
            read.
        name: The file, for messages.

    Raises:
        ImageRefused: more than `MAX_PAGES` pages, a camera's raw file; or a page, whose number is told, of samples that
            are not carried, or with strips that are missing.
        OSError: the disk or the network share fails.
    """
    try:
        with open_tiff(file) as tiff:
            pages: list[Any] = []
            for page in tiff.pages:
                pages.append(page)
                if len(pages) > MAX_PAGES:
                    raise _several(name, f"at most {MAX_PAGES} pages", "more of them")
            if any(_is_camera_raw(page) for page in pages):
                found = "a camera's raw file (DNG, NEF or the like), whose TIFF page is a preview"
                raise unsupported(name, "a developed picture", found, "develop it to TIFF")
            full = full_pages(pages)
            names = [page_name(name, number, of=len(full)) for number in range(len(full))]
            for index, called in zip(full, names, strict=True):
                _check(file, called, pages[index])
            check_chain(file, name, pages[-1])
            return [_photo(file, tiff, index, called) for index, called in zip(full, names, strict=True)]
    except ImageRefused:
        raise
    except Exception as error:  # a reader raises anything on foreign bytes
        if is_disk_failure(error):
            raise
        if starts_beyond(file):
            raise broken(name, "TIFF", "truncated", "a directory beyond the end of the file") from error
        raise broken(name, "TIFF", "corrupt", str(error) or type(error).__name__) from error


def page_name(name: str, index: int, *, of: int) -> str:
    """Gives what one of so many photos of a file is called in messages; a single one is called like the file."""
    return name if of == 1 else f"{name}, page {index + 1}"


def _photo(file: IO[bytes], tiff: Any, index: int, name: str) -> TiffPhoto:
    page = tiff.pages[index]
    return TiffPhoto(
        page=index,
        height=page.imagelength,
        width=page.imagewidth,
        bits=max(_numbers(page, 258, (1,))),
        plain=_plain(page),
        icc_profile=page.tags.valueof(34675) or None,
        dpi=_dpi(page),
        exif=_exif_of(file, page, name, byteorder=tiff.byteorder, is_big=tiff.is_bigtiff),
        xmp=whole_xmp(_raw(file, page, _XMP_TAG)),
        iptc=whole_iptc(_raw(file, page, _IPTC_TAG)) or iptc_of_resources(_raw(file, page, _PHOTOSHOP_TAG)),
        tile_px=_tile_px(page),
    )


def _tile_px(page: TiffPage) -> int | None:
    side = page.tilewidth if page.is_tiled else 0
    return side if side == page.tilelength and side % 16 == 0 and 0 < side <= LARGEST_TILE_PX else None


def _exif_of(file: IO[bytes], page: TiffPage, name: str, *, byteorder: str, is_big: bool) -> Image.Exif:
    exif = Image.Exif()
    if not (is_big and byteorder == ">"):
        exif.endian, exif.bigtiff = byteorder, is_big
        exif.load_from_fp(_without_bulk(file, page), page.offset)  # type: ignore[arg-type]
        return exif
    # Pillow does not know big-endian BigTIFF; the directories behind these tags are out of reach then.
    for tag in page.tags.values():
        if tag.code in DESCRIPTIVE_TAGS or tag.code == Base.Orientation:
            exif[tag.code] = tag.value
    if IFD.Exif in page.tags or IFD.GPSInfo in page.tags:
        log.warning("%s: the EXIF directories of a big-endian BigTIFF are not read.", name)
    return exif


class _Patched:
    """A file some of whose places read as other bytes, where reading begins just there."""

    def __init__(self, file: IO[bytes], patches: dict[int, bytes]) -> None:
        self._file, self._patches = file, patches
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        patch = self._patches.get(self._file.tell(), b"")
        return patch + self._file.read(size)[len(patch) :]


def _without_bulk(file: IO[bytes], page: TiffPage) -> _Patched:
    """The file for Pillow, which would read every tag to its end: Photoshop's layers may be as large as the photo."""
    nothing = struct.pack(page.parent.byteorder + ("HHQ" if page.parent.is_bigtiff else "HHI"), 0, 1, 1)
    wanted = DESCRIPTIVE_TAGS | {Base.Orientation, IFD.Exif, IFD.GPSInfo}
    bulk = [tag for tag in page.tags.values() if tag.valuebytecount > _BULK_BYTES and tag.code not in wanted]
    return _Patched(file, {tag.offset: nothing for tag in bulk})


def _check(file: IO[bytes], name: str, page: TiffPage) -> None:
    bits = max(_numbers(page, 258, (1,)))
    kinds = set(_numbers(page, 339, (_UNSIGNED,)))
    samples = int(page.tags.valueof(277, 1))
    kind = _OTHER_SAMPLES.get(max(kinds - {_UNSIGNED, _UNTYPED}, default=0))
    if kind or bits not in (1, 2, 4, 8, 16):
        found = f"{samples} x {bits}-bit {kind or 'unsigned'} samples"
        raise unsupported(name, "samples of 8 or 16 bits", found, "convert a copy to 16 bits")
    if bits == 16 and _plain(page) is None:
        raise _refuse_deep_kind(name, page, samples)
    check_whole(file, name, page, is_plain=_plain(page) is not None)


def checked_dpi(dpi: object) -> tuple[float, float] | None:
    """Gives a resolution in dots an inch to two decimals, or None where a file's figures make no sense."""
    try:
        across, down = (round(float(value), 2) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    # 1 is what writers put where they know nothing.
    return (across, down) if 1 < across < 1e6 and 1 < down < 1e6 else None


def _refuse_deep_kind(name: str, page: TiffPage, samples: int) -> ImageRefused:
    """16 bits a sample, in a kind or compression that would have to be guessed at or cut."""
    is_grey = int(page.photometric) in (_MIN_IS_WHITE, _MIN_IS_BLACK)
    return ImageRefused(
        name=name,
        reason="unsupported-mode" if is_grey else "sixteen-bit-colour",
        expected="16-bit grey, RGB, CMYK or Lab, uncompressed or losslessly compressed",
        found=f"{samples} x 16-bit samples, photometric {int(page.photometric)}, compression {int(page.compression)}",
        advice="save a copy as 16-bit RGB or grey TIFF; it is not cut to 8 bits",
    )


def _plain(page: TiffPage) -> Plain | None:
    if set(_numbers(page, 258, (1,))) not in ({8}, {16}) or int(page.compression) not in _LOSSLESS_COMPRESSIONS:
        return None
    if int(page.planarconfig) not in _PLANES:
        return None
    photometric, samples = int(page.photometric), int(page.tags.valueof(277, 1))
    if photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK):
        return "grey" if samples <= 2 else None
    if photometric == _RGB:
        return "rgb" if samples >= 3 else None
    if photometric in (_CIE_LAB, _ICC_LAB) and samples >= 3:
        return "lab" if photometric == _CIE_LAB else "icc-lab"
    is_cmyk = photometric == _SEPARATED and samples >= 4 and int(page.tags.valueof(332, 1)) == 1
    return "cmyk" if is_cmyk else None


def _dpi(page: TiffPage) -> tuple[float, float] | None:
    per_inch = {2: 1.0, 3: 2.54}.get(int(page.tags.valueof(296, 2)))
    fractions = [page.tags.valueof(code) for code in (282, 283)]
    if per_inch is None or not all(fractions):
        return None
    return checked_dpi([per_inch * top / bottom if bottom else 0 for top, bottom in fractions])


def _raw(file: IO[bytes], page: TiffPage, code: int) -> bytes:
    """A tag's bytes as they stand, whatever type the writer gave them."""
    tag = page.tags.get(code)
    return b"" if tag is None else read_at(file, tag.valueoffset, tag.valuebytecount)


def _several(name: str, expected: str, found: str, advice: str = "save each page as its own file") -> ImageRefused:
    return ImageRefused(name=name, reason="animated", expected=expected, found=found, advice=advice)


def _is_camera_raw(page: TiffPage) -> bool:
    if _DNG_VERSION in page.tags or int(page.photometric) in _CAMERA_RAW:
        return True
    return any(int(inner.aspage().photometric) in _CAMERA_RAW for inner in page.pages or ())


def _numbers(page: TiffPage, code: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = page.tags.valueof(code, default)
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)
