"""Real photos that no damage of ours is laid on, and pure inpainting: a case each, and its rows.

    film, as found          `detector`: scores of a frame's pixels
    reviewed, as found      `restored`: what is acted on in a photo with nothing wrong, and in its faces
    inpainting, clean or    `telea-radius-5-true-mask`, `navier-stokes-radius-5-true-mask`, `restored-true-mask`:
    grain                   PSNR in the mask, and by its local width

Photos that people marked are of kind `labelled`, which `measuring` looks after.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from oldphoto_core import PIXEL_VERSION
from oldphoto_core.evaluation import inpainting
from oldphoto_core.evaluation.baselines import Algorithm
from oldphoto_core.evaluation.comparison.interface import RESTORED, RESTORED_TRUE
from oldphoto_core.evaluation.comparison.release_methods import PhotoRestorer
from oldphoto_core.evaluation.comparison.rows import DETECTOR, Row, key_of
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings, Material, NamedFile
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.generators import photo_seed
from oldphoto_core.evaluation.held_out import centre_crop, read_photo
from oldphoto_core.evaluation.inpainting import SURFACES, WIDTHS, Surface
from oldphoto_core.evaluation.real_photos import (
    ACTED_ABOVE,
    FilmFrame,
    ReviewedPhoto,
    acted_on_sound,
    held_out_frames,
    reviewed_photos,
)
from oldphoto_core.models.faces import find_faces
from oldphoto_core.training.material_folder import DAMAGED, NEITHER

RealKind = Literal["film", "reviewed", "inpainting"]

OPENCV: dict[str, Algorithm] = {
    f"{algorithm}-radius-{inpainting.RADIUS_PX}-true-mask": algorithm for algorithm in ("telea", "navier-stokes")
}  # fmt: skip
"""Inpainting that a release is measured against: the method's name, and OpenCV's."""

_VERSIONS: dict[RealKind, int] = {"film": 1, "reviewed": 1, "inpainting": inpainting.VERSION}


@dataclass(frozen=True)
class RealCase:
    """One photo, and what it is for."""

    kind: RealKind
    photo: NamedFile
    severity: Literal["as found"] | Surface = "as found"
    seed: int = 0
    reviewed: ReviewedPhoto | None = None
    frame: FilmFrame | None = None

    @property
    def shown(self) -> bool:
        """Whether its pictures are kept."""
        return False

    @property
    def identity(self) -> dict[str, object]:
        """What decides its pixels, for keys: plain values."""
        return {
            "photo": self.photo.sha256, "kind": self.kind, "severity": self.severity, "seed": self.seed,
            "kind_version": _VERSIONS[self.kind],
        }  # fmt: skip


def real_cases(settings: ComparisonSettings, material: Material) -> Iterator[RealCase]:
    """Yields the cases whose photos are at hand: film, reviewed photos, then inpainting.

    Raises:
        ConfigError, TrainingError: the film or the review cannot be read.
    """
    most = settings.real_count
    for frame in held_out_frames(settings.film_dir)[:most] if settings.film_dir else ():
        yield RealCase("film", NamedFile(frame.frame, frame.sha256), frame=frame)
    if settings.review_table is not None and settings.old_dir is not None:
        for one in reviewed_photos(settings.review_table, settings.old_dir)[:most]:
            yield RealCase("reviewed", NamedFile(one.review.photo, one.sha256), reviewed=one)
    for surface in SURFACES:
        for index, photo in enumerate(material.photos[: settings.inpainted_count]):
            # The low digits tell what is lost and what lies there: each as often as the others.
            yield RealCase("inpainting", photo, surface, 12 * photo_seed(settings.seed, index) + index % 12)


class RealMeasurer:
    """Measures such cases.

    Args:
        restorer: the release; without one OpenCV's inpainting alone is measured.
        release: its name, part of the keys of all that it had a hand in.
        code_version: part of all keys.
    """

    def __init__(self, restorer: PhotoRestorer | None, *, release: str, code_version: str) -> None:
        self._restorer, self._release, self._code_version = restorer, release, code_version

    def keys(self, case: RealCase) -> dict[str, str]:
        """Gives the key of each of a case's rows, by method."""
        names = list(OPENCV) if case.kind == "inpainting" else []
        if self._restorer is not None:
            names.append({"film": DETECTOR, "reviewed": RESTORED, "inpainting": RESTORED_TRUE}[case.kind])
        ours = [self._release, PIXEL_VERSION]
        return {
            name: key_of(
                **case.identity, method=name, release=[] if name in OPENCV else ours, code=self._code_version
            )
            for name in names
        }  # fmt: skip

    def measure(self, case: RealCase, known: Collection[str]) -> list[Row]:
        """Gives the rows of a case that are not among the known keys."""
        wanted = {name: key for name, key in self.keys(case).items() if key not in known}
        if not wanted:
            return []
        if case.kind == "inpainting":
            return list(self._inpainting(case, wanted))
        [(name, key)] = wanted.items()
        return [self._film(case, name, key) if case.kind == "film" else self._reviewed(case, name, key)]

    def _film(self, case: RealCase, name: str, key: str) -> Row:
        assert case.frame is not None and self._restorer is not None
        image, levels = case.frame.read()
        counts = ScoreHistogram()
        counts.add(np.asarray(self._restorer.detect(image)), levels == DAMAGED, ignore=levels == NEITHER)
        return self._row(
            case, name, key, mask_coverage=float((levels == DAMAGED).mean()),
            damaged_by_score=tuple(counts.positive.tolist()), sound_by_score=tuple(counts.negative.tolist()),
        )  # fmt: skip

    def _reviewed(self, case: RealCase, name: str, key: str) -> Row:
        assert case.reviewed is not None and self._restorer is not None
        image, ignored = case.reviewed.read()
        started = time.perf_counter()
        # The mask is that of either mode; this one costs less.
        acted = np.asarray(self._restorer.restore(image, mode="scratches").mask) > ACTED_ABOVE
        seconds = time.perf_counter() - started
        counts = acted_on_sound(acted, ignored, [face.box for face in find_faces(image)])
        coverage = counts["acted"] / max(counts["judged"], 1)
        further = counts | {"held_out": float(case.reviewed.held_out)}
        return self._row(case, name, key, mask_coverage=coverage, seconds=seconds, further=further)

    def _inpainting(self, case: RealCase, wanted: dict[str, str]) -> Iterator[Row]:
        assert case.severity != "as found"
        lost = inpainting.lose(centre_crop(read_photo(case.photo.path)), case.seed, case.severity)
        for name, key in wanted.items():
            started = time.perf_counter()
            if name in OPENCV:
                result = inpainting.inpainted(lost, OPENCV[name])
            else:
                assert self._restorer is not None
                given = lost.mask.astype(np.float32)
                result = self._restorer.restore(lost.image, mask=given, mode="scratches").image
            seconds = time.perf_counter() - started
            found = inpainting.figures_in_mask(result, lost)
            yield self._row(
                case, name, key, mask_coverage=float(lost.mask.mean()), masked_psnr=found["mask"], seconds=seconds,
                further={width: found[width] for width in WIDTHS if not math.isnan(found[width])},
            )  # fmt: skip

    def _row(self, case: RealCase, name: str, key: str, **figures: object) -> Row:
        return Row(
            key, case.photo.path.name, case.photo.sha256, "none", case.kind, case.severity, name, seed=case.seed,
            release="" if name in OPENCV else self._release, code_version=self._code_version,
            **figures,  # type: ignore[arg-type]
        )  # fmt: skip
