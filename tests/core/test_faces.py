"""Faces: found where they are, at any size, and none where the detector is not at hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from oldphoto_core.models import faces
from oldphoto_core.models.faces import FACES_FILE, find_faces


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0, wide) * max(0, high) / (area - max(0, wide) * max(0, high))


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 4])
def test_a_face_is_found_at_any_size_of_the_photo(scale: float) -> None:
    photo = cv2.resize(data.astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    [face] = find_faces(photo)
    eye, other, mouth = ((y / scale, x / scale) for y, x, _, _ in face.features)
    assert max(abs(eye[0] - other[0]), abs(mouth[1] - (eye[1] + other[1]) / 2)) < 12 < abs(eye[1] - other[1]) < 60
    assert 25 < mouth[0] - eye[0] < 70
    assert overlap(face.box, tuple(round(scale * side) for side in (175, 67, 270, 192))) > 0.6


def test_boxes_lie_inside_the_photo() -> None:
    cut = np.ascontiguousarray(data.astronaut()[90:260, 195:330])
    for (left, top, right, bottom), _ in find_faces(cut):
        assert 0 <= left < right <= cut.shape[1] and 0 <= top < bottom <= cut.shape[0]


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (7, 300)])
def test_there_is_no_face_in_a_grey_plane(size: tuple[int, int]) -> None:
    assert find_faces(np.full((*size, 3), 128, np.uint8)) == []


def test_without_its_file_no_face_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "FACES_FILE", tmp_path / "gone.onnx")
    assert find_faces(data.astronaut()) == []


def test_without_opencvs_detector_no_face_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(FACES_FILE.read_bytes())
    monkeypatch.setattr(faces, "FACES_FILE", copy)
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    assert find_faces(data.astronaut()) == []
