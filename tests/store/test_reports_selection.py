"""Which photos of a run are shown with pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.reports.model import ReportPhoto
from storage.reports.selection import select_photos
from tests.store.report_makers import failed, photo

OUTCOMES = st.sampled_from(("restored", "unchanged", "failed", "already_done"))
CHANGES = st.one_of(st.none(), st.floats(0, 1), st.just(float("nan")))
RUNS = st.lists(st.tuples(OUTCOMES, CHANGES), max_size=40).map(
    lambda rows: [photo(f"{i}.jpg", outcome=outcome, mean_change=change) for i, (outcome, change) in enumerate(rows)]
)


def names(photos: list[ReportPhoto]) -> list[str]:
    return [one.source_key for one in photos]


@given(photos=RUNS, limit=st.integers(0, 50))
def test_every_photo_is_shown_exactly_once(photos: list[ReportPhoto], limit: int) -> None:
    chosen = select_photos(photos, run_id="a", limit=limit)
    assert sorted(names([one.photo for one in chosen.pictured] + list(chosen.by_line))) == sorted(names(photos))


@given(photos=RUNS, limit=st.integers(0, 50))
def test_every_place_is_used_while_there_are_photos_to_show(photos: list[ReportPhoto], limit: int) -> None:
    to_show = sum(one.outcome != "already_done" for one in photos)
    assert len(select_photos(photos, run_id="a", limit=limit).pictured) == min(limit, to_show)


@given(photos=RUNS, limit=st.integers(0, 50), seed=st.randoms(use_true_random=False))
def test_the_order_in_which_photos_come_does_not_matter(photos: list[ReportPhoto], limit: int, seed: object) -> None:
    shuffled = list(photos)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert select_photos(shuffled, run_id="a", limit=limit) == select_photos(photos, run_id="a", limit=limit)


def test_failures_come_first_then_the_largest_changes_then_a_sample() -> None:
    photos = [photo(f"{i:03}.jpg", mean_change=i / 1000) for i in range(100)] + [failed("zz.jpg"), failed("aa.jpg")]
    chosen = select_photos(photos, run_id="a", limit=12).pictured
    assert [one.why for one in chosen] == ["failed"] * 2 + ["largest change"] * 5 + ["sample"] * 5
    assert names([one.photo for one in chosen[:7]]) == [
        "aa.jpg", "zz.jpg", "099.jpg", "098.jpg", "097.jpg", "096.jpg", "095.jpg",
    ]  # fmt: skip


def test_many_failures_leave_half_of_the_places_to_the_rest() -> None:
    photos = [failed(f"f{i}.jpg") for i in range(50)] + [photo(f"r{i}.jpg") for i in range(50)]
    chosen = select_photos(photos, run_id="a", limit=20)
    assert sum(one.why == "failed" for one in chosen.pictured) == 10
    assert [one.outcome for one in chosen.by_line[:40]] == ["failed"] * 40


def test_failures_take_the_places_that_nothing_else_needs() -> None:
    photos = [failed(f"f{i}.jpg") for i in range(50)] + [photo("r.jpg")]
    assert sum(one.why == "failed" for one in select_photos(photos, run_id="a", limit=20).pictured) == 19


def test_another_run_draws_another_sample() -> None:
    photos = [photo(f"{i}.jpg", mean_change=0.1) for i in range(200)]
    samples = {
        tuple(one.photo.source_key for one in select_photos(photos, run_id=run_id, limit=20).pictured)
        for run_id in ("monday", "tuesday", "wednesday")
    }
    assert len(samples) == 3


def test_photos_an_earlier_run_had_done_are_told_by_line() -> None:
    chosen = select_photos([photo("a.jpg", outcome="already_done")], run_id="a")
    assert not chosen.pictured
    assert names(list(chosen.by_line)) == ["a.jpg"]


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 or more, found -1"):
        select_photos([], run_id="a", limit=-1)


def test_what_waits_for_a_review_comes_after_failures_and_before_large_changes() -> None:
    quiet = photo("quiet.jpg", mean_change=0.001, review_reasons="mask coverage: 0.3, at most 0.25")
    photos = [failed("broken.jpg"), photo("large.jpg", mean_change=0.9), photo("small.jpg", mean_change=0.1), quiet]
    chosen = select_photos(photos, run_id="a", limit=3)
    assert [(one.photo.source_key, one.why) for one in chosen.pictured[:2]] == [
        ("broken.jpg", "failed"), ("quiet.jpg", "needs review"),
    ]  # fmt: skip
    seen = replace(quiet, verdict="accepted")
    assert select_photos([*photos[1:3], seen], run_id="a", limit=1).pictured[0].photo.source_key == "large.jpg"
    assert names(list(select_photos(photos, run_id="a", limit=0).by_line))[:2] == ["broken.jpg", "quiet.jpg"]
