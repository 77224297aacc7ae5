"""What a stage of a retrain changed: figures beside the parent release's on validation photos, pictures and a table.

    {run}/{folder}/report.json, report.md, sheet.png      folder: detector, vae_x or translation
    {run}/detector/roc.parquet, roc.png
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.checkpoint import write_atomically, write_json
from oldphoto_core.training.material import Material

_PLACES = {"detector": "detector", "vaes": "vae_x", "translation": "translation"}


@dataclass(frozen=True)
class StageReport:
    """A stage's figures before and after, and where its pictures lie."""

    before: dict[str, float]
    after: dict[str, float]
    operating: dict[str, float] | None = None
    """The release's operating point, where the stage chose one."""
    sheet: Path | None = None
    pictures: tuple[Path, ...] = ()
    path: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def table(self) -> list[dict[str, Any]]:
        """Rows of figure, before, after and change."""
        names = dict.fromkeys([*self.before, *self.after])
        return [_row(name, self.before.get(name), self.after.get(name)) for name in names]


def report_stage(stage: str, run: Path, material: Material, parent: ReleaseCard) -> StageReport:
    """Measures a stage that has ended, and writes its report into the run folder."""
    from oldphoto_core.training.detector_report import measure_detector
    from oldphoto_core.training.network_reports import measure_translation, measure_vaes

    measure = {"detector": measure_detector, "vaes": measure_vaes, "translation": measure_translation}[stage]
    folder = run / _PLACES[stage]
    return write_report(measure(run, folder, material, parent), folder, stage=stage, parent=parent.name)


def write_report(report: StageReport, folder: Path, *, stage: str, parent: str) -> StageReport:
    """Writes `report.json` and `report.md` into the folder, and gives the report with its place."""
    path = folder / "report.md"
    write_json(
        folder / "report.json",
        {
            "stage": stage,
            "parent": parent,
            "before": _plain(report.before),
            "after": _plain(report.after),
            "operating": report.operating,
            "notes": report.notes,
        },
    )
    lines = [f"# {stage}: before ({parent}) and after", "", *table_lines(report.table), ""]
    lines += [f"- {note}" for note in report.notes]
    text = "\n".join(lines).rstrip() + "\n"
    write_atomically(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))
    return StageReport(
        report.before, report.after, report.operating, report.sheet, report.pictures, path, report.notes
    )


def read_report(stage: str, run: Path) -> StageReport | None:
    """Gives the figures of a stage's report in a run folder; None where the stage has none."""
    path = run / _PLACES[stage] / "report.json"
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return StageReport(content["before"], content["after"], content["operating"], path=path.with_suffix(".md"))


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Gives rows as a Markdown table, their keys above it."""
    if not rows:
        return []
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    return lines + ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]


def _row(name: str, before: float | None, after: float | None) -> dict[str, Any]:
    known = before is not None and after is not None
    return {"figure": name, "before": before, "after": after, "change": after - before if known else None}


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in figures.items()}
