"""What is to be done, before anything heavy is loaded: which photos, with which parameters, in which batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from flows.collections import find_collection, given_policy
from flows.errors import UsageError
from flows.release_store import release_without_catalogue
from flows.settings import Settings
from oldphoto_core import PIXEL_VERSION
from oldphoto_core.releases import ReleaseCard
from storage.catalog.catalogue import Catalogue
from storage.catalog.collection_queries import KnownCollection
from storage.keys import WorkParameters
from storage.records import PhotoWork
from storage.urls import local_folder, sqlite_path

BATCHES_A_WORKER = 4
"""At least so many tasks for each worker, where there are photos enough."""


@dataclass(frozen=True)
class CollectionPlan:
    """What a collection still wants.

    Attributes:
        already_done: photos whose wanted work is on record.
        set_aside: (source key, error) of those that failed too often and are not tried again.
        not_stale: photos that are not restored yet, and are left since only stale ones are wanted.
    """

    collection: KnownCollection
    parameters: WorkParameters
    works: list[PhotoWork]
    already_done: int
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    not_stale: int = 0


@dataclass(frozen=True)
class Batch:
    """Photos that one task restores, all with the same parameters."""

    parameters: WorkParameters
    works: tuple[PhotoWork, ...]


def plan_collections(
    catalogue: Catalogue, settings: Settings, card: ReleaseCard, *, source: str | None = None, stale: bool = False
) -> list[CollectionPlan]:
    """What each collection wants, by its own policy and what was given for this run.

    Args:
        stale: leaves out what was never restored, and what was restored by the release in use and with its label: what
            is left are photos that a promotion or a new label made stale.

    Raises:
        UsageError: `source` is no collection of this catalogue; `stale`, and another release than the one in use.
    """
    if stale:
        _require_active(catalogue, card)
    if source is None:
        collections = catalogue.collections()
        if not collections:
            raise UsageError(f"nothing is ingested in {settings.home} yet; run `oldphoto ingest FOLDER` first")
    else:
        found = find_collection(catalogue, source)
        if found is None:
            raise UsageError(f"{source} is not in this catalogue; run `oldphoto ingest {source}` first")
        collections = [found]
    plans = []
    for collection in collections:
        parameters = work_parameters(collection, settings, card)
        works = wanted = catalogue.photos_to_restore(collection.id, parameters)
        if stale:
            those = catalogue.stale_photos([work.photo_sha256 for work in wanted])
            works = [work for work in wanted if work.photo_sha256 in those]
        done = catalogue.count_done(collection.id, parameters)
        aside = catalogue.set_aside_work(collection.id, parameters)
        plans.append(CollectionPlan(collection, parameters, works, done, aside, len(wanted) - len(works)))
    return plans


def _require_active(catalogue: Catalogue, card: ReleaseCard) -> None:
    """Refuses to bring photos up to date with a release that would leave them stale."""
    active = catalogue.active_release()
    if active is None or active.name != card.name:
        in_use = active.name if active is not None else "none"
        raise UsageError(
            f"stale photos are restored again by the release in use, which is {in_use}, and {card.name} was asked for; "
            f"leave --release out, or promote it first (`oldphoto releases promote {card.name}`)"
        )


def first_of(plans: Sequence[CollectionPlan], limit: int | None) -> tuple[list[CollectionPlan], int]:
    """The plans with their first photos, so many in all, and how many are left; None leaves the plans whole."""
    if limit is None:
        return list(plans), 0
    kept, room = [], limit
    for plan in plans:
        kept.append(replace(plan, works=plan.works[:room]))
        room -= len(kept[-1].works)
    return kept, sum(len(plan.works) for plan in plans) - (limit - room)


def work_parameters(collection: KnownCollection, settings: Settings, card: ReleaseCard) -> WorkParameters:
    """Everything that decides a collection's pixels, besides the photos and their labels.

    Raises:
        storage.errors.WorkParametersError: values that do not go together.
    """
    policy = replace(collection.policy, **given_policy(settings))
    return WorkParameters(
        weights_hash=card.weights_hash,
        mode=policy.mode,  # type: ignore[arg-type]
        tone=policy.tone,  # type: ignore[arg-type]
        mending=policy.mending,  # type: ignore[arg-type]
        strength=policy.strength,
        output_format=policy.output_format,  # type: ignore[arg-type]
        pixel_version=PIXEL_VERSION,
    )


def fair_megapixels(plans: Iterable[CollectionPlan], *, most: float, workers: int) -> float:
    """What a batch may hold so that every worker gets several: a short run is spread over all of them too."""
    pixels = sum(work.height * work.width for plan in plans for work in plan.works)
    return min(most, pixels / 1e6 / (BATCHES_A_WORKER * workers))


def batches_of(plans: Iterable[CollectionPlan], *, size: int, megapixels: float) -> list[Batch]:
    """The plans' photos in batches; a photo that two collections want alike is in one of them.

    A task costs a fifth of a second whatever it holds, and a worker that dies loses what its task had done, so tasks
    are cut by pixels: about half a minute of work each.

    Args:
        size: photos in a batch at most.
        megapixels: a batch takes no more photos once it has so many.
    """
    batches: list[Batch] = []
    seen: set[tuple[str, str]] = set()
    for plan in plans:
        batch: list[PhotoWork] = []
        for work in plan.works:
            if (work.photo_sha256, work.work_hash) in seen:
                continue
            seen.add((work.photo_sha256, work.work_hash))
            batch.append(work)
            if len(batch) >= size or sum(one.height * one.width for one in batch) >= megapixels * 1e6:
                batches.append(Batch(plan.parameters, tuple(batch)))
                batch = []
        if batch:
            batches.append(Batch(plan.parameters, tuple(batch)))
    return batches


def check_settings(settings: Settings) -> None:
    """Refuses at once what would fail later: an unknown release, choices that do not go together.

    Raises:
        UsageError, storage.errors.WorkParametersError, oldphoto_core.errors.ReleaseError.
    """
    _refuse_unsuited(settings)
    card = release_without_catalogue(settings)
    WorkParameters(weights_hash=card.weights_hash, **given_policy(settings))


def _refuse_unsuited(settings: Settings) -> None:
    """Refuses to send work to another machine that could not reach what it needs."""
    if settings.scheduler is None:
        return
    host = urlsplit(settings.scheduler).hostname
    if host in ("127.0.0.1", "localhost", "::1"):
        return
    if sqlite_path(settings.catalogue_url) is not None:
        raise UsageError(
            f"scheduler {settings.scheduler} is on another machine, and SQLite serves one machine; "
            "set OLDPHOTO_CATALOGUE_URL to a PostgreSQL database"
        )
    if local_folder(settings.derivatives_url) is not None:
        raise UsageError(
            f"scheduler {settings.scheduler} is on another machine, whose workers would write to folders of their own; "
            "set OLDPHOTO_DERIVATIVES_URL to s3://bucket/prefix"
        )
