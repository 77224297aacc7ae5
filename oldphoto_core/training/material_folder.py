"""Real photos for a training run, as a folder of PNGs: what a flow lays down and what the training reads.

    {folder}/labelled/{train,validation,test}/{sha256}.png         the photo, upright sRGB
    {folder}/labelled/{train,validation,test}/{sha256}.mask.png    0 sound, 255 damaged, 128 neither
    {folder}/old/{train,validation,test}/{sha256}.png              a photo without a label
    {folder}/reviewed/{train,validation}/{sha256}.png, .mask.png   a photo of which every pixel was judged; besides,
                                                                   64 sound, and taken for damage by a detector
    {folder}/sound/{train,validation}/{sha256}.png                 an old photo with nothing wrong, to be damaged
    {folder}/film/{train,validation}/{name}.png, .mask.png         a film frame, in a reviewed photo's values

A photo is reduced to at most 1,024 pixels on its long side, which is about the scale that the detector works at; its
mask with it, so that a scratch of one pixel stays a line. Files are moved into place, the mask before its photo, so
that a kill leaves nothing half written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.checkpoint import write_atomically

SPLITS = ("train", "validation", "test")
LONG_SIDE_PX = 1024
SOUND, MISTAKEN, NEITHER, DAMAGED = 0, 64, 128, 255
"""Values of a mask file."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and what people marked on it."""

    name: str
    """SHA-256 of the master."""
    image: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    mask: NDArray[np.bool_]
    """(H, W), True where damaged."""
    ignore: NDArray[np.bool_]
    """(H, W), True where a pixel is neither damaged nor sound: annotators disagree; never where `mask` is."""
    mistaken: NDArray[np.bool_] | None = None
    """(H, W), True where a sound pixel was taken for damage, where that is known."""


def write_labelled(
    folder: Path,
    split: str,
    sha256: str,
    image: NDArray[np.uint8],
    mask: NDArray[np.generic],
    ignore: NDArray[np.generic] | None = None,
) -> None:
    """Writes a labelled photo into a split, reduced; written again, it gives the same bytes.

    Args:
        folder: the material folder; made if need be.
        split: `train`, `validation` or `test`.
        sha256: names the photo.
        image: (H, W, 3) or (H, W) uint8, upright sRGB.
        mask: (H, W), damaged where not zero.
        ignore: (H, W), where annotators disagree; damage that all agree on goes before it.

    Raises:
        TrainingError: there is no such split, or the shapes differ.
    """
    place = _place(folder, "labelled", split)
    height, width = image.shape[:2]
    for name, given in (("mask", mask), ("disagreement", ignore)):
        if given is not None and given.shape != (height, width):
            raise TrainingError(
                f"{sha256}: the {name} is {given.shape}, the photo {height} x {width}; expected the same size, upright"
            )
    damaged = _reduced_mask(np.asarray(mask) != 0)
    levels = np.where(damaged.sure, DAMAGED, np.where(damaged.touched, NEITHER, SOUND)).astype(np.uint8)
    if ignore is not None:
        unsure = _reduced_mask(np.asarray(ignore) != 0).touched
        levels[unsure & (levels == SOUND)] = NEITHER
    _write_png(place / f"{sha256}.mask.png", levels)
    _write_png(place / f"{sha256}.png", reduced(image))


def write_old(folder: Path, split: str, sha256: str, image: NDArray[np.uint8]) -> None:
    """Writes a photo without a label into a split, reduced.

    Args:
        folder: the material folder; made if need be.
        split: `train`, `validation` or `test`.
        sha256: names the photo.
        image: (H, W, 3) or (H, W) uint8, upright sRGB.

    Raises:
        TrainingError: there is no such split.
    """
    _write_png(_place(folder, "old", split) / f"{sha256}.png", reduced(image))


def write_reviewed(
    folder: Path, split: str, sha256: str, image: NDArray[np.uint8], levels: NDArray[np.uint8]
) -> None:
    """Writes a photo of which every pixel was judged, as it is; it is at most 1,024 pixels a side."""
    _write_judged(_place(folder, "reviewed", split), sha256, image, levels)


def write_film(folder: Path, split: str, name: str, image: NDArray[np.uint8], levels: NDArray[np.uint8]) -> None:
    """Writes a film frame with its mask, as it is."""
    _write_judged(_place(folder, "film", split), name, image, levels)


def write_sound(folder: Path, split: str, sha256: str, image: NDArray[np.uint8]) -> None:
    """Writes an old photo with nothing wrong, reduced."""
    _write_png(_place(folder, "sound", split) / f"{sha256}.png", reduced(image))


def forget_sound(folder: Path, sha256: str) -> None:
    """Takes an old photo away that was laid down as one with nothing wrong, and is none."""
    for split in SPLITS:
        (_place(folder, "sound", split) / f"{sha256}.png").unlink(missing_ok=True)


def _write_judged(place: Path, name: str, image: NDArray[np.uint8], levels: NDArray[np.uint8]) -> None:
    _write_png(place / f"{name}.mask.png", levels)
    _write_png(place / f"{name}.png", image)


def read_labelled(folder: Path, split: str, *, kind: str = "labelled") -> Iterator[LabelledPhoto]:
    """Gives the labelled photos of a split in the order of their names; none where the folder has none.

    Args:
        folder: the material folder.
        split: `train`, `validation` or `test`.
        kind: `labelled`, `reviewed` or `film`.

    Raises:
        TrainingError: a photo has no mask, or one of another size.
    """
    for path in _photos(folder, kind, split):
        image, levels = read_png(path), _read_mask(path)
        if levels.shape != image.shape[:2]:
            raise TrainingError(
                f"{path}: the mask is {levels.shape}, the photo {image.shape[:2]}; write the material folder again"
            )
        yield LabelledPhoto(path.stem, image, levels == DAMAGED, levels == NEITHER, levels == MISTAKEN)


def old_photos(folder: Path, split: str) -> list[Path]:
    """Gives the unlabelled photos' files of a split in the order of their names."""
    return _photos(folder, "old", split)


def sound_photos(folder: Path, split: str) -> list[Path]:
    """Gives the files of old photos with nothing wrong, of a split, in the order of their names."""
    return _photos(folder, "sound", split)


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives the picture as (H, W, 3) uint8, area-averaged to at most 1,024 pixels on its long side."""
    import cv2

    picture = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]
    size = _reduced_size(picture.shape[0], picture.shape[1])
    if size == picture.shape[:2]:
        return np.ascontiguousarray(picture)
    return np.asarray(
        cv2.resize(np.ascontiguousarray(picture), size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def read_png(path: Path) -> NDArray[np.uint8]:
    """Gives a file of the folder as (H, W, 3) uint8 sRGB.

    Raises:
        TrainingError: it cannot be decoded.
    """
    return _decode(path, colour=True)


@dataclass(frozen=True)
class _ReducedMask:
    sure: NDArray[np.bool_]
    """Damaged: at least a quarter of the place, or as much as a line of one pixel leaves in it."""
    touched: NDArray[np.bool_]
    """Some damage, however little."""


def _reduced_mask(mask: NDArray[np.bool_]) -> _ReducedMask:
    import cv2

    height, width = mask.shape
    size = _reduced_size(height, width)
    if size == (height, width):
        return _ReducedMask(mask, mask)
    share = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    factor = max(height, width) / max(size)
    # A line of one pixel covers 1 / factor of the places it runs through, half of that where it runs between two.
    return _ReducedMask(share >= min(0.25, 0.45 / factor), share > 1e-4)


def _reduced_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _place(folder: Path, kind: str, split: str) -> Path:
    if split not in SPLITS:
        raise TrainingError(f"there is no split {split!r}; expected one of {', '.join(SPLITS)}")
    return folder / kind / split


def _photos(folder: Path, kind: str, split: str) -> list[Path]:
    place = _place(folder, kind, split)
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if p.name.endswith(".png") and not p.name.endswith(".mask.png")
                  and not p.name.startswith("."))  # fmt: skip


def _read_mask(photo: Path) -> NDArray[np.uint8]:
    path = photo.with_name(f"{photo.stem}.mask.png")
    if not path.is_file():
        raise TrainingError(f"{photo} has no {path.name} beside it; write the material folder again")
    return read_mask(path)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Gives a mask's file as (H, W) uint8.

    Raises:
        TrainingError: it cannot be decoded.
    """
    return _decode(path, colour=False)


def _decode(path: Path, *, colour: bool) -> NDArray[np.uint8]:
    import cv2

    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE) if len(data) else None
    if pixels is None:
        raise TrainingError(f"{path} cannot be decoded as a PNG; write the material folder again")
    return np.asarray(pixels, np.uint8)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    import cv2

    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise TrainingError(f"{path}: a picture of {pixels.shape} could not be written as PNG")
    write_atomically(path, lambda temporary: Path(temporary).write_bytes(data.tobytes()))
