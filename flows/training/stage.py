"""One stage of a retraining: lay out what it needs, train it, keep its checkpoints, and keep what it shows.

torch is loaded here, in the flow's own process, so that whoever kills the flow kills the training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.errors import LeaseLost, RunInterrupted, UsageError
from flows.progress import Both, progress, telling
from flows.release_store import kept_release
from flows.settings import Settings
from flows.training.artifacts import show_stage, training_bar
from flows.training.checkpoints import (
    fetch_checkpoints,
    keep_checkpoint,
    lay_weights,
    releases_store,
    weights_keys,
)
from flows.training.clean_photos import fetched, fetched_photos, is_there
from flows.training.devices import device_name, training_device
from flows.training.opening import LEASE
from flows.training.plan import STAGES, TITLES, TrainingPlan
from flows.training.prepare import Prepared, prepare_material
from flows.training.results import keep_result, kept_result, shown_files
from flows.training.telling import tell
from storage.catalog.catalogue import Catalogue
from storage.errors import CatalogueError, StoreUnavailable
from storage.objects import ObjectStore
from storage.snapshots import read_snapshot

if TYPE_CHECKING:
    from oldphoto_core.training.material import Material
    from oldphoto_core.training.retraining import StageOutcome



_TOY_MATERIAL = {"judged_photos": 4, "judged_px": 64}
"""For the preset of smoke runs and tests: seconds, not minutes."""
PARTS = 1000
"""What a stage's progress is counted in."""


class StageJob:
    """A stage to train. A plain class: Prefect would look into a dataclass for futures.

    Attributes:
        holder: the run that holds the lease.
    """

    def __init__(self, settings: Settings, plan: TrainingPlan, stage: str, *, holder: str) -> None:
        self.settings = settings
        self.plan = plan
        self.stage = stage
        self.holder = holder

    @property
    def folder(self) -> Path:
        """Where the retraining works."""
        return work_folder(self.settings, self.plan)

    @property
    def store(self) -> ObjectStore:
        """Where its checkpoints go."""
        return releases_store(self.settings)


def work_folder(settings: Settings, plan: TrainingPlan) -> Path:
    """Where a retraining works in the home; all of it can be had again from the stores."""
    return settings.layout.work / "retraining" / plan.retrain_id


def _is_passing(task: object, run: object, state: Any) -> bool:
    """Whether trying again may help: a store or a database was away. A kill and a fault of ours are not tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnavailable | CatalogueError)


@task(
    name="train a stage", task_run_name="train {job.stage}", cache_policy=NO_CACHE, persist_result=False,
    retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=_is_passing,
)  # fmt: skip
def train_stage(job: StageJob) -> dict[str, Any]:
    """Trains a stage, going on from its last checkpoint, and gives its result; one that is finished is not trained.

    Raises:
        RunInterrupted: it was told to stop, and left a checkpoint.
    """
    kept = kept_result(job.store, job.plan, job.stage)
    if kept is not None:
        return kept
    prepared = prepare(job)
    run = lay_out_run(job)
    outcome = train(job, run)
    if not outcome.finished:
        raise RunInterrupted(
            f"stopped at a checkpoint of {job.stage}, step {outcome.step:,}; `oldphoto retrain` goes on from there"
        )
    result = keep_result(
        job.store, job.plan, job.stage, run, outcome, prepared, device=device_name(job.settings)
    )
    show_stage(job.stage, result, [path for path in shown_files(outcome) if path.suffix == ".png"])
    return result


def prepare(job: StageJob) -> Prepared:
    """The snapshot's photos as the material folder, which is made once for all stages."""
    settings, plan = job.settings, job.plan
    manifests = ObjectStore(settings.manifests_url, settings.store_options(settings.manifests_url, "manifests"))
    rows = read_snapshot(manifests, plan.snapshot_key, plan.snapshot_sha256)
    with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
        places = catalogue.usable_sources([row.photo_sha256 for row in rows])
    return prepare_material(settings, rows, places, job.folder / "material")


def lay_out_run(job: StageJob) -> Path:
    """The run folder: what the parent gives, and over it the newest checkpoints, from here or from the store."""
    from oldphoto_core.training.retraining import begin_run

    run = job.folder / "run"
    if job.plan.after is not None:
        for stage in STAGES[: STAGES.index(job.plan.stages[0])]:
            for key in weights_keys(job.store, job.plan.after, stage):
                lay_weights(job.store, key, run)
    begin_run(run, kept_release(job.settings, job.plan.parent), first=job.plan.stages[0])
    for name in fetch_checkpoints(job.store, job.plan.retrain_id, run):
        tell(f"{name} goes on from its checkpoint in {job.store.url}")
    return run


def material(settings: Settings, plan: TrainingPlan, device: str) -> Material:
    """Photos, textures and labels, on the device."""
    from oldphoto_core.training.material import Material

    return Material.load(
        fetched_photos(settings, place_of(settings, plan)),
        textures=fetched(settings, plan.textures) if plan.textures else None,
        labelled=work_folder(settings, plan) / "material",
        device=device,
        **(_TOY_MATERIAL if kept_release(settings, plan.parent).preset == "tiny" else {}),
    )


def place_of(settings: Settings, plan: TrainingPlan) -> str:
    """Where the clean photos are: as planned, or on another machine where its own settings have them.

    Raises:
        UsageError: neither is there.
    """
    if is_there(settings, plan.photos):
        return plan.photos
    if settings.training_photos and is_there(settings, settings.training_photos):
        return settings.training_photos
    raise UsageError(
        f"retraining {plan.retrain_id} began with clean photos in {plan.photos}, which is not there; bring it back, or "
        "say in training_photos where the same photos are here, or give it up with `oldphoto retrain --fresh`"
    )


def train(job: StageJob, run: Path) -> StageOutcome:
    """Trains until the budget is used, or until somebody asks for its end."""
    from oldphoto_core.training.retraining import Hooks
    from oldphoto_core.training.retraining import train_stage as train_networks
    from oldphoto_core.training.schedule import Budget

    device = training_device(job.settings)
    steps, minutes = job.plan.budget(job.stage)
    with training_bar(job.stage) as bar, telling(Both(progress(), bar)):
        progress().begin("Loading photos to train on")
        loaded = material(job.settings, job.plan, device)
        progress().begin(f"Training the {TITLES[job.stage]}", PARTS)
        return train_networks(
            job.stage, loaded, run,
            parent=kept_release(job.settings, job.plan.parent),
            budget=Budget(steps=steps, minutes=minutes),
            seed=job.plan.seed,
            threads=job.settings.training_threads,
            processes=job.settings.training_gpus,
            hooks=Hooks(saved=_Saved(job), progress=_reach),
        )  # fmt: skip


def _reach(share: float, seconds_left: float | None, figures: Mapping[str, float]) -> None:
    shown = "  ".join(f"{name} {value:.3g}" for name, value in list(figures.items())[:3])
    progress().reach(share, seconds_left, shown)


@dataclass
class _Saved:
    """After each checkpoint: its copy goes to the store, as long as the retraining is still ours."""

    job: StageJob
    warned_at: float = 0.0

    def __call__(self, folder: Path) -> None:
        job = self.job
        with Catalogue.open(job.settings.catalogue_url, create=False) as catalogue:
            held = catalogue.renew_lease([LEASE], holder=job.holder, ttl_s=job.settings.lease_s)
        if LEASE not in held:
            raise LeaseLost(
                f"run {job.holder} lost the lease {LEASE!r}, as after a long sleep of this machine; whoever has it now "
                "goes on, and this run ends"
            )
        try:
            keep_checkpoint(job.store, job.plan.retrain_id, job.stage, folder)
        except StoreUnavailable as error:  # the next checkpoint may reach it
            if time.monotonic() - self.warned_at > 60:
                tell(f"the checkpoint of {job.stage} is only on this machine: {error}")
                self.warned_at = time.monotonic()
