"""The uncertainty head's stage, trained last: the release is frozen, and the head learns how far it is from the truth.

Run by itself, since it needs a release rather than a run folder's earlier stages:

    python -m oldphoto_core.training.uncertainty --photos clean/ --textures textures/ --run runs/a --minutes 30 --attach

With `--attach` the head is calibrated at the end, on held-out photos of role `select` that the second generator
damaged, and joins the release; with `--start` and no budget a head that is there is calibrated anew.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oldphoto_core.errors import CoreError
from oldphoto_core.evaluation.calibration import Calibration
from oldphoto_core.models.uncertainty import FLOOR, KNOTS, UncertaintyHead, laplace_loss
from oldphoto_core.releases.bundle import LoadedRelease, load_release
from oldphoto_core.releases.card import ReleaseCard, find_release, read_card
from oldphoto_core.releases.uncertainty import attach_uncertainty, load_uncertainty, require_uncertainty
from oldphoto_core.training.batches import CropSource
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights
from oldphoto_core.training.judging import BATCH
from oldphoto_core.training.loop import RunOptions, placed, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adamw, update
from oldphoto_core.training.restored_photos import FrozenRelease, RestoredPhotos, cut, judged_photos, restored_chunks
from oldphoto_core.training.schedule import Budget, Clock, fresh_weights


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


def main(argv: list[str] | None = None) -> int:
    """Trains the head, or goes on with it; with `--attach`, calibrates it and puts it into the release's folder."""
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        release = load_release(find_release(options.release))
        if options.steps is None and options.minutes is None and options.start and options.attach:
            start = read_card(options.start)
            trained = dict(require_uncertainty(start).get("training", {}))
            _attach(load_uncertainty(start), release.card, trained, options)
            return 0
        pool = {"chunk_photos": options.chunk_photos, "pool_chunks": options.pool_chunks}
        settings = UncertaintySettings(release.card.name, **pool)
        material = Material.load(options.photos, textures=options.textures)
        stage = UncertaintyStage(settings, material, release, seed=options.seed)
        budget = Budget(steps=options.steps, minutes=options.minutes)
        run = RunOptions(
            options.run, budget, seed=options.seed, fresh=options.fresh, threads=options.threads, start=options.start
        )
        result = train(stage, run)
        if options.attach and result.finished:
            notes = load_weights(result.folder / WEIGHTS["best"], {"uncertainty": stage.head})
            _attach(stage.head, release.card, {**notes, "elapsed_s": round(result.elapsed_s)}, options)
    except CoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _attach(head: UncertaintyHead, card: ReleaseCard, notes: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Calibrates the head, and writes it beside the release's networks."""
    calibrate(head.eval(), card, options.photos, count=options.calibrate_on)
    data = {"photos": options.photos.name, "textures": options.textures.name if options.textures else None}
    fitted_on = {"generator": "second", "role": "select", "photos": options.calibrate_on}
    attach_uncertainty(card.folder, head, {"training": notes, "data": data, "fitted_on": fitted_on})


def calibrate(head: UncertaintyHead, card: ReleaseCard, photos: Path, *, count: int) -> None:
    """Fits what the head answers to the errors that are found, on photos that the second generator damaged.

    Errors of a kind that a head was never shown add to all that it expects, so the training's own generator would make
    it too sure of itself. Held-out photos of role `select` are restored whole, as any photo is.

    Args:
        head: its knots are set.
        card: of the release that restores.
        photos: folder of clean photos.
        count: of these, at most.
    """
    from oldphoto_core import Restorer
    from oldphoto_core.evaluation.uncertainty import measure

    own = torch.linspace(FLOOR, 1, KNOTS)
    head.asked.copy_(own)
    head.answered.copy_(own)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "release"
        shutil.copytree(card.folder, trial)
        attach_uncertainty(trial, head, {"data": "being calibrated"})
        found = measure(Restorer.from_release(trial), photos, generator="second", count=count, role="select")
    for knots, levels in zip((head.asked, head.answered), found.curve(), strict=True):
        knots.copy_(torch.from_numpy(levels / 255))


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
    parser.add_argument("--start", type=Path, help="a release folder whose head to begin with")
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--attach", action="store_true", help="at the end, calibrate, and join the release")
    parser.add_argument("--calibrate-on", type=int, default=90, help="photos that the head is calibrated on (90)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
