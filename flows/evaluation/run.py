"""Measures a release and writes what was found beside each other: Parquet, JSON, page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.run_records import code_version

if TYPE_CHECKING:
    from oldphoto_core.evaluation.comparison.release_methods import ReleaseChoice
    from oldphoto_core.evaluation.comparison.settings import ComparisonSettings

SUMMARY, PAGE = "summary.json", "evaluation.html"


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation left behind."""

    page: Path
    summary: dict[str, Any]
    rows: int
    computed: int
    """Rows that were computed now; the others were there."""


def evaluate_release(
    settings: ComparisonSettings,
    out: Path,
    *,
    release: ReleaseChoice | None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Measures what has not been measured before, and writes figures.parquet, summary.json and evaluation.html.

    Args:
        settings: what to measure on what.
        out: folder; figures of an earlier run there are used.
        release: what is measured; None for the classical ways alone.
        jobs: processes.
        progress: called with (cases done, cases in all).
    """
    from flows.evaluation.page import evaluation_page
    from oldphoto_core.evaluation.comparison.methods import all_methods
    from oldphoto_core.evaluation.comparison.release_methods import LateRestorer
    from oldphoto_core.evaluation.comparison.running import run_comparison
    from oldphoto_core.evaluation.comparison.summary import summarise
    from storage.local_files import write_atomically
    from storage.reports.evaluation import render_evaluation_page

    found = run_comparison(
        settings, out, release=release, code_version=code_version(), jobs=jobs, progress=progress
    )
    restorer = LateRestorer(release) if release else None
    methods = all_methods(restorer, prior=settings.prior_used, baselines=settings.baselines)
    summary = summarise(found, methods)
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_atomically(out / SUMMARY, text.encode(), overwrite=True)
    html = render_evaluation_page(evaluation_page(summary, found))
    write_atomically(out / PAGE, html.encode(), overwrite=True)
    return Evaluated(out / PAGE, summary, len(found.rows), found.computed)
