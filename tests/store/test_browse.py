"""The browse folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.browse import place_in_browse
from storage.errors import KeyRefused


def test_restorations_are_linked_under_their_sources_paths(tmp_path: Path) -> None:
    """Twice is as good as once, a newer one takes the older's place, and no parts are left."""
    first, second = tmp_path / "first.png", tmp_path / "second.tif"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    assert place_in_browse(tmp_path, "browse/1912/a.jpg.png", first)
    assert place_in_browse(tmp_path, "browse/1912/a.jpg.png", first)
    shown = tmp_path / "browse" / "1912" / "a.jpg.png"
    assert shown.samefile(first)
    assert place_in_browse(tmp_path, "browse/1912/a.jpg.tif", second)
    assert [path.name for path in shown.parent.iterdir()] == ["a.jpg.tif"]
    assert first.read_bytes() == b"1"


def test_bytes_from_a_bucket_are_copied_and_never_written_into_a_derivative(tmp_path: Path) -> None:
    """A copy in place of a link leaves the file that the link named as it was."""
    derivative = tmp_path / "d.png"
    derivative.write_bytes(b"1")
    assert place_in_browse(tmp_path, "browse/a.jpg.png", derivative)
    assert not place_in_browse(tmp_path, "browse/a.jpg.png", b"2")
    assert (tmp_path / "browse" / "a.jpg.png").read_bytes() == b"2"
    assert derivative.read_bytes() == b"1"


@pytest.mark.parametrize("path", ["browse/../x.png", "x.png", "browse//x.png", "/browse/x.png"])
def test_paths_outside_are_refused(tmp_path: Path, path: str) -> None:
    """Only what browse_path makes is taken."""
    with pytest.raises(KeyRefused):
        place_in_browse(tmp_path, path, b"1")
