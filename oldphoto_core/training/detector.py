"""The detector's stage (the paper's third): focal loss and Dice, outside an ignored band.

It learns from synthetic scratches on clean photos, and, where there are any, from real material beside them: photos
that people labelled, photos of which every finding was judged, and film frames.

What guards against forgetting: the synthetic share of each batch; a low rate and few steps; batch norm's statistics
kept as they were; and distillation, which holds the logits near those of the detector that the run starts from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.errors import TrainingError
from oldphoto_core.models.detector import ScratchDetector
from oldphoto_core.models.encoder import imagenet_weights
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.training import distributed
from oldphoto_core.training.batches import CropSource
from oldphoto_core.training.chunks import Detect, synthetic_chunks
from oldphoto_core.training.judging import detection_figures, labelled_figures, own_set, second_set
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import dice, focal, weighted_mean
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, OptimiserName, named_optimiser, update
from oldphoto_core.training.schedule import Clock, fresh_weights, seeded

KIND_SHARES = (0.1, 0.1, 0.25, 0.55)
"""Untouched, tone only, scratches only, mixed: photos without a scratch teach less than those with one."""
SEVERITY_POWER = 1.0
"""As many bad photos as mild ones: half of a mild photo's damage can hardly be seen."""
AREAS = {"p_hole": 0.2, "p_flake": 0.3, "p_lost": 0.0, "p_border": 0.12, "p_stain": 0.1, "p_tape": 0.12}
"""Flakes, most of the damaged pixels and the last to be learned, come twice as often as in the recipe. No lost pieces:
of them a detector learns that plain grounds are damage (docs/experiments/detector-and-mending.md)."""
HARMLESS = {"p_negative": 0.35}
"""What looks like damage and is none is the detector's own business: it meets it more often than the others do."""
GREY_SHARE = 0.65
"""Most old photos are monochrome."""
SURE = 0.2
"""Beside a label, where the starting detector gives at least this, nobody said that it is wrong: a label tells what was
missed, and is joined with what was found. Such pixels are not trained on."""


@dataclass(frozen=True)
class DetectorSettings:
    """Sizes and weights of the detector's training."""

    preset: str = "archive"
    batch: int = 5
    crop: int = 256
    """Side of the photos, which are shown whole: so the network learns where a photo's own edge is, and what is torn
    there. In tiles it sees the same, for a tile that ends inside of a photo is read with a halo."""
    rate: float = 1e-3
    optimiser: OptimiserName = "adamw"
    """`muon` learns faster from fresh weights, at a rate of 0.02 (docs/training.md)."""
    focal: float = 3.0
    gamma: float = 0.0
    """How fast the focal loss fades where the answer is right: not at all, which is a weighted cross entropy; the
    paper's is 2, at which a short run learns slower."""
    dice: float = 0.5
    chunk_photos: int = 8
    steps_a_chunk: int = 6
    pool_chunks: int = 12
    labelled_share: float = 0.5
    """Share of each batch from labelled photos, where the material has any."""
    reviewed_share: float = 0.4
    """The same of reviewed photos."""
    film_share: float = 0.2
    """The same of film frames."""
    distil: float = 0.0
    """Weight of the squared distance of logits from the starting detector's, outside labelled damage."""
    frozen_statistics: bool = False
    """Leave batch norm's statistics as the run found them, and use them in training too."""
    imagenet: bool = False
    """The encoder of fresh weights starts from those of ImageNet."""

    @classmethod
    def for_preset(cls, name: str) -> DetectorSettings:
        """Gives the recipe's settings, or the paper's: focal loss alone, Adam at 2e-4."""
        if not preset(name).published:
            return cls(preset=name)
        return cls(
            preset=name, batch=16, rate=2e-4, optimiser="adam", focal=1.0, gamma=2.0, dice=0.0
        )


class DetectorStage:
    """Trains the detector on damaged crops, against the mask, outside the ignored band."""

    name = "detector"

    def __init__(
        self, settings: DetectorSettings, material: Material, *, parent: nn.Module | None = None, seed: int = 0
    ):
        """Takes the detector that fine-tuning starts from as `parent`; its weights are not written to."""
        self.device = material.device
        self.options, self.settings = settings, asdict(settings)
        with fresh_weights(seed, self.name):
            detector = build_detector(preset(settings.preset))
            if settings.imagenet:
                if not isinstance(detector, ScratchDetector):
                    raise TrainingError(f"preset {settings.preset!r}: its detector cannot start from ImageNet")
                detector.encoder.load_imagenet(imagenet_weights())
            self.detector = placed(detector, self.device)
        self.networks: Mapping[str, nn.Module] = {"detector": self.detector}
        self.critics: Mapping[str, nn.Module] = {}
        learners = Learners([self.detector], settings.rate)
        self.optimisers = {"detector": named_optimiser(settings.optimiser, learners)}
        given = material.degradation.recipe
        often = {name: share for name, share in (AREAS | HARMLESS).items() if getattr(given, name) > 0}  # else left out
        recipe = replace(given, kind_shares=KIND_SHARES, severity_power=SEVERITY_POWER, grey_share=GREY_SHARE, **often)
        damage = Degradation(recipe, material.degradation.textures)
        self._photos = CropSource(
            synthetic_chunks(
                material.clean, damage, photos=settings.chunk_photos, whole_px=settings.crop, exact_masks=True
            ),
            seed=seed,
            name="photos",
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self._photos]
        self._seed = seed
        shares = {"labelled": settings.labelled_share, "reviewed": settings.reviewed_share, "film": settings.film_share}
        found = {name: getattr(material, name) for name in shares}
        self._real = {name: (bank, shares[name]) for name, bank in found.items() if bank is not None and shares[name]}
        self._counts = crop_counts(settings.batch, {name: share for name, (_, share) in self._real.items()})
        self.parent = None if parent is None else placed(parent, self.device).eval().requires_grad_(False)
        self._own, self._second = own_set(material), second_set(material)
        self._validation = material.labelled_validation
        self._judged = {
            name: bank
            for name, bank in (("reviewed", material.reviewed_validation), ("film", material.film_validation))
            if bank is not None
        }
        self.score = "second/auc" if self._validation is None else "mixed/auc"
        if "reviewed" in self._judged:
            self.score = "reviewed/ap"

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        image, mask, ignore, labelled = self._batch(clock.step)
        self.detector.train()
        if self.options.frozen_statistics:
            for module in self.detector.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        with precision(self.device):
            logits = self.detector(image)
        counted = 1 - ignore
        if self.parent is not None:
            with torch.no_grad(), precision(self.device):
                before = self.parent(image)
            counted = counted * (1 - labelled * (1 - mask) * (torch.sigmoid(before.float()) >= SURE))
        losses = {}
        if self.options.focal:
            losses["focal"] = focal(logits, mask, counted, gamma=self.options.gamma)
        if self.options.dice:
            losses["dice"] = dice(logits, mask, counted)
        if self.parent is not None and self.options.distil:
            losses["distil"] = weighted_mean((logits - before).square(), 1 - mask * labelled)
        update(self.optimisers["detector"], sum(getattr(self.options, n) * loss for n, loss in losses.items()))
        return losses, self.options.batch

    def _batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives images, masks, what is ignored, and (B, 1, 1, 1) 1 where the crop is of a labelled photo."""
        crop, batch, rank = self.options.crop, self.options.batch, distributed.rank()
        counts = self._counts
        synthetic = batch - sum(counts.values())
        photos = self._photos.at(step, crop_px=crop, batch=synthetic)
        layers = [turned((photos.image, photos.mask, photos.ignore), seeded(self._seed, "turns", step))]
        labelled = [0.0] * synthetic
        for name, (bank, _) in self._real.items():
            if counts[name]:
                real = bank.crops(
                    step, crop_px=crop, batch=counts[name], seed=self._seed, rank=rank, purpose=name
                )
                layers.append([real.image, real.mask, real.ignore])
                labelled += [float(name == "labelled")] * counts[name]
        image, mask, ignore = (torch.cat(parts) for parts in zip(*layers, strict=True))
        are_labelled = torch.tensor(labelled, device=image.device)[:, None, None, None]
        return image.contiguous(memory_format=torch.channels_last), mask, ignore, are_labelled

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        detect = detection(networks["detector"])
        sets = {"own": self._own, "second": self._second}
        figures = {f"{n}/{k}": v for n, photos in sets.items() for k, v in detection_figures(detect, photos).items()}
        for name, bank in self._judged.items():
            figures |= {f"{name}/{k}": v for k, v in labelled_figures(detect, bank).items() if k in ("auc", "ap")}
        if self._validation is not None:
            figures |= {f"labelled/{k}": v for k, v in labelled_figures(detect, self._validation).items()}
            found = [figures[name] for name in ("labelled/auc", "second/auc") if not math.isnan(figures[name])]
            figures["mixed/auc"] = sum(found) / len(found) if found else float("nan")
        return figures


def crop_counts(batch: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Gives how many crops of a batch come from each bank of real photos; one photo at least is synthetic.

    Raises:
        TrainingError: the batch is too small to have one of each.
    """
    room = batch - 1
    wanted = {name: batch * share for name, share in shares.items()}
    scale = min(1.0, room / max(sum(wanted.values()), 1e-9))
    counts = {name: max(1, int(crops * scale)) for name, crops in wanted.items()}
    if sum(counts.values()) > room:
        raise TrainingError(f"a batch of {batch} has no room for a crop of each of {', '.join(shares)}; take more")
    total = min(room, round(sum(wanted.values()) * scale))
    while sum(counts.values()) < total:
        counts[max(counts, key=lambda name: wanted[name] * scale - counts[name])] += 1
    return counts


def turned(layers: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor]:
    """Gives square layers (B, C, H, H) mirrored, upside down and on their side, photo by photo: no two uses alike."""
    count = len(layers[0])
    draws = torch.rand(3, count, generator=generator) < 0.5
    results = []
    for layer in layers:
        for draw, dims in zip(draws[:2], ((3,), (2,)), strict=True):
            chosen = draw[:, None, None, None].to(layer.device)
            layer = torch.where(chosen, layer.flip(dims), layer)
        results.append(torch.where(draws[2][:, None, None, None].to(layer.device), layer.transpose(2, 3), layer))
    return results


def detection(detector: nn.Module) -> Detect:
    """Gives a function from images in [-1, 1] to probabilities of damage, without gradients."""

    def detect(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), precision(image.device):
            return torch.sigmoid(detector(image).float())

    return detect
