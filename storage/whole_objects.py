"""A whole object as a local file that can be read from any place, with its SHA-256; a large one is never held."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from storage.records import SourceEntry
from storage.s3_errors import gathering_error

HELD_BYTES = 64 * 2**20
"""Objects up to this size are held in memory while they are open."""


@dataclass(frozen=True)
class WholeObject:
    """An object that is open for reading.

    Attributes:
        entry: what it was when it was read, with its version id where the store has one.
        file: its bytes, seekable, at their beginning.
        sha256: of all of them.
    """

    entry: SourceEntry
    file: IO[bytes]
    sha256: str
    _check: Callable[[], None] = lambda: None

    @property
    def size_bytes(self) -> int:
        """Of the object."""
        return self.entry.size_bytes

    def check_unchanged(self) -> None:
        """Makes sure that all that was read from ``file`` until now is of the object with this SHA-256.

        What is held or gathered is a copy, and passes always. A file in a folder is the master itself.

        Raises:
            ObjectChanged: it is another one by now.
            ObjectNotFound: it is gone.
        """
        self._check()


class Gathered:
    """An object's bytes as they come from a server: in memory where they are few, else in a temporary file.

    Attributes:
        size_bytes: of what came until now.
    """

    def __init__(self, url: str, key: str) -> None:
        """Of this object, for messages."""
        self._url, self._key = url, key
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def begin(self, size_bytes: int) -> None:
        """Begins anew; so many bytes are to come."""
        self.close()
        self._file = io.BytesIO() if size_bytes <= HELD_BYTES else tempfile.TemporaryFile()  # noqa: SIM115
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def take(self, piece: bytes) -> None:
        """Puts down the next bytes.

        Raises:
            ObjectStoreError: the temporary folder has no room left.
        """
        assert self._file is not None
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise gathering_error(error, url=self._url, key=self._key, doing="read") from error
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def sha256(self) -> str:
        """Of what came."""
        return self._digest.hexdigest()

    def rewound(self) -> IO[bytes]:
        """What came, at its beginning."""
        assert self._file is not None
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Lets go of it."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
