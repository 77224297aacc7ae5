"""How the stages of a retraining follow each other, each on record when it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.errors import UsageError
from flows.run_records import agent
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.training.concluding import conclude, given_up_on_fault
from flows.training.opening import OpenRetraining, Wish, open_retraining
from flows.training.plan import TrainingPlan
from flows.training.results import metrics_of
from flows.training.stage import StageJob, train_stage
from flows.training.summary import RetrainSummary
from storage.catalog.catalogue import Catalogue

TrainOne = Callable[[OpenRetraining, str], object]
"""Trains one stage of an open retraining."""


def carry_out(settings: Settings, wish: Wish, train_one: TrainOne) -> RetrainSummary:
    """Takes up or begins a retraining, trains its stages in order, and concludes it."""
    with open_retraining(settings, wish) as work:
        if work.plan is None:
            assert work.summary is not None
            return work.summary
        with given_up_on_fault(work):
            for stage in work.plan.stages:
                train_one(work, stage)
            return conclude(work)


def train_alone(
    stage: str,
    home: str | None,
    settings: SettingsForm | None,
    *,
    minutes: float | None,
    steps: int | None,
    parent: str | None,
    after: str | None = None,
) -> RetrainSummary:
    """A retraining of this stage alone, whose candidate a person promotes."""
    chosen = Settings.load(home, **given_settings(settings))
    wish = Wish(stages=(stage,), minutes=minutes, steps=steps, parent=parent, after=after, force=True, promote=False)
    return carry_out(chosen, wish, _train_here)


def train_part(
    stage: str, home: str | None, settings: SettingsForm | None, retrain_id: str, run_id: str | None
) -> RetrainSummary:
    """A stage of a retraining that another run carries out, which holds the lease.

    Raises:
        UsageError: no run is named.
    """
    if run_id is None:
        raise UsageError(f"retraining {retrain_id} is gone on with by the flow `retrain`; leave retrain_id empty here")
    chosen = Settings.load(home, **given_settings(settings))
    with Catalogue.open(chosen.catalogue_url, create=False) as catalogue:
        plan = TrainingPlan.of(catalogue.training_runs(retrain_id)[0].configuration)
        result = train_and_record(catalogue, StageJob(chosen, plan, stage, holder=run_id))
    return RetrainSummary(
        outcome="trained", retrain_id=retrain_id, parent=plan.parent, labels=result["labelled"],
        photos=result["labelled"] + result["old"], figures={stage: result["after"]},
        left_out=tuple((key, reason) for key, reason in result["left_out"]),
    )  # fmt: skip


def train_and_record(catalogue: Catalogue, job: StageJob) -> dict[str, Any]:
    """Trains a stage and records that it is; the last stage's record waits for the verdict."""
    result = train_stage(job)
    if job.stage != job.plan.last_stage:
        metrics, curves_key = metrics_of(result)
        catalogue.finish_training_run(
            job.plan.run_id(job.stage), metrics=metrics, curves_key=curves_key, agent=agent()
        )
    return result


def _train_here(work: OpenRetraining, stage: str) -> None:
    assert work.plan is not None and work.run is not None
    train_and_record(work.catalogue, StageJob(work.settings, work.plan, stage, holder=work.run.run_id))
