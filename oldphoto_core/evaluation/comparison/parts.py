"""What people look at first: faces and words. Their places in an undamaged photo, where figures are taken once more.

Faces are found on the clean photo, so that no method decides what it is measured on. The detector is scikit-image's
cascade of local binary patterns, which finds faces that look at the camera, and much else: a find counts where the
mirrored and the enlarged photo give it too, and what a person saw to be no face is left out by hash and place.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.harmless_pictures import lettered

Part = Literal["faces", "text"]
PARTS: tuple[Part, ...] = ("faces", "text")

FACES_VERSION = 1
"""Raised whenever other faces are found, or left out."""

LEAST_FACE_PX = 38
_AGREEMENT = 0.5
"""Least overlap of a find with one in the mirrored and one in the enlarged photo, of their union."""
_NEIGHBOURS = 4
_ENLARGED = 1.2
_SAME = 0.3
"""Overlap, as a share of the smaller, from which two finds are one face."""
_GROWTH = 0.15
"""A crop is larger than the find by so much of its side, on each side: hair and chin belong to a face."""

SEEN_NO_FACE = frozenset({
    "18cd720e6728/320x416/86/155", "37c0c179d326/320x416/239/33", "679fad684df8/320x560/58/202",
    "4ada8b4a0156/320x480/50/398", "0a4d3bdf88e4/320x320/44/18",
    "18cd720e6728/256x256/66/93", "0604e7985388/256x256/80/84", "679fad684df8/256x256/41/63",
})  # fmt: skip
"""Finds that a person looked at and saw no face in: the first 12 digits of the photo's SHA-256, size, top and left."""

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A rectangle of a photo, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, picture: Photo) -> Photo:
        """Gives what lies in it."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def union(regions: tuple[Region, ...], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Gives (H, W), True in any of the regions."""
    inside = np.zeros(size, bool)
    for region in regions:
        inside[region.top : region.top + region.height, region.left : region.left + region.width] = True
    return inside


def with_words(photo: Photo, seed: int) -> tuple[Photo, tuple[Region, ...]]:
    """Gives the photo with lines of words in it, printed (even seeds) or written by hand, and where they are."""
    page = lettered(photo, seed, hand=seed % 2 == 1)
    top, left, bottom, right = page.place
    return page.picture, (Region(top, left, bottom - top, right - left),)


def faces_in(photo: Photo, sha256: str) -> tuple[Region, ...]:
    """Gives the crops of the faces in a clean photo (H, W, 3), from the top; `sha256` of its file."""
    size = "x".join(map(str, photo.shape[:2]))
    places = [place for place in _agreed(photo) if f"{sha256[:12]}/{size}/{place.top}/{place.left}" not in SEEN_NO_FACE]
    return tuple(_grown(place, photo.shape[:2]) for place in sorted(places, key=lambda p: (p.top, p.left)))


class FaceCache:
    """Faces of photos by hash, kept in a file, for finding them takes a second a photo.

    Args:
        path: JSON file; not kept when None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, list[dict[str, int]]] = {}
        if path is not None and path.exists():
            self._known = json.loads(path.read_text(encoding="utf-8"))

    def faces(self, photo: Photo, sha256: str) -> tuple[Region, ...]:
        """Gives the faces of a clean photo as it is measured."""
        key = f"{sha256}/{photo.shape[0]}x{photo.shape[1]}/{FACES_VERSION}"
        if key not in self._known:
            self._known[key] = [asdict(region) for region in faces_in(photo, sha256)]
        return tuple(Region(**region) for region in self._known[key])

    def save(self) -> None:
        """Writes the file."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._known, indent=1) + "\n", encoding="utf-8")


def _agreed(photo: Photo) -> list[Region]:
    """Gives finds that hold in the mirrored and the enlarged photo, one a face: of several, the one they agree on."""
    plain = _detected(photo)
    if not plain:
        return []
    width = photo.shape[1]
    mirrored = [_moved(r, left=width - r.left - r.width) for r in _detected(np.ascontiguousarray(photo[:, ::-1]))]
    larger = np.asarray(cv2.resize(photo, None, fx=_ENLARGED, fy=_ENLARGED), np.uint8)
    shrunk = [Region(*(round(value / _ENLARGED) for value in asdict(r).values())) for r in _detected(larger)]
    agreement = {
        one: min(max((_overlap(one, other) for other in others), default=0.0) for others in (mirrored, shrunk))
        for one in plain
    }
    kept: list[Region] = []
    for one in sorted(plain, key=lambda r: (-agreement[r], -r.width)):
        if agreement[one] >= _AGREEMENT and all(_overlap(one, k, of_smaller=True) < _SAME for k in kept):
            kept.append(one)
    return kept


def _detected(photo: Photo) -> list[Region]:
    found = _cascade().detect_multi_scale(
        photo, scale_factor=1.15, step_ratio=1.0, min_size=(LEAST_FACE_PX,) * 2, max_size=(min(photo.shape[:2]),) * 2,
        min_neighbor_number=_NEIGHBOURS,
    )  # fmt: skip
    return [Region(int(d["r"]), int(d["c"]), int(d["height"]), int(d["width"])) for d in found]


@cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _moved(region: Region, *, left: int) -> Region:
    return Region(region.top, left, region.height, region.width)


def _overlap(one: Region, other: Region, *, of_smaller: bool = False) -> float:
    """Gives the shared area as a share of the union, or of the smaller of the two."""
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    shared = max(0, high) * max(0, wide)
    areas = (one.height * one.width, other.height * other.width)
    return shared / (min(areas) if of_smaller else sum(areas) - shared)


def _grown(region: Region, size: tuple[int, ...]) -> Region:
    margin = round(_GROWTH * region.width)
    top, left = max(0, region.top - margin), max(0, region.left - margin)
    bottom = min(size[0], region.top + region.height + margin)
    right = min(size[1], region.left + region.width + margin)
    return Region(top, left, bottom - top, right - left)
