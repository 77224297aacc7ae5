"""Runs the stages in a run folder, each taking up what the ones before it left there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oldphoto_core.training.detector import DetectorSettings, DetectorStage, detection
from oldphoto_core.training.export import before_translation, trained_detector, trained_look, trained_vae
from oldphoto_core.training.look import LookSettings, LookStage
from oldphoto_core.training.loop import RunOptions, RunResult, placed, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.translation import TranslationSettings, TranslationStage
from oldphoto_core.training.vaes import CleanVaeStage, OldVaeStage, VaeSettings

VAE_X_SHARE = 0.55
"""Share of the VAEs' budget that VAE1 gets; VAE2 starts from it and needs less."""


def train_look(material: Material, settings: LookSettings, options: RunOptions) -> RunResult:
    """Trains the look at the whole photo (stage 0)."""
    return train(LookStage(settings, material, seed=options.seed), options)


def train_detector(material: Material, settings: DetectorSettings, options: RunOptions) -> RunResult:
    """Trains the scratch detector."""
    return train(DetectorStage(settings, material, seed=options.seed), options)


def train_vaes(material: Material, settings: VaeSettings, options: RunOptions) -> list[RunResult]:
    """Trains VAE1, then VAE2 from it (stage 1).

    Needs the look, where the preset has one; uses a detector if there is one. Does not go on to VAE2 where the run
    was asked to stop in VAE1.
    """
    run, name = options.folder, settings.preset
    detector = _detector_of(run, name, material)
    look = trained_look(run, name)
    first = OldVaeStage(settings, material, look=look, detect=detector, seed=options.seed)
    result = train(first, replace(options, budget=_part(options.budget, VAE_X_SHARE)))
    if not result.finished:
        return [result]
    start = trained_vae(run, name, "vae_x")
    second = CleanVaeStage(settings, material, start=start, seed=options.seed)
    return [result, train(second, replace(options, budget=_part(options.budget, 1 - VAE_X_SHARE)))]


def train_translation(material: Material, settings: TranslationSettings, options: RunOptions) -> RunResult:
    """Trains the translation (stage 2). Needs both VAEs and the look; uses a detector if there is one."""
    run, name = options.folder, settings.preset
    stage = TranslationStage(
        settings,
        material,
        network=before_translation(run, name),
        detect=_detector_of(run, name, material),
        seed=options.seed,
    )
    return train(stage, options)


def _detector_of(run: Path, preset_name: str, material: Material):
    detector = trained_detector(run, preset_name)
    return None if detector is None else detection(placed(detector, material.device))


def _part(budget: Budget, share: float) -> Budget:
    if budget.steps:
        return Budget(steps=max(1, round(budget.steps * share)))
    return Budget(minutes=budget.minutes * share)
