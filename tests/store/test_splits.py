"""Sides of training: decided once by a photo's hash, kept for good, and near-duplicates are on one."""

from __future__ import annotations

import shutil
import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.catalog import Catalogue
from storage.catalog.split_queries import split_of_hash
from storage.errors import SnapshotError
from storage.objects import ObjectStore
from storage.snapshots import make_snapshot
from tests.store.makers import label, photo, rows, seen, sha, with_photos
from tests.store.snapshot_makers import compared, names_on, splits


def test_seventy_fifteen_fifteen() -> None:
    sides = [split_of_hash(sha(number)) for number in range(40_000)]
    shares = [sides.count(side) / len(sides) for side in ("train", "validation", "test")]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.01)
    edges = ("00000000", "b3333333", "b3333334", "d9999999", "d999999a", "ffffffff")
    assert [split_of_hash(start + "0" * 56) for start in edges] == [
        "train", "train", "validation", "validation", "test", "test",
    ]  # fmt: skip


def test_near_duplicates_are_on_one_side(catalogue: Catalogue, manifests: ObjectStore) -> None:
    trained, tested = names_on("train"), names_on("test")
    a, b, c, d = next(trained), next(tested), next(trained), next(tested)
    with_photos(catalogue, a, b, c, d)
    compared(catalogue, (a, b), (b, c))
    made = splits(make_snapshot(catalogue, manifests))
    first = min((a, b, c), key=sha)
    assert {made[sha(name)] for name in (a, b, c)} == {split_of_hash(sha(first))}
    assert made[sha(d)] == "test"


def test_a_photo_that_comes_takes_the_side_of_what_it_looks_like(catalogue: Catalogue, manifests: ObjectStore) -> None:
    trained, tested = names_on("train"), names_on("test")
    a, b = next(trained), next(tested)
    collection_id = with_photos(catalogue, a, b)
    compared(catalogue)
    make_snapshot(catalogue, manifests)
    like_a, like_b, like_both, like_that = next(tested), next(trained), next(trained), next(trained)
    new = [like_a, like_b, like_both]
    catalogue.record_objects(collection_id, [seen(key) for key in new], [photo(key) for key in new])
    compared(catalogue, (like_a, a), (like_b, b), (like_both, a), (like_both, b))
    made = splits(make_snapshot(catalogue, manifests))
    assert (made[sha(like_a)], made[sha(like_b)]) == ("train", "test")
    assert sha(like_both) not in made
    assert rows(catalogue, "SELECT COUNT(*) FROM photo_split WHERE split = 'excluded'") == [(1,)]
    catalogue.record_objects(collection_id, [seen(like_that)], [photo(like_that)])
    compared(catalogue, (like_that, like_both))
    assert splits(make_snapshot(catalogue, manifests))[sha(like_that)] == "train"


def test_a_link_found_too_late_takes_the_trained_photo_out(catalogue: Catalogue, manifests: ObjectStore) -> None:
    """The test split stays what it was."""
    a, b = next(names_on("train")), next(names_on("test"))
    with_photos(catalogue, a, b)
    compared(catalogue)
    assert splits(make_snapshot(catalogue, manifests)) == {sha(a): "train", sha(b): "test"}
    compared(catalogue, (a, b))
    assert splits(make_snapshot(catalogue, manifests)) == {sha(b): "test"}


NAMES = [name for split in ("train", "validation", "test") for name in islice(names_on(split), 3)]
"""Of photos: three that their hash puts on each side."""

Event = tuple[str, tuple[int, ...]]
photos = st.integers(0, len(NAMES) - 1)
events = st.lists(
    st.one_of(
        st.tuples(st.just("photos"), st.lists(photos, min_size=1, max_size=3).map(tuple)),
        st.tuples(st.just("like"), st.tuples(photos, photos, photos)),
        st.tuples(st.just("like"), st.tuples(photos, photos, photos)),
        st.tuples(st.sampled_from(("withdraw", "label")), st.tuples(photos)),
        st.tuples(st.just("snapshot"), st.just(())),
    ),
    min_size=6,
    max_size=30,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happening=events)
def test_whatever_comes_in_whatever_order_sides_never_mix(empty_catalogue_path: Path, happening: list[Event]) -> None:
    """A photo once tested never trains, none changes its side, and no two that look alike are on different ones."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(empty_catalogue_path, Path(folder) / "catalogue.db")
        with Catalogue.open(Path(folder) / "catalogue.db") as catalogue:
            happens(catalogue, ObjectStore(Path(folder) / "manifests"), happening)


def happens(catalogue: Catalogue, manifests: ObjectStore, happening: list[Event]) -> None:
    collection_id = with_photos(catalogue)
    there: set[int] = set()
    alike: set[frozenset[int]] = set()
    side_of: dict[str, str] = {}
    for what, numbers in [*happening, ("snapshot", ())]:
        if what in ("photos", "like"):  # new ones or known, and the first is like the others
            new = [NAMES[number] for number in numbers if number not in there]
            there |= set(numbers)
            catalogue.record_objects(collection_id, [seen(key) for key in new], [photo(key) for key in new])
            pairs = {frozenset((numbers[0], number)) for number in numbers[1:]} if what == "like" else set()
            alike |= {pair for pair in pairs if len(pair) == 2}
            compared(catalogue, *((NAMES[min(pair)], NAMES[max(pair)]) for pair in pairs if len(pair) == 2))
        elif what == "withdraw":
            catalogue.set_photo_state(sha(NAMES[numbers[0]]), "withdrawn", by="Ada", reason="asked for")
        elif what == "label" and numbers[0] in there:
            catalogue.record_labels([label(NAMES[numbers[0]])])
        elif what == "snapshot":
            try:
                made = splits(make_snapshot(catalogue, manifests, most_unlabelled=7))
            except SnapshotError:
                continue
            for sha256, side in made.items():
                assert side_of.setdefault(sha256, side) == side
            for one, other in map(tuple, alike):
                known = {side_of.get(sha(NAMES[one])), side_of.get(sha(NAMES[other]))}
                now = {made.get(sha(NAMES[one])), made.get(sha(NAMES[other]))} - {None}
                assert len(now) < 2
                assert not ("train" in now and "test" in known)
