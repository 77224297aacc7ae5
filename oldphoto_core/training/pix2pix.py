"""The stage of pix2pix: the same crops, masks, loop and judges as T's, with the losses and the Adam as published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.pix2pix import Pix2pixConfig, Pix2pixDiscriminator, Pix2pixGenerator
from oldphoto_core.training.batches import CropSource, WholePhotos
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights
from oldphoto_core.training.chunks import Detect, synthetic_chunks
from oldphoto_core.training.judging import BATCH, figures_of, own_set, second_set, untouched, with_detected_masks
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import l1
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adam, update
from oldphoto_core.training.schedule import Clock, Phase, fresh_weights, growing_crops, phase_at
from oldphoto_core.training.vaes import frozen

FOLDER = "pix2pix"
"""The stage's folder in a run folder: weights and `run.json`, which is all that a baseline needs."""


@dataclass(frozen=True)
class Pix2pixSettings:
    """Sizes and weights of pix2pix's training; the defaults are the paper's, but for sizes."""

    width: int = 64
    """First width of the generator."""
    critic_width: int = 64
    """First width of the discriminator."""
    depth: int = 5
    batch: int = 16
    crop: int = 96
    larger_crops: bool = True
    """As T's: larger crops towards the end."""
    rate: float = 2e-4
    l1: float = 100.0
    """Weight of L1 beside the adversary's 1 (the paper's lambda)."""
    chunk_photos: int = 8
    steps_a_chunk: int = 2
    pool_chunks: int = 8

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Crop sizes and batches over the budget; crops are multiples of the U-Net's stride."""
        return growing_crops(self.crop, self.batch) if self.larger_crops else (Phase(1.0, self.crop, self.batch),)


class Pix2pixStage:
    """Trains the generator to give y of (x, mask), and the discriminator to tell it from y."""

    name = FOLDER
    score = "second/psnr"

    def __init__(self, settings: Pix2pixSettings, material: Material, *, detect: Detect | None = None, seed: int = 0):
        self.device, self.options, self.settings = material.device, settings, asdict(settings)
        config = Pix2pixConfig(settings.width, settings.depth)
        odd = [phase.crop_px for phase in settings.phases if phase.crop_px % config.stride]
        if odd:
            raise TrainingError(f"crops of {odd[0]} px do not halve {settings.depth} times: give multiples of "
                                f"{config.stride}, or a smaller depth")  # fmt: skip
        with fresh_weights(seed, self.name):
            self.generator = placed(Pix2pixGenerator(config), self.device)
            self.critic = placed(Pix2pixDiscriminator(settings.critic_width), self.device)
        self.networks: Mapping[str, nn.Module] = {FOLDER: self.generator}
        self.critics: Mapping[str, nn.Module] = {"critic": self.critic}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            FOLDER: adam(Learners([self.generator], settings.rate)),
            "critic": adam(Learners([self.critic], settings.rate)),
        }
        self.source = CropSource(
            synthetic_chunks(material.clean, material.degradation, photos=settings.chunk_photos, detect=detect),
            seed=seed,
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self.source]
        second = second_set(material)
        self._judged = {"own": own_set(material), "clean": untouched(second), "second": second}
        if detect is not None:
            self._judged |= {n: with_detected_masks(self._judged[n], detect) for n in ("clean", "second")}

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        """Does the discriminator's step, then the generator's: -log D(G(x)) + 100 L1, cross entropies as published."""
        phase = phase_at(self.options.phases, clock.share)
        crops = self.source.at(clock.step, crop_px=phase.crop_px, batch=phase.batch)
        given, target = (crops.image, crops.given), crops.target
        self.generator.train()
        with precision(self.device):
            made = self.generator(*given, generator)
            real, fake = self.critic(*given, target), self.critic(*given, made.detach())
        losses = {"critic": (called(real, 1.0) + called(fake, 0.0)) / 2}  # halved: D learns at half of G's pace
        update(self.optimisers["critic"], losses["critic"])
        with frozen(self.critic), precision(self.device):
            losses["fooling"] = called(self.critic(*given, made), 1.0)
        losses["l1"] = l1(made, target)
        update(self.optimisers[FOLDER], losses["fooling"] + self.options.l1 * losses["l1"])
        return losses, phase.batch

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        figures = {}
        for name, photos in self._judged.items():
            own = figures_of(restored(networks[FOLDER], photos), photos)
            wanted = ("psnr",) if name == "clean" else ("psnr", "gain", "aligned")
            figures |= {f"{name}/{figure}": own[figure] for figure in wanted}
        return figures


def called(logits: torch.Tensor, truth: float) -> torch.Tensor:
    """Gives the cross entropy of a discriminator's logits where all patches are real (1) or made (0)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))


def restored(network: nn.Module, photos: WholePhotos) -> torch.Tensor:
    """Gives photos (B, 3, H, W) in [-1, 1], restored with the masks that they are given."""
    assert isinstance(network, Pix2pixGenerator)
    parts = []
    for image, mask in zip(photos.image.split(BATCH), photos.given.split(BATCH), strict=True):
        with torch.no_grad(), precision(image.device):
            parts.append(network.restore(image, mask))
    return torch.cat(parts).clamp(-1, 1)


def trained_pix2pix(folder: Path) -> Pix2pixGenerator:
    """Gives the generator that a stage left in its folder, in evaluation.

    Raises:
        TrainingError: the folder holds no trained pix2pix.
    """
    try:
        settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
        known = Pix2pixSettings(**{f.name: settings[f.name] for f in fields(Pix2pixSettings)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{folder} holds no pix2pix ({type(error).__name__}: {error}); expected its run.json and "
            f"{WEIGHTS['best']}"
        ) from None
    generator = Pix2pixGenerator(Pix2pixConfig(known.width, known.depth))
    load_weights(folder / WEIGHTS["best"], {FOLDER: generator})
    return generator.eval().requires_grad_(False)
