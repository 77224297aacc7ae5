"""What a retraining would do: the catalogue is asked, and nothing is written anywhere. No flow, as for any dry run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.dry_run import catalogue_as_it_is
from flows.errors import UsageError
from flows.file_locks import is_locked
from flows.release_store import release_without_catalogue
from flows.settings import Settings
from flows.training.opening import LEASE, Standing, Wish, unfinished_plan
from flows.training.plan import TrainingPlan
from flows.wording import counted
from storage.catalog.catalogue import Catalogue


@dataclass(frozen=True, kw_only=True)
class RetrainDryRun:
    """What would be done.

    Attributes:
        standing: how the catalogue stands.
        photos, labels: registered photos, and labels that apply to them.
        parent: the release it would start from.
        budget: in words.
        clean: where clean photos come from; None where that is not set.
        words: one sentence: whether anything would be trained.
    """

    standing: Standing
    retrain_after: int
    photos: int
    labels: int
    parent: str
    stages: tuple[str, ...]
    budget: str
    clean: str | None
    words: str

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, value, note."""
        yield "labels waiting", f"{self.standing.waiting:,}", f"{self.retrain_after:,} begin a retraining"
        yield "labels", f"{self.labels:,}", "reviewed, of registered photos"
        yield "photos", f"{self.photos:,}", "registered"
        unfinished = self.standing.unfinished
        if unfinished is not None:
            yield "unfinished", unfinished.retrain_id, "is gone on with, by its own parameters"
        yield "parent", self.parent, "the release it starts from"
        yield "stages", ", ".join(self.stages), ""
        yield "budget", self.budget, "over all stages"
        yield "clean photos", self.clean or "none", "" if self.clean else "set training_photos first"


def retrain_dry_run(settings: Settings, wish: Wish) -> RetrainDryRun:
    """Asks the catalogue as it is.

    Raises:
        UsageError: nothing is ingested yet.
    """
    with catalogue_as_it_is(settings) as catalogue:
        if catalogue is None:
            raise UsageError(f"nothing is ingested in {settings.home} yet; run `oldphoto ingest FOLDER` first")
        now = Standing(catalogue.labels_untried(), unfinished_plan(catalogue), _holder(catalogue, settings))
        photos = catalogue.object_counts()["registered"]
        labels = len(catalogue.latest_labels())
        plan = now.unfinished or None
        parent = plan.parent if plan else wish.parent or release_without_catalogue(settings).name
    refusal = now.refusal(settings, wish)
    return RetrainDryRun(
        standing=now,
        retrain_after=settings.retrain_after,
        photos=photos,
        labels=labels,
        parent=parent,
        stages=plan.stages if plan else wish.stages,
        budget=plan.budget_words() if plan else _budget(settings, wish),
        clean=plan.photos if plan else settings.training_photos,
        words=(refusal.note or refusal.outcome) if refusal else _would(plan, now.waiting),
    )


def _holder(catalogue: Catalogue, settings: Settings) -> str | None:
    """The living holder of the lease: a run that died on this machine counts as none, as it will when one begins."""
    holder = catalogue.lease_holder(LEASE)
    lock = settings.layout.work / "runs" / f"{holder}.lock"
    return None if lock.exists() and not is_locked(lock) else holder


def _budget(settings: Settings, wish: Wish) -> str:
    steps = wish.steps if wish.steps or wish.minutes else settings.training_steps
    return f"{steps:,} steps" if steps else f"{wish.minutes or settings.training_minutes:g} minutes"


def _would(plan: TrainingPlan | None, waiting: int) -> str:
    if plan is not None:
        return f"Retraining {plan.retrain_id} would be gone on with."
    return f"It would train, with {counted(waiting, 'new label')}."
