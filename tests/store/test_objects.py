"""Object stores on real folders: names, links, loops, and writes that are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import (
    KeyRefused,
    ListingIncomplete,
    ObjectExists,
    ObjectNotFound,
    ObjectStoreError,
    SourceUnreadable,
)
from storage.folder_access import FolderReader, FolderWriter
from storage.keys import sha256_hex
from storage.local_files import key_to_name, name_to_key
from storage.objects import ObjectStore, SourceStore
from storage.records import ListingProblem
from storage.s3_access import S3Reader
from storage.s3_writing import S3Writer
from storage.urls import canonical_url, local_folder

ODD_NAMES = [
    "a b.jpg", "Ra\u0308der NFD.jpg", "R\u00e4der NFC.jpg", "line\nbreak.jpg", "#1?.jpg", "100%.jpg", "%20.jpg",
    ".hidden.jpg", "a::b.jpg", "back\\slash.jpg", "star*[1].jpg", " lead", "trail ", "x" * 255, "\U0001f4f7.jpg",
    "~tilde", "private \uef80.jpg", "-rf", "file:x", "s3:", "'\"$(x)`.jpg",
]  # fmt: skip


def keys(store: SourceStore, **how: bool) -> list[str]:
    return [entry.key for entry in store.list(**how)]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_listed_read_and_written(tmp_path: Path, name: str) -> None:
    """Each under the name that it has, never normalised, globbed or unquoted."""
    (tmp_path / name).write_bytes(b"photo")
    source = SourceStore(tmp_path)
    (entry,) = source.list()
    assert key_to_name(entry.key) == name
    assert source.read_bytes(entry.key) == b"photo"
    assert source.read_head(entry.key, 2) == b"ph"
    assert source.exists(entry.key)
    assert source.entry(entry.key) == entry
    copy = ObjectStore(tmp_path / "copy")
    copy.write_bytes_atomic(f"sub/{entry.key}", b"photo")
    assert (tmp_path / "copy" / "sub" / name).read_bytes() == b"photo"


def test_undecodable_names_do_not_crash_and_are_read(tmp_path: Path) -> None:
    """A Latin-1 name from an old disk becomes a key that every database takes, and leads back to its file."""
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(raw)).write_bytes(b"photo")
    source = SourceStore(tmp_path)
    (entry,) = source.list()
    entry.key.encode("utf-8")
    assert source.read_bytes(entry.key) == b"photo"


@given(st.binary(min_size=1, max_size=40))
def test_names_and_keys_map_one_to_one(raw: bytes) -> None:
    """Any bytes, valid or not, private characters among them."""
    name = os.fsdecode(raw)
    key = name_to_key(name)
    key.encode("utf-8")
    assert os.fsencode(key_to_name(key)) == raw


@given(st.text(st.sampled_from(["a", "\uef80", "\uefff", "\uee80", "é"]), max_size=6))
def test_keys_that_come_from_names_are_stable(name: str) -> None:
    """Private characters in a real name are carried as bytes, so they cannot be mistaken for undecodable ones."""
    assert key_to_name(name_to_key(name)) == name


@pytest.mark.parametrize("folder", ["plain", "with space", "#?%41", "ünï", "a::b", "s3: x"])
def test_sources_with_odd_names_are_opened(tmp_path: Path, folder: str) -> None:
    """As a path and as the canonical URL that the catalogue keeps."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.jpg").write_bytes(b"1")
    url = canonical_url(tmp_path / folder)
    assert canonical_url(url) == url
    assert local_folder(url) == tmp_path / folder
    assert keys(SourceStore(url)) == ["a.jpg"]


def test_a_file_url_with_percent_codes_is_understood(tmp_path: Path) -> None:
    """As other programs write them."""
    (tmp_path / "my scans").mkdir()
    assert local_folder((tmp_path / "my scans").as_uri()) == tmp_path / "my scans"


def test_listing_is_in_order_and_tells_size_and_time(tmp_path: Path) -> None:
    """And its ETag changes when a file does, even within a second."""
    for name in ("b/2.jpg", "b/1.jpg", "a.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    source = SourceStore(tmp_path)
    entries = {entry.key: entry for entry in source.list()}
    assert list(entries) == ["a.jpg", "c.jpg", "b/1.jpg", "b/2.jpg"]
    assert keys(source, recursive=False) == ["a.jpg", "c.jpg"]
    assert entries["a.jpg"].size_bytes == 10
    assert entries["a.jpg"].modified_at is not None
    assert entries["a.jpg"].modified_at.endswith("Z")
    os.utime(tmp_path / "a.jpg", ns=(0, (tmp_path / "a.jpg").stat().st_mtime_ns + 1))
    assert source.entry("a.jpg").etag != entries["a.jpg"].etag


def test_a_source_that_holds_the_home_never_lists_it(tmp_path: Path) -> None:
    """Not even through a link; a home that is not there yet is no trouble."""
    (tmp_path / "a.jpg").write_bytes(b"1")
    home = tmp_path / "restored"
    source = SourceStore(tmp_path, exclude=[home])
    assert keys(source) == ["a.jpg"]
    (home / "derivatives").mkdir(parents=True)
    (home / "derivatives" / "x.png").write_bytes(b"1")
    (tmp_path / "link").symlink_to(home)
    assert keys(source) == ["a.jpg"]
    with pytest.raises(SourceUnreadable, match="lies in the home"):
        keys(SourceStore(home / "derivatives", exclude=[home]))


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    """A folder keeps its own path whichever link comes first; what lies outside is listed under the link."""
    source = tmp_path / "source"
    outside = tmp_path / "outside"
    (source / "b").mkdir(parents=True)
    outside.mkdir()
    (source / "b" / "1.jpg").write_bytes(b"1")
    (outside / "2.jpg").write_bytes(b"2")
    (source / "a").symlink_to("b")
    (source / "b" / "loop").symlink_to("..")
    (source / "c").symlink_to(outside)
    (source / "d").symlink_to(outside)
    (outside / "back").symlink_to(source)
    (source / "e.jpg").symlink_to(outside / "2.jpg")
    assert keys(SourceStore(source)) == ["e.jpg", "b/1.jpg", "c/2.jpg"]


def test_what_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken links, pipes, links above the source, folders that vanish: each by name, and the rest is listed."""
    source = tmp_path / "source"
    (source / "gone").mkdir(parents=True)
    (source / "a.jpg").write_bytes(b"1")
    (source / "broken.jpg").symlink_to("nowhere")
    (source / "self").symlink_to("self")
    (source / "up").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")
    (source / "later").mkdir()
    (source / "b").mkdir()
    (source / "b" / "b.jpg").write_bytes(b"1")
    monkeypatch.setattr("storage.folder_access.PAGE_KEYS", 1)
    problems: list[ListingProblem] = []
    found = []
    for entry in SourceStore(source).list(on_problem=problems.append):
        found.append(entry.key)
        if entry.key == "a.jpg":
            (source / "gone").rmdir()
        if entry.key == "b/b.jpg":
            (source / "later").rmdir()
    assert found == ["a.jpg", "b/b.jpg"]
    assert {problem.prefix for problem in problems} == {"broken.jpg", "self", "up/", "pipe", "gone", "later/"}
    with pytest.raises(ListingIncomplete, match="4 parts could not be listed"):
        keys(SourceStore(source))


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_source_that_is_no_folder_is_refused(tmp_path: Path, what: str) -> None:
    """In one line that names it."""
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(SourceUnreadable, match=what):
        keys(SourceStore(tmp_path / what))


def test_sources_cannot_be_written() -> None:
    """The first promise, by construction: there is no method to do it with, nor in what it reads by."""
    public = {name for name in dir(SourceStore) if not name.startswith("_")}
    assert public == {
        "entry", "exists", "list", "local_path", "object_url", "open_read", "open_whole", "pages", "read_bytes",
        "read_entry", "read_head", "resumable",
    }  # fmt: skip
    writers = {name for name in dir(ObjectStore) if not name.startswith("_")} - public
    assert writers == {
        "write_bytes_atomic", "write_file_once", "write_once", "write_stream", "stored", "delete", "delete_prefix",
    }  # fmt: skip
    for reader, writer in ((FolderReader, FolderWriter), (S3Reader, S3Writer)):
        assert issubclass(writer, reader)
        assert {"put", "put_file", "put_stream", "delete", "delete_prefix"} <= set(dir(writer)) - set(dir(reader))
    assert S3Reader.requests == {"list_objects_v2", "head_object", "get_object"}
    assert SourceStore._in_folder is FolderReader
    assert SourceStore._in_bucket is S3Reader


@pytest.mark.parametrize("key", ["", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "a\0b"])
def test_keys_that_would_leave_the_folder_are_refused(tmp_path: Path, key: str) -> None:
    """For reading as for writing."""
    store = ObjectStore(tmp_path / "store")
    with pytest.raises(KeyRefused):
        store.write_bytes_atomic(key, b"1")
    with pytest.raises(KeyRefused):
        store.read_bytes(key)


def test_writes_are_whole_and_leave_no_parts(tmp_path: Path) -> None:
    """Overwritten or not; the same bytes again are success, others are refused."""
    store = ObjectStore(tmp_path / "new" / "store")
    assert store.write_bytes_atomic("a/b.png", b"one", overwrite=False) == sha256_hex(b"one")
    store.write_bytes_atomic("a/b.png", b"one", overwrite=False)
    with pytest.raises(ObjectExists):
        store.write_bytes_atomic("a/b.png", b"two", overwrite=False)
    assert store.read_bytes("a/b.png") == b"one"
    store.write_bytes_atomic("a/b.png", b"two")
    assert store.read_bytes("a/b.png") == b"two"
    assert keys(store) == ["a/b.png"]
    with store.open_read("a/b.png") as file:
        assert file.read(1) == b"t"
    assert store.local_path("a/b.png") == tmp_path / "new" / "store" / "a" / "b.png"
    store.delete("a/b.png")
    store.delete("a/b.png")
    assert not store.exists("a/b.png")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A file stands where a folder is needed."""
    store = ObjectStore(tmp_path)
    store.write_bytes_atomic("a", b"1")
    with pytest.raises(ObjectStoreError, match="cannot be written"):
        store.write_bytes_atomic("a/b", b"1")
    assert keys(store) == ["a"]


def test_missing_objects_are_named(tmp_path: Path) -> None:
    """With store and key, and as the FileNotFoundError that callers may know."""
    with pytest.raises(ObjectNotFound, match=r"no object 'a\.jpg'") as caught:
        SourceStore(tmp_path).read_bytes("a.jpg")
    assert caught.value.key == "a.jpg"
    assert isinstance(caught.value, FileNotFoundError)


def test_unknown_protocols_are_refused() -> None:
    """In one line that says what is expected."""
    with pytest.raises(SourceUnreadable, match="expected a folder or s3://"):
        keys(SourceStore("gopher9://x/y"))
