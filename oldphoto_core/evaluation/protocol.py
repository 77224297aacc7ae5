"""The measurement that figures in the documentation come from: held-out photos, either generator, all methods alike.

Every photo is damaged, restored by each method, and compared with its target. Methods: `input` (nothing done),
`restored` (the restorer with the mask it detects), `restored-true-mask`, and `telea+nlm` with the true mask. The
restorer is also given the undamaged photos: what it does to those is harm.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import baselines, metrics
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.generators import Generator, make_damager, photo_seed
from oldphoto_core.evaluation.held_out import Role, centre_crop, held_out_photos, read_photo
from oldphoto_core.evaluation.results import EvaluationResult, PhotoFigures
from oldphoto_core.evaluation.second_generator import Damaged
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid

log = logging.getLogger(__name__)

INPUT, RESTORED, TRUE_MASK, CLASSICAL, CLEAN = "input", "restored", "restored-true-mask", "telea+nlm", "clean"

Restored = NDArray[np.uint8]


class Restoration(Protocol):
    """What a restorer gives back."""

    @property
    def image(self) -> NDArray[Any]:
        """The restored photo, shape and type of the input."""

    @property
    def mask(self) -> NDArray[np.float32]:
        """(H, W) in [0, 1], the mask that was used."""


class PhotoRestorer(Protocol):
    """The part of `oldphoto_core.Restorer` that is measured."""

    def restore(
        self, image: NDArray[Any], mask: NDArray[Any] | None = None, mode: Literal["full", "scratches"] = "full"
    ) -> Restoration:
        """Gives the restored photo."""

    def detect(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Gives (H, W) probability of structured damage."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured on what."""

    photos_dir: Path
    """Clean photos; only held-out ones are used."""

    generator: Generator = "second"
    """Whose damage."""

    textures_dir: Path | None = None
    """Textures for the first generator (held-out ones are used); procedural when None."""

    count: int = 60
    """Photos, at most."""

    seed: int = 1
    """Of the damage; training's choice of checkpoints uses 0."""

    role: Role = "report"
    """Which held-out photos."""

    sheet_rows: int = 12
    """Photos on the picture sheet; 0 for none."""


def evaluate(
    restorer: PhotoRestorer | None,
    settings: EvaluationSettings,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Gives the figures of a restorer, and of the baselines, on held-out photos.

    Args:
        restorer: what is measured; None measures the input and the classical way alone.
        settings: on what.
        progress: called with (photos done, photos in all).
    """
    paths = held_out_photos(settings.photos_dir, role=settings.role, count=settings.count)
    damager = make_damager(settings.generator, textures_dir=settings.textures_dir)
    rows: list[PhotoFigures] = []
    histogram = ScoreHistogram()
    pictures: list[list[NDArray[np.generic]]] = []
    captions: list[str] = []
    for index, path in enumerate(paths):
        clean = centre_crop(read_photo(path))
        damaged = damager(clean, photo_seed(settings.seed, index))
        wanted = len(pictures) < settings.sheet_rows
        cells: list[NDArray[np.generic]] = [damaged.image]
        for method, result, seconds in _results(restorer, damaged, histogram, cells if wanted else None):
            rows.append(_figures(path.name, method, damaged, result, seconds))
        if restorer is not None:
            rows.append(_clean_figures(path.name, clean, restorer))
        if wanted:
            cells.append(damaged.target)
            pictures.append(cells)
            captions.append(_caption(rows, path.name))
        if progress:
            progress(index + 1, len(paths))
    ours = ["restored", "restored, true mask"] if restorer is not None else []
    masks = ["true mask", "detected mask"] if restorer is not None else []
    titles = ["damaged", *ours, "telea+nlm, true mask", *masks, "target"]
    sheet = picture_grid(pictures, column_titles=titles, row_titles=captions) if pictures else None
    return EvaluationResult(settings.generator, rows, histogram if restorer is not None else None, sheet)


def _results(
    restorer: PhotoRestorer | None,
    damaged: Damaged,
    histogram: ScoreHistogram,
    cells: list[NDArray[np.generic]] | None,
) -> Iterator[tuple[str, Restored, float]]:
    """Yields (method, picture, seconds), counts the detector's scores, and adds what the sheet shows to `cells`."""
    yield INPUT, damaged.image, 0.0
    shown: list[NDArray[np.generic]] = []
    scores: NDArray[np.float32] | None = None
    if restorer is not None:
        scores = np.asarray(restorer.detect(damaged.image), np.float32)
        histogram.add(scores, damaged.mask, ignore=damaged.ignore)
        for method, mask in ((RESTORED, None), (TRUE_MASK, damaged.mask.astype(np.float32))):
            started = time.perf_counter()
            result = restorer.restore(damaged.image, mask=mask, mode="full").image
            shown.append(result)
            yield method, result, time.perf_counter() - started
    started = time.perf_counter()
    classical = baselines.telea_then_non_local_means(damaged.image, damaged.mask)
    shown.append(classical)
    yield CLASSICAL, classical, time.perf_counter() - started
    if cells is not None:
        if scores is not None:
            shown += [overlay_mask(damaged.image, damaged.mask), overlay_mask(damaged.image, scores)]
        cells += shown


def _figures(name: str, method: str, damaged: Damaged, result: Restored, seconds: float) -> PhotoFigures:
    return PhotoFigures(
        photo=name,
        method=method,
        kind=damaged.kind,
        grey=damaged.grey,
        mask_coverage=float(damaged.mask.mean()),
        psnr=metrics.psnr(result, damaged.target),
        aligned_psnr=metrics.aligned_psnr(result, damaged.target, damaged.mask),
        masked_psnr=metrics.psnr(result, damaged.target, where=damaged.mask),
        unmasked_psnr=metrics.psnr(result, damaged.target, where=~damaged.mask),
        ssim=metrics.ssim(result, damaged.target),
        delta_e=metrics.delta_e(result, damaged.target),
        seconds=seconds,
    )


def _clean_figures(name: str, clean: NDArray[np.uint8], restorer: PhotoRestorer) -> PhotoFigures:
    """Gives how far the restorer moves a photo that has no damage."""
    started = time.perf_counter()
    restoration = restorer.restore(clean, mode="full")
    seconds = time.perf_counter() - started
    result = restoration.image
    return PhotoFigures(
        photo=name,
        method=CLEAN,
        kind="untouched",
        grey=bool(np.ptp(clean, axis=2).max() == 0),
        mask_coverage=float((np.asarray(restoration.mask) > 0.5).mean()),
        psnr=metrics.psnr(result, clean),
        aligned_psnr=metrics.aligned_psnr(result, clean, None),
        masked_psnr=math.nan,
        unmasked_psnr=math.nan,
        ssim=metrics.ssim(result, clean),
        delta_e=metrics.delta_e(result, clean),
        seconds=seconds,
    )


def _caption(rows: list[PhotoFigures], name: str) -> str:
    own = [r for r in rows if r.photo == name and r.method != CLEAN]
    figures = ", ".join(f"{r.method} {r.psnr:.1f}/{r.aligned_psnr:.1f}" for r in own)
    return f"{name} ({own[0].kind}): PSNR/aligned {figures}"
