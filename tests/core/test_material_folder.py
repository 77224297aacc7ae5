"""What a material folder keeps of a photo and its label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.material import Material
from oldphoto_core.training.material_folder import LONG_SIDE_PX, old_photos, read_labelled, write_labelled, write_old

SHA = "0f" * 32


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_small_photo_and_its_label_come_back_as_they_were(tmp_path: Path):
    image, mask, unsure = photo(40, 60), np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    mask[10:20, 5], unsure[10:30, 5:8] = True, True
    write_labelled(tmp_path, "train", SHA, image, mask, unsure)
    [found] = read_labelled(tmp_path, "train")
    assert found.name == SHA
    assert np.array_equal(found.image, image)
    assert np.array_equal(found.mask, mask)
    assert np.array_equal(found.ignore, unsure & ~mask), "what all agree on is damage"
    assert list(read_labelled(tmp_path, "validation")) == []


@pytest.mark.parametrize("offset", range(5))
@pytest.mark.parametrize("across", [True, False])
def test_a_scratch_of_one_pixel_stays_an_unbroken_line(tmp_path: Path, offset: int, across: bool):
    size = (2500, 4100)
    mask = np.zeros(size, np.uint8)
    if across:
        mask[1200 + offset, :] = 255
    else:
        mask[:, 2000 + offset] = 255
    write_labelled(tmp_path, "test", SHA, np.zeros((*size, 3), np.uint8), mask)
    [found] = read_labelled(tmp_path, "test")
    assert max(found.image.shape) == LONG_SIDE_PX
    assert found.mask.any(axis=0 if across else 1).all()
    assert found.mask.sum(axis=0 if across else 1).max() <= 2
    assert not (found.ignore & found.mask).any()


def test_grey_photos_become_three_equal_channels_and_large_ones_are_averaged(tmp_path: Path):
    grey = np.full((3000, 1000), 100, np.uint8)
    grey[::2] = 200
    write_old(tmp_path, "train", SHA, grey)
    [path] = old_photos(tmp_path, "train")
    bank = PhotoBank.from_files([path])
    assert bank is not None
    [kept] = bank.photos
    assert kept.shape == (3, 961, 320)
    assert abs(int(kept[:, 400, 100].float().mean()) - 150) <= 12


def test_a_label_of_another_size_is_refused_by_name(tmp_path: Path):
    with pytest.raises(TrainingError, match=rf"{SHA}: the mask is \(60, 40\), the photo 40 x 60"):
        write_labelled(tmp_path, "train", SHA, photo(40, 60), np.zeros((60, 40), bool))
    with pytest.raises(TrainingError, match="no split 'holdout'; expected one of train, validation, test"):
        write_old(tmp_path, "holdout", SHA, photo(40, 60))


def test_a_photo_without_its_mask_is_refused_by_name(tmp_path: Path):
    write_labelled(tmp_path, "train", SHA, photo(40, 60), np.zeros((40, 60), bool))
    (tmp_path / "labelled/train" / f"{SHA}.mask.png").unlink()
    with pytest.raises(TrainingError, match="has no .*mask.png beside it"):
        list(read_labelled(tmp_path, "train"))


def test_written_again_it_is_the_same_bytes(tmp_path: Path):
    for place in ("one", "two"):
        write_labelled(tmp_path / place, "train", SHA, photo(2000, 3000), np.eye(2000, 3000, dtype=bool))
    for file in (tmp_path / "one").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_material_takes_up_the_folder_by_its_splits(tmp_path: Path):
    for number in range(3):
        write_old(tmp_path / "material", "train", f"{number:064x}", photo(80, 100, number))
        write_labelled(
            tmp_path / "material", "train", f"{number:064x}", photo(80, 100, number), np.zeros((80, 100), bool)
        )
    write_old(tmp_path / "material", "validation", "ff" * 32, photo(80, 100, 9))
    (tmp_path / "clean").mkdir()
    for number in range(3):
        write_old(tmp_path / "clean", "train", f"{number:064x}", photo(80, 100, 20 + number))
    material = Material.load(tmp_path / "clean", labelled=tmp_path / "material", judged_photos=2, judged_px=64)
    assert material.labelled is not None
    assert len(material.labelled) == 3
    assert material.labelled_validation is None
    assert material.old is not None
    assert material.old_held_out is not None
    assert (len(material.old), len(material.old_held_out)) == (3, 1)
    assert (material.judged_photos, material.judged_px) == (2, 64)
    with pytest.raises(TrainingError, match="does not exist; expected labelled/ and old/"):
        Material.load(tmp_path / "clean", labelled=tmp_path / "nowhere")
