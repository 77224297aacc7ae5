"""Restoration: plan, and only where something is left to do, load the networks and do it in batches on Dask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.artifacts import progress_artifact, show_run
from flows.browsing import complete_browse, show_again
from flows.collections import find_collection
from flows.endpoints import honours_conditions
from flows.planning import (
    Batch,
    CollectionPlan,
    batches_of,
    check_settings,
    fair_megapixels,
    first_of,
    plan_collections,
)
from flows.progress import Both, progress, telling
from flows.release_store import resolve_release
from flows.restore_job import RestoreJob
from flows.restoring import restore_batches
from flows.run_records import OpenRun, flow_run_id, machine_facts, recorded_run, title_of
from flows.runners import WorkerPlan, plan_workers
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.states import sweep_withdrawn
from flows.summary import RestoreSummary, RunSummary
from flows.wording import counted
from oldphoto_core.releases import ReleaseCard
from storage.s3_settings import Purpose


@flow(name="restore")
def restore(
    home: str | None = None,
    source: str | None = None,
    limit: Annotated[int, Field(ge=1)] | None = None,
    retry: bool = False,
    stale: bool = False,
    settings: SettingsForm | None = None,
    run_id: str | None = None,
) -> RunSummary:
    """Restores every registered photo whose restoration is not on record.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        source: one collection alone; None: all of them.
        limit: photos restored at most; None: all that are not restored yet.
        retry: takes up again what was set aside after too many failed tries.
        stale: only photos that were restored before, by a release that is no longer in use or without their label.
        settings: what differs from the installation's settings in this run.
        run_id: the run of the catalogue that this is part of; None: a run of its own.
    """
    chosen = Settings.load(home, **given_settings(settings))
    check_settings(chosen)
    with recorded_run(
        chosen, kind="restore", title=title_of(source) if source else "all collections", source=source, run_id=run_id
    ) as run:
        sweep_withdrawn(run.catalogue, chosen, run_id=run.run_id)
        card = resolve_release(run.catalogue, chosen)
        take_up_what_was_made(run, chosen, card)
        if retry:
            take_up_again(run, source)
        plans, left = first_of(plan_collections(run.catalogue, chosen, card, source=source, stale=stale), limit)
        describe_run(run, card, plans)
        workers = plan_workers(chosen)
        most = fair_megapixels(plans, most=chosen.batch_megapixels or workers.batch_megapixels, workers=workers.workers)
        batches = batches_of(plans, size=chosen.batch_size, megapixels=most)
        restored = restore_all(run, chosen, card, batches, workers) if batches else RestoreSummary(release=card.name)
        if not batches:
            progress().say("nothing is stale" if stale else "nothing is left to restore")
        complete_browse(chosen, run.catalogue, [plan.collection for plan in plans])
        if batches:  # what was withdrawn while it was at work
            sweep_withdrawn(run.catalogue, chosen, run_id=run.run_id)
        already_done = restored.already_done + sum(plan.already_done for plan in plans)
        aside = tuple(dict.fromkeys(one for plan in plans for one in plan.set_aside))
        not_stale = sum(plan.not_stale for plan in plans)
        restored = replace(restored, already_done=already_done, left=left, not_stale=not_stale, set_aside=aside)
        run.summary = RunSummary(run_id=run.run_id, restore=restored)
        show_run(run, chosen, run.summary)
        return run.summary


def take_up_again(run: OpenRun, source: str | None) -> None:
    """Lets photos that were set aside be tried again, of one collection or all."""
    found = find_collection(run.catalogue, source) if source is not None else None
    count = run.catalogue.try_again(found.id if found is not None else None)
    progress().say(f"{counted(count, 'photo')} that had failed too often {'is' if count == 1 else 'are'} tried again")


def take_up_what_was_made(run: OpenRun, settings: Settings, card: ReleaseCard) -> None:
    """Shows again what the release in use made, where a run of another one wrote later than the promotion."""
    if run.catalogue.take_up_active(card.name):
        active = run.catalogue.active_release()
        show_again(settings, run.catalogue, since=str(active.activated_at if active else ""))


def describe_run(run: OpenRun, card: ReleaseCard, plans: Sequence[CollectionPlan]) -> None:
    """Notes in the catalogue with what this run restores; modes are left out where collections differ in them."""
    run.catalogue.update_run(run.run_id, release=card.name)
    names = ("mode", "tone", "mending", "strength")
    choices = {tuple(getattr(plan.parameters, name) for name in names) for plan in plans}
    if len(choices) == 1:
        run.catalogue.update_run(run.run_id, **dict(zip(names, choices.pop(), strict=True)))


def restore_all(
    run: OpenRun, settings: Settings, card: ReleaseCard, batches: Sequence[Batch], plan: WorkerPlan
) -> RestoreSummary:
    """Restores the batches on workers. Dask, and in its workers torch, are loaded from here on."""
    job = restore_job(run, settings, card, batches, plan)
    photos = sum(len(batch.works) for batch in batches)
    with progress_artifact("restore-progress", photos) as shown, telling(Both(progress(), shown)):
        progress().begin("Restoring photos", photos)
        tally = restore_batches(run.catalogue, settings, job=job, plan=plan, batches=batches, holder=run.run_id)
    run.catalogue.update_run(run.run_id, machine=machine_facts() | tally.machine())
    return RestoreSummary(
        release=card.name,
        restored=tally.restored,
        unchanged=tally.unchanged,
        already_done=tally.done_elsewhere,
        failed=tuple(tally.failed),
        needs_review=tuple(tally.needs_review),
        working_s=tally.working_s,
        megapixels=tally.megapixels,
    )


def restore_job(
    run: OpenRun, settings: Settings, card: ReleaseCard, batches: Sequence[Batch], plan: WorkerPlan
) -> RestoreJob:
    """What the workers are told; each batch puts its own parameters in."""
    sources = {source.collection_url for batch in batches for work in batch.works for source in work.sources}
    urls: dict[Purpose, list[str]] = {
        "sources": sorted(sources), "derivatives": [settings.derivatives_url], "labels": [settings.labels_url],
    }  # fmt: skip
    return RestoreJob(
        parameters=batches[0].parameters,
        release=card.name,
        release_folder=str(card.folder.resolve()),
        device=settings.device,
        tile_px=settings.tile_px,
        precision=settings.precision,
        patience_s=settings.store_patience_s,
        threads=None if settings.scheduler else plan.threads,
        max_pixels=int(settings.max_megapixels * 1e6),
        derivatives_url=settings.derivatives_url,
        labels_url=settings.labels_url,
        store_options={
            purpose: options
            for purpose, of_purpose in urls.items()
            for url in of_purpose
            if (options := settings.store_options(url, purpose))
        },
        conditional_writes=honours_conditions(run.catalogue, settings, settings.derivatives_url, "derivatives"),
        run_id=run.run_id,
        flow_run_id=flow_run_id(),
    )
