"""The mender's stage: what a spline's filling lacks, learned with a loss that counts inside the mask alone.

Clean photos, and old ones with nothing wrong, are damaged by scratches and holes; the mask is widened by one to three
pixels, as a restoration's is; what it covers is filled, and the network learns what is left to the truth. Half of the
photos carry grain, which the truth does not: grain is put onto the mended places afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.degradation.recipe import SCRATCHES_ONLY
from oldphoto_core.errors import TrainingError
from oldphoto_core.models.presets import build_mender, preset
from oldphoto_core.training.batches import ChunkMaker, CropSource, WholePhotos
from oldphoto_core.training.chunks import filled_photos
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import charbonnier, weighted_mean
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adamw, update
from oldphoto_core.training.schedule import Clock, fresh_weights, seeded

OFTEN = {"p_hole": 0.4, "p_lost": 0.0, "p_tape": 0.0, "p_border": 0.15, "p_negative": 0.0}
"""Wide damage, at which a spline is worst, comes twice as often as in the recipe."""
GRAIN = 10 / 255
"""Standard deviation of the grain, at most."""
SQUARED = 40.0
"""Weight of squared differences beside ten times the absolute ones: what is far off is seen first."""
WIDENED_PX = (1, 2, 3)
MOST_DAMAGED = 0.5
"""A photo of which more is damaged has nothing to be mended from."""


@dataclass(frozen=True)
class MenderSettings:
    """Sizes of the mender's training."""

    preset: str = "archive"
    batch: int = 8
    crop: int = 128
    rate: float = 6e-4
    chunk_photos: int = 8
    steps_a_chunk: int = 2
    pool_chunks: int = 16


class MenderStage:
    """Trains the mender by absolute and squared differences inside the mask."""

    name = "mender"
    score = "gain"

    def __init__(self, settings: MenderSettings, material: Material, *, seed: int = 0) -> None:
        self.device = material.device
        self.options, self.settings = settings, asdict(settings)
        with fresh_weights(seed, self.name):
            mender = build_mender(preset(settings.preset))
            if mender is None:
                raise TrainingError(f"preset {settings.preset!r} has no mender; train archive's")
            self.mender = placed(mender, self.device)
        self.networks: Mapping[str, nn.Module] = {"mender": self.mender}
        self.critics: Mapping[str, nn.Module] = {}
        self.optimisers = {"mender": adamw(Learners([self.mender], settings.rate))}
        self._photos = CropSource(
            holed_chunks(material.clean, material.degradation, photos=settings.chunk_photos, whole_px=settings.crop),
            seed=seed,
            name="holed photos",
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self._photos]
        judge = holed_chunks(
            material.clean_held_out, material.degradation_held_out, photos=material.judged_photos, whole_px=256
        )
        self._judged = judge(seeded(0, "judging holes", 0, self.device))

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, Tensor], int]:
        photos = self._photos.at(clock.step, crop_px=self.options.crop, batch=self.options.batch)
        with precision(self.device):
            mended = self.mender(photos.image.contiguous(memory_format=torch.channels_last), photos.mask)
        losses = {
            "inside": charbonnier(mended, photos.target, photos.mask),
            "squared": weighted_mean((mended - photos.target).square(), photos.mask),
        }
        update(self.optimisers["mender"], 10 * losses["inside"] + SQUARED * losses["squared"])
        return losses, self.options.batch

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Gives PSNR inside the masks of held-out photos, mended and filled alone, and what mending gains."""
        photos, found = self._judged, []
        for rows in torch.arange(len(photos), device=self.device).split(8):
            found.append(networks["mender"](photos.image[rows], photos.mask[rows]))
        mended, filling = (inside_psnr(x, photos) for x in (torch.cat(found), photos.image))
        return {"mended": mended, "filled": filling, "gain": mended - filling}


def inside_psnr(image: Tensor, photos: WholePhotos) -> float:
    """Gives the mean over the photos of PSNR inside their masks, in dB, of images in [-1, 1]."""
    error = ((image.clamp(-1, 1) - photos.target).square() * photos.mask).flatten(1).sum(1)
    pixels = 3 * photos.mask.flatten(1).sum(1)
    chosen = pixels > 0
    return float((20 * math.log10(2) - 10 * (error[chosen] / pixels[chosen]).clamp_min(1e-10).log10()).mean())


def holed_chunks(bank: PhotoBank, degradation: Degradation, *, photos: int, whole_px: int) -> ChunkMaker:
    """Gives a maker of photos with filled holes: `image` filled, `target` the truth, `mask` what was filled."""
    given = degradation.recipe
    recipe = replace(given, **{name: share for name, share in OFTEN.items() if getattr(given, name) > 0 or not share})
    damage = Degradation(recipe.only(SCRATCHES_ONLY), degradation.textures)

    def make(generator: torch.Generator) -> WholePhotos:
        damaged = damage(bank.draw(photos, whole_px, generator, side_range=(0.4, 1.0)), generator)
        target, mask = damaged.target * 2 - 1, damaged.mask
        draws = torch.rand(photos, 3, generator=generator, device=generator.device).to(mask.device)
        widths = [F.max_pool2d(mask, 2 * r + 1, stride=1, padding=r) for r in WIDENED_PX]
        chosen = (draws[:, 0] * len(widths)).long().clamp_max(len(widths) - 1)
        mask = torch.stack([widths[which][number] for number, which in enumerate(chosen.tolist())])
        mask = mask * (mask.mean(dim=(1, 2, 3), keepdim=True) < MOST_DAMAGED)
        noise = torch.randn((*target.shape[:1], 1, *target.shape[2:]), generator=generator, device=generator.device)
        noise = F.avg_pool2d(noise.to(mask.device), 3, stride=1, padding=1) * 3  # grain is wider than a pixel
        strength = 2 * GRAIN * draws[:, 1] * (draws[:, 2] < 0.5)
        image = (target + strength[:, None, None, None] * noise).clamp(-1, 1)
        image = filled_photos(image, mask)
        small = image[:, :, ::8, ::8]  # nobody looks at these thumbnails
        return WholePhotos(
            image=image,
            target=target,
            mask=mask,
            ignore=torch.zeros_like(mask),
            opacity=mask,
            given=mask,
            kind=damaged.kind,
            thumbnail=small,
            thumbnail_mask=small[:, :1],
            target_thumbnail=small,
        )

    return make
