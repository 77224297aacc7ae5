"""The detector's stage (the paper's third): focal loss and Dice on synthetic scratches, with an ignored band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.training.batches import CropSource
from oldphoto_core.training.chunks import Detect, synthetic_chunks
from oldphoto_core.training.judging import detection_figures, own_set, second_set
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import dice, focal
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adam, adamw, update
from oldphoto_core.training.schedule import Clock, fresh_weights

KIND_SHARES = (0.1, 0.1, 0.25, 0.55)
"""Untouched, tone only, scratches only, mixed: photos without a scratch teach less than those with one."""
SEVERITY_POWER = 1.0
"""As many bad photos as mild ones: half of a mild photo's damage can hardly be seen."""
AREAS = {"p_hole": 0.4, "p_border": 0.3, "p_stain": 0.15, "p_tape": 0.15}
"""Wide damage, most of the damaged pixels and the last to be learned, comes twice as often as in the recipe."""


@dataclass(frozen=True)
class DetectorSettings:
    """Sizes and weights of the detector's training."""

    preset: str = "archive"
    batch: int = 16
    crop: int = 128
    rate: float = 1e-3
    focal: float = 3.0
    gamma: float = 0.0
    """How fast the focal loss fades where the answer is right: not at all, which is a weighted cross entropy; the
    paper's is 2, at which a short run learns slower."""
    dice: float = 0.5
    chunk_photos: int = 8
    steps_a_chunk: int = 3
    pool_chunks: int = 12

    @classmethod
    def for_preset(cls, name: str) -> DetectorSettings:
        """Gives the recipe's settings, or the paper's: focal loss alone, 256-pixel crops, Adam at 2e-4."""
        if name != "paper":
            return cls(preset=name)
        return cls(preset=name, crop=256, rate=2e-4, focal=1.0, gamma=2.0, dice=0.0)


class DetectorStage:
    """Trains the detector on damaged crops, against the mask, outside the ignored band."""

    name = "detector"
    score = "second/auc"

    def __init__(self, settings: DetectorSettings, material: Material, *, seed: int = 0):
        self.device = material.device
        self.options, self.settings = settings, asdict(settings)
        with fresh_weights(seed, self.name):
            self.detector = placed(build_detector(preset(settings.preset)), self.device)
        self.networks: Mapping[str, nn.Module] = {"detector": self.detector}
        self.critics: Mapping[str, nn.Module] = {}
        optimiser = adam if settings.preset == "paper" else adamw
        self.optimisers = {"detector": optimiser(Learners([self.detector], settings.rate))}
        recipe = replace(
            material.degradation.recipe, kind_shares=KIND_SHARES, severity_power=SEVERITY_POWER, **AREAS
        )
        damage = Degradation(recipe, material.degradation.textures)
        self.source = CropSource(
            synthetic_chunks(material.clean, damage, photos=settings.chunk_photos, exact_masks=True),
            seed=seed,
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self.source]
        self._own, self._second = own_set(material), second_set(material)

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        photos = self.source.at(clock.step, crop_px=self.options.crop, batch=self.options.batch)
        with precision(self.device):
            logits = self.detector(photos.image)
        counted = 1 - photos.ignore
        losses = {}
        if self.options.focal:
            losses["focal"] = focal(logits, photos.mask, counted, gamma=self.options.gamma)
        if self.options.dice:
            losses["dice"] = dice(logits, photos.mask, counted)
        update(self.optimisers["detector"], sum(getattr(self.options, n) * loss for n, loss in losses.items()))
        return losses, self.options.batch

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        detect = detection(networks["detector"])
        sets = {"own": self._own, "second": self._second}
        return {f"{n}/{k}": v for n, photos in sets.items() for k, v in detection_figures(detect, photos).items()}


def detection(detector: nn.Module) -> Detect:
    """Gives a function from images in [-1, 1] to probabilities of damage, without gradients."""

    def detect(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), precision(image.device):
            return torch.sigmoid(detector(image).float())

    return detect
