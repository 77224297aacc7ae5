"""Photos as a frozen release restores them, beside their truth: what the uncertainty head learns from.

The truth is brought into the restoration's own tone, so that what is left to learn is the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oldphoto_core.degradation import Degradation
from oldphoto_core.degradation.pipeline import DegradedBatch
from oldphoto_core.evaluation.metrics import align_tone
from oldphoto_core.models.uncertainty import UncertaintyHead
from oldphoto_core.releases.bundle import LoadedRelease
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.training.batches import WholePhotos
from oldphoto_core.training.chunks import given_mask
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.judging import second_set
from oldphoto_core.training.material import Material

PAINTED_SHARE = 0.25
"""Share of photos restored by a mask as a person might paint it; the rest are restored by the detector's."""
PARTLY_SHARE = 0.2
"""Share of photos of which a part of the restoration alone is taken: less than full strength, or the mask alone."""
WHOLE_PX = 256


@dataclass(frozen=True)
class RestoredPhotos(WholePhotos):
    """Whole photos with what the release makes of them, in whose tone `target` is; the head is shown `given`."""

    restored: Tensor
    """(B, 3, H, H) in [-1, 1]."""


class FrozenRelease:
    """A release as the head sees it: what `Restorer` makes of a whole photo in `full` mode."""

    def __init__(self, release: LoadedRelease, *, device: torch.device) -> None:
        self._restorer = Restorer(release, device=device)
        self._device = device

    def restore(self, image: Tensor, painted: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Gives restorations (B, 3, H, W) in [-1, 1], what was found and what was mended (B, 1, H, W) in [0, 1].

        Args:
            image: (B, 3, H, W) in [-1, 1], of 8-bit levels.
            painted: (B, 1, H, W) in [0, 1], masks that stand in the place of detected ones; None: detected.
        """
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for number, piece in enumerate(_pieces(image)):
            mask = None if painted is None else painted[number, 0].cpu().numpy()
            result = self._restorer.restore(np.rint(piece * 255).astype(np.uint8), mask)
            restored = torch.from_numpy(result.image).permute(2, 0, 1).float() / 127.5 - 1
            parts.append((restored, torch.from_numpy(result.found)[None], torch.from_numpy(result.mask)[None]))
        restored, found, mended = (torch.stack(some).to(self._device) for some in zip(*parts, strict=True))
        return restored, found, mended


def _pieces(image: Tensor) -> Iterator[np.ndarray]:
    """Gives each (H, W, 3) float32 in [0, 1] of (B, 3, H, W) in [-1, 1]."""
    for one in image:
        yield ((one.permute(1, 2, 0) + 1) / 2).contiguous().cpu().numpy()


def restored_chunks(
    bank: PhotoBank, degradation: Degradation, release: FrozenRelease, *, photos: int
) -> Callable[[torch.Generator], RestoredPhotos]:
    """Gives a maker of damaged photos with their truth and their restorations."""

    def make(generator: torch.Generator) -> RestoredPhotos:
        damaged = degradation(bank.draw(photos, WHOLE_PX, generator), generator)
        image, truth = damaged.image * 2 - 1, damaged.target * 2 - 1
        draws = torch.rand(4, photos, 1, 1, 1, generator=generator, device=generator.device).to(image.device)
        painted = given_mask(damaged.mask, image, generator)
        by_hand = draws[0] < PAINTED_SHARE
        detected = release.restore(image)
        hand = release.restore(image[by_hand.flatten()], painted[by_hand.flatten()]) if by_hand.any() else detected
        restored, given, mended = (layer.clone() for layer in detected)
        for layer, other in zip((restored, given, mended), hand, strict=True):
            if by_hand.any():
                layer[by_hand.flatten()] = other
        share = torch.where(draws[2] < 0.5, draws[3].expand_as(mended), mended)  # strength, or mask alone
        restored = image + torch.where(draws[1] < PARTLY_SHARE, share, 1.0) * (restored - image)
        truth = in_tone_of(restored, truth, damaged.mask)
        return with_restored(damaged_photos(image, truth, damaged, given), restored)

    return make


def damaged_photos(image: Tensor, truth: Tensor, damaged: DegradedBatch, given: Tensor) -> WholePhotos:
    """Gives whole photos; nobody looks at their thumbnails."""
    small = image[:, :, ::8, ::8]
    return WholePhotos(
        image=image,
        target=truth,
        mask=damaged.mask,
        ignore=damaged.ignore,
        opacity=damaged.opacity,
        given=given,
        kind=damaged.kind,
        thumbnail=small,
        thumbnail_mask=small[:, :1],
        target_thumbnail=small,
    )


def with_restored(photos: WholePhotos, restored: Tensor) -> RestoredPhotos:
    """Gives the photos with their restorations (B, 3, H, H) in [-1, 1]."""
    return RestoredPhotos(**vars(photos), restored=restored)


def in_tone_of(restored: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Gives truths after the 3x4 colour map that brings each nearest to its restoration where it was not damaged.

    What colours a faded print once had is known to nobody: a head that is asked for that error too gives the same
    answer for a whole photo, and a wrong one for another hand's fading.

    Args:
        restored, truth: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W), 1 where damaged.
    """
    parts = []
    for result, goal, damaged in zip(_pieces(restored), _pieces(truth), mask[:, 0].cpu().numpy(), strict=True):
        parts.append(torch.from_numpy(align_tone(goal, result, damaged > 0.5)).permute(2, 0, 1).float() * 2 - 1)
    return torch.stack(parts).to(restored.device)


def judged_photos(material: Material, release: FrozenRelease) -> RestoredPhotos:
    """Gives held-out photos damaged by the second generator and restored by the detector's masks; always the same."""
    photos = second_set(material)
    restored, given, _ = release.restore(photos.image)
    target = in_tone_of(restored, photos.target, photos.mask)
    return with_restored(WholePhotos(**{**vars(photos), "given": given, "target": target}), restored)


def cut(pool: list[WholePhotos], crop_px: int, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Gives crops of photos drawn from the pool, at places that are multiples of the head's stride."""
    owners = [(chunk, index) for chunk in pool for index in range(len(chunk))]
    picks = torch.randperm(len(owners), generator=generator, device=generator.device)[:batch].tolist()
    places = torch.rand(batch, 2, generator=generator, device=generator.device).tolist()
    names = ("image", "given", "restored", "target")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    stride = UncertaintyHead.total_stride
    for pick, place in zip(picks, places, strict=False):
        chunk, index = owners[pick]
        top, left = (int(at * ((WHOLE_PX - crop_px) // stride + 1)) * stride for at in place)
        for name in names:
            parts[name].append(getattr(chunk, name)[index, :, top : top + crop_px, left : left + crop_px])
    return {name: torch.stack(rows).contiguous(memory_format=torch.channels_last) for name, rows in parts.items()}
