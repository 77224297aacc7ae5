"""Stage 0, the look: what fading and toning did to the whole photo, undone on its thumbnail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.errors import TrainingError
from oldphoto_core.models.look import THUMBNAIL_PX, Glance, whole_window
from oldphoto_core.models.presets import build_look, preset
from oldphoto_core.training.batches import CropSource, WholePhotos
from oldphoto_core.training.chunks import synthetic_chunks
from oldphoto_core.training.judging import BATCH, figures_of, own_set, second_set, untouched
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adamw, update
from oldphoto_core.training.schedule import Clock, fresh_weights

FLOOR = 0.01
"""Mean squared error, over [-1, 1], below which less is hardly asked for: 26 dB."""
SCALE = 3.0
"""Of the loss: its slope is about 1 where the error is that of a typical toned photo, twice the floor."""
TONES: dict[str, Any] = {
    "kind_shares": (0.2, 0.55, 0.0, 0.25),
    "tone_severity_power": 0.7,
    "p_jpeg": 0.0,
    "p_halo": 0.0,
    "p_scanner_blur": 0.0,
    "p_lens_blur": 0.0,
    "p_halftone": 0.0,
    "p_dust": 0.1,
    "p_scratch": 0.2,
    "p_hair": 0.05,
    "p_crack": 0.03,
}
"""What differs from the recipe: more tone, and as much of bad as of mild, for it is the photos that need it that are
told apart worst; less of what a thumbnail does not show."""


@dataclass(frozen=True)
class LookSettings:
    """Sizes and weights of the look's training."""

    preset: str = "archive"
    batch: int = 64
    rate: float = 2e-3
    whole_px: int = THUMBNAIL_PX
    """Side of the photos that are damaged: as large as the thumbnail, for nothing finer is ever seen of them, and
    synthesis is ten times cheaper than at 256."""
    untouched_weight: float = 1.0
    """How much more an untouched photo counts."""
    chunk_photos: int = 32
    steps_a_chunk: int = 2
    pool_chunks: int = 48


class LookStage:
    """Trains the look by the squared distance between the toned thumbnail and the clean one, on intact pixels."""

    name = "look"
    score = "second/psnr"

    def __init__(self, settings: LookSettings, material: Material, *, seed: int = 0):
        with fresh_weights(seed, self.name):
            look = build_look(preset(settings.preset))
        if look is None:
            raise TrainingError(f"the {settings.preset} preset has no look; go on with the detector")
        self.device = material.device
        self.options, self.settings = settings, asdict(settings)
        self.look = placed(look, self.device)
        self.networks: Mapping[str, nn.Module] = {"look": self.look}
        self.critics: Mapping[str, nn.Module] = {}
        self.optimisers = {"look": adamw(Learners([self.look], settings.rate))}
        damage = Degradation(replace(material.degradation.recipe, **TONES), material.degradation.textures)
        make = synthetic_chunks(material.clean, damage, photos=settings.chunk_photos, whole_px=settings.whole_px)
        self.source = CropSource(
            make,
            seed=seed,
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self.source]
        self._own, self._second = own_set(material), second_set(material)

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        photos = self.source.at(clock.step, crop_px=16, batch=self.options.batch)  # the thumbnails are all we need
        with precision(self.device):
            glance = self.look(photos.thumbnail, photos.thumbnail_mask)
        loss = tone_loss(glance, photos, untouched_weight=self.options.untouched_weight)
        update(self.optimisers["look"], loss)
        return {"tone": loss}, self.options.batch

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        figures = {}
        for name, photos in {"own": self._own, "second": self._second, "clean": untouched(self._second)}.items():
            own = figures_of(toned_photos(networks["look"], photos), photos)
            wanted = ("psnr",) if name == "clean" else ("psnr", "gain")
            figures |= {f"{name}/{figure}": own[figure] for figure in wanted}
        return figures


def tone_loss(glance: Glance, photos: WholePhotos, *, untouched_weight: float = 1.0) -> torch.Tensor:
    """Gives the logarithm of the squared distance of toned and clean thumbnails where intact, as decibels have it.

    Of a photo's mean square, not absolute: about half of all photos need no tone at all, so whatever the network is
    unsure of, the median answer is to change nothing, and a network trained on absolute distances never leaves the
    identity. Its logarithm, above a floor: else the photos that are nearly lost decide on all, and nearly good ones are
    made worse for them. Over half of the thumbnails' sides: tone is smooth, and on a CPU this loss at their own size
    takes longer than the network.
    """
    seen, target, mask = (
        F.avg_pool2d(x.float(), 2) for x in (photos.thumbnail, photos.target_thumbnail, photos.thumbnail_mask)
    )
    toned = glance.tone.apply(seen, whole_window(len(photos), seen.device))
    counts = torch.where(photos.kind == 0, untouched_weight, 1.0)
    intact = (1 - mask).expand_as(toned)
    pixels = intact.sum((1, 2, 3)).clamp_min(1)
    error = (intact * (toned - target).square()).sum((1, 2, 3)) / pixels  # (B,)
    return (counts * torch.log1p(error / FLOOR)).mean() * SCALE * FLOOR


def toned_photos(look: nn.Module, photos: WholePhotos) -> torch.Tensor:
    """Gives whole photos with their tone corrected, (B, 3, H, W) in [-1, 1]."""
    parts = []
    for rows in torch.arange(len(photos), device=photos.image.device).split(BATCH):
        with torch.no_grad(), precision(photos.image.device):
            glance = look(photos.thumbnail[rows], photos.thumbnail_mask[rows])
        parts.append(glance.tone.apply(photos.image[rows], whole_window(len(rows), photos.image.device)))
    return torch.cat(parts).clamp(-1, 1)
