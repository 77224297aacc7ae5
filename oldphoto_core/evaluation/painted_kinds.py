"""One kind of damage laid on real old photos, with its mask: labels of a kind that a detector was not trained on.

The damage is of the second generator, which nothing is trained on, or of dust that was segmented on real film scans.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import second_marks, second_wear
from oldphoto_core.evaluation.held_out import read_photo
from oldphoto_core.evaluation.second_fields import Field, Picture
from oldphoto_core.evaluation.second_generator import IGNORED_OPACITY, LEAST_CHANGE, MASK_OPACITY
from oldphoto_core.evaluation.second_marks import Layer, mark_colour
from oldphoto_core.evaluation.second_wear import Wear
from oldphoto_core.training.material_folder import LabelledPhoto, reduced

Draw = Callable[..., Layer | Wear]

SMALLEST_PX = 200
"""Photos with a shorter side are left out."""


@dataclass(frozen=True)
class PaintedKind:
    """A kind of damage: how it is drawn, and what of the training recipe draws the same."""

    draw: Draw | None
    """None: read from real film scans."""
    recipe: tuple[str, ...]
    """Probabilities of `Recipe` that are set to zero for a detector that does not know it."""
    most: int = 1
    """Times it is drawn on a photo, at most."""


KINDS: Mapping[str, PaintedKind] = {
    "tape": PaintedKind(second_wear.tape, ("p_tape",), most=3),
    "fold": PaintedKind(second_wear.fold, ("p_crease",)),
    "tear": PaintedKind(second_wear.tear, ("p_hole", "p_border"), most=2),
    "cracks": PaintedKind(second_wear.cracks, ("p_crack",)),
    "flaking": PaintedKind(second_wear.flaking, ("p_hole", "p_stain")),
    "ink": PaintedKind(second_marks.ink, ("p_stain",), most=2),
    "scratches": PaintedKind(second_marks.scratches, ("p_scratch",)),
    "dust": PaintedKind(second_marks.dust, ("p_dust",)),
    "film-dust": PaintedKind(None, ("p_dust", "p_hair")),
}


class Painter:
    """Lays one of some kinds of damage on photos.

    Args:
        kinds: names of `KINDS`, one of which is drawn for each photo.
        textures: folder of textures, for `film-dust`.

    Raises:
        ConfigError: there is no such kind, or no film scan to read dust from.
    """

    def __init__(self, kinds: Sequence[str], *, textures: Path | None = None):
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ConfigError(f"there is no kind of damage {', '.join(unknown)}; known: {', '.join(KINDS)}")
        self._kinds = list(kinds)
        self._film = sorted(textures.rglob("*fds-realmask*")) if textures and "film-dust" in kinds else []
        if "film-dust" in kinds and not self._film:
            raise ConfigError(f"film-dust is read from *fds-realmask* files, and {textures} has none")

    def paint(self, name: str, photo: NDArray[np.uint8], seed: Sequence[int]) -> LabelledPhoto:
        """Gives the photo (H, W, 3) with damage on it; the same photo and seed give the same bytes."""
        rng = np.random.default_rng(list(seed))
        kind = self._kinds[int(rng.integers(len(self._kinds)))]
        size = photo.shape[:2]
        grey = bool(np.ptp(photo.astype(np.int16), axis=2).mean() < 10)
        before: Picture = photo.astype(np.float32) / 255
        image, clear = before, np.ones(size, np.float32)
        for _ in range(int(rng.integers(1, KINDS[kind].most + 1))):
            layer, shading = self._layer(rng, kind, size, grey=grey)
            image, before = np.clip(image * shading, 0, 1), np.clip(before * shading, 0, 1)
            cover = layer.opacity[..., None]
            image = image * (1 - cover) + layer.colour * cover
            clear = clear * (1 - layer.opacity)
        opacity: Field = 1 - clear
        sigma = rng.uniform(0.3, 0.7)  # the scan is sharp already; what lies on it was scanned by the same optics
        soft = np.asarray(cv2.GaussianBlur(opacity, (0, 0), sigma), np.float32)
        image = before + np.asarray(cv2.GaussianBlur(image - before, (0, 0), sigma), np.float32)
        change = np.abs(image - before).max(axis=2)
        mask = (soft > MASK_OPACITY) & (change >= LEAST_CHANGE)
        levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        return LabelledPhoto(name, levels, mask, (soft > IGNORED_OPACITY) & ~mask)

    def _layer(
        self, rng: np.random.Generator, kind: str, size: tuple[int, int], *, grey: bool
    ) -> tuple[Layer, Picture]:
        draw = KINDS[kind].draw
        drawn = draw(rng, size, float(rng.beta(2.1, 1.3)), grey=grey) if draw else self._film_dust(rng, size, grey=grey)
        if isinstance(drawn, Wear):
            return drawn.layer, drawn.shading
        return drawn, np.ones((*size, 1), np.float32)

    def _film_dust(self, rng: np.random.Generator, size: tuple[int, int], *, grey: bool) -> Layer:
        """Gives the dust of a real film scan at half its scale, cut and turned at random."""
        path = self._film[int(rng.integers(len(self._film)))]
        scan = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if scan is None:
            raise ConfigError(f"{path} cannot be decoded; remove it from the textures")
        small = np.rot90(cv2.resize(scan, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), int(rng.integers(4)))
        repeats = [-(-side // have) for side, have in zip(size, small.shape, strict=True)]
        tiled = np.tile(small, repeats)
        top, left = (int(rng.integers(have - side + 1)) for side, have in zip(size, tiled.shape, strict=True))
        opacity = tiled[top : top + size[0], left : left + size[1]].astype(np.float32) / 255 * rng.uniform(0.6, 1.0)
        return Layer(opacity, mark_colour(rng, dark=rng.random() < 0.3, grey=grey))


def painted_sets(
    photos: Sequence[Path], kind: str, *, labelled: int, validation: int, test: int, textures: Path | None, seed: int
) -> dict[str, list[LabelledPhoto]]:
    """Gives `train`, `validation` and `test` photos with the kind on them, and `others`: test photos with other kinds.

    Raises:
        ConfigError: there are too few photos.
    """
    chosen = sorted(photos, key=lambda p: hashlib.sha256(f"{seed}/{p.name}".encode()).digest())
    shown = [(path.name, reduced(read_photo(path))) for path in chosen[: labelled + validation + test + 60]]
    shown = [(name, photo) for name, photo in shown if min(photo.shape[:2]) >= SMALLEST_PX]
    if len(shown) < labelled + validation + 10:
        raise ConfigError(
            f"{len(shown)} old photos of {SMALLEST_PX} px or more; expected at least {labelled + validation + 10}"
        )
    painter = Painter([kind], textures=textures)
    others = [name for name in KINDS if name not in (kind, "film-dust") and name not in _alike(kind)]
    other = Painter(others)
    last = labelled + validation
    painted = [painter.paint(name, photo, (seed, k)) for k, (name, photo) in enumerate(shown[: last + test])]
    return {
        "train": painted[:labelled],
        "validation": painted[labelled:last],
        "test": painted[last:],
        "others": [other.paint(n, p, (seed, 10**6 + k)) for k, (n, p) in enumerate(shown[last : last + test])],
    }


def _alike(kind: str) -> set[str]:
    """Kinds that the recipe draws by the same means: a detector that was not shown one was not shown the other."""
    return {name for name, other in KINDS.items() if set(other.recipe) & set(KINDS[kind].recipe)}
