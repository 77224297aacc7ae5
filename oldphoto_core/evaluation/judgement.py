"""What was measured of a candidate beside the active release; loads nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Judgement:
    """A candidate and the active release, measured on the same photos by the same means."""

    candidate: str
    """Names of the releases."""
    active: str
    candidate_figures: Mapping[str, float]
    """By name; see `candidates`. NaN where there was nothing to measure on."""
    active_figures: Mapping[str, float]
    photos: Mapping[str, int] = field(default_factory=dict)
    """Photos of each set."""
    sheet_path: Path | None = None

    @property
    def table(self) -> list[dict[str, Any]]:
        """Rows of figure, active, candidate and change."""
        rows = []
        for name in dict.fromkeys([*self.active_figures, *self.candidate_figures]):
            old, new = self.active_figures.get(name, math.nan), self.candidate_figures.get(name, math.nan)
            rows.append({"figure": name, "active": _known(old), "candidate": _known(new), "change": _known(new - old)})
        return rows

    def as_json(self) -> dict[str, Any]:
        """Gives the judgement as plain values; NaN becomes None."""
        return {
            "candidate": self.candidate,
            "active": self.active,
            "photos": dict(self.photos),
            "figures": {
                "candidate": {name: _known(value) for name, value in self.candidate_figures.items()},
                "active": {name: _known(value) for name, value in self.active_figures.items()},
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Judgement:
        """Gives the judgement that `as_json` gave."""

        def figures(of: str) -> dict[str, float]:
            return {name: math.nan if v is None else float(v) for name, v in content["figures"][of].items()}

        return cls(
            content["candidate"], content["active"], figures("candidate"), figures("active"), dict(content["photos"])
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
