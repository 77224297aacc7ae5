"""Releases behind their aliases, batches, leases: what is settled before workers begin."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.leases import WorkLeases
from flows.planning import CollectionPlan, batches_of, first_of, plan_collections
from flows.release_store import release_without_catalogue, resolve_release
from flows.runners import plan_workers
from flows.settings import Settings
from oldphoto_core.errors import ReleaseError
from oldphoto_core.releases import find_release
from storage.catalog.catalogue import Catalogue
from storage.catalog.collection_queries import KnownCollection
from storage.keys import WorkParameters, work_hash
from storage.records import (
    CollectionRecord,
    PhotoRecord,
    PhotoWork,
    RestorationRecord,
    SourceObjectRecord,
    SourceRef,
)

PARAMETERS = WorkParameters(weights_hash="w" * 64)


def works(count: int, *, height: int = 1000, width: int = 1000) -> list[PhotoWork]:
    ref = SourceRef(collection_id=1, collection_url="file:///scans", key="a.png", browse_folder="")
    return [
        PhotoWork(
            photo_sha256=f"{number:064x}", work_hash=work_hash(PARAMETERS), sources=(ref,), size_bytes=1, format="png",
            height=height, width=width, channels=3, bit_depth=8,
        )
        for number in range(count)
    ]  # fmt: skip


def plan_of(photos: list[PhotoWork]) -> CollectionPlan:
    policy = CollectionRecord(url="file:///scans")
    return CollectionPlan(KnownCollection(id=1, browse_folder="", state="open", policy=policy), PARAMETERS, photos, 0)


def test_a_limit_takes_the_first_photos_of_all_collections_together() -> None:
    plans = [plan_of(works(3)), plan_of(works(4))]
    limited, left = first_of(plans, 5)
    assert [plan.works for plan in limited] == [plans[0].works, plans[1].works[:2]]
    assert left == 2
    assert first_of(plans, 10) == (plans, 0)
    assert first_of(plans, None) == (plans, 0)


def register_photos(catalogue: Catalogue, url: str, count: int) -> int:
    collection_id = catalogue.upsert_collection(CollectionRecord(url=url, tone="keep"))
    photos = [
        PhotoRecord(sha256=f"{number:064x}", size_bytes=1, format="png", height=50, width=50, channels=3, bit_depth=8)
        for number in range(count)
    ]
    objects = [
        SourceObjectRecord(key=f"{number}.png", status="registered", size_bytes=1, photo_sha256=f"{number:064x}")
        for number in range(count)
    ]
    catalogue.record_objects(collection_id, objects, photos)
    return collection_id


@pytest.mark.parametrize("count", [0, 1, 8, 9, 30])
def test_batches_hold_every_photo_once_and_no_more_than_asked(count: int) -> None:
    photos = works(count)
    batches = batches_of([plan_of(photos), plan_of(photos)], size=8, megapixels=1000)
    assert [work for batch in batches for work in batch.works] == photos
    assert all(1 <= len(batch.works) <= 8 for batch in batches)


def test_large_photos_make_small_batches() -> None:
    batches = batches_of([plan_of(works(6, height=4000, width=6000))], size=8, megapixels=48)
    assert [len(batch.works) for batch in batches] == [2, 2, 2]


def test_the_active_release_outlives_the_folder_that_it_came_from(home: Path, release_folder: Path) -> None:
    came_from = home.parent / "came-from"
    shutil.copytree(release_folder, came_from)
    with Catalogue.open(home / "catalogue.db") as catalogue:
        card = resolve_release(catalogue, Settings.load(home, release=str(came_from)))
        assert catalogue.active_release() is None  # a folder that somebody named is a candidate
        catalogue.activate_release(card.name, agent="archivist")
        shutil.rmtree(came_from)
        settings = Settings.load(home)
        assert resolve_release(catalogue, settings).weights_hash == card.weights_hash
        assert catalogue.active_release().name == card.name  # type: ignore[union-attr]
    kept = release_without_catalogue(settings)
    assert (kept.name, kept.folder) == (card.name, home / "releases" / card.name)
    kept.verify()
    assert release_without_catalogue(Settings.load(home, release=card.name)) == kept


def test_a_release_that_is_kept_keeps_its_uncertainty_head(home: Path, release_folder: Path) -> None:
    from oldphoto_core.models.uncertainty import UncertaintyHead
    from oldphoto_core.releases.uncertainty import attach_uncertainty, load_uncertainty

    came_from = home.parent / "came-from"
    shutil.copytree(release_folder, came_from)
    card = attach_uncertainty(came_from, UncertaintyHead(), {})
    with Catalogue.open(home / "catalogue.db") as catalogue:
        resolve_release(catalogue, Settings.load(home, release=str(came_from)))
    load_uncertainty(find_release(card.name, search=[home / "releases"]))


def test_the_packaged_release_becomes_active_in_an_empty_catalogue_alone(home: Path, release_folder: Path) -> None:
    packaged = find_release("default")
    assert release_without_catalogue(Settings.load(home)) == packaged
    with Catalogue.open(home / "catalogue.db") as catalogue:
        assert resolve_release(catalogue, Settings.load(home)).name == packaged.name
        assert [(known.name, known.status) for known in catalogue.releases()] == [(packaged.name, "active")]
    with Catalogue.open(home / "other.db") as catalogue:
        mine = resolve_release(catalogue, Settings.load(home, release=str(release_folder)))
        catalogue.activate_release(mine.name, agent="archivist")
        assert resolve_release(catalogue, Settings.load(home)).name == mine.name
        statuses = {known.name: known.status for known in catalogue.releases()}
        assert statuses == {mine.name: "active", packaged.name: "candidate"}


def test_a_release_that_nobody_has_is_an_error_that_names_it(home: Path) -> None:
    with pytest.raises(ReleaseError, match="no release 'mine'"):
        release_without_catalogue(Settings.load(home, release="mine"))


def test_each_collection_is_restored_by_its_own_policy(home: Path, release_folder: Path) -> None:
    card = find_release(release_folder)
    with Catalogue.open(home / "catalogue.db") as catalogue:
        with pytest.raises(UsageError, match="oldphoto ingest"):
            plan_collections(catalogue, Settings.load(home), card)
        register_photos(catalogue, "file:///keep", 2)
        catalogue.upsert_collection(CollectionRecord(url="file:///correct"))
        plans = plan_collections(catalogue, Settings.load(home), card)
        assert [(plan.parameters.tone, len(plan.works)) for plan in plans] == [("keep", 2), ("correct", 0)]
        given = plan_collections(catalogue, Settings.load(home, tone="correct"), card, source="/keep")
        assert [plan.parameters.tone for plan in given] == ["correct"]
        with pytest.raises(UsageError, match="not in this catalogue"):
            plan_collections(catalogue, Settings.load(home), card, source="/elsewhere")


def test_leases_keep_runs_apart_and_end_with_a_dead_run(home: Path, release_folder: Path) -> None:
    locks = home / "work/runs"
    card = find_release(release_folder)
    with Catalogue.open(home / "catalogue.db") as catalogue:
        register_photos(catalogue, "file:///scans", 3)
        plan = plan_collections(catalogue, Settings.load(home), card)[0]
        with WorkLeases(catalogue, holder="one", ttl_s=600, locks_folder=locks) as one:
            assert one.claim(plan.works[:2]) == plan.works[:2]
            with WorkLeases(catalogue, holder="two", ttl_s=600, locks_folder=locks) as two:
                assert two.claim(plan.works) == plan.works[2:]
                one.give_back(plan.works[:1])
                assert two.claim(plan.works[:2]) == plan.works[:1]

        # A run that was killed: its leases stand, its lock file is free.
        catalogue.claim_work(plan.works, holder="dead", ttl_s=600)
        (locks / "dead.lock").touch()
        with WorkLeases(catalogue, holder="next", ttl_s=600, locks_folder=locks) as following:
            assert following.claim(plan.works) == plan.works
        assert list(locks.iterdir()) == []


def test_collections_and_what_stands_for_their_objects_can_be_listed(home: Path, release_folder: Path) -> None:
    card = find_release(release_folder)
    with Catalogue.open(home / "catalogue.db") as catalogue:
        collection_id = register_photos(catalogue, "file:///scans", 2)
        (known,) = catalogue.collections()
        assert (known.id, known.policy, known.state) == (
            collection_id,
            CollectionRecord(url="file:///scans", tone="keep"),
            "open",
        )
        assert catalogue.placed_restorations(collection_id) == []
        resolve_release(catalogue, Settings.load(home, release=str(release_folder)))
        catalogue.record_restorations(
            [
                RestorationRecord(
                    photo_sha256=f"{0:064x}", work_hash="a" * 64, release=card.name, weights_hash=card.weights_hash,
                    outcome="restored", output_format="png", restored_key="k/restored.png", restored_sha256="b" * 64,
                    provenance_key="k/provenance.json",
                )
            ]
        )  # fmt: skip
        (placed,) = catalogue.placed_restorations(collection_id)
        assert (placed.key, placed.restored_key, placed.output_format) == ("0.png", "k/restored.png", "png")


def test_workers_share_out_the_cores(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_workers(Settings.load(home, device="cpu", workers=1))
    assert (plan.workers, plan.on_gpu) == (1, False)
    assert plan.threads >= 1
    assert plan_workers(Settings.load(home, device="cpu", workers=1000)).threads == 1
