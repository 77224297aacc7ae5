"""Where faces are in a photo: there a mistake is seen first.

The detector is YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023). Its weights,
`faces.onnx` beside this file, are `yunet_n_320` of ShiqiYu/libfacedetection.train (Apache-2.0), unchanged; OpenCV runs
them.
Where the file or OpenCV's `FaceDetectorYN` is missing no face is found, and nothing else changes.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)

FACES_FILE = Path(__file__).with_name("faces.onnx")
LONG_SIDE_PX = 640
"""Larger photos are reduced to it: the detector was trained on small ones, and finds no face that fills a large one."""
SURE = 0.7
"""Score from which a find is a face."""
_SAME = 0.3
"""Overlap from which two finds are one face."""
_MOST = 5000
"""Finds that are looked at before those of one face are joined."""

FaceBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""
Oval = tuple[float, float, float, float]
"""Row and column of the middle, half the height and half the width, in pixels."""

_EYE_TALL, _EYE_WIDE = 0.32, 0.4
_MOUTH_TALL, _MOUTH_WIDE = 0.22, 0.5
"""Halves of the ovals around an eye with its brow, and around the mouth, by the distance between the eyes."""


class Face(NamedTuple):
    """Where a face is in a photo.

    Attributes:
        box: inside the photo.
        features: ovals around both eyes and the mouth.
    """

    box: FaceBox
    features: tuple[Oval, Oval, Oval]


def find_faces(image: NDArray[np.uint8]) -> list[Face]:
    """Gives the faces in a photo (H, W, 3) uint8 sRGB, the surest first."""
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    detector = _detector(FACES_FILE, size)
    if detector is None:
        return []
    small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, finds = detector.detect(cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR))
    faces = []
    for find in () if finds is None else sorted(finds, key=lambda one: -float(one[-1])):
        left, top, wide, high = (float(value) / scale for value in find[:4])
        box = (max(0, int(left)), max(0, int(top)), min(width, round(left + wide)), min(height, round(top + high)))
        if box[0] < box[2] and box[1] < box[3]:
            faces.append(Face(box, _features(np.float64(find[4:14]).reshape(5, 2) / scale)))
    return faces


def _features(marks: NDArray[np.float64]) -> tuple[Oval, Oval, Oval]:
    """Gives the ovals of marks (5, 2), x and y: the eyes, the tip of the nose, the corners of the mouth."""
    apart = float(np.hypot(*(marks[0] - marks[1])))
    eyes = [(float(y) - 0.1 * apart, float(x), _EYE_TALL * apart, _EYE_WIDE * apart) for x, y in marks[:2]]
    x, y = marks[3:].mean(axis=0)
    return eyes[0], eyes[1], (float(y), float(x), _MOUTH_TALL * apart, _MOUTH_WIDE * apart)


def _detector(file: Path, size: tuple[int, int]) -> Any:
    """Gives a detector of its own for each photo, as it keeps its size and threads may ask: that takes 4 ms."""
    if not _is_at_hand(file):
        return None
    logging_of_opencv = cv2.utils.logging
    level = logging_of_opencv.setLogLevel(logging_of_opencv.LOG_LEVEL_ERROR)  # it warns of a target that nobody chose
    try:
        return cv2.FaceDetectorYN.create(str(file), "", size, SURE, _SAME, _MOST)
    finally:
        logging_of_opencv.setLogLevel(level)


@cache
def _is_at_hand(file: Path) -> bool:
    missing = None if file.is_file() else f"{file} is missing"
    if not hasattr(cv2, "FaceDetectorYN"):
        missing = f"OpenCV {cv2.__version__} has no FaceDetectorYN"
    if missing is not None:
        _LOG.warning("no faces are looked for: %s", missing)
    return missing is None
