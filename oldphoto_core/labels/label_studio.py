"""Label Studio's JSON export: tasks, each with the annotations of one person or several."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from oldphoto_core.errors import LabelRefused, one_line
from oldphoto_core.labels.brush_rle import Brush
from oldphoto_core.labels.drawing import Drawing, Shape, Size
from oldphoto_core.labels.file_names import names_of
from oldphoto_core.labels.json_reading import counts, read_json, size_of
from oldphoto_core.labels.moments import utc_seconds
from oldphoto_core.labels.pictures import Picture
from oldphoto_core.labels.polygons import Polygon, points_of

_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_DATA_URL = "data:image/png;base64,"
_WITHOUT_A_MASK = {
    "rectangle": "rectangle", "ellipse": "ellipse", "keypoint": "point", "vector": "line", "magicwand": "magic wand",
}  # fmt: skip


def read_label_studio(data: bytes, wanted: Collection[str] = ()) -> Iterator[Drawing]:
    """Gives a drawing for each annotation that was submitted; predictions and cancelled ones are passed over.

    Args:
        data: of a file exported as `JSON`.
        wanted: labels that count; none: all.

    Raises:
        LabelRefused: it is no such file.
    """
    document = read_json(data)
    tasks = document if isinstance(document, list) else [document]
    if not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise LabelRefused(
            "is no export of Label Studio's tasks; export as JSON, not as JSON-MIN or COCO, or name its --format"
        )
    for number, task in enumerate(tasks, 1):
        where = f"task {task.get('id', number)}"
        files = _files(task)
        annotations = task.get("annotations", task.get("completions", []))
        for annotation in annotations if isinstance(annotations, list) else []:
            if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
                yield _drawing(where, files, annotation, wanted)


def _files(task: Mapping[str, Any]) -> tuple[str, ...]:
    """Hashes first, then `image`, then whatever else of the task's data may be a file's name."""
    data = {key: value for key, value in task["data"].items() if isinstance(value, str)}
    values = [value for value in data.values() if _SHA256.fullmatch(value)]
    values += [data["image"]] if "image" in data else []
    values += [value for value in data.values() if re.search(r"\.\w{2,5}(\?|$)", value)]
    values += [value for key in ("file_upload", "storage_filename") if isinstance(value := task.get(key), str)]
    return tuple(dict.fromkeys(name for value in values for name in names_of(value)))


def _drawing(where: str, files: tuple[str, ...], annotation: Mapping[str, Any], wanted: Collection[str]) -> Drawing:
    author = _author(annotation.get("completed_by"))
    where = f"{where}, annotation {annotation.get('id', 'without a number')}" + (f" by {author}" if author else "")
    size: Size | None = None
    shapes: tuple[Shape, ...] = ()
    problem = None
    try:
        size, shapes = _shapes(annotation.get("result"), wanted)
    except LabelRefused as error:
        problem = str(error)
    drawn_at = utc_seconds(annotation.get("updated_at")) or utc_seconds(annotation.get("created_at"))
    return Drawing(where, files, size, shapes, author=author, drawn_at=drawn_at, problem=problem)


def _author(completed_by: Any) -> str | None:
    if isinstance(completed_by, Mapping):
        email, number = completed_by.get("email"), completed_by.get("id")
        if isinstance(email, str) and email.strip():
            return one_line(email, 100)
        completed_by = number
    return f"user {completed_by}" if isinstance(completed_by, int) and not isinstance(completed_by, bool) else None


def _shapes(result: Any, wanted: Collection[str]) -> tuple[Size | None, tuple[Shape, ...]]:
    """Shapes that count, and the one size that all of them were drawn on."""
    sizes: set[Size] = set()
    shapes: list[Shape] = []
    for one in result if isinstance(result, list) else []:
        value = one.get("value") if isinstance(one, dict) else None
        if not isinstance(value, dict) or not counts(_labels(value), wanted):
            continue
        if (shape := _shape(one, value)) is None:
            continue
        size = size_of(one.get("original_height"), one.get("original_width"))
        if size is None:
            raise LabelRefused("is corrupt: a region without original_height and original_width")
        if one.get("image_rotation", 0) % 360 if isinstance(one.get("image_rotation", 0), int) else True:
            raise LabelRefused("was drawn on a turned view; turn it back in Label Studio, submit and export again")
        if one.get("item_index"):
            raise LabelRefused("belongs to a task of several images; make a task of each")
        sizes.add(size)
        shapes.append(Brush(shape, size) if isinstance(shape, list) else shape)
    if len(sizes) > 1:
        raise LabelRefused(f"is corrupt: regions drawn on different sizes, {sorted(sizes)}")
    return (sizes.pop() if sizes else None), tuple(shapes)


def _shape(one: Mapping[str, Any], value: Mapping[str, Any]) -> Shape | list[Any] | None:
    """What a region marks: a shape, the numbers of a brush, or None where it is no region."""
    if "rle" in value:
        if not isinstance(value["rle"], list):
            raise LabelRefused("is corrupt: a brush without a list of numbers")
        return value["rle"]
    if "points" in value:
        points = value["points"]
        pairs = points if isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points) else []
        return Polygon(points_of([number for pair in pairs for number in pair]) / np.float64(100), shares=True)
    if isinstance(value.get("imageDataURL"), str):
        return _bitmask(value["imageDataURL"])
    kind = str(one.get("type", "")).removesuffix("labels")
    if kind in _WITHOUT_A_MASK:
        raise LabelRefused(
            f"holds a {_WITHOUT_A_MASK[kind]}, of which no mask is made; draw with the brush or as a polygon, "
            "or say with --label which labels count"
        )
    return None


def _bitmask(url: str) -> Picture:
    if not url.startswith(_DATA_URL):
        raise LabelRefused("is corrupt: a bitmask that is no PNG")
    try:
        return Picture(base64.b64decode(url.removeprefix(_DATA_URL), validate=True))
    except (binascii.Error, ValueError) as error:
        raise LabelRefused(f"is corrupt: a bitmask that is no base64 ({error})") from error


def _labels(value: Mapping[str, Any]) -> list[str]:
    return [name for key, names in value.items() if key.endswith("labels") and isinstance(names, list)
            for name in names if isinstance(name, str)]  # fmt: skip
