"""What a retraining is, decided before it begins and kept in the catalogue, so that any machine can go on with it.

    detector ──► vaes ──► translation          each starts from the parent release, and from what was trained before it

A retraining is one `training_run` row a stage, all with its id. Whoever finds one that runs and that nobody holds goes
on by what its rows say, whatever settings say by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flows.errors import UsageError

STAGES = ("detector", "vaes", "translation")
TITLES = {"detector": "detector", "vaes": "VAEs", "translation": "translation"}
SHARES = {"detector": 0.25, "vaes": 0.30, "translation": 0.45}
"""How a budget is split over the stages; those that are not trained leave theirs to the others."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A retraining.

    Attributes:
        stages: those of `STAGES` that are trained, in order; all else is the parent's.
        parent: name of the release it starts from.
        snapshot_sha256, snapshot_key: the list of photos and labels it sees, in the manifests store.
        minutes, steps: budget over all stages; one of them.
        promote: whether a candidate that passes the rules is promoted without a person.
        photos, textures: where the clean photos and the textures come from.
        after: a retraining whose networks stand in for the stages before the first, such as one of the VAEs alone.
    """

    retrain_id: str
    stages: tuple[str, ...]
    parent: str
    snapshot_sha256: str
    snapshot_key: str
    seed: int
    minutes: float | None = None
    steps: int | None = None
    promote: bool = True
    photos: str
    textures: str | None = None
    after: str | None = None

    @property
    def makes_release(self) -> bool:
        """Whether a candidate comes of it: new VAEs need a translation that was trained on them."""
        return self.last_stage != "vaes"

    @property
    def last_stage(self) -> str:
        """The stage whose row stays `running` until the candidate is judged."""
        return self.stages[-1]

    def run_id(self, stage: str) -> str:
        """Name of the stage's training run."""
        return f"{self.retrain_id}-{stage}"

    @property
    def run_ids(self) -> list[str]:
        """Of all stages."""
        return [self.run_id(stage) for stage in self.stages]

    def budget(self, stage: str) -> tuple[int | None, float | None]:
        """Steps and minutes of a stage; one of them is None."""
        share = SHARES[stage] / sum(SHARES[one] for one in self.stages)
        if self.steps is not None:
            return max(1, round(self.steps * share)), None
        return None, (self.minutes or 0) * share

    def budget_words(self) -> str:
        """As a person says it."""
        return f"{self.steps:,} steps" if self.steps is not None else f"{self.minutes:g} minutes"

    def configuration(self, stage: str) -> dict[str, Any]:
        """What the catalogue keeps with the stage's training run: the whole plan, and the stage's own part of it."""
        steps, minutes = self.budget(stage)
        return {"plan": {**asdict(self), "stages": list(self.stages)}, "steps": steps, "minutes": minutes}

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> TrainingPlan:
        """The plan that `configuration` kept."""
        values = dict(configuration["plan"])
        return cls(**{**values, "stages": tuple(values["stages"])})


def stages_from(first: str | None) -> tuple[str, ...]:
    """The stages from this one on; None: all.

    Raises:
        UsageError: there is no such stage.
    """
    if first is None:
        return STAGES
    if first not in STAGES:
        raise UsageError(f"there is no stage {first!r}; expected {', '.join(STAGES)}")
    return STAGES[STAGES.index(first) :]


def in_order(stages: Sequence[str]) -> tuple[str, ...]:
    """The stages as they follow each other."""
    return tuple(stage for stage in STAGES if stage in stages)


def seed_of(retrain_id: str) -> int:
    """A seed that only the retraining's name decides."""
    return int.from_bytes(hashlib.sha256(retrain_id.encode()).digest()[:4], "big") >> 1
