"""Chunks of whole photos for the pool: clean photos with synthetic damage, and real old photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from oldphoto_core.restoration.filling import filled
from oldphoto_core.training.batches import ChunkMaker, WholePhotos
from oldphoto_core.training.data import PhotoBank

if TYPE_CHECKING:
    from oldphoto_core.degradation import Degradation

WHOLE_PX = 256
"""Side of a whole photo in training."""
TRUE_SHARE, INEXACT_SHARE = 0.35, 0.15
"""Shares of photos given the true mask and a dilated or shifted one; the rest get the detector's, or lose strokes."""
DETECTED_SHARE = 0.85
"""Of the rest, where there is a detector: a translation has to know what the detector's word is worth."""
REAL_OLD_PHOTO = 4

Detect = Callable[[torch.Tensor], torch.Tensor]
"""Image (B, 3, H, W) in [-1, 1] to probability of structured damage (B, 1, H, W)."""


def synthetic_chunks(
    bank: PhotoBank,
    degradation: Degradation,
    *,
    photos: int,
    whole_px: int = WHOLE_PX,
    detect: Detect | None = None,
    exact_masks: bool = False,
    mended: bool = False,
) -> ChunkMaker:
    """Gives a maker of damaged photos with their clean targets.

    Args:
        bank: clean photos.
        degradation: what damages them.
        photos: photos a chunk.
        whole_px: side of a whole photo.
        detect: the detector, for the share of photos that get its mask; without one they get strokes missing.
        exact_masks: give the true mask always, as for measuring.
        mended: what the given mask covers is filled from around it; the mask stays.
    """
    from oldphoto_core.models.look import make_thumbnail

    def make(generator: torch.Generator) -> WholePhotos:
        clean = bank.draw(photos, whole_px, generator)
        damaged = degradation(clean, generator)
        image, target = damaged.image * 2 - 1, damaged.target * 2 - 1
        given = damaged.mask if exact_masks else given_mask(damaged.mask, image, generator, detect=detect)
        thumbnail, thumbnail_mask = make_thumbnail(image, given)
        image = filled_photos(image, given) if mended else image
        return WholePhotos(
            image=image,
            target=target,
            target_thumbnail=make_thumbnail(target, torch.zeros_like(given))[0],
            mask=damaged.mask,
            ignore=damaged.ignore,
            opacity=damaged.opacity,
            given=given,
            kind=damaged.kind,
            thumbnail=thumbnail,
            thumbnail_mask=thumbnail_mask,
        )

    return make


def filled_photos(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Gives images (B, 3, H, W) in [-1, 1] with what masks (B, 1, H, W) cover by half and more filled by a spline."""
    values = ((image + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()
    holes = mask[:, 0].cpu().numpy() >= 0.5
    done = [torch.from_numpy(filled(photo, hole)) for photo, hole in zip(values, holes, strict=True)]
    return (torch.stack(done).permute(0, 3, 1, 2) * 2 - 1).contiguous().to(image.device)


def old_chunks(
    bank: PhotoBank, *, photos: int, whole_px: int = WHOLE_PX, detect: Detect | None = None
) -> ChunkMaker:
    """Gives a maker of real old photos: unlabelled, so target is the photo and the mask is the detector's, or empty."""
    from oldphoto_core.models.look import make_thumbnail

    def make(generator: torch.Generator) -> WholePhotos:
        image = bank.draw(photos, whole_px, generator) * 2 - 1
        given = detect(image) if detect else torch.zeros_like(image[:, :1])
        nothing = torch.zeros_like(given)
        thumbnail, thumbnail_mask = make_thumbnail(image, given)
        return WholePhotos(
            image=image,
            target=image,
            target_thumbnail=thumbnail,
            mask=(given > 0.5).float(),
            ignore=nothing,
            opacity=nothing,
            given=given,
            kind=torch.full((photos,), REAL_OLD_PHOTO, device=image.device),
            thumbnail=thumbnail,
            thumbnail_mask=thumbnail_mask,
        )

    return make


def clean_chunks(
    bank: PhotoBank, *, photos: int, whole_px: int = WHOLE_PX, grey_share: float = 0.4
) -> ChunkMaker:
    """Gives a maker of clean photos, as many of them neutral grey as targets are: what VAE2 learns from."""

    def make(generator: torch.Generator) -> WholePhotos:
        image = bank.draw(photos, whole_px, generator) * 2 - 1
        grey = torch.rand(photos, 1, 1, 1, generator=generator, device=generator.device).to(image.device) < grey_share
        luma = (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        image = torch.where(grey, luma, image)
        nothing = torch.zeros_like(image[:, :1])
        small = image[:, :, ::8, ::8]  # nobody looks at these thumbnails
        return WholePhotos(
            image=image,
            target=image,
            target_thumbnail=small,
            mask=nothing,
            ignore=nothing,
            opacity=nothing,
            given=nothing,
            kind=torch.zeros(photos, dtype=torch.long, device=image.device),
            thumbnail=small,
            thumbnail_mask=small[:, :1],
        )

    return make


def given_mask(
    mask: torch.Tensor, image: torch.Tensor, generator: torch.Generator, *, detect: Detect | None = None
) -> torch.Tensor:
    """Gives the soft masks that the translation trains with, photo by photo of one of three kinds.

    A translation that only ever saw exact masks believes them to the pixel, and leaves a rim around every scratch
    once the mask is a detector's.

    Args:
        mask: (B, 1, H, W) true mask, {0, 1}.
        image: (B, 3, H, W) in [-1, 1], for the detector.
        generator: source of the draws.
        detect: the detector, where there is one.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    batch = mask.shape[0]
    draws = torch.rand(batch, 6, generator=generator, device=generator.device).to(mask.device)

    def column(index: int) -> torch.Tensor:
        return draws[:, index, None, None, None]

    # true: soft at the edge and less than certain, as a probability is
    true = _soften(mask) * (0.7 + 0.3 * column(1))
    # inexact: dilated by 1 to 3 pixels, or shifted by up to 2
    widths = [F.max_pool2d(mask, 2 * r + 1, stride=1, padding=r) for r in (1, 2, 3)]
    inexact = torch.where(column(2) < 0.4, widths[0], torch.where(column(2) < 0.7, widths[1], widths[2]))
    shifts = (draws[:, 3:5] * 5).int().clamp_max(4).sub(2).tolist()
    shifted = torch.stack([m.roll((int(dy), int(dx)), (-2, -1)) for m, (dy, dx) in zip(mask, shifts, strict=True)])
    inexact = _soften(torch.where(column(2) < 0.9, inexact, shifted)) * (0.7 + 0.3 * column(1))
    # strokes missing: a smooth random field takes away up to about half of the damage
    field = torch.rand(batch, 1, 8, 8, generator=generator, device=generator.device).to(mask.device)
    field = F.interpolate(field, mask.shape[-2:], mode="bilinear", align_corners=False)
    missing = _soften(mask * (field > 0.3 + 0.2 * column(5))) * (0.7 + 0.3 * column(1))
    kind = column(0)
    given = torch.where(kind < TRUE_SHARE, true, torch.where(kind < TRUE_SHARE + INEXACT_SHARE, inexact, missing))
    if detect is not None:
        chosen = ((draws[:, 0] >= TRUE_SHARE + INEXACT_SHARE) & (draws[:, 5] < DETECTED_SHARE)).nonzero().flatten()
        if len(chosen):
            given = given.index_copy(0, chosen, detect(image[chosen]).float())
    return given.clamp(0, 1)


def _soften(mask: torch.Tensor) -> torch.Tensor:
    """Gives the mask with an edge about a pixel wide, 1 inside it and half beside it."""
    return torch.maximum(mask, F.avg_pool2d(mask, 3, stride=1, padding=1, count_include_pad=False))
