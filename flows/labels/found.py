"""What a source holds of labels, by the format that they were exported in; nothing is drawn out yet."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from flows.errors import UsageError
from flows.settings import Settings
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Drawing
from storage.keys import sha256_hex
from storage.objects import SourceStore
from storage.urls import canonical_url, local_folder

LabelFormat = Literal["png", "label-studio", "coco", "cvat"]
TOOLS: dict[LabelFormat, str] = {"png": "PNG", "label-studio": "Label Studio", "coco": "COCO", "cvat": "CVAT"}

_LABEL_MAP, _CLASSES = "labelmap.txt", "SegmentationClass/"


@dataclass(frozen=True)
class FoundLabel:
    """Somebody's marks on a photo that is still to be found.

    Attributes:
        where: file and place, for messages.
        files: names that the photo may have, those to be believed first in front.
        folder: of the label's file; it tells annotators apart that are told by nothing else.
        load: gives what was drawn, once the SHA-256 of the photo is known; None where the file is that photo itself.
    """

    where: str
    files: tuple[str, ...]
    folder: str
    load: Callable[[str], Drawing | None] = field(repr=False)


@dataclass
class Findings:
    """What is not a label: problems (where, why), and files that are none of the format's."""

    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True)
class LabelSource:
    """A folder or bucket that labels are read from, never written to.

    Attributes:
        keys: of its files; of one file alone where that was named.
    """

    store: SourceStore
    keys: tuple[str, ...]


def open_source(source: str, settings: Settings, format: LabelFormat) -> LabelSource:
    """Lists what is at a path or URL: a folder, or one file.

    Raises:
        UsageError: it is not there, or holds no file of this format.
    """
    url = canonical_url(source)
    path = local_folder(url)
    if path is not None and not path.exists():
        raise UsageError(f"{source} is not there; name the folder of the export, its file, or s3://bucket/prefix")
    if path is not None and path.is_file():
        found = LabelSource(SourceStore(path.parent), (path.name,))
    elif path is None and url.endswith((".json", ".xml", ".png")):
        folder, _, name = url.rpartition("/")
        found = LabelSource(SourceStore(folder, settings.store_options(folder)), (name,))
    else:
        store = SourceStore(url, settings.store_options(url))
        found = LabelSource(store, tuple(sorted(entry.key for entry in store.list() if _is_shown(entry.key))))
    if not _of_format(found.keys, format):
        packed = "; unpack the archive first" if any(key.lower().endswith(".zip") for key in found.keys) else ""
        raise UsageError(f"{source} holds no {_WANTED[format]}{packed}; see docs/labels.md for what to export")
    return found


def found_labels(
    source: LabelSource, format: LabelFormat, wanted: Sequence[str], findings: Findings
) -> Iterator[FoundLabel]:
    """Gives every label of the source; what cannot be read is put down in the findings.

    Args:
        wanted: names of the labels that count; none: all.
    """
    taken = _of_format(source.keys, format)
    findings.left_out = len(source.keys) - len(taken)
    if format == "png":
        for key in taken:
            yield _picture(source, key, posixpath.dirname(key), key, None)
    elif taken[0].endswith(_LABEL_MAP):
        findings.left_out = 0
        for key in taken:
            yield from _coloured(source, key, wanted, findings)
    else:
        for key in taken:
            yield from _drawings(source, key, format, wanted, findings)


_WANTED: dict[LabelFormat, str] = {
    "png": ".png file", "label-studio": ".json file", "coco": ".json file",
    "cvat": f".xml file and no {_LABEL_MAP} beside {_CLASSES}",
}  # fmt: skip


def _of_format(keys: Sequence[str], format: LabelFormat) -> list[str]:
    if format == "png":
        return [key for key in keys if key.lower().endswith(".png")]
    if format != "cvat":
        return [key for key in keys if key.lower().endswith(".json")]
    documents = [key for key in keys if key.lower().endswith(".xml")]
    return documents or [key for key in keys if posixpath.basename(key) == _LABEL_MAP]


def _is_shown(key: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in key.split("/"))


def _drawings(
    source: LabelSource, key: str, format: LabelFormat, wanted: Sequence[str], findings: Findings
) -> Iterator[FoundLabel]:
    from oldphoto_core.labels.coco import read_coco
    from oldphoto_core.labels.cvat import read_cvat
    from oldphoto_core.labels.label_studio import read_label_studio

    read = {"label-studio": read_label_studio, "coco": read_coco, "cvat": read_cvat}[format]
    try:
        for drawing in read(source.store.read_bytes(key), wanted):
            yield FoundLabel(f"{key}: {drawing.where}", drawing.files, posixpath.dirname(key), partial(_same, drawing))
    except LabelRefused as error:
        findings.problems.append((key, str(error)))


def _same(drawing: Drawing, photo_sha256: str) -> Drawing:
    return drawing


def _coloured(
    source: LabelSource, map_key: str, wanted: Sequence[str], findings: Findings
) -> Iterator[FoundLabel]:
    """CVAT's `Segmentation mask 1.1`: pictures whose colours a label map explains."""
    from oldphoto_core.labels.pictures import colours_of_label_map

    root = posixpath.dirname(map_key)
    folder = posixpath.join(root, _CLASSES)
    try:
        colours = colours_of_label_map(source.store.read_bytes(map_key).decode("utf-8", "replace"), wanted)
    except LabelRefused as error:
        findings.problems.append((map_key, str(error)))
        return
    for key in source.keys:
        if key.startswith(folder) and key.lower().endswith(".png"):
            yield _picture(source, key, root, key.removeprefix(folder), (colours[True], colours[False]))


def _picture(
    source: LabelSource, key: str, folder: str, name: str, colours: tuple[frozenset, frozenset] | None
) -> FoundLabel:
    from oldphoto_core.labels.pictures import Painted, Picture, picture_size

    def load(photo_sha256: str) -> Drawing | None:
        counting, known = colours or (None, frozenset())
        data = source.store.read_bytes(key)
        if sha256_hex(data) == photo_sha256:
            return None
        mask = Picture(data, counting, known).mask()
        return Drawing(key, (name,), picture_size(mask), (Painted(mask),))

    return FoundLabel(key, (name,), folder, load)
