"""The uncertainty head's stage, trained last: the release is frozen, and the head learns how far it is from the truth.

Run by itself, since it needs a release rather than a run folder's earlier stages:

    python -m oldphoto_core.training.uncertainty --photos clean/ --textures textures/ --run runs/a --minutes 30
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation.calibration import Calibration
from oldphoto_core.models.look import make_thumbnail
from oldphoto_core.models.uncertainty import UncertaintyHead, laplace_loss
from oldphoto_core.releases.bundle import LoadedRelease, load_release
from oldphoto_core.releases.card import find_release
from oldphoto_core.releases.uncertainty import attach_uncertainty
from oldphoto_core.restoration.blending import as_grey
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.training.batches import CropSource, WholePhotos
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights
from oldphoto_core.training.chunks import given_mask
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.judging import BATCH, second_set
from oldphoto_core.training.loop import RunOptions, placed, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adamw, update
from oldphoto_core.training.schedule import Budget, Clock, fresh_weights

PAINTED_SHARE = 0.25
"""Share of photos restored by a mask as a person might paint it; the rest are restored by the detector's."""
PARTLY_SHARE = 0.2
"""Share of photos of which a part of the restoration alone is taken: less than full strength, or the mask alone."""
WHOLE_PX = 256


@dataclass(frozen=True)
class UncertaintySettings:
    """Sizes of the head's training."""

    release: str
    """Name of the release that the head belongs to."""
    batch: int = 12
    crop: int = 128
    rate: float = 2e-3
    chunk_photos: int = 6
    steps_a_chunk: int = 5
    pool_chunks: int = 16


@dataclass(frozen=True)
class RestoredPhotos(WholePhotos):
    """Whole photos with what the release makes of them; `given` is the mask that the head is shown."""

    restored: Tensor
    """(B, 3, H, H) in [-1, 1]."""


class FrozenRelease:
    """A release as the head sees it: what `Restorer` makes of a whole photo in `full` mode."""

    def __init__(self, release: LoadedRelease, *, device: torch.device) -> None:
        self._networks = Networks(release, device=device, precision="float32")
        self._device = device

    def detect(self, image: Tensor) -> Tensor:
        """Gives the probability of damage (B, 1, H, W) of images (B, 3, H, W) in [-1, 1], in steps of 1/255."""
        found = [np.rint(self._networks.detect(piece) * 255) / 255 for piece in _pieces(image)]
        return torch.from_numpy(np.stack(found))[:, None].float().to(self._device)

    def acted_on(self, probability: Tensor) -> Tensor:
        """Gives the mask that the translation is shown."""
        acted_on = self._networks.acted_on(probability.cpu().numpy())
        return torch.from_numpy(acted_on).float().to(self._device)

    def restore(self, image: Tensor, mask: Tensor, *, grey: Tensor) -> Tensor:
        """Gives restorations (B, 3, H, W) in [-1, 1].

        Args:
            image: (B, 3, H, W) in [-1, 1].
            mask: (B, 1, H, W) as acted on.
            grey: (B,) bool, whose colour is taken off.
        """
        parts = []
        for number, piece in enumerate(_pieces(image)):
            one, covered = image[number : number + 1], mask[number : number + 1]
            glance = self._networks.glance(*make_thumbnail(one, covered))
            restored = self._networks.restore(piece, covered[0, 0].cpu().numpy(), glance, (0.0, 0.0, 1.0, 1.0))
            restored = as_grey(restored) if grey[number] else restored
            parts.append(torch.from_numpy(restored).permute(2, 0, 1) * 2 - 1)
        return torch.stack(parts).to(self._device)


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
        detected, painted = release.detect(image), given_mask(damaged.mask, image, generator)
        by_hand = draws[0] < PAINTED_SHARE
        given = torch.where(by_hand, painted, detected)
        acted_on = torch.where(by_hand, painted, release.acted_on(detected))
        restored = release.restore(image, acted_on, grey=is_grey(truth))
        share = torch.where(draws[2] < 0.5, draws[3].expand_as(acted_on), acted_on)  # strength, or mask alone
        share = torch.where(draws[1] < PARTLY_SHARE, share, 1.0)
        return with_restored(damaged_photos(image, truth, damaged, given), image + share * (restored - image))

    return make


def damaged_photos(image: Tensor, truth: Tensor, damaged, given: Tensor) -> WholePhotos:
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
    return RestoredPhotos(**vars(photos), restored=restored)


def is_grey(photo: Tensor) -> Tensor:
    """Tells (B,) which photos (B, 3, H, W) are neutral grey."""
    return (photo.amax(1) - photo.amin(1)).flatten(1).amax(1) < 1e-4


class UncertaintyStage:
    """Trains the head by the likelihood of the truth, on crops of restored photos."""

    name = "uncertainty"
    score = "second/fitted"

    def __init__(self, settings: UncertaintySettings, material: Material, release: LoadedRelease, *, seed: int = 0):
        self.device = material.device
        self.options, self.settings = settings, asdict(settings)
        with fresh_weights(seed, self.name):
            self.head = placed(UncertaintyHead(), self.device)
        self.networks: Mapping[str, nn.Module] = {"uncertainty": self.head}
        self.critics: Mapping[str, nn.Module] = {}
        self.optimisers = {"uncertainty": adamw(Learners([self.head], settings.rate))}
        frozen = FrozenRelease(release, device=self.device)
        make = restored_chunks(material.clean, material.degradation, frozen, photos=settings.chunk_photos)
        self.source = CropSource(
            make,
            seed=seed,
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self.source]
        self.judged = judged_photos(material, frozen)

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, Tensor], int]:
        photos = cut(self.source.pool(clock.step), self.options.crop, self.options.batch, generator)
        scale = self.head(photos["image"], photos["given"], photos["restored"])
        loss = laplace_loss(scale, photos["restored"], photos["target"])
        update(self.optimisers["uncertainty"], loss)
        return {"likelihood": -loss}, self.options.batch

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        found = calibration_of(networks["uncertainty"], self.judged)
        factor = found.factor()
        figures = {"likelihood": found.likelihood(), "fitted": found.likelihood(factor=factor), "factor": factor}
        figures["rank_correlation"] = found.correlation()
        return {f"second/{name}": value for name, value in figures.items()}


def judged_photos(material: Material, release: FrozenRelease) -> RestoredPhotos:
    """Gives held-out photos damaged by the second generator and restored by the detector's masks; always the same."""
    photos = second_set(material)
    parts = []
    with torch.no_grad():
        given = torch.cat([release.detect(image) for image in photos.image.split(BATCH)])
        grey = is_grey(photos.target)
        for rows in torch.arange(len(photos), device=photos.image.device).split(BATCH):
            parts.append(release.restore(photos.image[rows], release.acted_on(given[rows]), grey=grey[rows]))
    photos = WholePhotos(**{**vars(photos), "given": given})
    return with_restored(photos, torch.cat(parts))


def calibration_of(head: nn.Module, photos: RestoredPhotos) -> Calibration:
    """Gives predicted scales beside true errors, of a sample of pixels."""
    found = Calibration()
    with torch.no_grad():
        for rows in torch.arange(len(photos), device=photos.image.device).split(BATCH):
            restored = photos.restored[rows]
            scale = head(photos.image[rows], photos.given[rows], restored)
            error = (restored - photos.target[rows]).abs() / 2
            for k in range(len(rows)):
                found.add(scale[k, 0].cpu().numpy() * 255, error[k].permute(1, 2, 0).cpu().numpy() * 255)
    return found


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


def main(argv: list[str] | None = None) -> int:
    """Trains the head, or goes on with it; with `--attach`, puts it into the release's folder, its scale fitted."""
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        release = load_release(find_release(options.release))
        pool = {"chunk_photos": options.chunk_photos, "pool_chunks": options.pool_chunks}
        settings = UncertaintySettings(release.card.name, **pool)
        material = Material.load(options.photos, textures=options.textures)
        stage = UncertaintyStage(settings, material, release, seed=options.seed)
        budget = Budget(steps=options.steps, minutes=options.minutes)
        run = RunOptions(options.run, budget, seed=options.seed, fresh=options.fresh, threads=options.threads)
        result = train(stage, run)
        if options.attach and result.finished:
            notes = load_weights(result.folder / WEIGHTS["best"], {"uncertainty": stage.head})
            _attach(stage, release, {**notes, "elapsed_s": round(result.elapsed_s)}, options)
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _attach(stage: UncertaintyStage, release: LoadedRelease, notes: Mapping[str, Any], options: Any) -> None:
    """Fits the head's one factor on the judged photos, and writes it beside the release's networks."""
    head = stage.head.eval()
    head.scale.fill_(1.0)
    head.scale.fill_(calibration_of(head, stage.judged).factor())
    data = {"photos": str(options.photos.name), "textures": str(options.textures.name) if options.textures else None}
    attach_uncertainty(release.card.folder, head, {"training": notes, "data": data})


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.training.uncertainty",
        description="Trains the uncertainty head of a finished release; the same command goes on with a run.",
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of clean photos; a tenth is held out")
    parser.add_argument("--textures", type=Path, help="folder of damage textures; drawn where there are none")
    parser.add_argument("--release", default="default", help="release name or folder (default)")
    parser.add_argument("--run", type=Path, required=True, help="run folder; the stage's is `uncertainty` in it")
    parser.add_argument("--minutes", type=float, help="budget in minutes")
    parser.add_argument("--steps", type=int, help="or in steps: then a resumed run equals an uninterrupted one")
    sizes = UncertaintySettings("")
    parser.add_argument("--chunk-photos", type=int, default=sizes.chunk_photos, help="photos that are damaged at once")
    parser.add_argument("--pool-chunks", type=int, default=sizes.pool_chunks, help="such chunks that crops come from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of the head on a CPU; synthesis has one of its own")
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--attach", action="store_true", help="at the end, put the head into the release's folder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
