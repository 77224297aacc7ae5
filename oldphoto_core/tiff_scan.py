"""A TIFF as upright rows that are read when they are asked for, so that no more of it is held than a few bands."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import IO

import numpy as np

from oldphoto_core.conversion import conversion_of
from oldphoto_core.pillow_reading import refusing
from oldphoto_core.tiff_bands import Bands, bands_of
from oldphoto_core.tiff_pages import TiffPhoto
from oldphoto_core.tiff_pixels import Samples, plain_page
from oldphoto_core.tiff_wholeness import open_tiff

CACHE_BYTES = 32 << 20
"""Bands that were read last are kept up to so many bytes; two of them in any case."""

_MIRRORED, _FROM_BELOW = (2, 3), (3, 4)
BY_ROWS = (1, 2, 3, 4)
"""Orientations that leave rows being rows."""

_Band = tuple[np.ndarray, np.ndarray | None]


class TiffScan:
    """The pixels, or the alpha, of a TIFF: a `Scan` (`oldphoto_core.scan`), with the values that `decode_image` gives.

    Several threads may read it at once; they wait for each other. A strip that is broken raises ImageRefused when it
    is come to.

    Attributes:
        shape: (H, W) or (H, W, 3), upright.
        dtype: uint8 or uint16.
        is_converted: whether the values are sRGB, which those of the file are not (`oldphoto_core.conversion`).
        held_bytes: what is held in memory at most, shared with `alpha`.
    """

    def __init__(self, source: _Upright, *, is_alpha: bool = False) -> None:
        """Use `open_scan`."""
        self._source, self._is_alpha = source, is_alpha
        height, width, _ = source.bands.shape
        self.shape = (height, width) if is_alpha or source.is_grey else (height, width, 3)
        self.dtype = source.bands.dtype
        self.is_converted = source.convert is not None
        self.held_bytes = source.held_bytes

    @property
    def alpha(self) -> TiffScan | None:
        """The (H, W) alpha; None where there is none. It shares the bands that are held."""
        return TiffScan(self._source, is_alpha=True) if self._source.samples.alpha is not None else None

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows `top` to `bottom` (not included), (h, W) or (h, W, 3); the caller does not write to them.

        Raises:
            ImageRefused: they are broken, or not there any more.
            OSError: the disk or the network share fails.
        """
        bottom = min(bottom, self.shape[0])
        return self._source.rows(top, bottom, (bottom - top, *self.shape[1:]), is_alpha=self._is_alpha)

    def close(self) -> None:
        """Lets go of the bands; the file stays open."""
        self._source.close()


def open_scan(file: IO[bytes], photo: TiffPhoto, orientation: int, name: str) -> TiffScan | None:
    """Gives the rows of a page, or None where it has to be decoded whole; this is the one place that says where.

    Whole are decoded: samples that do not stand there as such (`photo.plain`), orientations 5 to 8, whose rows are
    the file's columns, and what `oldphoto_core.tiff_bands.bands_of` cannot cut.

    Args:
        file: The whole file; it must stay open while rows are read.
        photo: What `find_photo` gave.
        orientation: As EXIF says it, 1 to 8.
        name: The file, for messages.
    """
    if photo.plain is None or orientation not in BY_ROWS:
        return None
    page = plain_page(open_tiff(file), photo)
    bands = bands_of(file, page)
    if bands is None:
        return None
    convert = conversion_of(photo.plain, photo.icc_profile, bands.dtype, name)
    return TiffScan(_Upright(bands, Samples.of(page, photo.plain), convert, orientation=orientation, name=name))


class _Upright:
    """Bands as colours and alpha, the last ones kept, and rows of them turned upright."""

    def __init__(
        self,
        bands: Bands,
        samples: Samples,
        convert: Callable[[np.ndarray], np.ndarray] | None,
        *,
        orientation: int,
        name: str,
    ) -> None:
        self.bands, self.samples, self.convert = bands, samples, convert
        self.is_grey = samples.colours == 1
        self._mirrored, self._from_below = orientation in _MIRRORED, orientation in _FROM_BELOW
        self._name = name
        self._kept: OrderedDict[int, _Band] = OrderedDict()
        self._lock = threading.Lock()
        band_bytes = bands.rows * bands.row_bytes
        self._most = max(2, CACHE_BYTES // band_bytes)
        # The bands, one that is being read, and what it is made of: its encoded bytes and its samples as stored.
        self.held_bytes = min(self._most * bands.rows, bands.shape[0]) * bands.row_bytes
        self.held_bytes += 2 * band_bytes + bands.passing_bytes

    def rows(self, top: int, bottom: int, shape: tuple[int, ...], *, is_alpha: bool) -> np.ndarray:
        height, step = self.bands.shape[0], self.bands.rows
        first, last = (height - bottom, height - top) if self._from_below else (top, bottom)
        indices = range(first // step, -(-last // step)) if first < last else range(0)
        with self._lock, refusing(self._name, "TIFF"):
            if len(indices) == 1 and not self._mirrored and not self._from_below:
                return self._part(indices[0], first, last, is_alpha)
            out = np.empty(shape, self.bands.dtype)
            stored = out[::-1] if self._from_below else out
            stored = stored[:, ::-1] if self._mirrored else stored
            for index in indices:
                start = max(index * step, first) - first
                part = self._part(index, first, last, is_alpha)
                stored[start : start + len(part)] = part
            return out

    def _part(self, index: int, first: int, last: int, is_alpha: bool) -> np.ndarray:
        """Those of a band's rows that lie between two stored rows."""
        top = index * self.bands.rows
        plane = self._band(index)[is_alpha]
        assert plane is not None
        return plane[max(first - top, 0) : last - top]

    def _band(self, index: int) -> _Band:
        found = self._kept.get(index)
        if found is not None:
            self._kept.move_to_end(index)
            return found
        while len(self._kept) >= self._most:
            self._kept.popitem(last=False)
        colours, alpha = self.samples.split(self.bands.read(index * self.bands.rows))
        if self.convert is not None:
            colours = self.convert(colours)
        made = np.ascontiguousarray(colours), None if alpha is None else np.ascontiguousarray(alpha)
        self._kept[index] = made
        return made

    def close(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bands.close()
