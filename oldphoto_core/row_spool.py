"""Rows that are put down as they are made and read again later: in memory where they are few, else in a file."""

from __future__ import annotations

import os
import tempfile
from typing import IO

import numpy as np

from oldphoto_core.errors import ConfigError

HELD_BYTES = 64 << 20
"""Rows of a picture up to so many bytes stay in memory."""


class RowSpool:
    """A scan that is written from its top to its bottom, and may then be read in any order.

    A large one lies in a temporary file without a name (under `TMPDIR`), which is gone when the spool is closed,
    whatever ends the process.

    Attributes:
        shape: (H, W) or (H, W, C).
        dtype: of its values.
        held_bytes: what of it is in memory.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype | type, *, held_bytes: int = HELD_BYTES) -> None:
        """Makes room.

        Args:
            shape, dtype: of the whole.
            held_bytes: up to this size it stays in memory.
        """
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._row_bytes = int(np.prod(shape[1:])) * self.dtype.itemsize
        size_bytes = shape[0] * self._row_bytes
        self._array = np.empty(shape, dtype) if size_bytes <= held_bytes else None
        self._file: IO[bytes] | None = None if self._array is not None else tempfile.TemporaryFile()  # noqa: SIM115
        self.held_bytes = size_bytes if self._array is not None else 0
        self._rows = 0

    def append(self, rows: np.ndarray) -> None:
        """Puts down the next rows (h, W, ...).

        Raises:
            ConfigError: the temporary folder has no room left.
        """
        assert rows.shape[1:] == self.shape[1:] and rows.dtype == self.dtype, (rows.shape, rows.dtype)
        if self._file is None:
            assert self._array is not None
            self._array[self._rows : self._rows + len(rows)] = rows
        else:
            try:
                self._file.seek(self._rows * self._row_bytes)
                self._file.write(_bytes_of(np.ascontiguousarray(rows)))
            except OSError as error:
                raise ConfigError(
                    f"rows cannot be put down in {tempfile.gettempdir()}: {error.strerror}; free "
                    f"{self.shape[0] * self._row_bytes / 1e9:.1f} GB there, or set TMPDIR to another folder"
                ) from error
        self._rows += len(rows)

    def restart(self) -> None:
        """Begins again at the top."""
        self._rows = 0

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Gives rows `top` to `bottom` (not included), which were put down before."""
        assert 0 <= top <= bottom <= self._rows, (top, bottom, self._rows)
        if self._file is None:
            assert self._array is not None
            return self._array[top:bottom]
        out = np.empty((bottom - top, *self.shape[1:]), self.dtype)
        self._file.flush()
        left, at = _bytes_of(out), top * self._row_bytes
        while len(left):
            found = os.preadv(self._file.fileno(), [left], at)
            assert found, (at, "the file is shorter than what was written")
            left, at = left[found:], at + found
        return out

    def close(self) -> None:
        """Lets go of the rows."""
        if self._file is not None:
            self._file.close()


def _bytes_of(rows: np.ndarray) -> memoryview:
    return memoryview(rows.reshape(-1).view(np.uint8))
