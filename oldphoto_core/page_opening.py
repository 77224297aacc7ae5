"""The pages of a TIFF as images: each by itself, and all of them as one picture below each other.

Of a large file one page at a time is held: its last bands, or its pixels where it has to be decoded whole. Small
files are decoded at once, page by page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

import numpy as np

from oldphoto_core.decoding import decode_page
from oldphoto_core.errors import ImageRefused
from oldphoto_core.exif import read_orientation
from oldphoto_core.image_checks import check_size
from oldphoto_core.image_types import DecodeLimits, ImageFacts, OpenedImage
from oldphoto_core.pillow_reading import broken, quiet_decoders, refusing
from oldphoto_core.stacked_scan import stack_pictures
from oldphoto_core.surroundings import ReadExif, Surroundings, describe, mode_of
from oldphoto_core.tiff_pages import TiffPhoto, page_name
from oldphoto_core.tiff_scan import open_scan


def open_page(file: IO[bytes], photo: TiffPhoto, name: str, *, by_rows: bool) -> OpenedImage:
    """Gives one page of a TIFF.

    Args:
        file: The whole file.
        photo: One of those that `find_photos` gave of it.
        name: The file, and the page where there are several, for messages.
        by_rows: Whether rows are read as they are asked for, where they can be; else they are decoded at once.

    Raises:
        ImageRefused: it is broken.
        OSError: the disk or the network share fails.
    """
    opened = _open_by_rows(file, photo, name) if by_rows else None
    return opened or _decoded(_all_of(file), photo, name)


def open_pages(
    file: IO[bytes], photos: Sequence[TiffPhoto], name: str, limits: DecodeLimits, *, by_rows: bool
) -> OpenedImage:
    """Gives a TIFF of several pages as one image, whose `pages` they are.

    Args:
        file: The whole file; it must stay open until the image is released.
        photos: What `find_photos` gave of it, two or more.
        name: The file, for messages.
        limits: Of all pages together, as they lie below each other; the smallest side is each page's.
        by_rows: Whether one page at a time is held, read by rows where that can be; else all are decoded at once.

    Raises:
        ImageRefused: a page, whose number is told, is broken or too small; or they are too large together.
        OSError: the disk or the network share fails.
    """
    names = [page_name(name, index, of=len(photos)) for index in range(len(photos))]
    _check_sizes(photos, names, name, limits)
    named = list(zip(photos, names, strict=True))
    if by_rows:
        turner = _PageTurner([partial(open_page, file, *one, by_rows=True) for one in named], names)
        pages = [turner.described(index) for index in range(len(names))]
        held_bytes, release = max(page.held_bytes for page in pages), turner.close
    else:
        data = _all_of(file)
        pages, release = [_decoded(data, *one) for one in named], _nothing
        held_bytes = sum(page.held_bytes for page in pages)
    stack, icc_profile = stack_pictures([page.scan for page in pages], [page.icc_profile for page in pages])
    return replace(
        pages[0],
        scan=stack,
        alpha=None,
        icc_profile=icc_profile,
        facts=_facts(pages, stack.shape),
        pages=tuple(pages),
        tile_px=None,
        held_bytes=held_bytes,
        release=release,
    )


def _nothing() -> None:
    pass


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _decoded(data: bytes, photo: TiffPhoto, name: str) -> OpenedImage:
    return replace(OpenedImage.of(decode_page(data, photo, name)), tile_px=photo.tile_px)


def _open_by_rows(file: IO[bytes], photo: TiffPhoto, name: str) -> OpenedImage | None:
    """The page, or None where it has to be decoded whole."""
    with quiet_decoders(name), refusing(name, "TIFF"):
        scan = open_scan(file, photo, read_orientation(photo.exif), name)
        if scan is None:
            return None
        alpha = scan.alpha
        mode = mode_of(photo, has_alpha=alpha is not None)
        around = Surroundings.of_tiff(photo, mode=mode, is_converted=scan.is_converted)
        exif = ReadExif.of("TIFF", around)
    described = describe("TIFF", around, exif, scan, has_alpha=alpha is not None, perceptual_hash="")
    return OpenedImage(
        scan=scan,
        alpha=alpha,
        tile_px=photo.tile_px,
        held_bytes=scan.held_bytes,
        release=scan.close,
        **vars(described),
    )


def _facts(pages: Sequence[OpenedImage], shape: tuple[int, ...]) -> ImageFacts:
    """What the catalogue keeps: the size of the stack, the depth of the deepest page, the words of the first."""
    kinds = [page.facts for page in pages]
    return replace(
        kinds[0],
        height=shape[0],
        width=shape[1],
        channels=max(kind.channels for kind in kinds),
        bit_depth=max(kind.bit_depth for kind in kinds),
        has_alpha=any(kind.has_alpha for kind in kinds),
        capture={**kinds[0].capture, "pages": str(len(pages))},
    )


def _check_sizes(photos: Sequence[TiffPhoto], names: Sequence[str], name: str, limits: DecodeLimits) -> None:
    height = width = 0
    for photo, called in zip(photos, names, strict=True):
        check_size(photo.height, photo.width, called, limits)
        with quiet_decoders(called), refusing(called, "TIFF"):
            is_turned = read_orientation(photo.exif) >= 5
        height += photo.width if is_turned else photo.height
        width = max(width, photo.height if is_turned else photo.width)
    if height * width > limits.max_pixels:
        raise ImageRefused(
            name=name,
            reason="bomb",
            expected=f"at most {limits.max_pixels / 1e6:.0f} megapixels",
            found=f"{len(photos)} pages that are {height} x {width} pixels, below each other",
            advice="save each page as its own file, or raise the limit",
        )


class _PageTurner:
    """The pages of a file, of which one at a time is open; several threads wait for each other."""

    def __init__(self, openers: Sequence[Callable[[], OpenedImage]], names: Sequence[str]) -> None:
        self._openers, self._names = openers, names
        self._lock = threading.Lock()
        self._at: int | None = None
        self._open: OpenedImage | None = None

    def described(self, index: int) -> OpenedImage:
        """The page, whose rows open it again when another one was read meanwhile."""
        with self._lock:
            page = self._turn_to(index)
            alpha = page.alpha
            return replace(
                page,
                scan=_TurnedScan(self, index, page.scan.shape, page.scan.dtype),
                alpha=None if alpha is None else _TurnedScan(self, index, alpha.shape, alpha.dtype, is_alpha=True),
                release=_nothing,
            )

    def rows(self, scan: _TurnedScan, top: int, bottom: int) -> np.ndarray:
        with self._lock:
            page = self._turn_to(scan.index)
            found = page.alpha if scan.is_alpha else page.scan
            if found is None or (found.shape, found.dtype) != (scan.shape, scan.dtype):
                raise broken(self._names[scan.index], "TIFF", "corrupt", "another page than before")
            return found.rows(top, bottom)

    def close(self) -> None:
        """Lets go of the page that is open; the file stays open."""
        with self._lock:
            self._let_go()

    def _turn_to(self, index: int) -> OpenedImage:
        if self._open is None or self._at != index:
            self._let_go()
            self._open, self._at = self._openers[index](), index
        return self._open

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.release()
        self._open = None


@dataclass(frozen=True)
class _TurnedScan:
    """A page's pixels or alpha, read through the turner: a `Scan`."""

    turner: _PageTurner
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype
    is_alpha: bool = False

    def rows(self, top: int, bottom: int) -> np.ndarray:
        return self.turner.rows(self, top, bottom)
