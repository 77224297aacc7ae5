"""COCO's JSON: one drawing an image, of all its annotations; polygons, run lengths, and packed run lengths."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Drawing, Shape, Size
from oldphoto_core.labels.file_names import names_of
from oldphoto_core.labels.json_reading import counts, read_json, size_of
from oldphoto_core.labels.polygons import Polygon, points_of
from oldphoto_core.labels.runs import Runs, counts_of, unpack_counts

_NAMED = ("sha256", "file_name", "coco_url", "path")


def read_coco(data: bytes, wanted: Collection[str] = ()) -> Iterator[Drawing]:
    """Gives a drawing for each image that has annotations; a crowd counts as any other.

    Args:
        data: of a file of images, annotations and categories.
        wanted: names of categories that count; none: all.

    Raises:
        LabelRefused: it is no such file.
    """
    document = read_json(data)
    images = document.get("images") if isinstance(document, dict) else None
    annotations = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise LabelRefused(
            "is no COCO file: expected lists of images and annotations; export as COCO, or name its --format"
        )
    listed = document.get("categories")
    categories = {one.get("id"): one.get("name") for one in listed if isinstance(one, dict)} if listed else {}
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for one in annotations:
        if isinstance(one, dict) and counts([str(categories.get(one.get("category_id")))], wanted):
            of_image.setdefault(_number(one.get("image_id")), []).append(one)
    for image in images:
        if isinstance(image, dict) and (drawn := of_image.pop(_number(image.get("id")), None)):
            yield _drawing(image, drawn)
    for number, lost in of_image.items():
        where = f"{len(lost)} annotations of image {number}"
        yield Drawing(where, (), None, (), problem="belong to an image that the file does not list; export it again")


def _number(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _drawing(image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> Drawing:
    files = tuple(dict.fromkeys(n for key in _NAMED if isinstance(v := image.get(key), str) for n in names_of(v)))
    where = f"image {image.get('id')} ({image.get('file_name', 'without a name')})"
    size = size_of(image.get("height"), image.get("width"))
    shapes: list[Shape] = []
    try:
        for one in annotations:
            shapes += _shapes(one.get("segmentation"), size)
    except LabelRefused as error:
        return Drawing(where, files, size, (), problem=str(error))
    return Drawing(where, files, size or _size_of_runs(shapes), tuple(shapes))


def _size_of_runs(shapes: Sequence[Shape]) -> Size | None:
    """What run lengths say of the size, where the image itself does not."""
    return next((shape.size for shape in shapes if isinstance(shape, Runs)), None)


def _shapes(segmentation: Any, size: Size | None) -> list[Shape]:
    if isinstance(segmentation, dict):
        sides = segmentation.get("size")
        stated = size_of(*sides) if isinstance(sides, list) and len(sides) == 2 else None
        if stated is None or size not in (None, stated):
            raise LabelRefused(f"is corrupt: run lengths of the size {sides}, in an image of {size}")
        packed = segmentation.get("counts")
        found = unpack_counts(packed) if isinstance(packed, str) else counts_of(packed if packed is not None else "")
        return [Runs(found, stated, columns_first=True)]
    if isinstance(segmentation, list) and segmentation:
        return [Polygon(points_of(part)) for part in segmentation]
    raise LabelRefused("has an annotation without a segmentation; of a box alone no mask is made")
