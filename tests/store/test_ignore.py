"""Ignore patterns."""

from __future__ import annotations

import pytest

from storage.ignore import NOT_INCLUDED, IgnoreRules


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        ("Thumbs.db", "Thumbs.db"),
        ("a/THUMBS.DB", "Thumbs.db"),
        ("a/.DS_Store", ".DS_Store"),
        ("._scan.jpg", "._*"),
        (".hidden.jpg", ".*"),
        (".thumbnails/a.jpg", ".*/"),
        ("1912/@eaDir/a.jpg", "@eaDir/"),
        ("scan 1.XMP", "*.xmp"),
        ("finding aid.pdf", "*.pdf"),
        ("with\nnewline.txt", "*.txt"),
        ("letter.docx", "*.docx"),
    ],
)
def test_sidecars_and_documents_are_ignored_by_a_pattern_that_is_named(key: str, pattern: str) -> None:
    """So that the run's table can say which."""
    assert IgnoreRules().match(key) == pattern


@pytest.mark.parametrize(
    "key",
    ["a.jpg", "a.tif", "letter.doc.jpg", "photos.zip", "a.pdf.png", "unnamed", "x.db", "Thumbs.db.jpg", "a.psd"],
)
def test_photos_and_the_unknown_are_not_ignored(key: str) -> None:
    """What is no photo among them is quarantined, never passed over."""
    assert IgnoreRules().match(key) is None


def test_patterns_of_the_settings_come_first_and_may_name_folders() -> None:
    """A collection's own patterns, on names, folders and whole keys."""
    rules = IgnoreRules(["*_proof.*", "rejects/", "1912/private/*"])
    assert rules.match("a/b_proof.tif") == "*_proof.*"
    assert rules.match("x/Rejects/a.tif") == "rejects/"
    assert rules.match("1912/private/a.tif") == "1912/private/*"
    assert rules.match("1913/private/a.tif") is None
    assert IgnoreRules(["*.raw"], defaults=False).match("Thumbs.db") is None


def test_only_what_is_included_is_taken() -> None:
    """By any of the patterns; what is ignored stays so, under its own pattern."""
    rules = IgnoreRules(["proof*"], include=["*.tif", "album/"])
    assert rules.match("box/a.TIF") is None
    assert rules.match("album/b.jpg") is None
    assert rules.match("box/b.jpg") == NOT_INCLUDED
    assert rules.match("proof.tif") == "proof*"
    assert rules.match("album/Thumbs.db") == "Thumbs.db"
    assert IgnoreRules().match("box/b.jpg") is None


def test_dots_in_a_buckets_key_hide_nothing() -> None:
    """Folders that begin with a dot are hidden; the two that are called after it alone are plain text in a key."""
    rules = IgnoreRules()
    assert rules.match("box/../a.png") is None
    assert rules.match("./a.png") is None
    assert rules.match(".cache/a.png") == ".*/"
    assert rules.match("box/...more/a.png") == ".*/"
