"""How a retraining ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["promoted", "kept", "rejected", "nothing to do", "busy", "trained", "ready"]
"""`kept`: it passes the rules, and a person is to promote it. `trained`: one stage of a retraining that goes on.
`ready`: there is something to train, and nobody is at it."""


@dataclass(frozen=True, kw_only=True)
class RetrainSummary:
    """What came of it.

    Attributes:
        waiting: new labels that waited when it was decided whether to train.
        candidate: the release that was made; None where none was.
        reasons: why it was rejected, or is left to a person.
        note: one line for a person.
        left_out: (source key, reason) of photos that could not be trained on.
        figures: of each stage, before and after, and of candidate and active release.
    """

    outcome: Outcome
    waiting: int = 0
    retrain_id: str | None = None
    parent: str | None = None
    candidate: str | None = None
    labels: int = 0
    photos: int = 0
    reasons: tuple[str, ...] = ()
    note: str | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    report_path: Path | None = None

    def totals(self) -> dict[str, int]:
        """Counts under the names that the run's record uses."""
        return {
            "labels": self.labels,
            "training_photos": self.photos,
            "left_out": len(self.left_out),
            "promoted": int(self.outcome == "promoted"),
            "rejected": int(self.outcome == "rejected"),
            "to_promote": int(self.outcome == "kept"),
        }
