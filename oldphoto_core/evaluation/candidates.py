"""A candidate release beside the active one, on photos that neither trained on nor chose checkpoints by.

Figures, each of either release, by the public `Restorer`:

    labelled/auc, ap, f1             labelled test photos of the material folder
    first/auc, second/auc            held-out clean photos of role "report", damaged by either generator
    first/psnr, gain, ssim           the same restored, with the mask that the release detects
    clean/psnr, psnr_p5              the same undamaged: mean, and the worst twentieth
    old/blur_effect, noise_sigma...  real test photos restored, no truth beside them
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.fixed_set import FixedSet, damaged_set
from oldphoto_core.evaluation.generators import Generator
from oldphoto_core.evaluation.held_out import centre_square, held_out_photos, read_photo
from oldphoto_core.evaluation.judgement import Judgement
from oldphoto_core.evaluation.no_reference import mean_no_reference
from oldphoto_core.evaluation.sheet import overlay_mask, picture_grid, save_picture
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.training.judging import detection_summary
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.material import Material
from oldphoto_core.training.material_folder import old_photos, read_png

COUNT = 24
SIDE_PX = 256
REAL_PX = 512
SHEET_ROWS = 6
SEED = 1
"""Of the damage; training's choice of checkpoints uses 0."""

Photo = NDArray[np.uint8]
Marked = tuple[Photo, NDArray[np.bool_], NDArray[np.bool_]]
"""A photo, its mask, and what is ignored."""


def judge_candidate(
    candidate: ReleaseCard,
    active: ReleaseCard,
    material: Material,
    *,
    device: str = "cpu",
    count: int = COUNT,
    side_px: int = SIDE_PX,
    real_px: int = REAL_PX,
    sheet: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Judgement:
    """Gives the figures of both releases on the same photos.

    Args:
        candidate: the release to judge.
        active: the release in use.
        material: clean photos, textures, and the material folder whose test split is measured on.
        device: where to restore: `cpu`, `cuda`.
        count: photos of each set, at most.
        side_px: side of the damaged and the clean photos.
        real_px: side of real photos at most; larger ones are judged by their middle, at their own scale.
        sheet: PNG to write, of real photos restored by both.
        progress: called with the share that is done.
    """
    clean = _clean(material, count, side_px)
    pairs: dict[Generator, FixedSet] = {}
    generators: tuple[Generator, ...] = ("first", "second")
    for generator in generators:
        pairs[generator] = damaged_set(clean, generator=generator, textures_dir=material.textures_path, seed=SEED)
    marked, old = _real(material, count, real_px)
    figures: list[dict[str, float]] = []
    columns: list[list[NDArray[np.generic]]] = [list(old[:SHEET_ROWS])]
    for number, card in enumerate((active, candidate)):
        restorer = Restorer(load_release(card, device=device), device=torch.device(device))
        found = _detection(restorer, marked) | _clean_figures(restorer, clean)
        for generator, photos in pairs.items():
            found |= {f"{generator}/{name}": value for name, value in _pair_figures(restorer, photos).items()}
        restored = [restorer.restore(photo, mode="full") for photo in old]
        found |= {f"old/{name}": value for name, value in mean_no_reference([r.image for r in restored]).items()}
        shown = zip(old, restored[:SHEET_ROWS], strict=False)
        columns += [[r.image for r in restored[:SHEET_ROWS]], [overlay_mask(p, r.mask) for p, r in shown]]
        figures.append(found)
        if progress:
            progress((number + 1) / 2)
    if sheet and old:
        titles = ["photo", f"active {active.name}", "its mask", f"candidate {candidate.name}", "its mask"]
        rows = [list(row) for row in zip(*columns, strict=True)]
        save_picture(sheet, picture_grid(rows, column_titles=titles, cell_px=320))
    return Judgement(
        candidate=candidate.name,
        active=active.name,
        candidate_figures=figures[1],
        active_figures=figures[0],
        photos={"labelled": len(marked), "pairs": len(clean), "old": len(old)},
        sheet_path=sheet if sheet and old else None,
    )


def _clean(material: Material, count: int, side_px: int) -> list[Photo]:
    """Gives held-out clean photos of role "report", squares of one size."""
    try:
        if material.photos_path is None:
            raise ConfigError("these photos came from no folder")
        files = held_out_photos(material.photos_path, role="report", count=count)
        return [centre_square(read_photo(file), side_px) for file in files]
    except ConfigError:  # a folder so small that nothing is held out; `Material.load` has warned of it
        bank = material.clean_held_out
        windows = bank.centre_windows(range(min(count, len(bank))), side_px)
        return list((windows * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


def _real(material: Material, count: int, real_px: int) -> tuple[list[Marked], list[Photo]]:
    """Gives labelled test photos and test photos without a label, which are the held-out old ones in want of others."""
    marked: list[Marked] = []
    old: list[Photo] = []
    if material.folder is not None:
        bank = LabelledBank.from_folder(material.folder, "test")
        for number in range(min(count, len(bank))):
            image, mask, ignore = bank.whole(number, long_side_px=real_px)
            picture = ((image[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            marked.append((np.ascontiguousarray(picture), mask[0, 0].numpy() > 0.5, ignore[0, 0].numpy() > 0.5))
        old = [_middle(read_png(path), real_px) for path in old_photos(material.folder, "test")[:count]]
        old = [photo for photo in old if min(photo.shape[:2]) >= 32]
    if not old and material.old_held_out is not None:
        photos = material.old_held_out.photos[:count]
        old = [_middle(photo.permute(1, 2, 0).cpu().numpy(), real_px) for photo in photos]
    return marked, old or [photo for photo, _, _ in marked]


def _detection(restorer: Restorer, marked: Sequence[Marked]) -> dict[str, float]:
    histogram = ScoreHistogram()
    for photo, mask, ignore in marked:
        histogram.add(restorer.detect(photo), mask, ignore=ignore)
    summary = detection_summary(histogram) if marked else dict.fromkeys(("auc", "ap", "f1"), math.nan)
    return {f"labelled/{name}": summary[name] for name in ("auc", "ap", "f1")}


def _pair_figures(restorer: Restorer, photos: FixedSet) -> dict[str, float]:
    histogram = ScoreHistogram()
    rows = []
    for image, target, mask, ignore in zip(photos.image, photos.target, photos.mask, photos.ignore, strict=True):
        histogram.add(restorer.detect(image), mask > 0, ignore=ignore > 0)
        result = restorer.restore(image, mode="full").image
        before, after = metrics.psnr(image, target), metrics.psnr(result, target)
        ssims = metrics.ssim(image, target), metrics.ssim(result, target)
        rows.append((after, after - before, ssims[1], ssims[1] - ssims[0]))
    means = np.mean(rows, axis=0)
    return {
        "auc": histogram.auc(),
        **{name: float(v) for name, v in zip(("psnr", "gain", "ssim", "ssim_gain"), means, strict=True)},
    }


def _clean_figures(restorer: Restorer, clean: Sequence[Photo]) -> dict[str, float]:
    left = [metrics.psnr(restorer.restore(photo, mode="full").image, photo) for photo in clean]
    return {"clean/psnr": float(np.mean(left)), "clean/psnr_p5": float(np.percentile(left, 5))}


def _middle(photo: Photo, most: int) -> Photo:
    height, width = photo.shape[:2]
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return np.ascontiguousarray(photo[top : top + most, left : left + most])
