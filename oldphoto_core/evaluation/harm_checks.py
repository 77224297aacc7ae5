"""What was found of harm: a check a line, met or not, with the photos behind it; as Markdown and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """One thing that a release must not do.

    Attributes:
        section: clean, twice, keys, lettering or lookalikes.
        what: in words, with its unit.
        photos: that it was measured on.
        found: the figure.
        needed: the limit; None where it is told for knowledge alone.
        at_most: whether the limit is the largest that is right; else the least.
    """

    section: str
    what: str
    photos: int
    found: float
    needed: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one. NaN never keeps it."""
        if self.needed is None:
            return None
        return self.found <= self.needed if self.at_most else self.found >= self.needed


@dataclass
class HarmResult:
    """All that was measured.

    Attributes:
        release: its name.
        checks: in the order that they were measured.
        rows: a row a photo and figure, as plain values.
        notes: what could not be measured, and why.
    """

    release: str
    checks: list[Check] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return all(check.met is not False for check in self.checks)

    def add_spread(
        self, section: str, what: str, values: list[float], *, mean: float | None = None, low: float | None = None
    ) -> None:
        """Adds the mean and the 5th percentile of figures of which more is better, with their limits."""
        found = np.array(values)
        self.checks.append(Check(section, f"{what}, mean", len(found), float(found.mean()), mean))
        self.checks.append(Check(section, f"{what}, 5th percentile", len(found), float(np.percentile(found, 5)), low))

    def markdown(self) -> str:
        """Gives the checks as a table."""
        lines = ["| | Measured | Photos | Found | To reach | |", "|---|---|---:|---:|---:|---|"]
        for check in self.checks:
            limit, verdict = "", ""
            if check.needed is not None:
                limit = f"{'at most' if check.at_most else 'at least'} {check.needed:g}"
                verdict = "met" if check.met else "**not met**"
            found = "-" if math.isnan(check.found) else f"{check.found:.4g}"
            lines.append(f"| {check.section} | {check.what} | {check.photos} | {found} | {limit} | {verdict} |")
        return "\n".join([f"Release {self.release}", "", *lines, *(f"\n{note}" for note in self.notes)]) + "\n"

    def save(self, folder: Path) -> None:
        """Writes do_no_harm.md and do_no_harm.json into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "do_no_harm.md").write_text(self.markdown(), encoding="utf-8")
        checks = [{**asdict(check), "met": check.met} for check in self.checks]
        content = {"release": self.release, "checks": checks, "rows": self.rows, "notes": self.notes}
        text = json.dumps(content, indent=1, sort_keys=True, default=float)
        (folder / "do_no_harm.json").write_text(text + "\n", encoding="utf-8")
