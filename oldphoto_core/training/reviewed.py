"""Real material for the detector: old photos with a verdict on each, and film frames with masks of real dust.

A review is a table (`REVIEW.csv`) with a row a photo, and beside it, in `prob/`, the probabilities that were judged.
Boxes are `left,top,right,bottom` as fractions of the sides, several separated by semicolons:

    verdict     clean, clean-but (clean but for what lies in `ignore`), right, mixed, missed, unsure
    where       findings that are false            ignore  what nobody can tell
    missed      damage that was not found          true_red  findings that are right

Photos whose masks were marked since (`oldphoto_core.training.marks`) need no verdict: the mask says more.

Film lies as `frames/` and `masks/` of the same names (255 damaged, 0 sound, 128 neither), and `LABELS.csv` says of
which sequence each frame is. `lay_material` writes both down as a material folder (see `material_folder`).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import TrainingError
from oldphoto_core.perceptual import perceptual_hash
from oldphoto_core.scan import ArrayScan
from oldphoto_core.splits import is_held_out
from oldphoto_core.training.marks import MARKS, marked_levels
from oldphoto_core.training.material_folder import (
    DAMAGED,
    MISTAKEN,
    NEITHER,
    SOUND,
    forget_sound,
    write_film,
    write_reviewed,
    write_sound,
)

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the sides."""

CLEAN = ("clean", "clean-but")
UNSURE = "unsure"
VERDICTS = (*CLEAN, "right", "mixed", "missed", UNSURE)
BOX_COLUMNS = ("where", "ignore", "missed", "true_red")
COLUMNS = ("file", "verdict", *BOX_COLUMNS)
"""Columns of a review's table."""
SEED, GROWN, FREE = 128, 38, 20
"""Codes of the judged probability: findings start at SEED and go on to GROWN; below FREE it said that all is sound."""
KEPT_SEQUENCES = frozenset({"rrtn_withi"})
"""Sequences of the film that are never trained on."""
WORN_SHARE = 0.02
"""Share of a damaged photo found from which it is worn all over."""
PLAIN_LEVELS, PLAIN_REACH_PX, DEEP_PX = 7.0, 4, 8
"""A place is plain where luma deviates by fewer levels of 255 within so many pixels around; deep from so many on."""
SAME_PICTURE_BITS = 8
"""Perceptual hashes that differ in no more of 64 bits are of one picture."""


@dataclass(frozen=True)
class Review:
    """A verdict on what a detector found in one photo."""

    photo: Path
    probability: Path
    """What was judged: (H, W) uint8, 255 times the probability of damage."""
    verdict: str
    false: tuple[Box, ...]
    ignored: tuple[Box, ...]
    missed: tuple[Box, ...]
    right: tuple[Box, ...]

    @property
    def is_clean(self) -> bool:
        return self.verdict in CLEAN


def read_reviews(table: Path, photos: Path) -> list[Review]:
    """Gives the rows of a review whose photos are there, in order.

    Args:
        table: the CSV file.
        photos: folder of the photos.

    Raises:
        TrainingError: a column is missing, a row cannot be read, or none of its photos is there.
    """
    with table.open(newline="", encoding="utf-8") as stream:
        read = csv.DictReader(stream, restval="")
        rows, columns = list(read), read.fieldnames or ()
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise TrainingError(
            f"{table}: column {', '.join(missing)} is missing; expected {','.join(COLUMNS)} on its first line, and a "
            f"row a photo below; found {','.join(columns) or 'nothing'}"
        )
    reviews = []
    for number, row in enumerate(rows, start=2):
        where = f"{table}, line {number}"
        if row["verdict"] not in VERDICTS:
            raise TrainingError(f"{where}: verdict {row['verdict']!r}; expected one of {', '.join(VERDICTS)}")
        photo = photos / row["file"]
        if photo.is_file():
            boxes = [_boxes(row[name], where) for name in BOX_COLUMNS]
            probability = table.parent / "prob" / f"{photo.stem}.png"
            reviews.append(Review(photo, probability, row["verdict"], *boxes))
    if not reviews:
        raise TrainingError(f"{table}: none of its {len(rows)} photos is in {photos}; give the folder they are in")
    return reviews


def review_levels(review: Review, probability: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives a mask (H, W) in the values of a material folder.

    A finding (what hangs together above GROWN and reaches SEED) that was called false, or lies in a photo without
    damage, is sound, and marked as taken for damage. One that was called right, or not called false where no finding
    was called right, is damaged. What was missed, what lies between GROWN and FREE in a damaged photo, and a finding
    of which nobody spoke, is neither; so is all else of a photo that is worn all over, since nobody marked every fleck.

    Raises:
        TrainingError: the verdict is `unsure`.
    """
    if review.verdict == UNSURE:
        raise TrainingError(f"{review.photo}: nobody could tell; such a photo has no mask")
    shape = probability.shape
    found, missed, false, ignored, right = (
        _findings(probability),
        *(_covered(boxes, shape) for boxes in (review.missed, review.false, review.ignored, review.right)),
    )
    levels = np.full(shape, SOUND, np.uint8)
    if review.is_clean:
        levels[found] = MISTAKEN
    else:
        levels[probability >= FREE] = NEITHER
        levels[missed] = NEITHER
        if found.mean() > WORN_SHARE:
            levels[:] = NEITHER
        levels[found] = NEITHER if review.right else DAMAGED
        levels[found & right] = DAMAGED
        levels[false & (probability >= FREE)] = MISTAKEN
    levels[ignored] = NEITHER
    return levels


def without_plain_depths(image: NDArray[np.uint8], levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives a mask (H, W) that says neither in the depth of wide damage where the photo (H, W, 3) is plain there.

    A lost piece without texture looks as a studio's ground does, and whoever learns the one takes the other for damage.
    Its rim, and what is fibrous or spotted, stays damaged.
    """
    damaged = levels == DAMAGED
    depth = cv2.distanceTransform(np.pad(damaged, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = (2 * PLAIN_REACH_PX + 1,) * 2
    mean, square = cv2.blur(luma, side), cv2.blur(luma * luma, side)
    plain = np.sqrt(np.maximum(square - mean * mean, 0)) < PLAIN_LEVELS
    levels = levels.copy()
    levels[damaged & plain & (depth > DEEP_PX)] = NEITHER
    return levels


def _findings(probability: NDArray[np.uint8]) -> NDArray[np.bool_]:
    count, pieces = cv2.connectedComponents((probability >= GROWN).astype(np.uint8), connectivity=8)
    seeded = np.zeros(count, bool)
    seeded[np.unique(pieces[probability >= SEED])] = True
    seeded[0] = False
    return seeded[pieces]


def lay_material(
    folder: Path,
    *,
    reviews: Sequence[Review],
    film: Path | None = None,
    kept_photos: Sequence[Path] = (),
    kept_sequences: Collection[str] = (),
    marks: Path = MARKS,
) -> None:
    """Lays reviewed photos and film frames down as a material folder.

    Photos of one picture are on one side of training; a tenth of the pictures, by hash, is for validation.

    Args:
        folder: made if need be.
        reviews: of photos; those without a verdict are left out, unless their masks were marked.
        film: folder of `frames/`, `masks/` and `LABELS.csv`.
        kept_photos: photos whose pictures are for testing alone.
        kept_sequences: sequences of the film that are for validation alone.
        marks: masks that were marked, by the SHA-256 of their photos; they go before a verdict.
    """
    kept = [_picture_hash(path) for path in kept_photos]
    hashes = [_picture_hash(review.photo) for review in reviews]
    for review, group in zip(reviews, picture_groups(hashes), strict=True):
        own = _picture_hash(review.photo)
        if any(_bits(own, other) <= SAME_PICTURE_BITS for other in kept):
            continue
        sha256 = hashlib.sha256(review.photo.read_bytes()).hexdigest()
        image, levels = read_photo(review.photo), marked_levels(sha256, marks)
        if levels is None:
            if review.verdict == UNSURE:
                continue
            levels = review_levels(review, _read_grey(review.probability))
        if levels.shape != image.shape[:2]:
            raise TrainingError(f"{review.photo}: it is {image.shape[:2]}, what was judged of it {levels.shape}")
        levels = without_plain_depths(image, levels)
        split = "validation" if is_held_out(group) else "train"
        write_reviewed(folder, split, sha256, image, levels)
        if review.verdict == "clean" and not (levels == DAMAGED).any():
            write_sound(folder, split, sha256, image)
        else:
            forget_sound(folder, sha256)
    for name, sequence, image, levels in film_frames(film) if film else ():
        write_film(folder, "validation" if sequence in kept_sequences else "train", name, image, levels)


def film_frames(film: Path) -> Iterator[tuple[str, str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Gives name, sequence, frame (H, W, 3) and mask (H, W) of each frame, in order.

    Raises:
        TrainingError: a frame or its mask is missing.
    """
    with (film / "LABELS.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            frame = next((film / "frames").glob(f"{row['name']}.*"), None)
            if frame is None:
                raise TrainingError(f"{film}/frames: {row['name']} of LABELS.csv is missing; copy the folder again")
            yield row["name"], row["sequence"], read_photo(frame), _read_grey(film / "masks" / f"{row['name']}.png")


def picture_groups(hashes: Sequence[str]) -> list[str]:
    """Gives for each perceptual hash the least one of its group: those that a chain of near ones leads to."""
    values = np.array([int(text, 16) for text in hashes], np.uint64)
    near = np.array([[bin(int(a ^ b)).count("1") <= SAME_PICTURE_BITS for b in values] for a in values])
    groups = list(range(len(values)))
    for one in range(len(values)):
        for other in np.flatnonzero(near[one]):
            old, new = sorted((groups[one], groups[other]), reverse=True)
            if old != new:
                groups = [new if group == old else group for group in groups]
    return [min(hashes[i] for i in range(len(hashes)) if groups[i] == group) for group in groups]


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Gives a photo as (H, W, 3) uint8, as it lies in its file.

    Raises:
        TrainingError: it cannot be decoded.
    """
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise TrainingError(f"{path}: it cannot be decoded; copy the file again")
    return np.asarray(pixels, np.uint8)


def _read_grey(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if pixels is None:
        raise TrainingError(f"{path}: expected a grey PNG beside its photo, found none; copy the folder again")
    return np.asarray(pixels, np.uint8)


def _picture_hash(path: Path) -> str:
    return perceptual_hash(ArrayScan(read_photo(path)))


def _bits(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _boxes(text: str, where: str) -> tuple[Box, ...]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            left, top, right, bottom = (float(number) for number in part.split(","))
        except ValueError:
            raise TrainingError(f"{where}: {part!r} is no box; expected left,top,right,bottom from 0 to 1") from None
        found.append((left, top, right, bottom))
    return tuple(found)


def _covered(boxes: Sequence[Box], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    height, width = shape
    covered = np.zeros(shape, bool)
    for left, top, right, bottom in boxes:
        rows = slice(int(top * height), int(np.ceil(bottom * height)))
        covered[rows, int(left * width) : int(np.ceil(right * width))] = True
    return covered
