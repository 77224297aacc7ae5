"""Copies at a destination: how they are called, whose they are, what is never written over, and the manifest."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.publications import (
    MANIFEST,
    Copy,
    copies_of,
    destination_store,
    keys_of,
    make_copy,
    published_pages,
    refuse_destination,
    remove_copy,
    write_manifest,
)
from storage.catalog import Catalogue
from storage.catalog.publication_queries import Published
from storage.keys import publication_key, publication_names, sha256_hex
from storage.objects import ObjectStore
from tests.store.derivatives import Home
from tests.store.makers import rows, sha


@pytest.fixture
def home(catalogue: Catalogue, tmp_path: Path) -> Home:
    return Home(catalogue, tmp_path / "home")


@pytest.fixture
def shown(home: Home, tmp_path: Path) -> ObjectStore:
    return destination_store(home.settings, str(tmp_path / "shown"))


def publish(home: Home, shown: ObjectStore) -> dict[str, str]:
    """What one look does, without Prefect: the action for each key."""
    items = home.catalogue.publishable(None, after_id=0, limit=100)
    outcomes = [make_copy(home.derivatives, shown, copy) for copy in copies_of(home.catalogue, shown.url, items)]
    made = [
        Published(destination=shown.url, key=one.copy.key, source_object_id=one.copy.item.source_object_id,
                  restoration_id=one.copy.item.restoration_id, sha256=one.copy.item.restored_sha256,
                  size_bytes=one.size_bytes)
        for one in outcomes if one.action in ("write", "replace", "adopt")
    ]  # fmt: skip
    home.catalogue.record_publications(made)
    return {one.copy.key: one.action for one in outcomes}


@pytest.mark.parametrize(
    ("key", "extension", "name"),
    [
        ("box/a.tif", "tif", "box/a.tif"),
        ("box/a.TIFF", "tif", "box/a.TIFF"),
        ("a.JPEG", "jpg", "a.JPEG"),
        ("a.jpg", "png", "a.jpg.png"),
        ("a", "png", "a.png"),
        ("photo.2.png", "png", "photo.2.png"),
    ],
)
def test_a_name_is_kept_where_the_extension_fits(key: str, extension: str, name: str) -> None:
    assert publication_names(key, extension)[0] == name
    assert publication_key(name) == name


@given(st.text(min_size=1, max_size=40), st.sampled_from(["tif", "png", "jpg"]))
def test_no_key_leaves_the_destination(key: str, extension: str) -> None:
    for name in publication_names(key, extension):
        parts = publication_key(name).split("/")
        assert all(part not in ("", ".", "..") and "\0" not in part for part in parts)
        assert all(len(part.encode("utf-8", "surrogateescape")) <= 255 for part in parts)


def test_long_names_keep_their_extension() -> None:
    key = publication_key(publication_names("x" * 900 + ".tif", "tif")[0])
    assert (len(key), key.endswith(".tif"), "~" in key) == (255, True, True)


def test_a_name_that_another_source_has_is_left_to_it(home: Home) -> None:
    home.collect("/scans", {"a.jpg": "a", "a.jpg.png": "b", "c.jpg": "c"})
    for name in "abc":
        home.restore(name)
    items = home.catalogue.publishable(None, after_id=0, limit=10)
    assert list(keys_of(home.catalogue, items).values()) == ["a.jpg.restored.png", "a.jpg.png", "c.jpg.png"]


def test_collections_lie_apart_and_only_what_is_open_and_restored_is_shown(home: Home) -> None:
    home.collect("/scans", {"a.png": "a", "b.png": "b", "c.png": "c", "d.png": "d"})
    home.collect("/other", {"a.png": "e"})
    home.collect("/held", {"f.png": "f"})
    for name in "abcef":
        home.restore(name)
    home.catalogue.set_photo_state(sha("b"), "held", by="Ada", reason="x")
    home.catalogue.set_photo_state(sha("c"), "withdrawn", by="Ada", reason="x")
    home.catalogue.set_collection_state("file:///held", "held", by="Ada", reason="x")
    items = home.catalogue.publishable(None, after_id=0, limit=10)
    other = home.catalogue.collections()[1].browse_folder
    assert list(keys_of(home.catalogue, items).values()) == ["a.png", f"{other}/a.png"]
    assert len(home.catalogue.publishable(home.catalogue.collections()[1].id, after_id=0, limit=10)) == 1


def test_copies_are_made_once_and_again_where_they_are_gone(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"box/a.png": "a", "b.jpg": "b"})
    first = {"box/a.png": home.restore("a"), "b.jpg.png": home.restore("b")}
    assert publish(home, shown) == dict.fromkeys(first, "write")
    assert {key: shown.read_bytes(key) for key in first} == first
    assert publish(home, shown) == dict.fromkeys(first, "unchanged")
    shown.delete("b.jpg.png")
    assert publish(home, shown) == {"box/a.png": "unchanged", "b.jpg.png": "write"}
    again = home.restore("a", take=2)
    assert publish(home, shown)["box/a.png"] == "replace"
    assert shown.read_bytes("box/a.png") == again
    derivative = next(path for path in home.settings.layout.derivatives.rglob("restored.png"))
    assert derivative.stat().st_nlink <= 2  # itself and browse/: a copy may be edited, a link may not


def test_a_restoration_that_was_made_again_takes_its_copys_place(home: Home, shown: ObjectStore) -> None:
    """Its files were deleted, so its row is the same, while another machine's bytes may differ, in size or not."""
    home.collect("/scans", {"a.png": "a"})
    home.restore("a")
    assert publish(home, shown) == {"a.png": "write"}
    (item,) = home.catalogue.publishable(None, after_id=0, limit=10)
    for data in (b"restored a 1 PNG", b"restored a, on another machine"):
        home.derivatives.write_bytes_atomic(item.restored_key, data, overwrite=True)
        (copy,) = copies_of(home.catalogue, shown.url, [replace(item, restored_sha256=sha256_hex(data))])
        assert make_copy(home.derivatives, shown, copy).action == "replace"
        shown.write_bytes_atomic("a.png", b"restored a 1 png", overwrite=True)


def test_a_copy_that_was_not_recorded_before_a_crash_is_ours(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"a.png": "a"})
    shown.write_bytes_atomic("a.png", home.restore("a"))
    assert publish(home, shown) == {"a.png": "adopt"}
    assert publish(home, shown) == {"a.png": "unchanged"}


def test_nothing_that_is_not_ours_is_written_over_or_removed(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"a.png": "a", "b.png": "b"})
    home.restore("a")
    home.restore("b")
    shown.write_bytes_atomic("a.png", b"somebody's")
    assert publish(home, shown) == {"a.png": "foreign", "b.png": "write"}
    edited = b"edited restored b 1 png"
    shown.write_bytes_atomic("b.png", edited)
    assert publish(home, shown)["b.png"] == "foreign"
    home.restore("b", take=2)
    assert publish(home, shown)["b.png"] == "foreign"
    [page] = published_pages(home.catalogue, shown.url)
    assert "was changed" in str(remove_copy(shown, page[0]))
    assert (shown.read_bytes("a.png"), shown.read_bytes("b.png")) == (b"somebody's", edited)


def test_a_derivative_that_is_not_what_was_recorded_is_not_published(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"a.png": "a"})
    home.restore("a")
    next(home.settings.layout.derivatives.rglob("restored.png")).write_bytes(b"rotten")
    assert publish(home, shown) == {"a.png": "altered"}
    assert not shown.exists("a.png")


def test_two_sources_that_want_one_name_are_told(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"a.png": "a", "b.png": "b"})
    home.restore("a")
    home.restore("b")
    publish(home, shown)
    [first, second] = copies_of(home.catalogue, shown.url, home.catalogue.publishable(None, after_id=0, limit=10))
    outcome = make_copy(home.derivatives, shown, Copy(item=first.item, key=second.key, before=second.before))
    assert (outcome.action, "is meant for b.png too" in outcome.problem) == ("failed", True)


def test_the_manifest_is_what_sha256sum_checks(home: Home, shown: ObjectStore, tmp_path: Path) -> None:
    home.collect("/scans", {"box 1/ö.png": "a", "b.png": "b"})
    home.restore("a")
    home.restore("b")
    publish(home, shown)
    write_manifest(home.catalogue, shown)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=tmp_path / "shown", capture_output=True, text=True
    )
    assert (checked.returncode, len(checked.stdout.splitlines())) == (0, 2)
    [page] = published_pages(home.catalogue, shown.url)
    home.catalogue.record_removals([one.id for one in page])
    write_manifest(home.catalogue, shown)
    assert shown.read_bytes(MANIFEST) == b""
    assert rows(home.catalogue, "SELECT COUNT(*) FROM publication WHERE removed_at IS NULL") == [(0,)]


def test_line_breaks_in_names_are_percent_encoded_in_the_manifest(home: Home, shown: ObjectStore) -> None:
    home.collect("/scans", {"a\n%.png": "a"})
    data = home.restore("a")
    publish(home, shown)
    write_manifest(home.catalogue, shown)
    assert shown.read_bytes(MANIFEST).decode() == f"{sha256_hex(data)}  a%0A%25.png\n"


def test_a_destination_that_meets_a_source_or_the_home_is_refused(home: Home, tmp_path: Path) -> None:
    scans = tmp_path / "masters" / "scans"
    scans.mkdir(parents=True)
    (tmp_path / "link").symlink_to(scans)
    home.collect(scans, {})
    home.collect("s3://masters/scans", {})
    for place in (scans, scans / "sub", scans.parent, tmp_path / "link" / "sub", "s3://masters", "s3://masters/scans/x"):
        with pytest.raises(UsageError, match="meets the source"):
            refuse_destination(home.catalogue, home.settings, str(place))
    for place in (home.settings.home / "shown", home.settings.layout.derivatives):
        with pytest.raises(UsageError, match=r"oldphoto's own"):
            refuse_destination(home.catalogue, home.settings, str(place))
    for place in (tmp_path / "masters" / "scans2", "s3://masters/scans2", "s3://shown"):
        refuse_destination(home.catalogue, home.settings, str(place))
