"""What we marked by hand on real old photos, to measure a detector where there is no truth to be had.

Beside this file lies a mask for each photo, named by the photo's SHA-256 and in the values of a material folder: 0
sound, 255 damaged, 128 neither. The photos themselves are not here. `lay_marked` looks for them in a folder and lays
both down as a material folder, for `oldphoto evaluate` and `oldphoto train` alike.

How they were marked (30 November 2026, ten photos of 315 to 640 pixels): each was looked at three times enlarged, and
its scratches, cracks, tears, peeled places and specks were traced by hand; the trace was then drawn in to the pixels
that stand out from their surroundings by 6 to 20 levels, and what came out was looked at over the photo and corrected.
No detector had a hand in it. Wherever one cannot tell damage from picture (frost on a white sky, foliage, worn margins,
hair with wear in it) the mask says neither: 2 to 50 % of a photo, so that figures are of what can be told. One pair of
eyes marked them: nothing is known of how two would differ.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.held_out import read_photo
from oldphoto_core.training.material_folder import DAMAGED, NEITHER, write_labelled

MARKS = Path(__file__).parent
"""Where our marks lie."""
_SUFFIX = ".mask.png"

NOT_GENUINE = frozenset({
    "080c0839286bdf00d6caf72fac268d9ec57dc6bb2d9197d691db69992c0da267",
    "229daac6db81eb9b1191f452ffc900d9975a34efe95de42075b4d48a031e5336",
})  # fmt: skip
"""Marked photos that are no old photos: what looks like damage was laid on them by somebody's program."""


def marked_sha256(marks: Path = MARKS) -> list[str]:
    """Gives the SHA-256 of the photos that are marked, in order."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in marks.glob("*" + _SUFFIX))


def marked_photos(photos: Path, *, marks: Path = MARKS) -> list[Path]:
    """Gives the files of a folder of old photos that are marked, known by their bytes, in order."""
    wanted = set(marked_sha256(marks))
    files = sorted(path for path in photos.rglob("*") if path.is_file())
    return [path for path in files if hashlib.sha256(path.read_bytes()).hexdigest() in wanted]


def lay_marked(photos: Path, folder: Path, *, marks: Path = MARKS) -> int:
    """Lays the marked photos among `photos` into a material folder, as its test photos; gives how many there are.

    Args:
        photos: folder of old photos, looked through to the bottom; photos are known by their bytes.
        folder: the material folder; made only if a photo is found. Laid down again it has the same bytes.
        marks: folder of masks that are named by the SHA-256 of their photos.

    Raises:
        ConfigError: a photo cannot be decoded, or a mask is not of its size.
    """
    wanted, found = set(marked_sha256(marks)), 0
    for path in sorted(path for path in photos.rglob("*") if path.is_file()):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 not in wanted:
            continue
        wanted.discard(sha256)
        image, levels = read_photo(path), _levels(marks / f"{sha256}{_SUFFIX}")
        if levels.shape != image.shape[:2]:
            raise ConfigError(f"{path}: it is {image.shape[:2]}, and its mask {levels.shape}; mark it again")
        write_labelled(folder, "test", sha256, image, levels == DAMAGED, levels == NEITHER)
        found += 1
    return found


def _levels(file: Path) -> NDArray[np.uint8]:
    levels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE)
    if levels is None:
        raise ConfigError(f"{file}: expected a PNG, found something else; lay it down again")
    return np.asarray(levels, np.uint8)
