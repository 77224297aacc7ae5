"""After the stages: a candidate release, judged beside the active one, and promoted, rejected, or left to a person.

Everything here may be done again after a kill: the same weights are the same release, and a verdict is written over
itself. The last stage's training run stays `running` until the verdict stands, so the next retraining comes back here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.browsing import show_again
from flows.errors import FlowsError
from flows.progress import progress
from flows.release_store import kept_release, register_trained
from flows.run_records import agent, code_version
from flows.settings import Settings
from flows.training.artifacts import headline, show_verdict
from flows.training.checkpoints import keep_file, keep_weights, releases_store
from flows.training.devices import training_device
from flows.training.opening import OpenRetraining, sweep
from flows.training.plan import TrainingPlan
from flows.training.report import write_training_report
from flows.training.results import kept_result, metrics_of
from flows.training.stage import StageJob, lay_out_run, material, prepare, work_folder
from flows.training.summary import RetrainSummary
from flows.training.telling import tell
from flows.training.verdict import BESIDE, Verdict
from oldphoto_core.errors import CoreError, one_line
from storage.catalog.catalogue import Catalogue
from storage.errors import PromotionConflict, ReleaseRejected, StorageError

if TYPE_CHECKING:
    from oldphoto_core.evaluation.promotion_rules import Rules
    from oldphoto_core.releases import ReleaseCard

_TOY_MEASURES = {"count": 4, "side_px": 96, "real_px": 128}
"""For the preset of smoke runs and tests."""
_PASSING = (StorageError, FlowsError, OSError)
"""Errors that a later try may not meet: a store or a database that is away, a full disk, a wish to stop."""
_FAULTS = (CoreError, MemoryError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""Errors that a later try would meet again."""


def conclude(work: OpenRetraining) -> RetrainSummary:
    """Packs, judges, decides and reports, and ends the retraining."""
    assert work.plan is not None and work.run is not None
    plan, settings, store = work.plan, work.settings, releases_store(work.settings)
    job = StageJob(settings, plan, plan.last_stage, holder=work.run.run_id)
    results = [result for stage in plan.stages if (result := kept_result(store, plan, stage))]
    if not plan.makes_release:
        work.summary = keep_for_later(job, results)
    else:
        candidate = pack(job, work.catalogue)
        verdict = judge(job, candidate, beside(work, candidate))
        summary = settle(work, verdict, results)
        report = write_training_report(settings, plan, summary, results, verdict)
        work.summary = replace(summary, report_path=report)
        show_verdict(work.summary, verdict)
    end(work, results)
    why = work.summary.reasons if work.summary.outcome != "promoted" else ()
    tell("; ".join([headline(work.summary), *why]), aloud=False)
    return work.summary


@task(name="pack the candidate", cache_policy=NO_CACHE, persist_result=False)
def pack(job: StageJob, catalogue: Catalogue) -> ReleaseCard:
    """Packs the trained networks as a release, keeps it in the store and registers it with its parent and runs."""
    from oldphoto_core.training.retraining import pack_candidate

    progress().begin("Packing the candidate")
    plan = job.plan
    parent = kept_release(job.settings, plan.parent)
    card = pack_candidate(lay_out_run(job), job.folder / "candidate", parent, card_notes(catalogue, plan))
    register_trained(catalogue, job.settings, card, parent=plan.parent)
    before = catalogue.training_runs(plan.after) if plan.after is not None else []
    catalogue.link_release_runs(card.name, [*plan.run_ids, *(run.run_id for run in before)])
    return card


def card_notes(catalogue: Catalogue, plan: TrainingPlan) -> dict[str, Any]:
    """What a card says of where the release comes from, beside what core puts there."""
    snapshot = catalogue.get_snapshot(plan.snapshot_sha256)
    return {
        "retraining": plan.retrain_id,
        "stages": list(plan.stages),
        "snapshot": plan.snapshot_sha256,
        "photos": snapshot.photo_count if snapshot else 0,
        "labels": snapshot.label_count if snapshot else 0,
        "seed": plan.seed,
        "code_version": code_version(),
    }


def beside(work: OpenRetraining, candidate: ReleaseCard) -> str:
    """The release that the candidate is measured by: the active one, or its parent where it is that itself already."""
    active = work.catalogue.active_release()
    assert work.plan is not None
    return work.plan.parent if active is None or active.name == candidate.name else active.name


@task(name="judge the candidate", cache_policy=NO_CACHE, persist_result=False)
def judge(job: StageJob, candidate: ReleaseCard, active: str) -> Verdict:
    """Measures candidate and active release on what neither was trained on, and applies the rules."""
    from oldphoto_core.evaluation.candidates import judge_candidate
    from oldphoto_core.evaluation.promotion_rules import decide

    prepare(job)
    device = training_device(job.settings)
    sheet = job.folder / BESIDE
    progress().begin(f"Judging {candidate.name} beside {active}")
    judgement = judge_candidate(
        candidate, kept_release(job.settings, active), material(job.settings, job.plan, device), device=device,
        sheet=sheet, **(_TOY_MEASURES if candidate.preset == "tiny" else {}),
    )  # fmt: skip
    if sheet.is_file():
        keep_file(job.store, job.plan.retrain_id, job.stage, BESIDE, sheet.read_bytes())
    return Verdict.of(judgement, decide(judgement, promotion_rules(job.settings)))


def promotion_rules(settings: Settings) -> Rules:
    """The rules of the settings."""
    from oldphoto_core.evaluation.promotion_rules import Rules

    return Rules(
        auc_drop=settings.promotion_auc_drop,
        synthetic_auc_drop=settings.promotion_synthetic_auc_drop,
        psnr_drop_db=settings.promotion_psnr_drop_db,
        clean_mean_db=settings.promotion_clean_mean_db,
        clean_p5_db=settings.promotion_clean_p5_db,
        clean_drop_db=settings.promotion_clean_drop_db,
    )


def settle(work: OpenRetraining, verdict: Verdict, results: Sequence[Mapping[str, Any]]) -> RetrainSummary:
    """Promotes the candidate in place of the release that it was judged by, or keeps it with the reasons."""
    assert work.plan is not None
    catalogue, name = work.catalogue, verdict.candidate
    summary = replace(summary_of(work.plan, results), candidate=name, reasons=verdict.reasons)
    summary = replace(summary, figures={**summary.figures, "verdict": verdict.kept()})
    active = catalogue.active_release()
    if active is not None and active.name == name:  # a run before this one was killed just after it
        return replace(summary, outcome="promoted")
    if not verdict.promote:
        catalogue.reject_release(name, verdict.reasons, verdict=verdict.kept(), agent=agent())
        return replace(summary, outcome="rejected")
    catalogue.record_verdict(name, verdict.kept())
    if not work.plan.promote:
        return replace(summary, outcome="kept")
    try:
        catalogue.promote_release(
            name, expected_active=verdict.active, agent=agent(), agent_type="software",
            reason=f"retraining {work.plan.retrain_id}: {'; '.join(verdict.reasons)}",
        )  # fmt: skip
    except (PromotionConflict, ReleaseRejected) as conflict:
        return replace(summary, outcome="kept", reasons=(one_line(conflict), *verdict.reasons))
    promoted = catalogue.active_release()
    if promoted is not None and promoted.activated_at:  # what it restored before, tried out by a person
        show_again(work.settings, catalogue, since=promoted.activated_at)
    return replace(summary, outcome="promoted")


def summary_of(plan: TrainingPlan, results: Sequence[Mapping[str, Any]]) -> RetrainSummary:
    """What was trained on what, before anything is decided."""
    last = results[-1]
    return RetrainSummary(
        outcome="trained",
        retrain_id=plan.retrain_id,
        parent=plan.parent,
        labels=last["labelled"],
        photos=last["labelled"] + last["old"],
        left_out=tuple((key, reason) for key, reason in last["left_out"]),
        figures={result["stage"]: {"before": result["before"], "after": result["after"]} for result in results},
    )


def keep_for_later(job: StageJob, results: Sequence[Mapping[str, Any]]) -> RetrainSummary:
    """Keeps trained VAEs, of which only a translation between them makes a release."""
    from oldphoto_core.training.retraining import stage_folders

    run = lay_out_run(job)
    for stage in job.plan.stages:
        for name in stage_folders(stage):
            keep_weights(job.store, job.plan.retrain_id, stage, run / name)
    note = (
        f"the VAEs of retraining {job.plan.retrain_id} are kept; `oldphoto retrain --from translation --after "
        f"{job.plan.retrain_id} --force` makes a release of them"
    )
    return replace(summary_of(job.plan, results), note=note)


def end(work: OpenRetraining, results: Sequence[Mapping[str, Any]]) -> None:
    """Records that the last stage is over, and clears what only going on would need."""
    assert work.plan is not None
    record_last(work.catalogue, work.plan, results[-1])
    sweep(work.catalogue, releases_store(work.settings), going_on=None)
    shutil.rmtree(work_folder(work.settings, work.plan), ignore_errors=True)


def record_last(catalogue: Catalogue, plan: TrainingPlan, result: Mapping[str, Any]) -> None:
    """The last stage's training run, finished; with it the retraining is over."""
    metrics, curves_key = metrics_of(result)
    catalogue.finish_training_run(plan.run_id(plan.last_stage), metrics=metrics, curves_key=curves_key, agent=agent())


@contextmanager
def given_up_on_fault(work: OpenRetraining) -> Iterator[None]:
    """A retraining that cannot come off is recorded as failed, so that it is not tried again for ever."""
    try:
        yield
    except _PASSING:
        raise
    except _FAULTS as error:
        fail(work, error)
        raise
    except RuntimeError as error:  # torch's, such as a GPU that is out of memory; Prefect's tell of its server
        if "reach API" not in str(error):
            fail(work, error)
        raise


def fail(work: OpenRetraining, error: BaseException) -> None:
    """Records every stage that runs as failed, with the error."""
    assert work.plan is not None
    why = f"{type(error).__name__}: {one_line(error)}"
    for run in work.catalogue.training_runs(work.plan.retrain_id):
        if run.status == "running":
            work.catalogue.finish_training_run(
                run.run_id, status="failed", metrics={**run.metrics, "error": why}, note=why, agent=agent()
            )
    sweep(work.catalogue, releases_store(work.settings), going_on=None)
