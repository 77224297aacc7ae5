"""Ignore patterns."""

from __future__ import annotations

import pytest

from storage.ignore import IgnoreRules


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
