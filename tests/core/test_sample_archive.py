"""The sample archive: made from what is installed, the same every time, honest about its damage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from oldphoto_core.images import DecodedImage, decode_image
from oldphoto_core.sample_archive import README_NAME, SAMPLES, _damage, _encode, make_sample_archive

TRUTHS = (".clean.png", ".mask.png")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Path]]:
    folder, truth = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("truth")
    return folder, truth, make_sample_archive(folder, truth_folder=truth)


def decode(path: Path) -> DecodedImage:
    return decode_image(path.read_bytes(), path.name)


def test_every_file_is_listed_and_nothing_else_is_there(archive: tuple[Path, Path, list[Path]]) -> None:
    folder, _, paths = archive
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert paths[-1].name == README_NAME  # written last: it says that the archive is whole


def test_every_photo_is_carried_and_says_that_its_damage_is_synthetic(archive: tuple[Path, Path, list[Path]]) -> None:
    folder, _, paths = archive
    photos = [path for path in paths if path.suffix in (".jpg", ".png", ".tif")]
    assert len(photos) == len(SAMPLES) + 1
    assert all("synthetic" in path.name for path in photos)
    depths = set()
    for sample in SAMPLES:
        image = decode(folder / sample.key)
        assert max(image.pixels.shape) <= 640
        assert image.dpi == (300, 300)
        assert "synthetic damage" in image.facts.capture["description"]
        depths.add((image.facts.format, image.facts.channels, image.facts.bit_depth))
    assert {("jpeg", 3, 8), ("png", 1, 8), ("png", 3, 8), ("tiff", 1, 16), ("tiff", 3, 8)} <= depths


def test_names_are_as_untidy_as_an_archive(archive: tuple[Path, Path, list[Path]]) -> None:
    folder, _, paths = archive
    folders = {path.parent.relative_to(folder).as_posix() for path in paths}
    assert any(" " in name for name in folders)
    assert any(not name.isascii() for name in folders)
    assert any(path.suffix == ".xmp" for path in paths)
    hashes = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    assert len(hashes) - len(set(hashes)) == 1  # one duplicate


def test_the_readme_names_source_and_licence_of_each(archive: tuple[Path, Path, list[Path]]) -> None:
    readme = (archive[0] / README_NAME).read_text(encoding="utf-8")
    assert "damaged on purpose" in readme
    for sample in SAMPLES:
        assert sample.key in readme
        assert sample.source in readme
        assert any(licence in sample.source for licence in ("CC0", "CC BY 2.0", "public domain"))


def test_each_photo_is_damaged_but_still_the_same_photo(archive: tuple[Path, Path, list[Path]]) -> None:
    folder, truth, _ = archive
    for sample in SAMPLES:
        image, clean, mask = (
            decode(path) for path in (folder / sample.key, *(truth / (sample.key + end) for end in TRUTHS))
        )
        assert clean.pixels.shape[:2] == mask.pixels.shape == image.pixels.shape[:2]
        assert 0.001 < (mask.pixels > 127).mean() < 0.3, sample.key
        distance = (int(image.facts.perceptual_hash, 16) ^ int(clean.facts.perceptual_hash, 16)).bit_count()
        assert distance <= 20, sample.key


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_damage(
    archive: tuple[Path, Path, list[Path]],
) -> None:
    sample, damaged, *_ = next(_damage(0))
    assert _encode(damaged, sample) == (archive[0] / sample.key).read_bytes()
    _, otherwise, *_ = next(_damage(1))
    assert not np.array_equal(otherwise, damaged)
