"""Which release is in use: promoted, rejected, rolled back; one at a time, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from storage.catalog import Catalogue
from storage.errors import PromotionConflict, RecordRefused, ReleaseRejected
from storage.keys import WorkParameters
from storage.records import ReleaseRecord
from tests.store.makers import PARAMETERS, RELEASE, restored, rows, sha, with_photos

A, B, C = RELEASE.name, "archive-bbbbbbbb", "archive-cccccccc"


def weights(name: str) -> str:
    return name[-1] * 64


@pytest.fixture
def releases(catalogue: Catalogue) -> Catalogue:
    """A is active, B and C are candidates that descend from it."""
    catalogue.register_release(RELEASE)
    for name in (B, C):
        record = ReleaseRecord(name=name, weights_hash=weights(name), preset="archive", parent=A)
        assert catalogue.register_release(record) == "candidate"
    return catalogue


def statuses(catalogue: Catalogue) -> dict[str, str]:
    return {release.name: release.status for release in catalogue.releases()}


def promote(catalogue: Catalogue, name: str, expected: str | None, by: str = "Ada", force: bool = False) -> None:
    catalogue.promote_release(name, expected_active=expected, agent=by, reason="better on the plates", force=force)


def test_a_promotion_replaces_the_release_it_was_compared_with(releases: Catalogue) -> None:
    promote(releases, B, A)
    assert statuses(releases) == {A: "retired", B: "active", C: "candidate"}
    told = rows(releases, "SELECT agent, agent_type, outcome, note, object_id, role FROM event_history "
                          "WHERE note IS NOT NULL AND type = 'promotion' ORDER BY role")  # fmt: skip
    said = ("Ada", "person", "success", "better on the plates")
    assert told == [(*said, B, "outcome"), (*said, A, "previous")]
    with pytest.raises(RecordRefused, match="active already"):
        promote(releases, B, B)
    with pytest.raises(RecordRefused, match="releases list"):
        promote(releases, "archive-dddddddd", B)


def test_a_promotion_that_came_too_late_is_told_who_was_first(releases: Catalogue) -> None:
    promote(releases, B, A, by="Grace")
    said = rf"{B} is active now \(Grace made it active at 20.*\), not {A}"
    with pytest.raises(PromotionConflict, match=said) as told:
        promote(releases, C, A)
    assert told.value.active == B
    assert statuses(releases) == {A: "retired", B: "active", C: "candidate"}


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(releases: Catalogue, catalogue_url: str) -> None:
    """Two programs, each with a connection of its own, over and over."""
    for turn in range(5):
        (active,) = (name for name, status in statuses(releases).items() if status == "active")
        others = [name for name in (A, B, C) if name != active]
        barrier = Barrier(2)

        def at_once(name: str, active: str = active, barrier: Barrier = barrier) -> str:
            with Catalogue.open(catalogue_url, create=False) as mine:
                barrier.wait(timeout=30)
                try:
                    promote(mine, name, active)
                except PromotionConflict as conflict:
                    return f"told of {conflict.active}"
                return "won"

        with ThreadPoolExecutor(2) as pool:
            answers = dict(zip(others, pool.map(at_once, others), strict=True))
        (winner,) = (name for name, answer in answers.items() if answer == "won")
        (loser,) = (name for name in others if name != winner)
        assert answers[loser] == f"told of {winner}", turn
        assert [name for name, status in statuses(releases).items() if status == "active"] == [winner]
    promotions = "SELECT COUNT(*) FROM event WHERE type = 'promotion' AND note IS NOT NULL"
    assert rows(releases, promotions) == [(5,)]


def test_a_candidate_that_was_rejected_is_kept_with_why(releases: Catalogue) -> None:
    verdict = {"against": A, "rules": [{"rule": "auc", "found": 0.71, "needed": 0.74, "passed": False}]}
    releases.reject_release(B, ["AUC on labelled photos fell\nto 0.71, needed 0.74", "clean input"], verdict=verdict)
    found = {release.name: release for release in releases.releases()}[B]
    assert (found.status, found.rejected_reason) == (
        "candidate", "AUC on labelled photos fell to 0.71, needed 0.74; clean input",
    )  # fmt: skip
    assert found.verdict == verdict
    with pytest.raises(ReleaseRejected, match="needed 0.74.*--force REASON"):
        promote(releases, B, A)
    assert statuses(releases)[A] == "active"
    promote(releases, B, A, force=True)
    assert statuses(releases)[B] == "active"
    assert {r.name: r.rejected_reason for r in releases.releases()}[B] == found.rejected_reason
    with pytest.raises(RecordRefused, match="roll back first"):
        releases.reject_release(B, ["late"])
    with pytest.raises(RecordRefused, match="without a reason"):
        releases.reject_release(C, [" "])
    told = rows(releases, "SELECT outcome, object_id FROM event_history WHERE note LIKE 'rejected: %'")
    assert told == [("failure", B)]


def test_a_rollback_goes_back_step_by_step(releases: Catalogue) -> None:
    """To what the active release took over from; a rollback itself is no step to go back over."""
    promote(releases, B, A)
    promote(releases, C, B)
    assert releases.rollback_release("Ada", reason="faces suffer") == (C, B)
    assert releases.rollback_release("Ada") == (B, A)
    with pytest.raises(RecordRefused, match="--to NAME"):
        releases.rollback_release("Ada")
    assert releases.rollback_release("Ada", C) == (A, C)
    assert releases.rollback_release("Ada", expected_active=C) == (C, B)
    with pytest.raises(PromotionConflict, match="nothing was rolled back"):
        releases.rollback_release("Ada", expected_active=C)
    assert statuses(releases) == {A: "retired", B: "active", C: "retired"}
    told = rows(releases, "SELECT object_id, role FROM event_history WHERE note = 'faces suffer' ORDER BY role")
    assert told == [(B, "outcome"), (C, "previous")]


def test_nobody_rolls_back_to_what_never_was_active(releases: Catalogue) -> None:
    with pytest.raises(RecordRefused, match="never was active"):
        releases.rollback_release("Ada", B)
    with pytest.raises(RecordRefused, match="active already"):
        releases.rollback_release("Ada", A)


def parameters_of(release: str) -> WorkParameters:
    return WorkParameters(weights_hash=weights(release))


def shown(catalogue: Catalogue) -> dict[str, str]:
    """Release of each photo's latest restoration, by every way that the catalogue has to say so."""
    by_view = dict(rows(catalogue, "SELECT photo_sha256, release FROM photo_latest WHERE release IS NOT NULL"))
    ids = dict(rows(catalogue, "SELECT photo_sha256, restoration_id FROM photo_latest WHERE release IS NOT NULL"))
    by_object = dict(rows(catalogue, "SELECT photo_sha256, restoration_id FROM object_outcome "
                                     "WHERE restoration_id IS NOT NULL"))  # fmt: skip
    assert by_object == ids
    published = {one.photo_sha256: one.restoration_id for one in catalogue.publishable(None, after_id=0, limit=100)}
    assert published == ids
    placed = {one.key: one.restored_key for one in catalogue.placed_restorations(1)}
    keys = dict(rows(catalogue, "SELECT photo_sha256, restored_key FROM photo_latest WHERE release IS NOT NULL"))
    assert {sha(key): restored_key for key, restored_key in placed.items()} == keys
    return by_view


def test_after_a_rollback_what_the_earlier_release_made_is_the_latest_again(releases: Catalogue) -> None:
    """Nothing has to be restored anew, nothing is stale that cannot be made good, and no row or key is lost."""
    with_photos(releases, "a", "b")
    releases.record_restorations([restored(name, finished_at="2026-01-01T00:00:00Z") for name in ("a", "b")])
    promote(releases, B, A)
    assert releases.count_stale() == 2
    assert releases.stale_photos([sha("a"), sha("x")]) == {sha("a")}
    later = restored("a", parameters_of(B), release=B, finished_at="2026-02-01T00:00:00Z")
    releases.record_restorations([later])
    assert shown(releases) == {sha("a"): B, sha("b"): A}
    assert releases.count_stale() == 1
    before = rows(releases, "SELECT id, release, restored_key, outcome FROM restoration ORDER BY id")

    releases.rollback_release("Ada")
    assert shown(releases) == {sha("a"): A, sha("b"): A}
    assert releases.count_stale() == 0
    assert releases.photos_to_restore(None, PARAMETERS) == []

    releases.promote_release(B, expected_active=A, agent="Ada")  # in the same second, as likely as not
    assert shown(releases) == {sha("a"): B, sha("b"): A}
    assert [work.photo_sha256 for work in releases.photos_to_restore(None, parameters_of(B))] == [sha("b")]
    assert rows(releases, "SELECT id, release, restored_key, outcome FROM restoration ORDER BY id") == before


def test_a_run_that_was_still_at_it_does_not_undo_a_rollback(releases: Catalogue) -> None:
    """What it writes late is kept, and the next run of the release in use shows that one's again."""
    with_photos(releases, "a")
    releases.record_restorations([restored("a", finished_at="2026-01-01T00:00:00Z")])
    promote(releases, B, A)
    releases.rollback_release("Ada")
    late = restored("a", parameters_of(B), release=B, finished_at="2036-01-01T00:00:00Z")  # and its clock is fast
    releases.record_restorations([late])
    assert shown(releases) == {sha("a"): B}
    assert releases.take_up_active(B) == 0
    assert releases.take_up_active(A) == 1
    assert shown(releases) == {sha("a"): A}
    assert (releases.take_up_active(A), releases.count_stale()) == (0, 0)
