"""CVAT's "CVAT for images 1.1": one XML file of images with masks (run lengths in a rectangle) and polygons."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from oldphoto_core.errors import LabelRefused, one_line
from oldphoto_core.labels.drawing import Drawing, Shape
from oldphoto_core.labels.file_names import names_of
from oldphoto_core.labels.json_reading import size_of
from oldphoto_core.labels.moments import utc_seconds
from oldphoto_core.labels.polygons import Polygon, points_of
from oldphoto_core.labels.runs import Runs, counts_of

_WITHOUT_A_MASK = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")


def read_cvat(data: bytes, wanted: Collection[str] = ()) -> Iterator[Drawing]:
    """Gives a drawing for each image that has masks or polygons.

    Args:
        data: of annotations.xml.
        wanted: labels that count; none: all.

    Raises:
        LabelRefused: it is no such file, or tries to make a parser read more than it holds.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        root = ElementTree.fromstring(data)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise LabelRefused(f"is no XML that can be read ({one_line(error, 100)}); export it again") from error
    if root.tag != "annotations" or (root.find("image") is None and root.find("track") is not None):
        raise LabelRefused("is no export of images; choose `CVAT for images 1.1` in CVAT")
    names = {one_line(found.text, 100) for found in root.iterfind(".//assignee/username") if found.text}
    author = names.pop() if len(names) == 1 else None
    updated = next((found.text for found in root.iterfind("meta/*/updated")), None)
    for image in root.iterfind("image"):
        if (drawing := _drawing(image, wanted, author, utc_seconds(updated))) is not None:
            yield drawing


def _drawing(image: Any, wanted: Collection[str], author: str | None, drawn_at: str | None) -> Drawing | None:
    """None where nothing that counts is in it."""
    marks = [one for one in image if one.tag not in ("tag", "image") and (not wanted or one.get("label") in wanted)]
    if not marks:
        return None
    name = image.get("name", "")
    where = f"image {image.get('id')} ({name or 'without a name'})"
    size = size_of(_number(image.get("height")), _number(image.get("width")))
    shapes: tuple[Shape, ...] = ()
    problem = None if size else "is corrupt: an image without height and width"
    try:
        shapes = tuple(_shape(one) for one in marks)
    except LabelRefused as error:
        problem = str(error)
    return Drawing(where, names_of(name), size, shapes, author=author, drawn_at=drawn_at, problem=problem)


def _shape(one: Any) -> Shape:
    if one.tag == "mask":
        sides = [_number(one.get(name)) for name in ("height", "width", "left", "top")]
        size = size_of(sides[0], sides[1])
        if size is None or sides[2] is None or sides[3] is None:
            raise LabelRefused("is corrupt: a mask without left, top, width and height")
        return Runs(counts_of(_numbers(one.get("rle", ""))), size, columns_first=False, left=sides[2], top=sides[3])
    if one.tag == "polygon":
        return Polygon(points_of(_numbers(one.get("points", "").replace(";", ","))))
    if one.tag in _WITHOUT_A_MASK:
        raise LabelRefused(
            f"holds a {one.tag}, of which no mask is made; use the brush or polygons, or say with --label which labels "
            "count"
        )
    raise LabelRefused(f"holds a {one_line(one.tag, 40)!r}, which is not known; expected masks and polygons")


def _numbers(text: str) -> list[str]:
    return [number for number in text.replace(" ", "").split(",") if number]


def _number(text: str | None) -> int | None:
    try:
        return int(float(text)) if text is not None else None
    except (ValueError, OverflowError):
        return None
