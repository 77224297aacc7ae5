"""The stored rows of a TIFF's page, a band at a time: what of the file a band needs is read and decoded, no more.

A band is at least about a megapixel, and whole strips or a whole row of tiles where these have to be decoded.
Uncompressed strips are read by the place of each row, so that one huge strip is no obstacle.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from oldphoto_core.machine import usable_cores
from oldphoto_core.tiff_pixels import PLANES_APART, UNCOMPRESSED

if TYPE_CHECKING:
    from tifffile import TiffPage

_BAND_PX = 1 << 20
_BAND_BYTES = 64 << 20
"""Strips are not joined to more than this; a single one, or a row of tiles, may be larger."""

_MOST_THREADS = 8
_AS_THEY_COME = 1


def bands_of(file: IO[bytes], page: TiffPage) -> Bands | None:
    """Gives the page's bands, or None where it has to be decoded whole.

    That is where one compressed strip (or row of tiles) holds all rows, or where uncompressed bytes have their bits the
    other way round.

    Args:
        file: The whole file; it must stay open.
        page: A page of whole samples of 8 or 16 bits, losslessly compressed or not, that `check_whole` let pass.
    """
    if page.imagedepth != 1:
        return None
    if page.is_final:
        return RowsInPlace(file, page, rows=page.imagelength)
    if page.compression == UNCOMPRESSED:
        if page.fillorder != _AS_THEY_COME:
            return None
        if not page.is_tiled and min(page.dataoffsets) > 0:
            return RowsInPlace(file, page, rows=page.rowsperstrip)
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    return Segments(file, page, rows=rows) if rows < page.imagelength else None


class Bands(ABC):
    """The stored rows of a page.

    Attributes:
        shape: (H, W, samples).
        dtype: uint8 or uint16.
        rows: of a band; the last one may have fewer.
        passing_bytes: what is held at most while one is read, itself not counted.
    """

    rows: int
    passing_bytes: int

    def __init__(self, file: IO[bytes], page: TiffPage) -> None:
        """Reads nothing yet."""
        self._file, self._page = file, page
        self.shape = (int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel))
        self._stored_dtype = np.dtype(page.parent.byteorder + page.dtype.char)
        self.dtype = self._stored_dtype.newbyteorder("=")
        self.row_bytes = self.shape[1] * self.shape[2] * self.dtype.itemsize
        self._planes = self.shape[2] if page.planarconfig == PLANES_APART else 1

    @abstractmethod
    def read(self, top: int) -> np.ndarray:
        """Gives the (h, W, samples) band whose first row this is, in native byte order.

        Raises:
            EOFError: the file ends before it.
            Exception: of any kind, from the decoders, where it is broken.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Lets go of threads; the file is the caller's."""


class RowsInPlace(Bands):
    """Rows that stand in the file as they are."""

    def __init__(self, file: IO[bytes], page: TiffPage, *, rows: int) -> None:
        """Reads nothing yet.

        Args:
            rows: Of a strip; all, where one strip follows the other without a gap.
        """
        super().__init__(file, page)
        self._strip_rows, self._strips = rows, math.ceil(self.shape[0] / rows)
        self._plane_row_bytes = self.row_bytes // self._planes
        self.rows = max(1, _BAND_PX // self.shape[1])
        self.passing_bytes = 0 if self._planes == 1 else self.rows * self._plane_row_bytes

    def read(self, top: int) -> np.ndarray:
        bottom = min(top + self.rows, self.shape[0])
        out = np.empty((bottom - top, *self.shape[1:]), self._stored_dtype)
        if self._planes == 1:
            self._fill(out, 0, top)
        else:
            plane = np.empty(out.shape[:2], self._stored_dtype)
            for number in range(self._planes):
                self._fill(plane, number, top)
                out[..., number] = plane
        if self._stored_dtype == self.dtype:
            return out
        return out.byteswap(inplace=True).view(self.dtype)

    def _fill(self, out: np.ndarray, plane: int, top: int) -> None:
        """Reads the rows of a plane, or of all samples together, from this one on."""
        at = 0
        while at < len(out):
            strip, row = divmod(top + at, self._strip_rows)
            end = min(len(out), at + self._strip_rows - row)
            self._read_rows(out[at:end], plane, strip, row)
            at = end

    def _read_rows(self, out: np.ndarray, plane: int, strip: int, row: int) -> None:
        start, end = row * self._plane_row_bytes, (row + len(out)) * self._plane_row_bytes
        if self._page.is_final:  # one run, whatever its strips say
            place = self._page.dataoffsets[0] + plane * self.shape[0] * self._plane_row_bytes
        else:
            index = plane * self._strips + strip
            place, count = self._page.dataoffsets[index], self._page.databytecounts[index]
            if end > count:
                raise ValueError(f"strip {index} holds {count} bytes of {end}")
        self._file.seek(place + start)
        found = self._file.readinto(out.reshape(-1).view(np.uint8))  # type: ignore[attr-defined]
        if found != out.nbytes:
            raise EOFError(f"strip {strip} ends early: {found} bytes of {out.nbytes}")


class Segments(Bands):
    """Rows of whole strips or tiles, decoded by tifffile's own functions, in threads where there are cores for them."""

    def __init__(self, file: IO[bytes], page: TiffPage, *, rows: int) -> None:
        """Reads nothing yet.

        Args:
            rows: Of a strip or tile.
        """
        super().__init__(file, page)
        page.init_decode()
        threads = min(_MOST_THREADS, usable_cores() // 2)
        self._pool = ThreadPoolExecutor(threads, "oldphoto-tiff") if threads > 1 else None
        self._across = math.ceil(self.shape[1] / page.tilewidth) if page.is_tiled else 1
        wanted = max(math.ceil(_BAND_PX / (rows * self.shape[1])), 1 if page.is_tiled else threads)
        self._joined = max(1, min(wanted, _BAND_BYTES // (rows * self.row_bytes)))
        self._segment_rows, self.rows = rows, rows * self._joined
        self._per_plane = math.ceil(self.shape[0] / rows) * self._across
        per_band, counts = self._across * self._joined, page.databytecounts
        most = max(sum(counts[at : at + per_band]) for at in range(0, len(counts), per_band))
        self.passing_bytes = most * self._planes

    def read(self, top: int) -> np.ndarray:
        bottom = min(top + self.rows, self.shape[0])
        out = np.empty((bottom - top, *self.shape[1:]), self.dtype)
        first = top // self._segment_rows * self._across
        last = math.ceil(bottom / self._segment_rows) * self._across
        indices = [plane * self._per_plane + at for plane in range(self._planes) for at in range(first, last)]
        encoded = [(index, self._encoded(index)) for index in indices]
        for _ in (self._pool.map if self._pool else map)(lambda one: self._decode(*one, top, out), encoded):
            pass
        return out

    def _encoded(self, index: int) -> bytes | None:
        at, count = self._page.dataoffsets[index], self._page.databytecounts[index]
        if at == 0:  # a hole, by TIFF's custom
            return None
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) != count:
            raise EOFError(f"strip {index} ends early: {len(data)} bytes of {count}")
        return data

    def _decode(self, index: int, data: bytes | None, top: int, out: np.ndarray) -> None:
        segment, (plane, _, row, column, _), shape = self._page.decode(data, index)
        samples = slice(None) if self._planes == 1 else slice(plane, plane + 1)
        target: Any = out[row - top : row - top + shape[1], column : column + shape[2], samples]
        target[:] = self._page.nodata if segment is None else segment[0, : target.shape[0], : target.shape[1]]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
