"""Our marks on real old photos: whole, and laid beside the photos that they belong to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.hand_marks import MARKS, lay_marked, marked_sha256
from oldphoto_core.training.material_folder import read_labelled


def test_the_marks_that_are_packaged_are_masks_of_photos_with_some_damage_and_much_that_is_sound() -> None:
    assert len(marked_sha256()) == 10
    for sha256 in marked_sha256():
        assert len(sha256) == 64 and int(sha256, 16)
        levels = cv2.imread(str(MARKS / f"{sha256}.mask.png"), cv2.IMREAD_GRAYSCALE)
        assert levels is not None and max(levels.shape) <= 1024
        assert set(np.unique(levels)) <= {0, 128, 255}
        assert 0.01 < (levels == 255).mean() < 0.3 and (levels == 0).mean() > 0.3


def _photo(path: Path, *, height: int = 40) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(height).integers(0, 255, (height, 60, 3), np.uint8))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _mark(marks: Path, sha256: str) -> np.ndarray:
    levels = np.zeros((40, 60), np.uint8)
    levels[10:13], levels[:, 50:] = 255, 128
    marks.mkdir(exist_ok=True)
    cv2.imwrite(str(marks / f"{sha256}.mask.png"), levels)
    return levels


def test_photos_are_known_by_their_bytes_wherever_they_lie(tmp_path: Path) -> None:
    sha256 = _photo(tmp_path / "old" / "deep" / "named as you like.png")
    _photo(tmp_path / "old" / "another.png", height=41)
    levels = _mark(tmp_path / "marks", sha256)
    assert lay_marked(tmp_path / "old", tmp_path / "material", marks=tmp_path / "marks") == 1
    [photo] = read_labelled(tmp_path / "material", "test")
    assert photo.name == sha256
    np.testing.assert_array_equal(photo.mask, levels == 255)
    np.testing.assert_array_equal(photo.ignore, levels == 128)


def test_where_no_photo_is_marked_nothing_is_written(tmp_path: Path) -> None:
    _photo(tmp_path / "old" / "a.png")
    assert lay_marked(tmp_path / "old", tmp_path / "material") == 0
    assert not (tmp_path / "material").exists()


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    _mark(tmp_path / "marks", _photo(tmp_path / "old" / "a.png", height=41))
    with pytest.raises(ConfigError, match="mark it again"):
        lay_marked(tmp_path / "old", tmp_path / "material", marks=tmp_path / "marks")
