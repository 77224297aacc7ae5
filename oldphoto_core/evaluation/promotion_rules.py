"""Whether a candidate may take the active release's place; loads nothing heavy.

A candidate must find damage no worse, restore no worse, and leave clean photos alone. Each rule compares figures of
`candidates.judge_candidate`; every rule that is broken is a reason, in words that a person can read in a catalogue.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.judgement import Judgement


@dataclass(frozen=True)
class Rules:
    """How much worse a candidate may be. Drops are of the active release's figure, on the same photos."""

    auc_drop: float = 0.0
    """Of AUC on labelled test photos."""
    synthetic_auc_drop: float = 0.01
    """Of AUC on synthetic damage, of either generator: the kinds that the active release knows."""
    psnr_drop_db: float = 0.1
    """Of PSNR of restored pairs, of either generator."""
    clean_mean_db: float = 34.0
    """Least mean PSNR that is left of clean photos."""
    clean_p5_db: float = 30.0
    """Least PSNR that is left of all but the worst twentieth of clean photos."""
    clean_drop_db: float = 0.1
    """Of either, where the active release itself is below these bars."""

    def __post_init__(self) -> None:
        for name in ("auc_drop", "synthetic_auc_drop", "psnr_drop_db", "clean_drop_db"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"Rules.{name} is {getattr(self, name)}; expected 0 or more")


@dataclass(frozen=True)
class Check:
    """One rule applied."""

    rule: str
    figure: str
    candidate: float | None
    active: float | None
    needed: float
    """The least that the candidate's figure may be."""
    passed: bool

    def __str__(self) -> str:
        found = "not measured" if self.candidate is None else f"{self.candidate:.4g}"
        word = "holds" if self.passed else "broken"
        before = "" if self.active is None else f", active {self.active:.4g}"
        return f"{self.rule}: {word}: {self.figure} is {found}, at least {self.needed:.4g} needed{before}"


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why."""

    promote: bool
    reasons: tuple[str, ...]
    """The broken rules where there are any, else the rules that hold."""
    checks: tuple[Check, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Gives the decision as plain values."""
        return {
            "promote": self.promote,
            "reasons": list(self.reasons),
            "checks": [asdict(check) for check in self.checks],
        }


_COMPARED = (
    ("AUC on labelled photos not lower", "labelled/auc", "auc_drop"),
    ("AUC on known damage not lower", "first/auc", "synthetic_auc_drop"),
    ("AUC on known damage not lower", "second/auc", "synthetic_auc_drop"),
    ("restoration not worse", "first/psnr", "psnr_drop_db"),
    ("restoration not worse", "second/psnr", "psnr_drop_db"),
)
_BARS = (("clean/psnr", "clean_mean_db"), ("clean/psnr_p5", "clean_p5_db"))


def decide(judgement: Judgement, rules: Rules | None = None) -> Decision:
    """Gives whether the candidate may be promoted.

    A figure that the active release has and the candidate lacks breaks its rule. One that neither has, as there were
    no such photos, is left out; where no rule could be applied, nothing is promoted.
    """
    rules = rules or Rules()
    checks: list[Check] = []
    for rule, figure, drop in _COMPARED:
        old = judgement.active_figures.get(figure, math.nan)
        new = judgement.candidate_figures.get(figure, math.nan)
        if not (math.isnan(old) and math.isnan(new)):
            needed = -math.inf if math.isnan(old) else old - getattr(rules, drop)
            checks.append(_check(rule, figure, new, old, needed))
    for figure, bar in _BARS:
        old = judgement.active_figures.get(figure, math.nan)
        new = judgement.candidate_figures.get(figure, math.nan)
        if not (math.isnan(old) and math.isnan(new)):
            needed = getattr(rules, bar)
            if old < needed:  # a bar that the release in use does not reach either would keep every better one out
                needed = old - rules.clean_drop_db
            checks.append(_check("clean photos unharmed", figure, new, old, needed))
    if not checks:
        return Decision(False, ("nothing could be measured: no labelled, damaged or clean photos to judge by",))
    broken = tuple(str(check) for check in checks if not check.passed)
    return Decision(not broken, broken or tuple(str(check) for check in checks), tuple(checks))


def _check(rule: str, figure: str, new: float, old: float, needed: float) -> Check:
    known = [None if math.isnan(value) else value for value in (new, old)]
    return Check(rule, figure, known[0], known[1], needed, passed=bool(new >= needed - 1e-9))
