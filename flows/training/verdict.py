"""Candidate and active release side by side, and what the rules make of that; as plain data that is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oldphoto_core.evaluation.candidates import Judgement
    from oldphoto_core.evaluation.promotion_rules import Decision

BESIDE = "beside.png"
"""Real photos by active release and candidate, among the last stage's files."""


@dataclass(frozen=True)
class Rule:
    """One rule: what was needed and found, numbers or words."""

    rule: str
    figure: str
    needed: Any
    found: Any
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """What a retraining's candidate is worth.

    Attributes:
        promote: whether all rules hold.
        of_active, of_candidate: their figures, by name; None where there was nothing to measure on.
        photos: how many of each kind were measured on.
    """

    candidate: str
    active: str
    promote: bool
    reasons: tuple[str, ...]
    rules: tuple[Rule, ...]
    of_active: Mapping[str, float | None]
    of_candidate: Mapping[str, float | None]
    photos: Mapping[str, int]

    @classmethod
    def of(cls, judgement: Judgement, decision: Decision) -> Verdict:
        """What core measured and decided."""
        figures = judgement.as_json()["figures"]
        rules = [
            Rule(check.rule, check.figure, check.needed if math.isfinite(check.needed) else None,
                 check.candidate, check.passed)
            for check in decision.checks
        ]  # fmt: skip
        return cls(
            judgement.candidate, judgement.active, decision.promote, decision.reasons, tuple(rules),
            figures["active"], figures["candidate"], judgement.photos,
        )  # fmt: skip

    def comparison(self) -> Sequence[tuple[str, float | None, float | None]]:
        """Rows of figure, active, candidate."""
        names = dict.fromkeys([*self.of_active, *self.of_candidate])
        return [(name, self.of_active.get(name), self.of_candidate.get(name)) for name in names]

    def kept(self) -> dict[str, Any]:
        """What the catalogue keeps with the release."""
        return {
            "beside": self.active,
            "promote": self.promote,
            "reasons": list(self.reasons),
            "rules": [
                {"rule": f"{rule.rule}: {rule.figure}", "needed": rule.needed, "found": rule.found,
                 "passed": rule.passed}
                for rule in self.rules
            ],
            "photos": dict(self.photos),
            "figures": {"active": dict(self.of_active), "candidate": dict(self.of_candidate)},
        }  # fmt: skip
