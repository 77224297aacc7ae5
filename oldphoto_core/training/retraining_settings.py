"""What a retrain changes of each stage's settings: it goes on from trained weights, so it is gentler and shorter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.detector import DetectorSettings
from oldphoto_core.training.schedule import Budget
from oldphoto_core.training.translation import TranslationSettings
from oldphoto_core.training.vaes import VaeSettings

STAGES = ("detector", "vaes", "translation")
"""In the order that they are trained in: masks of the new detector feed the others."""

_SETTINGS = {"detector": DetectorSettings, "vaes": VaeSettings, "translation": TranslationSettings}

_RETRAIN: Mapping[str, Mapping[str, Any]] = {
    "detector": {"rate": 2e-4, "distil": 0.3, "frozen_statistics": True},
    "vaes": {"rate": 5e-4, "kl_warm_up": 0.0, "latent_from": 0.05, "encoder_until": 0.6},
    "translation": {"rate": 3e-4},
}  # fmt: skip
"""Over the preset's own: a lower rate; nothing forgotten; KL has come in already; the latent
discriminator has something to learn from the start, and the decoder catches up with what it made of the encoder."""

_TOY: Mapping[str, Mapping[str, Any]] = {
    "detector": {"batch": 4, "crop": 64, "chunk_photos": 2, "steps_a_chunk": 4, "pool_chunks": 2},
    "vaes": {"batch": 4, "crop": 64, "chunk_photos": 2, "steps_a_chunk": 4, "pool_chunks": 2},
    "translation": {
        "batch": 2, "crop": 64, "chunk_photos": 2, "steps_a_chunk": 4, "pool_chunks": 2, "larger_crops": False,
    },
}  # fmt: skip
"""For the `tiny` preset: seconds, not hours."""


def stage_settings(
    stage: str, preset: str, changes: Mapping[str, Any]
) -> DetectorSettings | VaeSettings | TranslationSettings:
    """Gives a stage's settings for a retrain.

    Args:
        stage: one of `STAGES`.
        preset: the parent release's.
        changes: settings to replace, by name.

    Raises:
        TrainingError: the stage has no such setting.
    """
    kind = _SETTINGS[stage]
    unknown = sorted(set(changes) - {f.name for f in fields(kind)})
    if unknown:
        raise TrainingError(f"the {stage} stage has no setting {', '.join(unknown)}")
    toy = _TOY[stage] if preset == "tiny" else {}
    return replace(kind.for_preset(preset), **{**_RETRAIN[stage], **toy, **changes})


def pace(budget: Budget) -> dict[str, Any]:
    """Gives how often a run of this budget logs, judges and saves."""
    if budget.steps is None:
        return {}
    log_every = max(1, min(20, budget.steps // 20))
    judge_every = log_every * max(1, min(250, budget.steps // 4) // log_every)
    return {"log_every": log_every, "evaluate_every": judge_every, "checkpoint_steps": judge_every}
