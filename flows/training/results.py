"""What a trained stage leaves for good: figures, curves, samples, in the releases store and in the catalogue."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.training.checkpoints import keep_checkpoint, keep_file
from flows.training.plan import TrainingPlan
from flows.training.prepare import Prepared
from storage.errors import ObjectStoreError, StoreUnavailable
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from oldphoto_core.training.retraining import StageOutcome

RESULT = "result.json"
"""A stage's figures and the keys of its files, in the store; written last: where it stands, the stage is finished."""
_RECORDED = ("before", "after", "steps", "seconds", "labelled", "old", "left_out", "device")
"""What of it the catalogue keeps."""


def keep_result(
    store: ObjectStore,
    plan: TrainingPlan,
    stage: str,
    run: Path,
    outcome: StageOutcome,
    prepared: Prepared,
    *,
    device: str,
) -> dict[str, Any]:
    """Puts what the stage shows into the store, its result last, and gives that."""
    from oldphoto_core.training.retraining import stage_folders

    for name in stage_folders(stage):  # with the report, which the last checkpoint came before
        keep_checkpoint(store, plan.retrain_id, stage, run / name)
    files = {path.relative_to(run).as_posix().replace("/", "-"): path for path in shown_files(outcome)}
    kept = {
        name: keep_file(store, plan.retrain_id, stage, name, path.read_bytes())
        for name, path in files.items()
    }
    result = {
        "stage": stage, "steps": outcome.step, "seconds": round(outcome.elapsed_s, 1),
        "before": _finite(outcome.figures_before), "after": _finite(outcome.figures),
        "labelled": prepared.labelled, "old": prepared.old, "files": kept,
        "left_out": [[one.source_key, one.reason] for one in prepared.left_out],
        "device": device,
    }  # fmt: skip
    data = json.dumps(result, indent=1, sort_keys=True).encode()
    keep_file(store, plan.retrain_id, stage, RESULT, data)
    return result


def shown_files(outcome: StageOutcome) -> list[Path]:
    """Files of a stage that stay: samples, curves to look at and to compute with, its table."""
    files = [outcome.sheet_path, *outcome.pictures, *outcome.curves_paths, outcome.report_path]
    return [path for path in files if path is not None and path.is_file()]


def _finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures as JSON has them."""
    return {name: float(value) if math.isfinite(value) else None for name, value in figures.items()}


def metrics_of(result: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What the catalogue keeps of a stage's result: its figures, and the key of its curves."""
    kept = {name: result[name] for name in _RECORDED}
    curves = [key for key in result["files"].values() if key.endswith("curves.parquet")]
    return kept, curves[0] if curves else None


def kept_result(store: ObjectStore, plan: TrainingPlan, stage: str) -> dict[str, Any] | None:
    """What a finished stage left in the store; None where it is not finished."""
    key = f"training/{plan.retrain_id}/{stage}/{RESULT}"
    try:
        return json.loads(store.read_bytes(key)) if store.exists(key) else None
    except ObjectStoreError as error:
        raise StoreUnavailable(f"{store.object_url(key)} cannot be read: {error}", url=store.url, key=key) from error
