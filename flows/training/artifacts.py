"""What Prefect's page shows of a training: a bar with the time left, curves, samples, and tables before and after.

For looking at, as `flows.artifacts` says: the same is kept as files, and an artifact that cannot be written is told in
the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.artifacts import Bar, moving, time_left
from flows.progress import Progress
from flows.run_records import flow_run_id
from flows.training.summary import RetrainSummary
from flows.training.verdict import Verdict

log = logging.getLogger(__name__)


@contextmanager
def training_bar(stage: str) -> Iterator[Progress]:
    """A progress bar of the stage on Prefect's page; outside a flow run a listener that does nothing."""
    with moving(_ShareBar(f"training-{stage}", 1)) as bar:
        yield bar


class _ShareBar(Bar):
    """Shows a share and the time that the training itself reckons with."""

    def __init__(self, key: str, total: int) -> None:
        super().__init__(key, total)
        self._words = "loading photos"

    def advance(self, count: int = 1) -> None:
        """Photos that are loaded are not counted here."""

    def reach(self, share: float, seconds_left: float | None, figures: str = "") -> None:
        """This far."""
        self.done = share
        left = f", {time_left(seconds_left)} left" if seconds_left is not None and share < 1 else ""
        self._words = f"{share:.0%}{left}{'; ' if figures else ''}{figures}"

    def words(self) -> str:
        """Share, time left, figures."""
        return self._words


def show_stage(stage: str, result: Mapping[str, Any], pictures: Sequence[Path]) -> None:
    """Leaves the stage's figures and pictures (PNG) on Prefect's page; outside a flow run nothing."""
    if flow_run_id() is None:
        return
    from prefect.artifacts import create_image_artifact, create_table_artifact

    from storage.reports.training import picture_uri

    try:
        create_table_artifact(
            before_and_after(result["before"], result["after"]), key=f"training-{stage}-figures",
            description=f"{stage}: figures on held-out photos, before and after {result['steps']:,} steps.",
        )  # fmt: skip
        for path in pictures:
            name = re.sub(r"[^a-z0-9]+", "-", f"{path.parent.name}-{path.stem}".lower())
            create_image_artifact(
                picture_uri(path.read_bytes()), key=f"training-{name}", description=f"{path.parent.name}: {path.stem}."
            )
    except Exception as error:
        log.warning("the stage is on record, but not on Prefect's page: %s", error)


def show_verdict(summary: RetrainSummary, verdict: Verdict) -> None:
    """Leaves the verdict on Prefect's page: candidate beside active release, and each rule."""
    if flow_run_id() is None:
        return
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    try:
        create_table_artifact(
            [{"figure": name, "active": shown(active), "candidate": shown(candidate)}
             for name, active, candidate in verdict.comparison()],
            key="retrain-comparison", description=f"{verdict.candidate} beside {verdict.active}.",
        )  # fmt: skip
        create_table_artifact(
            [{"rule": rule.rule, "figure": rule.figure, "needed": shown(rule.needed), "found": shown(rule.found),
              "holds": "yes" if rule.passed else "no"} for rule in verdict.rules],
            key="retrain-rules", description="The rules of promotion.",
        )  # fmt: skip
        create_markdown_artifact(verdict_words(summary), key="retrain-verdict", description="How it ended.")
    except Exception as error:
        log.warning("the verdict is on record, but not on Prefect's page: %s", error)


def before_and_after(before: Mapping[str, float], after: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row a figure."""
    names = list(dict.fromkeys([*before, *after]))
    return [{"figure": name, "before": shown(before.get(name)), "after": shown(after.get(name))} for name in names]


def shown(value: Any) -> str:
    """A figure as people read it."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def verdict_words(summary: RetrainSummary) -> str:
    """Markdown: what came of it, why, and how to go on."""
    lines = [f"# Retraining {summary.retrain_id}", "", headline(summary), ""]
    lines += [f"- {reason}" for reason in summary.reasons]
    if summary.left_out:
        lines += ["", "## Left out of training", "", *(f"- {key}: {why}" for key, why in summary.left_out[:50])]
    lines += [
        "", "## Where to look", "",
        f"- `oldphoto releases show {summary.candidate}`",
        f"- In SQL: `SELECT * FROM release_lineage WHERE release = '{summary.candidate}'`",
    ]  # fmt: skip
    if summary.report_path is not None:
        lines.append(f"- Report: `{summary.report_path}`")
    return "\n".join(lines)


def headline(summary: RetrainSummary) -> str:
    """One sentence: what became of the candidate."""
    match summary.outcome:
        case "promoted":
            return f"{summary.candidate} is better and is active now; `oldphoto releases rollback` takes it back"
        case "rejected":
            return f"{summary.candidate} is kept but not used: it is not better than the release in use"
        case "kept":
            return (
                f"{summary.candidate} passes the rules and waits: `oldphoto releases promote {summary.candidate}` "
                "makes it active"
            )
        case _:
            return summary.note or summary.outcome
