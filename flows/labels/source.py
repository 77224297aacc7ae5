"""Where labels are read from: a folder, a bucket, one file, or the archive that a tool packed its export into."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flows.errors import UsageError
from flows.settings import Settings
from oldphoto_core.errors import LabelRefused
from storage.objects import SourceStore
from storage.urls import canonical_url, local_folder

LabelFormat = Literal["png", "label-studio", "coco", "cvat"]
TOOLS: dict[LabelFormat, str] = {"png": "PNG", "label-studio": "Label Studio", "coco": "COCO", "cvat": "CVAT"}

LABEL_MAP, CLASSES = "labelmap.txt", "SegmentationClass/"

_WANTED: dict[LabelFormat, str] = {
    "png": ".png file", "label-studio": ".json file", "coco": ".json file",
    "cvat": f".xml file and no {LABEL_MAP} beside {CLASSES}",
}  # fmt: skip
_ONE_FILE = (".json", ".xml", ".png", ".zip")
_LARGEST_BYTES = 2**30
"""Of one file in an archive, unpacked."""


@dataclass(frozen=True)
class LabelSource:
    """Files that labels are read from, never written to.

    Attributes:
        keys: of all files; of one file alone where that was named.
        read: gives a file's bytes; what it raises names the file.
    """

    keys: tuple[str, ...]
    read: Callable[[str], bytes] = field(repr=False)


def open_source(source: str, settings: Settings, format: LabelFormat) -> LabelSource:
    """Lists what is at a path or URL: a folder, one file, or the files of a .zip.

    Raises:
        UsageError: it is not there, is no archive, or holds no file of this format.
    """
    url = canonical_url(source)
    path = local_folder(url)
    if path is not None and not path.exists():
        raise UsageError(f"{source} is not there; name the folder of the export, its file, or s3://bucket/prefix")
    if path.is_file() if path is not None else url.lower().endswith(_ONE_FILE):
        folder, _, name = url.rpartition("/")
        store = SourceStore(path.parent if path is not None else folder, settings.store_options(folder))
        name = path.name if path is not None else name
        found = LabelSource((name,), store.read_bytes)
        if name.lower().endswith(".zip"):
            found = _archive(source, store.read_bytes(name))
    else:
        store = SourceStore(url, settings.store_options(url))
        shown = sorted(entry.key for entry in store.list() if _is_shown(entry.key))
        found = LabelSource(tuple(shown), store.read_bytes)
    if not of_format(found.keys, format):
        packed = "; name the .zip in it" if any(key.lower().endswith(".zip") for key in found.keys) else ""
        raise UsageError(f"{source} holds no {_WANTED[format]}{packed}; see docs/labels.md for what to export")
    return found


def of_format(keys: Sequence[str], format: LabelFormat) -> list[str]:
    """Those files that an export of this format is read from."""
    if format == "png":
        return [key for key in keys if key.lower().endswith(".png")]
    if format != "cvat":
        return [key for key in keys if key.lower().endswith(".json")]
    documents = [key for key in keys if key.lower().endswith(".xml")]
    return documents or [key for key in keys if posixpath.basename(key) == LABEL_MAP]


def _is_shown(key: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in key.split("/"))


def _archive(source: str, data: bytes) -> LabelSource:
    """The files of an archive; they are unpacked one at a time, in memory, and nothing is written."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError) as error:
        raise UsageError(f"{source} is no archive that can be read ({error}); export it again") from error

    def read(key: str) -> bytes:
        info = archive.getinfo(key)
        if info.file_size > _LARGEST_BYTES:
            raise LabelRefused(f"is {info.file_size / 1e9:.1f} GB unpacked; unpack it, and name the folder")
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise LabelRefused(f"cannot be unpacked ({error}); export it again") from error

    shown = sorted(info.filename for info in archive.infolist() if not info.is_dir() and _is_shown(info.filename))
    return LabelSource(tuple(dict.fromkeys(shown)), read)
