"""Whether there is anything to train, by the catalogue alone; and the retraining that is gone on with, or begun.

One retraining of a catalogue at a time, by the lease `retraining`. An unfinished one, whose holder died, goes before a
new one, and keeps its own snapshot, seed and budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.errors import UsageError
from flows.leases import WorkLeases, end_leases_of_the_dead
from flows.near_duplicates import link_near_duplicates
from flows.release_store import kept_release, resolve_release
from flows.run_records import OpenRun, code_version, flow_run_id, new_run_id, recorded_run
from flows.settings import Settings
from flows.training.checkpoints import releases_store, sweep_checkpoints, weights_keys
from flows.training.clean_photos import require_clean_photos
from flows.training.plan import STAGES, TrainingPlan, seed_of
from flows.training.summary import RetrainSummary
from flows.training.telling import tell
from flows.wording import counted
from storage.catalog.catalogue import Catalogue
from storage.errors import CatalogueMissing
from storage.objects import ObjectStore
from storage.records import TrainingRunRecord

LEASE = "retraining"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was asked for; it counts where nothing unfinished is there to go on with.

    Attributes:
        force: train though fewer labels wait than `retrain_after`.
        fresh: give up what is unfinished, and begin anew.
        parent: name of the release to start from; None: the active one.
        after: retraining whose networks stand in for the stages before the first.
        minutes, steps: budget over all stages; both None: the settings'.
    """

    stages: tuple[str, ...] = STAGES
    minutes: float | None = None
    steps: int | None = None
    force: bool = False
    fresh: bool = False
    promote: bool | None = None
    parent: str | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        if self.minutes is not None and self.steps is not None:
            raise UsageError("give the budget as minutes or as steps, one of them")


@dataclass(frozen=True)
class Standing:
    """How a catalogue stands.

    Attributes:
        waiting: new labels that would be learned from.
        unfinished: the retraining to go on with; None where there is none.
        holder: the run that holds the lease; None where it is free.
    """

    waiting: int
    unfinished: TrainingPlan | None
    holder: str | None

    def refusal(self, settings: Settings, wish: Wish) -> RetrainSummary | None:
        """Why nothing is trained now; None where something is."""
        if self.holder is not None:
            note = f"run {self.holder} is retraining already; it holds the lease {LEASE!r}, and this run ends"
            return RetrainSummary(outcome="busy", waiting=self.waiting, note=note)
        if self.unfinished is not None or wish.force or wish.fresh:
            return None
        if self.waiting < settings.retrain_after:
            wait = "waits" if self.waiting == 1 else "wait"
            note = (
                f"{counted(self.waiting, 'new label')} {wait}, and retrain_after asks for {settings.retrain_after}; "
                "`oldphoto retrain --force` does not wait for them"
            )
            return RetrainSummary(outcome="nothing to do", waiting=self.waiting, note=note)
        return None


def standing(catalogue: Catalogue, settings: Settings) -> Standing:
    """How the catalogue stands now. Leases of dead runs of this home are ended first."""
    locks = settings.layout.work / "runs"
    if locks.is_dir():
        end_leases_of_the_dead(catalogue, locks)
    catalogue.decide_label_splits()
    return Standing(catalogue.labels_untried(), unfinished_plan(catalogue), catalogue.lease_holder(LEASE))


def unfinished_plan(catalogue: Catalogue) -> TrainingPlan | None:
    """The plan of the newest retraining that has a row which runs, whoever is at it."""
    running = [run for run in catalogue.training_runs() if run.status == "running" and "plan" in run.configuration]
    return TrainingPlan.of(running[-1].configuration) if running else None


@dataclass
class OpenRetraining:
    """A retraining that this run carries out.

    Attributes:
        plan: None where nothing is to be done; `summary` says why then.
        summary: set at the end.
    """

    run: OpenRun | None
    settings: Settings
    plan: TrainingPlan | None
    summary: RetrainSummary | None = None

    @property
    def catalogue(self) -> Catalogue:
        """Open for as long as the retraining."""
        assert self.run is not None
        return self.run.catalogue


@contextmanager
def open_retraining(settings: Settings, wish: Wish) -> Iterator[OpenRetraining]:
    """The retraining to carry out, under its lease, in a run of its own; where nothing is to be done, no run is made.

    Raises:
        UsageError: no clean photos are set, or nothing was ever ingested.
        storage.errors.SnapshotError: there is no photo to learn from.
    """
    if (refusal := _refusal(settings, wish)) is not None:
        _tell(refusal)
        yield OpenRetraining(None, settings, None, refusal)
        return
    with recorded_run(settings, kind="retrain", title="retraining") as run, _leases(run, settings) as leases:
        refusal = _refusal_under_lease(run, settings, wish)
        if refusal is not None:
            run.summary = refusal
            _tell(refusal)
            yield OpenRetraining(run, settings, None, refusal)
            return
        leases.hold(LEASE)
        work = OpenRetraining(run, settings, taken_up_or_begun(run, settings, wish))
        yield work
        run.summary = work.summary


def taken_up_or_begun(run: OpenRun, settings: Settings, wish: Wish) -> TrainingPlan:
    """The unfinished retraining, or a new one, on record with all its stages before anything is trained."""
    catalogue, store = run.catalogue, releases_store(settings)
    if wish.fresh:
        give_up(catalogue)
    plan = unfinished_plan(catalogue)
    sweep(catalogue, store, going_on=plan)
    if plan is None:
        plan = begin(run, settings, wish)
    else:
        tell(f"going on with retraining {plan.retrain_id}, which was not finished")
    before = {run.stage: run.run_id for run in catalogue.training_runs(release=plan.parent)}
    for stage in plan.stages:  # again where a kill came between two of them; what is on record stays
        catalogue.start_training_run(
            TrainingRunRecord(
                run_id=plan.run_id(stage), retrain_id=plan.retrain_id, stage=stage,  # type: ignore[arg-type]
                configuration=plan.configuration(stage), snapshot_sha256=plan.snapshot_sha256, seed=plan.seed,
                parent_run_id=before.get(stage),  # type: ignore[call-overload]
                device=settings.training_device, code_version=code_version(), flow_run_id=flow_run_id(),
            )
        )  # fmt: skip
    return plan


def begin(run: OpenRun, settings: Settings, wish: Wish) -> TrainingPlan:
    """A new plan: what it sees is written down as a snapshot first."""
    photos = require_clean_photos(settings)
    require_networks(releases_store(settings), wish)
    parent = resolve_release(run.catalogue, settings).name
    if wish.parent is not None:
        parent = kept_release(settings, wish.parent).name
    link_near_duplicates(run.catalogue)  # so that no near copy of a test photo is trained on
    manifests = ObjectStore(settings.manifests_url, settings.store_options(settings.manifests_url, "manifests"))
    from storage.snapshots import make_snapshot

    snapshot = make_snapshot(run.catalogue, manifests, most_unlabelled=settings.training_unlabelled)
    retrain_id = new_run_id()
    steps = wish.steps if wish.steps or wish.minutes else settings.training_steps
    tell(
        f"retraining {retrain_id} from {parent} on {counted(snapshot.photo_count, 'photo')}, "
        f"{snapshot.label_count:,} of them labelled"
    )
    return TrainingPlan(
        retrain_id=retrain_id,
        stages=wish.stages,
        parent=parent,
        snapshot_sha256=snapshot.sha256,
        snapshot_key=snapshot.key,
        seed=settings.training_seed if settings.training_seed is not None else seed_of(retrain_id),
        steps=steps,
        minutes=None if steps else wish.minutes or settings.training_minutes,
        promote=wish.promote if wish.promote is not None else settings.promotion == "rules",
        photos=photos,
        textures=settings.training_textures,
        after=wish.after,
    )


def require_networks(store: ObjectStore, wish: Wish) -> None:
    """Raises where the retraining to go on from left no networks of the stages before the first."""
    if wish.after is None:
        return
    needed = STAGES[: STAGES.index(wish.stages[0])]
    if not any(key.endswith(".tar") for stage in needed for key in weights_keys(store, wish.after, stage)):
        raise UsageError(
            f"retraining {wish.after} left no networks of a stage before {wish.stages[0]}; name one that ended with "
            "the VAEs, as `oldphoto sql \"SELECT DISTINCT retrain_id FROM training_run\"` lists them"
        )


def give_up(catalogue: Catalogue) -> None:
    """Marks every training run that runs as failed; only its lease's holder does this."""
    for run in catalogue.training_runs():
        if run.status == "running":
            catalogue.finish_training_run(
                run.run_id, status="failed", metrics={**run.metrics, "error": "given up"}, note="given up for a new one"
            )


def sweep(catalogue: Catalogue, store: ObjectStore, *, going_on: TrainingPlan | None) -> None:
    """Clears the store of what killed retrainings left, but for the one that is gone on with."""
    known = {run.retrain_id for run in catalogue.training_runs() if run.retrain_id}
    sweep_checkpoints(store, going_on={going_on.retrain_id} if going_on else set(), known=known)


def _refusal(settings: Settings, wish: Wish) -> RetrainSummary | None:
    try:
        with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
            now = standing(catalogue, settings)
    except CatalogueMissing:
        raise UsageError(f"nothing is ingested in {settings.home} yet; run `oldphoto ingest FOLDER` first") from None
    refusal = now.refusal(settings, wish)
    if refusal is None and (now.unfinished is None or wish.fresh):
        require_clean_photos(settings)
    return refusal


def _refusal_under_lease(run: OpenRun, settings: Settings, wish: Wish) -> RetrainSummary | None:
    """Takes the lease, and counts again: another run may have learned from the labels since we looked."""
    if LEASE in run.catalogue.acquire_lease([LEASE], holder=run.run_id, ttl_s=settings.lease_s):
        now = Standing(run.catalogue.labels_untried(), unfinished_plan(run.catalogue), None)
        return now.refusal(settings, wish)
    return standing(run.catalogue, settings).refusal(settings, wish) or RetrainSummary(
        outcome="busy", note="another run was retraining until a moment ago; this one ends"
    )


def _leases(run: OpenRun, settings: Settings) -> WorkLeases:
    return WorkLeases(
        run.catalogue, holder=run.run_id, ttl_s=settings.lease_s, locks_folder=settings.layout.work / "runs"
    )


def _tell(summary: RetrainSummary) -> None:
    if summary.note:
        tell(summary.note, aloud=False)
