"""What a source holds of labels, by the format that they were exported in; nothing is drawn out yet."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from flows.labels.source import CLASSES, LABEL_MAP, LabelFormat, LabelSource, of_format
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Drawing
from storage.keys import sha256_hex

_SHOWN = 3


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
    """What is not a label: problems (where, why), and files that are none of the format's, with the names of some."""

    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0
    others: tuple[str, ...] = ()


def found_labels(
    source: LabelSource, format: LabelFormat, wanted: Sequence[str], findings: Findings
) -> Iterator[FoundLabel]:
    """Gives every label of the source; what cannot be read is put down in the findings.

    Args:
        wanted: names of the labels that count; none: all.
    """
    taken = of_format(source.keys, format)
    others = sorted(set(source.keys) - set(taken))
    findings.left_out, findings.others = len(others), tuple(others[:_SHOWN])
    if format == "png":
        for key in taken:
            yield _picture(source, key, posixpath.dirname(key), key, None)
    elif taken[0].endswith(LABEL_MAP):
        findings.left_out, findings.others = 0, ()
        for key in taken:
            yield from _coloured(source, key, wanted, findings)
    else:
        for key in taken:
            yield from _drawings(source, key, format, wanted, findings)


def _drawings(
    source: LabelSource, key: str, format: LabelFormat, wanted: Sequence[str], findings: Findings
) -> Iterator[FoundLabel]:
    from oldphoto_core.labels.coco import read_coco
    from oldphoto_core.labels.cvat import read_cvat
    from oldphoto_core.labels.label_studio import read_label_studio

    read = {"label-studio": read_label_studio, "coco": read_coco, "cvat": read_cvat}[format]
    try:
        for drawing in read(source.read(key), wanted):
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
    folder = posixpath.join(root, CLASSES)
    try:
        colours = colours_of_label_map(source.read(map_key).decode("utf-8", "replace"), wanted)
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
        data = source.read(key)
        if sha256_hex(data) == photo_sha256:
            return None
        mask = Picture(data, counting, known).mask()
        return Drawing(key, (name,), picture_size(mask), (Painted(mask),))

    return FoundLabel(key, (name,), folder, load)
