"""VAEs and translation before and after: how they restore validation photos, and how near Z_R and Z_X lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.no_reference import mean_no_reference
from oldphoto_core.evaluation.sheet import picture_grid, save_picture
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.batches import WholePhotos
from oldphoto_core.training.chunks import old_chunks
from oldphoto_core.training.detector import detection
from oldphoto_core.training.export import trained_detector, trained_look, trained_restoration, trained_vae
from oldphoto_core.training.judging import figures_of, restore_all, second_set, untouched, with_detected_masks
from oldphoto_core.training.loop import placed
from oldphoto_core.training.losses import psnr
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import seeded
from oldphoto_core.training.stage_reports import StageReport
from oldphoto_core.training.vaes import reconstruct

SHEET_ROWS = 6
OLD_SHOWN = 8
"""Real old photos that the translation is shown."""


def measure_vaes(run: Path, folder: Path, material: Material, parent: ReleaseCard) -> StageReport:
    """Measures both VAEs beside the parent's: reconstruction, and the distance between Z_R and Z_X."""
    from oldphoto_core.evaluation.latents import latent_figures, matched_photos

    device = material.device
    look = trained_look(run, parent.preset)
    look = None if look is None else placed(look, device).eval()
    release = load_release(parent, device=device)
    pairs = {
        "before": (release.network.vae_x, release.network.vae_y),
        "after": tuple(placed(trained_vae(run, parent.preset, n), device).eval() for n in ("vae_x", "vae_y")),
    }
    matched = matched_photos(material, look, most=max(16, 2 * material.judged_photos))
    clean = untouched(second_set(material)).image
    found: dict[str, dict[str, float]] = {}
    for name, (vae_x, vae_y) in pairs.items():
        found[name] = {"clean/psnr": psnr(reconstruct(vae_y, clean), clean)}
        if matched is not None:
            figures = latent_figures(vae_x, matched)
            found[name] |= {f"old and damaged/{k}": v for k, v in figures.items() if k != "pairs"}
    rows, titles = [], ["clean", "before", "after"]
    shown = clean[:SHEET_ROWS]
    seen = [_pictures(shown)] + [_pictures(reconstruct(pair[1], shown)) for pair in pairs.values()]
    if matched is not None:
        old = matched.old[:SHEET_ROWS]
        seen += [_pictures(old)] + [_pictures(reconstruct(pair[0], old)) for pair in pairs.values()]
        titles += ["old, toned", "before", "after"]
    for row in range(min(len(column) for column in seen)):
        rows.append([column[row] for column in seen])
    save_picture(folder / "sheet.png", picture_grid(rows, column_titles=titles))
    notes = [] if matched is None else [f"Z_R and Z_X on {len(matched.old)} matched pairs of photos"]
    return StageReport(found["before"], found["after"], sheet=folder / "sheet.png", notes=notes)


def measure_translation(run: Path, folder: Path, material: Material, parent: ReleaseCard) -> StageReport:
    """Measures the whole restoration beside the parent's, each with the masks of its own detector."""
    device = material.device
    release = load_release(parent, device=device)
    detector = trained_detector(run, parent.preset)
    detector = release.detector if detector is None else placed(detector, device).eval()
    new = placed(trained_restoration(run, parent.preset), device).eval()
    second = second_set(material)
    old = None
    if material.old_held_out is not None:
        make = old_chunks(material.old_held_out, photos=OLD_SHOWN, whole_px=material.judged_px)
        old = make(seeded(0, "judging old", 0, device))
    found, columns = {}, {}
    for name, network, finder in (("before", release.network, release.detector), ("after", new, detector)):
        found[name], columns[name] = _restored_figures(network, finder, second, old)
    rows = [[b, a] for b, a in zip(columns["before"], columns["after"], strict=True)]
    inputs = _pictures(second.image[:SHEET_ROWS]) + ([] if old is None else _pictures(old.image))
    rows = [[picture, *row] for picture, row in zip(inputs, rows, strict=True)]
    save_picture(folder / "sheet.png", picture_grid(rows, column_titles=["photo", "before", "after"]))
    return StageReport(found["before"], found["after"], sheet=folder / "sheet.png")


def _restored_figures(
    network: RestorationNetwork, detector: torch.nn.Module, second: WholePhotos, old: WholePhotos | None
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Gives figures on damaged, clean and real photos, and the restored ones to look at."""
    detect = detection(detector)
    clean = untouched(second)
    sets: Mapping[str, WholePhotos] = {
        "true mask": second,
        "detected": with_detected_masks(second, detect),
        "clean": with_detected_masks(clean, detect),
    }
    figures: dict[str, float] = {}
    shown: list[np.ndarray] = []
    for name, photos in sets.items():
        restored = restore_all(network, photos)
        own = figures_of(restored, photos)
        kept = ("psnr",) if name == "clean" else ("psnr", "gain", "aligned")
        figures |= {f"{name}/{k}": own[k] for k in kept}
        pairs = zip(_pictures(restored), _pictures(photos.target), strict=True)
        figures[f"{name}/ssim"] = float(np.mean([metrics.ssim(result, target) for result, target in pairs]))
        if name == "detected":
            shown += _pictures(restored[:SHEET_ROWS])
    if old is not None:
        photos = with_detected_masks(old, detect)
        restored_old = _pictures(restore_all(network, photos))
        figures |= {f"old/{k}": v for k, v in mean_no_reference(restored_old).items()}
        shown += restored_old
    return figures, shown


def _pictures(images: torch.Tensor) -> list[np.ndarray]:
    """Gives (H, W, 3) in [0, 1] each of (B, 3, H, W) in [-1, 1]."""
    return list(((images.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).cpu().numpy())
