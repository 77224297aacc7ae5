"""Decoders, asked quietly: one reader at a time, no global limits, no warnings, and any failure a refusal."""

from __future__ import annotations

import errno
import importlib
import io
import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from oldphoto_core.errors import ImageRefused, RefusalReason, one_line
from oldphoto_core.image_formats import CARRIED, WEAK_SIGNATURES

log = logging.getLogger(__name__)

_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "TIFF": "TiffImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "PPM": "PpmImagePlugin",
    "PSD": "PsdImagePlugin",
}
"""`Image.open` would try every reader it knows, PostScript's among them, and apply a pixel limit that is global."""

_CUT_SHORT = ("truncat", "eof", "end of file", "unexpected end", "incomplete", "too short", "not enough", "unpack")

_quiet_lock = threading.Lock()
"""Warning filters and log levels belong to the process; one thread at a time may change them."""


@contextmanager
def quiet_decoders(name: str) -> Iterator[None]:
    """Keeps the decoders' complaints out of the host program: what matters becomes a refusal, the rest a log line."""
    tifffile_log = logging.getLogger("tifffile")
    with _quiet_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        level = tifffile_log.level
        tifffile_log.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            tifffile_log.setLevel(level)
            for warning in caught:
                log.debug("%s: %s", name, one_line(warning.message))


@contextmanager
def refusing(name: str, format: str, opening: bool = False) -> Iterator[None]:
    """Turns whatever a decoder raises into a refusal; on foreign bytes that may be any exception.

    Args:
        name: The file.
        format: What its first bytes announce.
        opening: Whether the header is being read, and the announcement may be a coincidence.

    Raises:
        OSError: the disk or the network share fails, which says nothing of the file.
    """
    try:
        yield
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageRefused(
            name=name,
            reason="bomb",
            expected="a picture that fits into memory",
            found=str(error) or "more pixels than there is memory for",
            advice="check that the file is what it claims to be",
        ) from error
    except Exception as error:
        if is_disk_failure(error):
            raise
        if opening and format in WEAK_SIGNATURES:
            raise not_an_image(name, f"bytes that only begin like a {format} file") from error
        text = f"{type(error).__name__}: {error}"
        cut = isinstance(error, EOFError | struct.error) or any(word in text.lower() for word in _CUT_SHORT)
        raise broken(name, format, "truncated" if cut else "corrupt", str(error) or type(error).__name__) from error


def is_disk_failure(error: Exception) -> bool:
    """Tells whether the system could not read, as against a decoder that complains of what it read.

    Decoders' OSErrors have no number. A position that no file can have is the file's own fault.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW)


def open_with_pillow(data: bytes, format: str, name: str) -> Any:
    """Gives Pillow's image with its header read and no pixel decoded."""
    importlib.import_module(f"PIL.{_PLUGINS[format]}")
    if format not in Image.OPEN:
        found = f"{format}, which this build of Pillow cannot read"
        raise unsupported(name, CARRIED, found, "convert a copy to TIFF or PNG")
    factory, _ = Image.OPEN[format]
    return factory(io.BytesIO(data), "")


def broken(name: str, format: str, reason: RefusalReason, found: str) -> ImageRefused:
    """Gives the refusal of a file of a known format that is `truncated` or `corrupt`."""
    advice = "copy it again from the scanner or a backup"
    return ImageRefused(name=name, reason=reason, expected=f"an intact {format} file", found=found, advice=advice)


def not_an_image(name: str, found: str) -> ImageRefused:
    """Gives the refusal of a file that holds no picture."""
    advice = "add a pattern to the ignored ones if such files belong there"
    return ImageRefused(name=name, reason="not-an-image", expected=CARRIED, found=found, advice=advice)


def unsupported(name: str, expected: str, found: str, advice: str) -> ImageRefused:
    """Gives the refusal of a picture whose kind is not carried."""
    return ImageRefused(name=name, reason="unsupported-mode", expected=expected, found=found, advice=advice)
