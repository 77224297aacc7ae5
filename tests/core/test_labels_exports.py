"""Exports of Label Studio, COCO and CVAT: who drew what on which file."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.brush_rle import encode_brush
from oldphoto_core.labels.coco import read_coco
from oldphoto_core.labels.cvat import read_cvat
from oldphoto_core.labels.drawing import Drawing, mask_of
from oldphoto_core.labels.file_names import names_of
from oldphoto_core.labels.label_studio import read_label_studio
from oldphoto_core.labels.pictures import Picture, colours_of_label_map
from oldphoto_core.labels.runs import encode_runs

SIZE = (40, 60)


def line(row: int = 7) -> np.ndarray:
    """(40, 60) uint8 with one scratch across."""
    mask = np.zeros(SIZE, np.uint8)
    mask[row, 5:50] = 255
    return mask


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    """The pixels as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels, mode).save(out, "PNG")
    return out.getvalue()


def region(kind: str, value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A region of Label Studio's export."""
    found = {"type": kind, "from_name": "tag", "to_name": "image", "original_height": 40, "original_width": 60,
             "image_rotation": 0, "value": value}  # fmt: skip
    return found | changes


def brush(mask: np.ndarray, label: str = "scratch") -> dict[str, Any]:
    """A brush of Label Studio's export."""
    return region("brushlabels", {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]})


def task(*annotations: dict[str, Any], **data: str) -> dict[str, Any]:
    """A task of Label Studio's export, with a prediction that nobody submitted."""
    prediction = {"id": 9, "result": [brush(line(30))]}
    image = {"image": "/data/upload/7/0a1b2c3d-a%20b.jpg"}
    return {"id": 12, "data": image | data, "annotations": list(annotations), "predictions": [prediction]}


def annotation(*regions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One person's annotation."""
    return {"id": 3, "completed_by": {"id": 1, "email": "ada@museum"}, "was_cancelled": False, "result": list(regions),
            "created_at": "2026-03-01T09:00:00.123456Z", "updated_at": "2026-03-02T09:00:00+02:00", **changes}


def read(*tasks: dict[str, Any], wanted: tuple[str, ...] = ()) -> list[Drawing]:
    return list(read_label_studio(json.dumps(tasks).encode(), wanted))


def test_label_studio_gives_a_drawing_for_each_person() -> None:
    """Cancelled annotations and predictions are none. A person is told by their address, or their number."""
    ada, grace = annotation(brush(line())), annotation(brush(line(9)), completed_by=2, updated_at=None)
    first, second = read(task(ada, grace, annotation(brush(line()), was_cancelled=True)))
    assert (first.author, first.drawn_at, first.size) == ("ada@museum", "2026-03-02T07:00:00Z", SIZE)
    assert (second.author, second.drawn_at) == ("user 2", "2026-03-01T09:00:00Z")
    assert first.where == "task 12, annotation 3 by ada@museum"
    assert "a b.jpg" in {name.rpartition("/")[2] for name in first.files}
    assert np.array_equal(mask_of(first, SIZE), line())


def test_brushes_polygons_and_bitmasks_of_one_annotation_are_joined() -> None:
    """Polygons are in percent; a bitmask is a PNG in the text."""
    polygon = region("polygonlabels", {"points": [[0, 75], [50, 75], [50, 100], [0, 100]], "polygonlabels": ["hole"]})
    url = f"data:image/png;base64,{base64.b64encode(png(line(1))).decode()}"
    bitmask = region("bitmasklabels", {"imageDataURL": url, "bitmasklabels": ["scratch"]})
    (found,) = read(task(annotation(brush(line()), polygon, bitmask, {"type": "choices", "value": {"choices": ["x"]}})))
    mask = mask_of(found, SIZE)
    assert (mask[7, 20], mask[35, 10], mask[1, 20], mask[20, 20]) == (255, 255, 255, 0)


def test_only_wanted_labels_count() -> None:
    """So that a project may have others: faces, and boxes around them."""
    face = region("rectanglelabels", {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["face"]})
    both = task(annotation(brush(line()), brush(line(9), "dust"), face))
    (found,) = read(both, wanted=("scratch",))
    assert np.array_equal(mask_of(found, SIZE), line())
    (refused,) = read(both)
    assert refused.problem is not None and "holds a rectangle" in refused.problem


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"original_height": None}, "without original_height"),
        ({"original_width": -60}, "without original_height"),
        ({"original_width": 1e12}, "without original_height"),
        ({"image_rotation": 90}, "turned view"),
        ({"item_index": 1}, "several images"),
        ({"value": {"rle": "abc"}}, "without a list of numbers"),
        ({"value": {"points": [[1, 2], [3]]}}, "a polygon of 0 numbers"),
        ({"value": {"imageDataURL": "https://elsewhere/x.png"}}, "no PNG"),
        ({"value": {"imageDataURL": "data:image/png;base64,!!"}}, "no base64"),
    ],
)
def test_a_corrupt_region_refuses_its_annotation_alone(changed: dict[str, Any], words: str) -> None:
    bad, good = read(task(annotation(brush(line()) | changed), annotation(brush(line()))))
    assert good.problem is None
    with pytest.raises(LabelRefused, match=words):
        mask_of(bad, SIZE)


def test_an_annotation_without_a_mark_is_refused_as_empty() -> None:
    (found,) = read(task(annotation()))
    with pytest.raises(LabelRefused, match="marks no pixel"):
        mask_of(found, SIZE)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'[{"image": "a.jpg", "tag": []}]', b"[" * 100_000, b"\xff"])
def test_other_files_are_no_export_of_label_studio(data: bytes) -> None:
    """JSON-MIN among them, and brackets without end."""
    with pytest.raises(LabelRefused):
        list(read_label_studio(data))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("/data/upload/1/ab12cd34-NAME.jpg", ["data/upload/1/ab12cd34-NAME.jpg", "data/upload/1/NAME.jpg"]),
        ("s3://museum/1931/a.jpg", ["s3://museum/1931/a.jpg", "1931/a.jpg"]),
        ("/data/local-files/?d=1931/a%20b.jpg", ["1931/a b.jpg", "data/local-files/?d=1931/a%20b.jpg"]),
        ("C:\\scans\\a.tif", ["C:/scans/a.tif"]),
        ("https://museum.example/a.jpg?size=full", ["https://museum.example/a.jpg?size=full", "a.jpg"]),
        ("data:image/png;base64,AAAA", []),
        ("  ", []),
        ("http://[bad", ["http://[bad"]),
    ],
)
def test_a_photo_is_called_by_what_tools_made_of_its_name(text: str, names: list[str]) -> None:
    found = names_of(text)
    assert [name for name in found if name in names] == names
    assert bool(found) == bool(names)


def coco(segmentation: Any, **image: Any) -> bytes:
    """A COCO file of one annotated image, one without annotations, and two categories."""
    listed = {"id": 1, "file_name": "1931/a.jpg", "height": 40, "width": 60} | image
    other = {"id": 2, "file_name": "b.jpg", "height": 40, "width": 60}
    drawn = {"id": 5, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": segmentation}
    categories = [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dust"}]
    return json.dumps({"images": [listed, other], "annotations": [drawn], "categories": categories}).encode()


def packed(mask: np.ndarray) -> str:
    """COCO's text, by its own library."""
    from pycocotools import mask as library

    return library.encode(np.asfortranarray(mask))["counts"].decode()


def test_coco_is_read_as_lists_as_text_and_as_polygons() -> None:
    """One drawing an image that has annotations; a crowd counts."""
    counts = encode_runs(line() > 0, columns_first=True).tolist()
    for segmentation in ({"counts": counts, "size": [40, 60]}, {"counts": packed(line()), "size": [40, 60]}):
        (found,) = read_coco(coco(segmentation))
        assert (found.files, found.size, found.author) == (("1931/a.jpg",), SIZE, None)
        assert np.array_equal(mask_of(found, SIZE), line())
    (found,) = read_coco(coco([[0, 0, 10, 0, 10, 10, 0, 10], [30, 30, 35, 30, 35, 35]]))
    assert (mask_of(found, SIZE)[[5, 32, 20], [5, 34, 20]] == [255, 255, 0]).all()
    (found,) = read_coco(coco({"counts": counts, "size": [40, 60]}, height=None))
    assert found.size == SIZE
    assert list(read_coco(coco([[0, 0, 10, 0, 10, 10]]), wanted=("dust",))) == []


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([], "without a segmentation"),
        (None, "without a segmentation"),
        ({"counts": [1, 2], "size": [40, 60]}, "run lengths of 3 pixels"),
        ({"counts": [0, 4_000_000_000], "size": [40, 60]}, "run lengths of 4000000000 pixels"),
        ({"counts": "1", "size": [40, 60]}, "run lengths of 1 pixels"),
        ({"counts": None, "size": [40, 60]}, "other things than numbers"),
        ({"counts": [2400], "size": [60, 40]}, "of the size"),
        ({"counts": [0, 2**62], "size": [2**31, 2**31]}, "of the size"),
        ([[1, 2, 3]], "a polygon of 3 numbers"),
        ([{"x": 1}], "other things than numbers"),
    ],
)
def test_corrupt_coco_segmentations_are_refused(segmentation: Any, words: str) -> None:
    """Those too that end the process or never end where COCO's own library reads them."""
    (found,) = read_coco(coco(segmentation))
    with pytest.raises(LabelRefused, match=words):
        mask_of(found, SIZE)


def test_coco_annotations_of_no_image_are_told() -> None:
    document = json.loads(coco([[0, 0, 10, 0, 10, 10]]))
    document["images"] = []
    (found,) = read_coco(json.dumps(document).encode())
    assert found.problem is not None and "does not list" in found.problem
    with pytest.raises(LabelRefused, match="no COCO file"):
        list(read_coco(b'{"images": 3}'))


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>1</id><updated>2026-03-02 09:00:00.000000+00:00</updated>
    <assignee><username>ada</username><email></email></assignee></task></meta>
  <image id="0" name="1931/a.jpg" width="60" height="40">
    <mask label="scratch" source="manual" occluded="0" rle="2, 3, 1" left="3" top="2" width="3" height="2" z_order="0">
    </mask>
    <polygon label="scratch" source="manual" occluded="0" points="20.0,20.0;30.0,20.0;30.0,30.0" z_order="0"></polygon>
    <tag label="print" source="manual"></tag>
    {more}
  </image>
  <image id="1" name="b.jpg" width="60" height="40"></image>
</annotations>"""


def test_cvat_gives_a_drawing_for_each_image_with_marks() -> None:
    """Masks are run lengths along the rows of a rectangle."""
    (found,) = read_cvat(CVAT.format(more="").encode())
    assert (found.files, found.size) == (("1931/a.jpg",), SIZE)
    assert (found.author, found.drawn_at) == ("ada", "2026-03-02T09:00:00Z")
    mask = mask_of(found, SIZE)
    assert np.argwhere(mask[:10]).tolist() == [[2, 5], [3, 3], [3, 4]]
    assert mask[22, 28] == 255


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('<mask label="x" rle="1,2" left="0" top="0" width="3" height="2"/>', "run lengths of 3 pixels"),
        ('<mask label="x" rle="0,6" left="59" top="0" width="3" height="2"/>', "does not lie in"),
        ('<mask label="x" rle="0,6" left="-1" top="0" width="3" height="2"/>', "does not lie in"),
        ('<mask label="x" rle="0,-6" left="0" top="0" width="3" height="2"/>', "0 and above"),
        ('<mask label="x" rle="0,6" left="0" top="0" width="1e400" height="2"/>', "without left"),
        ('<polygon label="x" points="1,2;3"/>', "a polygon of 3 numbers"),
        ('<polygon label="x" points="a,b;c,d;e,f"/>', "other things than numbers"),
        ('<polyline label="x" points="1,2;3,4"/>', "holds a polyline"),
        ('<surprise label="x"/>', "not known"),
    ],
)
def test_corrupt_cvat_marks_are_refused_and_unwanted_ones_passed_over(more: str, words: str) -> None:
    (found,) = read_cvat(CVAT.format(more=more).encode())
    with pytest.raises(LabelRefused, match=words):
        mask_of(found, SIZE)
    (wanted,) = read_cvat(CVAT.format(more=more).encode(), wanted=("scratch",))
    assert mask_of(wanted, SIZE).any()


BOMB = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><annotations><image name="&z;"/></annotations>'


@pytest.mark.parametrize("data", [b"", b"<a>", b"<a/>", BOMB, b"<annotations><track/></annotations>"])
def test_other_files_are_no_export_of_cvat(data: bytes) -> None:
    """Entities that grow, and videos, among them."""
    with pytest.raises(LabelRefused):
        list(read_cvat(data))


def coloured(colour: tuple[int, int, int]) -> np.ndarray:
    """The scratch in a colour, on black."""
    return np.where(line()[:, :, None] > 0, np.array(colour, np.uint8), np.uint8(0))


@pytest.mark.parametrize(
    "data",
    [
        png(line()),
        png(coloured((255, 0, 0))),
        png(np.dstack([coloured((200, 40, 40)), line()])),
        png(np.dstack([np.full((*SIZE, 3), 255, np.uint8), line()])),
        png(line() // 255),
        png((line().astype(np.uint16) // 255) * 3),
        png(line().astype(np.uint16) * 257),
    ],
    ids=["white", "red", "red on nothing", "white on nothing", "numbers", "16-bit numbers", "16-bit white"],
)
def test_a_painted_mask_is_read_however_it_was_saved(data: bytes) -> None:
    assert np.array_equal(Picture(data).mask(), line())


def test_a_picture_of_the_intact_is_not_taken_for_damage() -> None:
    with pytest.raises(LabelRefused, match="marks 98% of the photo"):
        Picture(png(255 - line())).mask()
    with pytest.raises(LabelRefused, match="cannot be read"):
        Picture(png(line())[:60]).mask()


LABEL_MAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nscratch:255,0,124::\nface:20,30,40::\n"


def test_cvats_coloured_masks_are_read_by_their_label_map() -> None:
    """Another label's colour is known and does not count; one that nobody named is refused."""
    pixels = coloured((255, 0, 124))
    pixels[30] = (20, 30, 40)
    colours = colours_of_label_map(LABEL_MAP)
    assert Picture(png(pixels), colours[True], colours[False]).mask()[30].all()
    colours = colours_of_label_map(LABEL_MAP, wanted=("scratch",))
    assert np.array_equal(Picture(png(pixels), colours[True], colours[False]).mask(), line())
    pixels[31] = (1, 2, 3)
    with pytest.raises(LabelRefused, match=r"the colour \(1, 2, 3\)"):
        Picture(png(pixels), colours[True], colours[False]).mask()


@pytest.mark.parametrize("text", ["", "background:0,0,0::", "scratch", "scratch:1,2::", "scratch:a,b,c::"])
def test_a_label_map_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LabelRefused):
        colours_of_label_map(text)
