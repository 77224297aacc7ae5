"""Runs the stages in a run folder, each taking up what the ones before it left there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from oldphoto_core.models.look import Look
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.training import distributed
from oldphoto_core.training.checkpoint import WEIGHTS, load_release_weights, save_weights
from oldphoto_core.training.chunks import Detect
from oldphoto_core.training.detector import DetectorSettings, DetectorStage, detection
from oldphoto_core.training.detector_blend import keep_what_is_better
from oldphoto_core.training.distributed import own_device, together
from oldphoto_core.training.export import before_translation, trained_detector, trained_look, trained_vae
from oldphoto_core.training.look import LookSettings, LookStage
from oldphoto_core.training.loop import RunOptions, RunResult, placed, train
from oldphoto_core.training.material import Material
from oldphoto_core.training.mender import MenderSettings, MenderStage
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.translation import TranslationSettings, TranslationStage
from oldphoto_core.training.vaes import CleanVaeStage, OldVaeStage, VaeSettings

Result = TypeVar("Result")
Told = Callable[[float, float | None, Mapping[str, float]], None]

VAE_X_SHARE = 0.55
"""Share of the VAEs' budget that VAE1 gets; VAE2 starts from it and needs less."""


def train_look(material: Material, settings: LookSettings, options: RunOptions) -> RunResult:
    """Trains the look at the whole photo (stage 0)."""
    return _on_all(_look, material, settings, options)


def train_detector(material: Material, settings: DetectorSettings, options: RunOptions) -> RunResult:
    """Trains the scratch detector: on synthetic damage, and on labelled photos where the material has any.

    Where it starts from a release and there are labels, it holds on to that release's detector, and as much of the
    change is kept as does not forget too much (`detector_blend`).
    """
    return _on_all(_detector, material, settings, options)


def train_mender(material: Material, settings: MenderSettings, options: RunOptions) -> RunResult:
    """Trains the mender, which needs no other stage."""
    return _on_all(_mender, material, settings, options)


def train_vaes(material: Material, settings: VaeSettings, options: RunOptions) -> list[RunResult]:
    """Trains VAE1, then VAE2 from it, or both from the release that the run starts from (stage 1).

    Where the settings ask for one VAE in place of two, VAE1 gets the whole budget, and is laid down as VAE2 too.

    Needs the look, where the preset has one; uses a detector if there is one. Does not go on to VAE2 where the run
    was asked to stop in VAE1.
    """
    return _on_all(_vaes, material, settings, options)


def train_translation(material: Material, settings: TranslationSettings, options: RunOptions) -> RunResult:
    """Trains the translation (stage 2). Needs both VAEs and the look; uses a detector if there is one."""
    return _on_all(_translation, material, settings, options)


def _on_all(
    run: Callable[[Material, Any, RunOptions], Result], material: Material, settings: Any, options: RunOptions
) -> Result:
    """Runs a stage in this process, and in as many others as the options ask for."""
    if options.processes == 1:
        return run(material, settings, options)
    device = material.device
    shared = material.to("cpu")
    quiet = replace(options, saved=None, told=None, progress=False, processes=1)
    return together(
        lambda: run(shared.to(own_device(device)), settings, options),
        _follow,
        (run, shared, device, settings, quiet),
        processes=options.processes,
        cuda=device.type == "cuda",
    )


def _follow(
    run: Callable[..., Any], shared: Material, device: torch.device, settings: Any, options: RunOptions
) -> None:
    run(shared.to(own_device(device)), settings, options)


def _look(material: Material, settings: LookSettings, options: RunOptions) -> RunResult:
    return train(LookStage(settings, material, seed=options.seed), options)


def _mender(material: Material, settings: MenderSettings, options: RunOptions) -> RunResult:
    return train(MenderStage(settings, material, seed=options.seed), options)


def _detector(material: Material, settings: DetectorSettings, options: RunOptions) -> RunResult:
    parent = None
    if options.start and material.labelled is not None:
        parent = build_detector(preset(settings.preset))
        load_release_weights(options.start, {"detector": parent})
    stage = DetectorStage(settings, material, parent=parent, seed=options.seed)
    result = train(stage, options)
    if parent is not None and material.labelled_validation is not None and result.finished and distributed.rank() == 0:
        keep_what_is_better(stage.evaluate, placed(parent, material.device), result.folder)
    return result


def _vaes(material: Material, settings: VaeSettings, options: RunOptions) -> list[RunResult]:
    run, name = options.folder, settings.preset
    look, detect = trained_look(run, name), _detector_of(run, name, material)
    return vaes_beside(material, settings, options, look=look, detect=detect)


def vaes_beside(
    material: Material, settings: VaeSettings, options: RunOptions, *, look: Look | None, detect: Detect | None
) -> list[RunResult]:
    """Trains the VAEs in this process, as `train_vaes` does, beside a look and a detector from elsewhere."""
    run, name = options.folder, settings.preset
    first = OldVaeStage(settings, material, look=look, detect=detect, seed=options.seed)
    told = options.told
    share = 1.0 if settings.shared else VAE_X_SHARE
    budget = _part(options.budget, share)
    told_of = told and _within(told, 0.0, share)
    result = train(first, replace(options, budget=budget, told=told_of))
    if not result.finished:
        return [result]
    start = trained_vae(run, name, "vae_x")
    if settings.shared:
        notes = {"stage": "vae_y", "settings": dict(first.settings), "step": result.step}
        for which in WEIGHTS.values():
            save_weights(run / "vae_y" / which, {"vae_y": start}, notes)
        return [result]
    second = CleanVaeStage(settings, material, start=start, seed=options.seed)
    budget = _part(options.budget, 1 - VAE_X_SHARE)
    told_of = told and _within(told, VAE_X_SHARE, 1.0)
    return [result, train(second, replace(options, budget=budget, told=told_of))]


def _translation(material: Material, settings: TranslationSettings, options: RunOptions) -> RunResult:
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


def _within(told: Told, low: float, high: float) -> Told:
    """Gives a hook for a part of a run, told to the whole run's: the rest is taken to go as fast."""

    def tell(share: float, left: float | None, figures: Mapping[str, float]) -> None:
        done = low + (high - low) * share
        whole = None if left is None or share >= 1 else left / ((high - low) * (1 - share)) * (1 - done)
        told(done, whole, figures)

    return tell


def _part(budget: Budget, share: float) -> Budget:
    if budget.steps:
        return Budget(steps=max(1, round(budget.steps * share)))
    return Budget(minutes=budget.minutes * share)
