"""Trains each variant in a folder of its own. What was trained by the same plan is taken as it is; the rest goes on.

    {run}/look/                              the one look, of all variants that have one
    {run}/{variant}/{look,vae_x,vae_y,translation}/     as `oldphoto train` leaves them
    {run}/{variant}/pix2pix/                 of a pix2pix
    {run}/{variant}/trained.json             what the variant was trained by, written last
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oldphoto_core.errors import TrainingError
from oldphoto_core.evaluation.ablation.plan import Plan, weights
from oldphoto_core.evaluation.ablation.variants import VARIANTS, Variant
from oldphoto_core.models.presets import QUARTER, preset
from oldphoto_core.training.checkpoint import write_json
from oldphoto_core.training.chunks import Detect
from oldphoto_core.training.export import before_translation, trained_look, trained_restoration
from oldphoto_core.training.look import LookStage
from oldphoto_core.training.loop import RunOptions, RunResult, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.pix2pix import FOLDER, Pix2pixStage, trained_pix2pix
from oldphoto_core.training.schedule import Budget, pixels_seen
from oldphoto_core.training.stages import vaes_beside
from oldphoto_core.training.translation import TranslationStage

_LOG = logging.getLogger(__name__)

TRAINED = "trained.json"
NEVER = 10**9


class Stopped(Exception):
    """The run was asked to stop; the same command goes on."""


@dataclass(frozen=True)
class Trainer:
    """Trains variants by a plan.

    Attributes:
        plan: sizes and budgets.
        material: what they learn from.
        detect: the detector, one for all.
        run: the folder.
        threads: CPU threads of the networks.
        progress: whether a bar is shown.
    """

    plan: Plan
    material: Material
    detect: Detect | None
    run: Path
    threads: int = 1
    progress: bool = False

    def train(self, variant: Variant) -> dict[str, Any]:
        """Trains a variant, unless it is trained, and gives what is known of its training.

        Raises:
            TrainingError: its folder holds one that was trained by another plan.
            Stopped: the run was asked to stop.
        """
        folder = self.run / variant.name
        known = trained_by(folder)
        identity = json.loads(json.dumps(self.plan.identity(variant)))
        if known is not None:
            if known["identity"] != identity:
                raise TrainingError(f"{folder} was trained by another plan; take another --run, or remove it")
            return known
        train_it = self._method if variant.pix2pix is None else self._pix2pix
        found = train_it(variant, folder)
        found |= {"identity": identity, "name": variant.name, "title": variant.title}
        write_json(folder / TRAINED, found)
        _LOG.info("%s: trained, %d weights, %.0f s", variant.name, found["weights"], found["seconds"])
        return found

    def _method(self, variant: Variant, folder: Path) -> dict[str, Any]:
        sizes = preset(variant.preset)
        seconds = {"look": self._look(folder) if sizes.look is not None else 0.0}
        look = trained_look(folder, variant.preset)
        vaes = self.plan.vaes(variant)
        vae_steps = self.plan.vae_steps(vaes)
        if variant.vaes_of:
            seconds["vaes"] = self._lay_vaes(variant, folder)
        else:
            options = self._options(folder, vae_steps)
            results = vaes_beside(self.material, vaes, options, look=look, detect=self.detect)
            seconds["vaes"] = sum(_ended(result).elapsed_s for result in results)
        settings = self.plan.translation(variant)
        network = before_translation(folder, variant.preset)
        stage = TranslationStage(settings, self.material, network=network, detect=self.detect, seed=self.plan.seed)
        steps = self.plan.t_steps(variant)
        seconds["translation"] = _ended(train(stage, self._options(folder, steps))).elapsed_s
        trained = trained_restoration(folder, variant.preset)
        return {
            "weights": sum(weights(part) for part in (trained.vae_x, trained.vae_y, trained.translation)),
            "look_weights": weights(trained.look) if trained.look is not None else 0,
            "steps": {"vaes": vae_steps, "translation": steps},
            "pixels": vae_steps * vaes.batch * vaes.crop**2 + pixels_seen(settings.phases, steps),
            "stage_seconds": seconds,
            "seconds": sum(seconds.values()),
        }

    def _look(self, folder: Path) -> float:
        """Trains the one look, and lays it into a variant's folder; gives the seconds that it took."""
        options = self._options(self.run, self.plan.steps_look)
        done = self.run / "look" / TRAINED
        if not done.is_file():
            result = _ended(train(LookStage(self.plan.look(), self.material, seed=self.plan.seed), options))
            write_json(done, {"seconds": result.elapsed_s, "figures": result.figures, "preset": QUARTER.name})
        _lay(self.run / "look", folder / "look")
        return float(json.loads(done.read_text())["seconds"])

    def _lay_vaes(self, variant: Variant, folder: Path) -> float:
        """Lays the VAEs of the variant that has the same ones into the folder; that variant is trained first."""
        owner = next(one for one in VARIANTS if one.name == variant.vaes_of)
        seconds = self.train(owner)["stage_seconds"]["vaes"]
        for name in ("vae_x", "vae_y"):
            _lay(self.run / owner.name / name, folder / name)
        return float(seconds)

    def _pix2pix(self, variant: Variant, folder: Path) -> dict[str, Any]:
        settings = self.plan.pix2pix(variant)
        steps = self.plan.pix2pix_steps(settings)
        stage = Pix2pixStage(settings, self.material, detect=self.detect, seed=self.plan.seed)
        result = _ended(train(stage, self._options(folder, steps)))
        return {
            "weights": weights(trained_pix2pix(folder / FOLDER)),
            "look_weights": 0,
            "steps": {FOLDER: steps},
            "pixels": pixels_seen(settings.phases, steps),
            "stage_seconds": {FOLDER: result.elapsed_s},
            "seconds": result.elapsed_s,
        }

    def _options(self, folder: Path, steps: int) -> RunOptions:
        """Gives how to run a stage; it is judged once, at its end, so that no variant picks a lucky checkpoint."""
        return RunOptions(
            folder, Budget(steps=steps), seed=self.plan.seed, threads=self.threads, progress=self.progress,
            evaluate_every=NEVER, log_every=max(1, min(20, steps // 4)), checkpoint_minutes=1.0,
        )  # fmt: skip


def trained_by(folder: Path) -> dict[str, Any] | None:
    """Gives what a variant's folder says of its training; None where it is not trained to the end."""
    path = folder / TRAINED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _ended(result: RunResult) -> RunResult:
    if not result.finished:
        raise Stopped
    return result


def _lay(source: Path, target: Path) -> None:
    """Copies a stage's folder, whole or not at all."""
    if not target.is_dir():
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        partial.rename(target)
