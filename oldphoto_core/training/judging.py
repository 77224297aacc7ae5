"""Fixed sets of damaged photos that checkpoints are judged on, and the figures they give.

Two hands damage the held-out photos: our own degradation with held-out textures, and the second generator of
`oldphoto_core.evaluation`, which shares no code with ours and is never trained on. The second one chooses the best
checkpoint, because a network goes on learning its own generator's tone while it gets worse on every other.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from oldphoto_core.degradation.recipe import UNTOUCHED
from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.models.look import make_thumbnail
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.training.batches import WholePhotos
from oldphoto_core.training.chunks import Detect, filled_photos, synthetic_chunks
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.loop import precision
from oldphoto_core.training.losses import area_under_roc
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import seeded

BATCH = 8


def own_set(material: Material) -> WholePhotos:
    """Gives held-out photos damaged by our own degradation with held-out textures; always the same ones."""
    make = synthetic_chunks(
        material.clean_held_out,
        material.degradation_held_out,
        photos=material.judged_photos,
        whole_px=material.judged_px,
        exact_masks=True,
    )
    with torch.no_grad():
        return make(seeded(0, "judging", 0, material.device))


def second_set(material: Material) -> WholePhotos:
    """Gives held-out photos damaged by the second generator, with true masks; always the same ones.

    They are the held-out photos of role "select", so that the photos whose figures are reported stay unseen.
    """
    from oldphoto_core.evaluation.fixed_set import damaged_set
    from oldphoto_core.evaluation.held_out import centre_square, held_out_photos, read_photo

    count, whole_px = material.judged_photos, material.judged_px
    try:
        if material.photos_path is None:
            raise ConfigError("these photos came from no folder")
        files = held_out_photos(material.photos_path, role="select", count=count)
        clean = [centre_square(read_photo(file), whole_px) for file in files]
    except ConfigError:
        bank = material.clean_held_out
        windows = bank.centre_windows([i % len(bank) for i in range(min(count, 4 * len(bank)))], whole_px)
        clean = list((windows * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    made = damaged_set(clean, generator="second")

    def colour(pixels: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous().to(material.device)

    def flat(pixels: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(pixels)[:, None].float().to(material.device)

    image, target, mask = colour(made.image), colour(made.target), flat(made.mask)
    thumbnail, thumbnail_mask = make_thumbnail(image, mask)
    return WholePhotos(
        image=image,
        target=target,
        mask=mask,
        ignore=flat(made.ignore),
        opacity=mask,
        given=mask,
        kind=torch.full((len(mask),), -1, device=material.device),
        thumbnail=thumbnail,
        thumbnail_mask=thumbnail_mask,
        target_thumbnail=make_thumbnail(target, torch.zeros_like(mask))[0],
    )


def untouched(photos: WholePhotos) -> WholePhotos:
    """Gives the targets of a set as photos with nothing wrong with them: a restoration should leave these alone."""
    nothing = torch.zeros_like(photos.mask)
    thumbnail, thumbnail_mask = make_thumbnail(photos.target, nothing)
    return replace(
        photos, image=photos.target, mask=nothing, given=nothing, thumbnail=thumbnail, thumbnail_mask=thumbnail_mask
    )


def with_detected_masks(photos: WholePhotos, detect: Detect) -> WholePhotos:
    """Gives the set with the detector's masks in place of the true ones, as a real photo would have."""
    given = torch.cat([detect(image) for image in photos.image.split(BATCH)])
    thumbnail, thumbnail_mask = make_thumbnail(photos.image, given)
    return replace(photos, given=given, thumbnail=thumbnail, thumbnail_mask=thumbnail_mask)


def restoration_figures(network: RestorationNetwork, photos: WholePhotos) -> dict[str, float]:
    """Gives the figures of whole restored photos; see `figures_of`."""
    return figures_of(restore_all(network, photos), photos)


def figures_of(restored: torch.Tensor, photos: WholePhotos) -> dict[str, float]:
    """Gives means over the photos to which something happened, in dB, by the metrics that figures are reported in.

    Args:
        restored: (B, 3, H, W) in [-1, 1].
        photos: what was restored.

    Returns:
        `psnr`, its `gain` over the damaged input, and `aligned`: PSNR after one best colour fit on unmasked pixels.
    """
    result, damaged, target = (_pictures(x) for x in (restored, photos.image, photos.target))
    masks = (photos.mask[:, 0] > 0.5).cpu().numpy()
    touched = [k for k, kind in enumerate(photos.kind.tolist()) if kind != UNTOUCHED] or range(len(result))
    after = float(np.mean([metrics.psnr(result[k], target[k]) for k in touched]))
    before = float(np.mean([metrics.psnr(damaged[k], target[k]) for k in touched]))
    aligned = float(np.mean([metrics.aligned_psnr(result[k], target[k], masks[k]) for k in touched]))
    return {"psnr": after, "gain": after - before, "aligned": aligned}


def _pictures(images: torch.Tensor) -> np.ndarray:
    """Gives (B, H, W, 3) in [0, 1] of (B, 3, H, W) in [-1, 1]."""
    return ((images.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()


def restore_all(network: RestorationNetwork, photos: WholePhotos) -> torch.Tensor:
    """Gives the restored photos (B, 3, H, W) in [-1, 1]."""
    device = photos.image.device
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device)
    parts = []
    shown = filled_photos(photos.image, photos.given) if network.fills else photos.image
    with torch.no_grad(), precision(device):
        for rows in torch.arange(len(photos), device=device).split(BATCH):
            glance = None
            if network.look is not None:
                glance = network.look(photos.thumbnail[rows], photos.thumbnail_mask[rows])
            parts.append(
                network.restore(shown[rows], photos.given[rows], glance, whole.expand(len(rows), -1)).float()
            )
    return torch.cat(parts).clamp(-1, 1)


def detection_figures(detect: Detect, photos: WholePhotos) -> dict[str, float]:
    """Gives the area under the ROC curve over all pixels that are not ignored."""
    with torch.no_grad():
        probability = torch.cat([detect(image) for image in photos.image.split(BATCH)])
    counted = photos.ignore < 0.5
    return {"auc": area_under_roc(probability[counted], photos.mask[counted] > 0.5)}



LABELLED_PX = 640
"""Side of labelled photos that are judged, at most; larger ones are judged by their middle, at their own scale."""
JUDGED_LABELLED = 24
"""Labelled photos that each checkpoint is judged on, at most: the first by name, which is a hash."""


def labelled_histogram(
    detect: Detect, bank: LabelledBank, *, most: int | None = JUDGED_LABELLED, long_side_px: int = LABELLED_PX
) -> ScoreHistogram:
    """Gives the detector's scores on labelled photos, what is ignored left out."""
    histogram = ScoreHistogram()
    for number in range(len(bank) if most is None else min(most, len(bank))):
        image, mask, ignore = bank.whole(number, long_side_px=long_side_px)
        with torch.no_grad():
            scores = detect(image).float().cpu().numpy()
        histogram.add(scores, mask.cpu().numpy() > 0.5, ignore=ignore.cpu().numpy() > 0.5)
    return histogram


def labelled_figures(detect: Detect, bank: LabelledBank) -> dict[str, float]:
    """Gives the area under the ROC curve, the average precision, and the best F1 with its threshold."""
    return detection_summary(labelled_histogram(detect, bank))


def photos_histogram(detect: Detect, photos: WholePhotos) -> ScoreHistogram:
    """Gives the detector's scores on damaged photos, what is ignored left out."""
    with torch.no_grad():
        probability = torch.cat([detect(image) for image in photos.image.split(BATCH)]).float().cpu().numpy()
    histogram = ScoreHistogram()
    histogram.add(probability, photos.mask.cpu().numpy() > 0.5, ignore=photos.ignore.cpu().numpy() > 0.5)
    return histogram


def detection_summary(histogram: ScoreHistogram) -> dict[str, float]:
    """Gives `auc`, `ap`, `f1` and `threshold`; NaN where one kind of pixel is missing."""
    best = histogram.best_f1()
    auc = histogram.auc()
    known = not math.isnan(auc)
    return {
        "auc": auc,
        "ap": histogram.average_precision(),
        "f1": best.value if known else math.nan,
        "threshold": best.threshold if known else math.nan,
    }
