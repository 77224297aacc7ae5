"""A retrain: the three stages in order, or from one of them, each from the parent release's weights.

A run folder holds what each stage left (see `loop`), and what the parent release gives the stages that are not trained
again: the look always, the detector and the VAEs where the retrain begins after them. Every call can be
repeated: what is done is found done, and a stage that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.releases.bundle import PARTS, load_release, save_release
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights, save_weights, write_json
from oldphoto_core.training.curves import PARQUET
from oldphoto_core.training.detector_blend import blended
from oldphoto_core.training.export import training_notes
from oldphoto_core.training.loop import RunOptions, RunResult
from oldphoto_core.training.material import Material
from oldphoto_core.training.retraining_settings import STAGES, pace, stage_settings
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.stage_reports import read_report, report_stage
from oldphoto_core.training.stages import train_detector, train_translation, train_vaes

__all__ = ["STAGES", "Hooks", "StageOutcome", "begin_run", "pack_candidate", "stage_folders", "train_stage"]

_FOLDERS = {"detector": ("detector",), "vaes": ("vae_x", "vae_y"), "translation": ("translation",)}
_LAID = "from release"


@dataclass(frozen=True)
class Hooks:
    """What a caller wants to hear of while a stage trains; both are called in the calling thread, between two steps."""

    saved: Callable[[Path], None] | None = None
    """Called with a network's folder after each checkpoint, when all its files are whole."""
    progress: Callable[[float, float | None, Mapping[str, float]], None] | None = None
    """Called with the share of the stage's budget used (0 to 1), the seconds left if known, and the last figures."""


@dataclass(frozen=True)
class StageOutcome:
    """How a stage of a retrain ended."""

    stage: str
    step: int
    """Steps taken, of all the stage's networks."""
    elapsed_s: float
    finished: bool
    """False where it was asked to stop before its budget was used; then there are no figures."""
    figures_before: dict[str, float] = field(default_factory=dict)
    """Of the parent release, on validation photos."""
    figures: dict[str, float] = field(default_factory=dict)
    """Of what was trained, on the same."""
    curves_paths: tuple[Path, ...] = ()
    """Parquet; a picture of each lies beside it."""
    sheet_path: Path | None = None
    """PNG: photos before and after."""
    pictures: tuple[Path, ...] = ()
    """Further PNGs: ROC curves, training curves."""
    report_path: Path | None = None
    """Markdown; JSON lies beside it."""
    table: list[dict[str, Any]] = field(default_factory=list)
    """Rows of figure, before, after and change, as the report has them."""

    @property
    def curves_path(self) -> Path | None:
        """The first network's curves."""
        return self.curves_paths[0] if self.curves_paths else None


def begin_run(run: Path, parent: ReleaseCard, *, first: str = STAGES[0]) -> None:
    """Lays what will not be trained again into a run folder, from the parent release; what is there already is kept.

    Args:
        run: the run folder; made if need be.
        parent: the release to train on from.
        first: the stage that the retrain begins with.

    Raises:
        TrainingError: there is no such stage, or the folder belongs to another parent.
        ReleaseError: the parent's files are missing or altered.
    """
    _require_stage(first)
    kept = ["look"] + [name for stage in STAGES[: STAGES.index(first)] for name in _FOLDERS[stage]]
    missing = [name for name in kept if not (run / name / WEIGHTS["best"]).is_file()]
    for name in set(kept) - set(missing):
        laid_from = load_weights(run / name / WEIGHTS["best"], {}).get(_LAID)
        if laid_from not in (None, parent.name):
            raise TrainingError(f"{run}: its {name} is of {laid_from}, expected {parent.name}; take another run folder")
    if not missing:
        return
    release = load_release(parent)
    networks = {"detector": release.detector, **{name: getattr(release.network, name) for name in PARTS[1:]}}
    for name in missing:
        if networks[name] is None:  # a preset without a look, or a mender
            continue
        notes = {"stage": name, "settings": {"preset": parent.preset}, "step": 0, _LAID: parent.name}
        write_json(run / name / "run.json", {"stage": name, "settings": notes["settings"], _LAID: parent.name})
        for which in ("last", "best"):
            save_weights(run / name / WEIGHTS[which], {name: networks[name]}, notes)


def train_stage(
    stage: str,
    material: Material,
    run: Path,
    *,
    parent: ReleaseCard,
    budget: Budget,
    seed: int = 0,
    threads: int | None = None,
    hooks: Hooks | None = None,
    changes: Mapping[str, Any] | None = None,
    processes: int = 1,
) -> StageOutcome:
    """Trains one stage of a retrain, going on from its last checkpoint, and reports it beside the parent release.

    With a budget in steps, a stage that was killed and resumed ends with the same weights as one that was not.

    Args:
        stage: `detector`, `vaes` or `translation`.
        material: photos and labels, on the device to train on.
        run: a folder that `begin_run` began.
        parent: the release whose weights the stage starts from.
        budget: steps or minutes of the whole stage.
        seed: of everything drawn.
        threads: of the networks on a CPU; None: one less than there are cores.
        hooks: what the caller wants to hear of.
        changes: settings of the stage to replace, by name: `{"rate": 1e-4}`.
        processes: GPUs to train on (or processes, on a CPU).

    Raises:
        TrainingError: there is no such stage, an earlier one is missing, or settings differ from the run's beginning.
    """
    _require_stage(stage)
    hooks = hooks or Hooks()
    settings = stage_settings(stage, parent.preset, changes or {})
    options = RunOptions(
        folder=run,
        budget=budget,
        seed=seed,
        start=parent.folder,
        threads=threads,
        judge_first=stage == "detector",
        progress=False,
        processes=processes,
        saved=hooks.saved,
        told=hooks.progress,
        **pace(budget),
    )
    results: list[RunResult]
    if stage == "detector":
        results = [train_detector(material, settings, options)]
    elif stage == "vaes":
        results = train_vaes(material, settings, options)
    else:  # T alone starts from the parent's; look and VAEs are those of the run
        results = [train_translation(material, settings, replace(options, start_parts=("translation",)))]
    finished = all(result.finished for result in results) and len(results) == len(_FOLDERS[stage])
    outcome = StageOutcome(
        stage=stage,
        step=sum(result.step for result in results),
        elapsed_s=sum(result.elapsed_s for result in results),
        finished=finished,
        curves_paths=tuple(r.folder / PARQUET for r in results if (r.folder / PARQUET).is_file()),
    )
    if not finished:
        return outcome
    report = report_stage(stage, run, material, parent)
    curves = tuple(path.with_suffix(".png") for path in outcome.curves_paths)
    return replace(
        outcome,
        figures_before=report.before,
        figures=report.after,
        sheet_path=report.sheet,
        pictures=(*report.pictures, *curves),
        report_path=report.path,
        table=report.table,
    )


def stage_folders(stage: str) -> tuple[str, ...]:
    """Gives the names of the folders that a stage keeps in a run folder, which `Hooks.saved` is called with."""
    _require_stage(stage)
    return _FOLDERS[stage]


def pack_candidate(
    run: Path,
    out: Path,
    parent: ReleaseCard,
    notes: Mapping[str, Any] | None = None,
    *,
    which: str = "best",
    detector_share: float = 1.0,
) -> ReleaseCard:
    """Packs a retrain as a release folder: what was trained, and the parent's networks where nothing was.

    The card names the parent, and holds each stage's settings and figures, and the operating point that was chosen
    with the new detector on validation photos. Packed again, it has the same name and weights.

    Args:
        run: the run folder.
        out: the release's folder; written anew.
        parent: the release that was trained on from.
        notes: further words for the card: snapshot, labels, seeds, code version.
        which: the `best` weights of detector and translation by held-out figures, or the `last`.
        detector_share: how much of what training changed in the detector is kept, weight by weight.

    Raises:
        TrainingError: VAEs were trained and no translation between them.
    """
    release = load_release(parent)
    detector, network = release.detector, release.network
    if (run / "detector" / WEIGHTS[which]).is_file():
        trained = copy.deepcopy(detector)
        load_weights(run / "detector" / WEIGHTS[which], {"detector": trained})
        detector = blended(detector, trained, detector_share)
    if network.mender is not None and (run / "mender" / WEIGHTS[which]).is_file():
        load_weights(run / "mender" / WEIGHTS[which], {"mender": network.mender})
    translated = (run / "translation" / WEIGHTS[which]).is_file()
    for name in ("vae_x", "vae_y"):
        path = run / name / WEIGHTS["last"]
        if not path.is_file():
            continue
        if _LAID not in load_weights(path, {name: getattr(network, name)}) and not translated:
            raise TrainingError(f"{run} has a new {name} and no translation; train the translation before packing it")
    if translated:
        parts: dict[str, torch.nn.Module] = {"translation": network.translation, "vae_y": network.vae_y}
        if network.look is not None:
            parts["look"] = network.look
        load_weights(run / "translation" / WEIGHTS[which], parts)
    reports = {stage: report for stage in STAGES if (report := read_report(stage, run)) is not None}
    operating = dict(parent.card.get("operating") or {})
    if "detector" in reports:
        operating = reports["detector"].operating or operating
    card: dict[str, Any] = {
        "title": f"Trained on from {parent.name}",
        "parent": {"name": parent.name, "weights_hash": parent.weights_hash},
        "training": training_notes(run, which=which),
        "metrics": {stage: {"before": r.before, "after": r.after} for stage, r in reports.items()},
        **({"operating": operating} if operating else {}),
        **({"detector_share": detector_share} if detector_share != 1 else {}),
        **(notes or {}),
    }
    from oldphoto_core.models.presets import preset

    return save_release(out, sizes=preset(parent.preset), detector=detector, network=network, card=card)


def _require_stage(stage: str) -> None:
    if stage not in STAGES:
        raise TrainingError(f"there is no stage {stage!r}; expected one of {', '.join(STAGES)}")
