"""The page of a retraining, in the home's reports and beside the training runs in the releases store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.artifacts import time_left
from flows.settings import Settings
from flows.training.artifacts import headline, shown
from flows.training.checkpoints import keep_file, releases_store
from flows.training.figure_words import figure_words
from flows.training.plan import TITLES, TrainingPlan
from flows.training.summary import RetrainSummary
from flows.training.verdict import BESIDE, Verdict
from storage.local_files import write_atomically
from storage.objects import ObjectStore

PAGE = "index.html"
SAMPLES = "sheet.png"


def write_training_report(
    settings: Settings, plan: TrainingPlan, summary: RetrainSummary, results: Sequence[Mapping[str, Any]],
    verdict: Verdict,
) -> Path:  # fmt: skip
    """Draws the page, stores it twice, with the pictures beside the one at home, and gives where that is."""
    from storage.reports.training import RuleResult, TrainedStage, TrainingPage, render_training_page

    store = releases_store(settings)
    folder = settings.layout.reports / f"retrain-{plan.retrain_id}"
    stages = []
    for result in results:
        pictures = _pictures(store, result)
        for name, png in pictures:
            write_atomically(folder / name, png, overwrite=True)
        stages.append(
            TrainedStage(
                name=TITLES[result["stage"]][:1].upper() + TITLES[result["stage"]][1:],
                facts={
                    "steps": f"{result['steps']:,}", "time": time_left(result["seconds"]),
                    "photos": f"{result['labelled'] + result['old']:,}", "labelled": f"{result['labelled']:,}",
                },
                figures=_before_and_after(result),
                samples=[(_title(name), png) for name, png in pictures if name.endswith(SAMPLES)],
                curves=[(_title(name), png) for name, png in pictures if not name.endswith(SAMPLES)],
            )
        )  # fmt: skip
    page = TrainingPage(
        retrain_id=plan.retrain_id,
        outcome=summary.outcome,  # type: ignore[arg-type]
        verdict=headline(summary),
        candidate=verdict.candidate,
        active=verdict.active,
        facts=_facts(plan, summary),
        reasons=summary.reasons,
        rules=[
            RuleResult(f"{rule.rule} ({figure_words(rule.figure)})", shown(rule.needed), shown(rule.found), rule.passed)
            for rule in verdict.rules
        ],
        comparison=[(figure_words(name), shown(old), shown(new)) for name, old, new in verdict.comparison()],
        stages=stages,
        beside=_beside(store, plan, folder),
        left_out=summary.left_out,
    )
    html = render_training_page(page).encode()
    write_atomically(folder / PAGE, html, overwrite=True)
    keep_file(store, plan.retrain_id, plan.last_stage, PAGE, html)
    return folder / PAGE


def _beside(store: ObjectStore, plan: TrainingPlan, folder: Path) -> bytes | None:
    """The sheet of real photos by both releases, laid beside the page too."""
    key = f"training/{plan.retrain_id}/{plan.last_stage}/{BESIDE}"
    if not store.exists(key):
        return None
    png = store.read_bytes(key)
    write_atomically(folder / BESIDE, png, overwrite=True)
    return png


def _pictures(store: ObjectStore, result: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """(file name, PNG) of a stage, samples first."""
    pngs = [name for name in result["files"] if name.endswith(".png")]
    names = sorted(pngs, key=lambda name: not name.endswith(SAMPLES))
    return [(name, store.read_bytes(result["files"][name])) for name in names]


def _title(name: str) -> str:
    """`vae_x-curves.png` as people read it."""
    words = name.removesuffix(".png").replace("-sheet", ": photos before and after").replace("-curves", ": curves")
    words = words.replace("-roc", ": what is found at each threshold (ROC)")
    words = words.replace("vae_x", "VAE of old photos").replace("vae_y", "VAE of clean photos")
    return words[:1].upper() + words[1:]


def _before_and_after(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    names = dict.fromkeys([*result["before"], *result["after"]])
    return [(figure_words(name), shown(result["before"].get(name)), shown(result["after"].get(name))) for name in names]


def _facts(plan: TrainingPlan, summary: RetrainSummary) -> dict[str, str]:
    return {
        "Parent": plan.parent,
        "Stages": ", ".join(plan.stages),
        "Photos": f"{summary.photos:,}, {summary.labels:,} labelled",
        "Snapshot": plan.snapshot_sha256[:12],
        "Budget": plan.budget_words(),
        "Seed": str(plan.seed),
    }
