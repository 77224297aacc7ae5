"""The gate in the catalogue: what waits for a person, what a verdict changes, and what may be published meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.reviews import give_verdict, judge_all, judged, waiting
from flows.states import change_state, find_meant
from storage.catalog import Catalogue
from storage.fidelity_limits import FidelityLimits
from storage.keys import WorkParameters
from tests.store.derivatives import Home
from tests.store.makers import WEIGHTS, failed, restored, rows, sha, with_photos

LIMITS = FidelityLimits()
FAITHFUL = {
    "delta_e_mean": 9.0, "delta_e_p95": 12.0, "tone_free_delta_e_mean": 0.5, "tone_free_delta_e_p95": 1.5,
    "gradient_correlation": 0.99, "clipped_black_growth": 0.0, "clipped_white_growth": -0.1, "added_chroma": 0.0,
    "changed_share": 1.0,
}  # fmt: skip
REPAINTED = FAITHFUL | {"tone_free_delta_e_mean": 4.25, "gradient_correlation": 0.5}
LATER = WorkParameters(weights_hash=WEIGHTS, strength=0.5)


@pytest.fixture
def filled(catalogue: Catalogue) -> Catalogue:
    """a.jpg was restored faithfully, b.jpg was repainted."""
    with_photos(catalogue, "a.jpg", "b.jpg", url="file:///scans")
    records = [restored("a.jpg", **FAITHFUL), restored("b.jpg", **REPAINTED)]
    catalogue.record_restorations([judged(record, LIMITS) for record in records])
    return catalogue


def published(catalogue: Catalogue) -> list[str]:
    return [item.key for item in catalogue.publishable(None, after_id=0, limit=10)]


def test_every_limit_is_told_with_its_figure_and_value() -> None:
    assert LIMITS.reasons(FAITHFUL | {"mask_coverage": 0.01}) == ()
    worse = {
        "tone_free_delta_e_mean": 2.5, "tone_free_delta_e_p95": 6.5, "gradient_correlation": 0.8,
        "clipped_black_growth": 0.02, "clipped_white_growth": 0.03, "added_chroma": 0.2, "mask_coverage": 0.3,
    }  # fmt: skip
    assert LIMITS.reasons(worse) == (
        "tone-free colour difference, mean: 2.5, at most 2",
        "tone-free colour difference, 95th percentile: 6.5, at most 6",
        "growth of values clipped at black: 0.02, at most 0.01",
        "growth of values clipped at white: 0.03, at most 0.01",
        "chroma added to a neutral photo: 0.2, at most 0.1",
        "mask coverage: 0.3, at most 0.1",
        "gradient correlation: 0.8, at least 0.9",
    )
    for name, value in worse.items():
        assert len(LIMITS.reasons({name: value})) == 1, name


def test_what_was_not_measured_or_is_switched_off_asks_for_no_review() -> None:
    assert LIMITS.reasons(dict.fromkeys(REPAINTED)) == ()
    off = FidelityLimits(review_delta_e=float("inf"), review_gradient_correlation=-1)
    assert off.reasons(REPAINTED) == ()


def test_only_restored_photos_are_judged() -> None:
    assert not judged(failed("a.jpg"), LIMITS).needs_review
    assert not judged(restored("a.jpg", outcome="unchanged", mask_coverage=0.9), LIMITS).needs_review
    assert judged(restored("a.jpg", mask_coverage=0.9), LIMITS).needs_review


def test_figures_and_reasons_are_on_record_and_in_the_views(filled: Catalogue) -> None:
    figures = ", ".join(REPAINTED)
    query = f"SELECT {figures}, needs_review, review_reasons, latest_verdict FROM restoration_history"
    reasons = "tone-free colour difference, mean: 4.25, at most 2; gradient correlation: 0.5, at least 0.9"
    assert rows(filled, f"{query} WHERE source_key = 'b.jpg'") == [(*REPAINTED.values(), 1, reasons, None)]
    assert rows(filled, f"{query} WHERE source_key = 'a.jpg'") == [(*FAITHFUL.values(), 0, None, None)]
    latest = "SELECT needs_review, review_reasons, latest_verdict FROM photo_latest ORDER BY photo_id"
    assert rows(filled, latest) == [(0, None, None), (1, reasons, None)]
    outcomes = "SELECT source_key, outcome, needs_review, latest_verdict FROM object_outcome ORDER BY source_key"
    assert rows(filled, outcomes) == [("a.jpg", "restored", 0, None), ("b.jpg", "restored", 1, None)]


def test_what_needs_a_review_is_published_once_it_is_accepted(filled: Catalogue) -> None:
    assert published(filled) == ["a.jpg"]
    assert filled.left_out() == (1, 0)
    item = give_verdict(filled, "b.jpg", "accepted", by="Ada", note="like the  print")
    assert (item.source_key, item.verdict) == ("b.jpg", None)
    assert published(filled) == ["a.jpg", "b.jpg"]
    assert filled.left_out() == (0, 0)
    assert list(waiting(filled)) == []
    assert [(one.source_key, one.verdict, one.reviewer) for one in waiting(filled, reviewed=True)] == [
        ("b.jpg", "accepted", "Ada")
    ]
    events = rows(
        filled,
        "SELECT agent, agent_type, outcome, note, object_type, object_id FROM event_history WHERE type = 'review' "
        "ORDER BY object_type",
    )
    said = ("Ada", "person", "success", "restoration accepted: like the print")
    assert events == [(*said, "derivative", item.restored_key), (*said, "photo", sha("b.jpg"))]


def test_what_was_rejected_is_not_published_whatever_its_figures_say(filled: Catalogue) -> None:
    give_verdict(filled, "a.jpg", "rejected", by="Ada", note="face")
    assert published(filled) == []
    assert filled.left_out() == (1, 1)
    assert filled.left_out(12345) == (0, 0)
    give_verdict(filled, "a.jpg", "accepted", by="Eva")
    assert published(filled) == ["a.jpg"]


def test_the_latest_verdict_counts_and_the_same_one_is_written_once(filled: Catalogue) -> None:
    for verdict in ("accepted", "accepted", "rejected"):
        give_verdict(filled, "b.jpg", verdict, by="Ada")  # type: ignore[arg-type]
    assert rows(filled, "SELECT verdict FROM review ORDER BY id") == [("accepted",), ("rejected",)]
    assert filled.left_out() == (0, 1)


def test_an_earlier_restoration_that_may_be_shown_stands_until_the_new_one_is_accepted(filled: Catalogue) -> None:
    later = restored("a.jpg", LATER, finished_at="2099-01-01T00:00:00Z", **REPAINTED)
    filled.record_restorations([judged(later, LIMITS)])
    items = filled.publishable(None, after_id=0, limit=10)
    assert [(item.key, item.restored_sha256) for item in items] == [("a.jpg", restored("a.jpg").restored_sha256)]
    assert filled.left_out() == (2, 0)
    assert [item.source_key for item in waiting(filled)] == ["b.jpg", "a.jpg"]
    give_verdict(filled, "a.jpg", "accepted", by="Ada")
    assert [item.restored_sha256 for item in filled.publishable(None, after_id=0, limit=10)] == [later.restored_sha256]


def test_a_new_restoration_needs_a_verdict_of_its_own(filled: Catalogue) -> None:
    give_verdict(filled, "b.jpg", "rejected", by="Ada")
    later = restored("b.jpg", LATER, finished_at="2099-01-01T00:00:00Z", **FAITHFUL)
    filled.record_restorations([judged(later, LIMITS)])
    assert [item.restored_sha256 for item in filled.publishable(None, after_id=1, limit=10)] == [later.restored_sha256]


def test_held_photos_are_not_counted_as_left_out(filled: Catalogue) -> None:
    change_state(filled, find_meant(filled, "b.jpg"), "held", by="Ada", reason="rights")
    assert filled.left_out() == (0, 0)


def test_other_limits_judge_what_is_on_record_without_new_pixels(filled: Catalogue) -> None:
    strict, lax = FidelityLimits(review_delta_e=0.4), FidelityLimits(review_delta_e=9, review_gradient_correlation=0)
    found = judge_all(filled, strict)
    assert (found.restorations, found.need_review, found.asked, found.cleared) == (2, 2, 1, 0)
    assert published(filled) == []
    found = judge_all(filled, lax)
    assert (found.need_review, found.asked, found.cleared) == (0, 0, 2)
    assert published(filled) == ["a.jpg", "b.jpg"]
    count = "SELECT COUNT(*) FROM event WHERE type = 'review'"
    assert rows(filled, count) == [(2,)]
    found = judge_all(filled, lax)
    assert (found.restorations, found.asked, found.cleared) == (2, 0, 0)
    assert rows(filled, count) == [(2,)]


def test_a_verdict_needs_a_person_a_photo_and_a_restoration(filled: Catalogue) -> None:
    with pytest.raises(UsageError, match="--by"):
        give_verdict(filled, "b.jpg", "accepted", by=" ")
    with pytest.raises(UsageError, match="is a collection"):
        give_verdict(filled, "file:///scans", "accepted", by="Ada")
    with_photos(filled, "c.jpg", url="file:///scans")
    with pytest.raises(UsageError, match="no restoration to review"):
        give_verdict(filled, "c.jpg", "accepted", by="Ada")


def test_limits_come_from_the_environment_and_the_homes_file(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLDPHOTO_FIDELITY_REVIEW_DELTA_E_P95", "inf")
    home = tmp_path / "installation"
    home.mkdir()
    (home / "oldphoto.toml").write_text("[fidelity]\nreview_delta_e = 1.5\n")
    limits = Home(catalogue, home).settings.fidelity
    assert (limits.review_delta_e, limits.review_delta_e_p95) == (1.5, float("inf"))
    assert limits.review_mask_coverage == FidelityLimits().review_mask_coverage
