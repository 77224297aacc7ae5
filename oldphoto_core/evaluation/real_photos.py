"""What counts on real old photos: what is mended of marked damage, and what is mended where there is none.

    marked      photos that people marked (hand_marks): how much of the damage is acted on, and how much else
    film        frames of a film that nothing was trained on, with masks of real dust
    reviewed    photos in which a person found nothing wrong: whatever is acted on there is harm, in faces above all
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.hand_marks import marked_sha256
from oldphoto_core.models.faces import FaceBox
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.scan import ArrayScan
from oldphoto_core.splits import is_held_out
from oldphoto_core.training.material_folder import NEITHER
from oldphoto_core.training.reviewed import Review, picture_groups, read_photo, read_reviews, review_levels

ACTED_ABOVE = 0.5
"""A pixel of a restoration's mask is acted on above this."""
MARGIN_PX = 4
"""What is acted on so near to a mark counts as right: masks are grown on purpose, by 2 to 3 pixels."""
PRECISION = 0.85
"""Precision at which the recall of the probability is given."""
FALSE_RATE = 0.005
"""Share of a film's sound pixels found at which the recall of its dust is given."""
HELD_OUT_SEQUENCE = "rrtn_withi"
"""The film that nothing is trained on."""

Mask = NDArray[np.bool_]


def acted_on_marks(acted: Mask, marks: Mask, neither: Mask) -> dict[str, float]:
    """Gives counts of pixels from which recall and precision follow, those that are neither left out.

    `acted_near` counts what is acted on within `MARGIN_PX` of a mark: precision with a margin is `acted_near / acted`,
    the strict one `acted_damaged / acted`, recall `acted_damaged / damaged`.

    Args:
        acted: (H, W), where a restoration mended.
        marks: (H, W), True where damaged.
        neither: (H, W), True where nobody can tell.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN_PX + 1,) * 2)
    near = cv2.dilate(marks.astype(np.uint8), disc) > 0
    acted, marks = acted & ~neither, marks & ~neither
    counts = {
        "damaged": marks, "acted": acted, "acted_damaged": acted & marks, "acted_near": acted & near,
    }  # fmt: skip
    return {name: float(np.count_nonzero(where)) for name, where in counts.items()}


def acted_on_sound(acted: Mask, ignored: Mask, faces: Sequence[FaceBox]) -> dict[str, float]:
    """Gives counts of pixels of a photo with nothing wrong, those that are ignored left out.

    `judged` and `acted` are of the whole photo, `face_pixels` and `face_acted` of what lies in a face's box.
    """
    inside = np.zeros(acted.shape, bool)
    for left, top, right, bottom in faces:
        inside[top:bottom, left:right] = True
    judged = ~ignored
    counts = {
        "judged": judged, "acted": acted & judged,
        "face_pixels": inside & judged, "face_acted": acted & inside & judged,
    }  # fmt: skip
    return {name: float(np.count_nonzero(where)) for name, where in counts.items()} | {"faces": float(len(faces))}


@dataclass(frozen=True)
class ReviewedPhoto:
    """A photo in which a person found nothing wrong, but perhaps for places that are ignored."""

    review: Review
    sha256: str
    held_out: bool
    """Whether its picture, near-duplicates with it, is kept out of training."""

    def read(self) -> tuple[NDArray[np.uint8], Mask]:
        """Gives the photo (H, W, 3) and where it is ignored (H, W)."""
        image = read_photo(self.review.photo)
        return image, review_levels(self.review, np.zeros(image.shape[:2], np.uint8)) == NEITHER


def reviewed_photos(table: Path, photos: Path) -> list[ReviewedPhoto]:
    """Gives the photos that were reviewed as clean, or clean but for what is ignored: one of each picture.

    As in `training.reviewed.lay_material`, photos of one picture are on one side, and pictures that are marked by hand
    are never trained on.

    Args:
        table: the CSV file of the review.
        photos: folder of the photos.

    Raises:
        TrainingError: a row cannot be read, or none of its photos is there.
    """
    reviews = read_reviews(table, photos)
    hashes = [hashlib.sha256(review.photo.read_bytes()).hexdigest() for review in reviews]
    groups = picture_groups([perceptual_hash(ArrayScan(read_photo(review.photo))) for review in reviews])
    marked = set(marked_sha256())
    kept = {group for group, sha256 in zip(groups, hashes, strict=True) if sha256 in marked}
    found: dict[str, ReviewedPhoto] = {}
    for review, sha256, group in zip(reviews, hashes, groups, strict=True):
        if review.is_clean and group not in found:
            found[group] = ReviewedPhoto(review, sha256, is_held_out(group) or group in kept)
    return list(found.values())


@dataclass(frozen=True)
class FilmFrame:
    """A film frame and its mask: 255 damaged, 0 sound, 128 neither."""

    frame: Path
    mask: Path

    @property
    def sha256(self) -> str:
        """Of frame and mask together."""
        return hashlib.sha256(self.frame.read_bytes() + self.mask.read_bytes()).hexdigest()

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Gives the frame (H, W, 3) and its mask (H, W)."""
        image, levels = read_photo(self.frame), cv2.imread(str(self.mask), cv2.IMREAD_GRAYSCALE)
        if levels is None or levels.shape != image.shape[:2]:
            raise ConfigError(f"{self.mask}: expected a grey mask of {image.shape[:2]}; copy the film again")
        return image, np.asarray(levels, np.uint8)


def held_out_frames(film: Path, *, sequence: str = HELD_OUT_SEQUENCE) -> list[FilmFrame]:
    """Gives the frames of one sequence of a film folder (`frames/`, `masks/`, `LABELS.csv`), in order.

    Raises:
        ConfigError: there is no such sequence, or a frame is missing.
    """
    table = film / "LABELS.csv"
    if not table.is_file():
        raise ConfigError(f"{table} is missing; give a folder of frames/, masks/ and LABELS.csv")
    with table.open(newline="", encoding="utf-8") as stream:
        names = [row["name"] for row in csv.DictReader(stream) if row["sequence"] == sequence]
    files = {path.stem: path for path in (film / "frames").glob("*")}
    missing = [name for name in names if name not in files]
    if missing or not names:
        raise ConfigError(
            f"{film}/frames: {missing[0]} of LABELS.csv is missing; copy the folder again" if missing
            else f"{table} has no frame of sequence {sequence}, which is held out; give the film that it came with"
        )  # fmt: skip
    return [FilmFrame(files[name], film / "masks" / f"{name}.png") for name in names]
