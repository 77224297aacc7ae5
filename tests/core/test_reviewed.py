"""Reviewed photos and film frames become material: what is damaged, sound, taken for damage, or neither."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from oldphoto_core.errors import TrainingError
from oldphoto_core.evaluation.hand_marks import marked_sha256
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.marks import marked_for_training, marked_levels
from oldphoto_core.training.material import Material
from oldphoto_core.training.material_folder import DAMAGED, MISTAKEN, NEITHER, SOUND, read_labelled, sound_photos
from oldphoto_core.training.reviewed import Review, lay_material, picture_groups, read_reviews, review_levels
from tests.core.reviewed_archive import archive, judged


def review(verdict: str, **boxes: tuple[tuple[float, float, float, float], ...]) -> Review:
    given = {"false": (), "ignored": (), "missed": (), "right": ()} | boxes
    return Review(Path("a.jpg"), Path("a.png"), verdict, **given)


def test_every_finding_in_a_clean_photo_was_a_mistake() -> None:
    levels = review_levels(review("clean"), judged())
    assert (levels[20:24, 10:30] == MISTAKEN).all() and (levels[20:24, 60:80] == MISTAKEN).all()
    assert levels[62, 50] == SOUND == levels[0, 0]
    spared = review_levels(review("clean-but", ignored=((0.0, 0.2, 0.4, 0.4),)), judged())
    assert (spared[20:24, 10:30] == NEITHER).all() and (spared[20:24, 60:80] == MISTAKEN).all()


def test_findings_in_a_damaged_photo_are_as_they_were_called() -> None:
    levels = review_levels(review("mixed", false=((0.5, 0.2, 0.9, 0.4),), missed=((0, 0.8, 1, 1),)), judged())
    assert (levels[20:24, 10:30] == DAMAGED).all() and (levels[20:24, 60:80] == MISTAKEN).all()
    assert levels[62, 50] == NEITHER == levels[70, 5] and levels[0, 0] == SOUND
    named = review_levels(review("mixed", right=((0, 0, 0.5, 1),)), judged())
    assert (named[20:24, 10:30] == DAMAGED).all() and (named[20:24, 60:80] == NEITHER).all()


def test_what_nobody_marked_of_a_photo_that_is_worn_all_over_is_neither() -> None:
    codes = judged()
    codes[30:50, 10:30] = 250
    levels = review_levels(review("right"), codes)
    assert levels[0, 0] == NEITHER and levels[40, 20] == DAMAGED


def test_an_unsure_photo_has_no_mask() -> None:
    with pytest.raises(TrainingError, match="nobody could tell"):
        review_levels(review("unsure"), judged())


def test_pictures_that_a_chain_of_near_hashes_joins_are_one_group() -> None:
    hashes = ["0000000000000000", "00000000000000ff", "000000000000ffff", "f0f0f0f0f0f0f0f0"]
    assert picture_groups(hashes) == ["0000000000000000"] * 3 + ["f0f0f0f0f0f0f0f0"]


def test_material_is_laid_down_by_split_and_what_is_kept_for_testing_stays_out(tmp_path: Path) -> None:
    data = archive(tmp_path / "data")
    reviews = read_reviews(data / "review/REVIEW.csv", data / "old")
    out, kept = tmp_path / "out", data / "old/0.png"
    lay_material(out, reviews=reviews, film=data / "film", kept_photos=[kept], kept_sequences={"second"})
    by_split = {s: {p.name for p in read_labelled(out, s, kind="reviewed")} for s in ("train", "validation")}
    assert not by_split["train"] & by_split["validation"]
    assert len(by_split["train"] | by_split["validation"]) == 26, "40 photos, 13 unsure, one kept"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() not in by_split["train"] | by_split["validation"]
    assert [p.name for p in read_labelled(out, "train", kind="film")] == ["a1"]
    assert [p.name for p in read_labelled(out, "validation", kind="film")] == ["b1"]
    assert 5 < len(sound_photos(out, "train")) < 14, "those that are clean without a but"

    (data / "clean").mkdir()
    for number in range(24):
        cv2.imwrite(str(data / f"clean/{number}_x{number}.png"), cv2.imread(str(data / f"old/{number}.png")))
    material = Material.load(data / "clean", labelled=out)
    assert len(material.reviewed) == len(by_split["train"]) and len(material.film) == 1
    plain = Material.load(data / "clean")
    assert len(material.clean.photos) == len(plain.clean.photos) + len(sound_photos(out, "train"))
    assert plain.reviewed is None


def test_a_mask_that_was_marked_goes_before_the_verdict(tmp_path: Path) -> None:
    data, marks = archive(tmp_path / "data", count=3), tmp_path / "marks"
    reviews = read_reviews(data / "review/REVIEW.csv", data / "old")
    by_sha256 = {hashlib.sha256(review.photo.read_bytes()).hexdigest(): review for review in reviews}
    marks.mkdir()
    for sha256 in by_sha256:
        levels = np.zeros(cv2.imread(str(by_sha256[sha256].photo), 0).shape, np.uint8)
        levels[:2], levels[-2:], levels[10:12] = DAMAGED, MISTAKEN, NEITHER
        cv2.imwrite(str(marks / f"{sha256}.mask.png"), levels)
    lay_material(tmp_path / "out", reviews=reviews, marks=marks)
    splits = ("train", "validation")
    laid = [photo for split in splits for photo in read_labelled(tmp_path / "out", split, kind="reviewed")]
    assert {photo.name for photo in laid} == set(by_sha256), "the unsure one too: its mask says more"
    for photo in laid:
        assert photo.mask[:2].all() and not photo.mask[2:].any()
        assert photo.mistaken is not None and photo.mistaken[-2:].all() and photo.ignore[10:12].all()
    assert not sound_photos(tmp_path / "out", "train"), "none of them is sound"
    lay_material(tmp_path / "again", reviews=reviews)
    assert sound_photos(tmp_path / "again", "train") + sound_photos(tmp_path / "again", "validation")
    lay_material(tmp_path / "again", reviews=reviews, marks=marks)
    assert not sound_photos(tmp_path / "again", "train") + sound_photos(tmp_path / "again", "validation")

    sha256, wrong = next(iter(by_sha256)), np.zeros((5, 5), np.uint8)
    cv2.imwrite(str(marks / f"{sha256}.mask.png"), wrong)
    with pytest.raises(TrainingError, match=r"what was judged of it \(5, 5\)"):
        lay_material(tmp_path / "again", reviews=reviews, marks=marks)
    cv2.imwrite(str(marks / f"{sha256}.mask.png"), np.full((48, 64), 200, np.uint8))
    with pytest.raises(TrainingError, match="found 200"):
        lay_material(tmp_path / "again", reviews=reviews, marks=marks)


def test_what_we_marked_for_training_is_whole_and_nothing_of_what_we_test_on() -> None:
    marked = marked_for_training()
    assert len(marked) == 310
    assert not set(marked) & set(marked_sha256())
    damaged = 0
    for sha256 in marked:
        levels = marked_levels(sha256)
        assert levels is not None
        assert set(np.unique(levels).tolist()) <= {SOUND, MISTAKEN, NEITHER, DAMAGED}, sha256
        damaged += bool((levels == DAMAGED).any())
    assert damaged > 150


def test_crops_are_centred_on_mistakes_as_often_as_on_damage(tmp_path: Path) -> None:
    data = archive(tmp_path / "data", count=3)
    lay_material(tmp_path / "out", reviews=read_reviews(data / "review/REVIEW.csv", data / "old"))
    bank = LabelledBank.from_folder(tmp_path / "out", "train", kind="reviewed")
    crops = bank.crops(0, crop_px=32, batch=64, seed=1)
    assert crops.image.shape == (64, 3, 32, 32) and not (crops.mask * crops.ignore).any()
    assert crops.mask.flatten(1).any(1).float().mean() > 0.2


def test_a_table_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    data = archive(tmp_path / "data", count=3)
    table = data / "review/REVIEW.csv"
    text = table.read_text()
    table.write_text(text.replace("right", "fine"))
    with pytest.raises(TrainingError, match="line 3: verdict 'fine'"):
        read_reviews(table, data / "old")
    table.write_text(text.replace("1.png,right,", "1.png,right,0.1;0.2"))
    with pytest.raises(TrainingError, match=r"'0\.1' is no box"):
        read_reviews(table, data / "old")
    table.write_text(text.replace("verdict,", "answer,").replace("true_red", "right"))
    with pytest.raises(TrainingError, match=r"REVIEW\.csv: column verdict, true_red is missing; expected file,"):
        read_reviews(table, data / "old")
    table.write_text("")
    with pytest.raises(TrainingError, match="found nothing"):
        read_reviews(table, data / "old")
    table.write_text(text.replace("0.png,clean,,,,", "0.png,clean"))
    assert read_reviews(table, data / "old")[0].false == (), "what a row leaves out is empty"
    table.write_text(text)
    with pytest.raises(TrainingError, match="none of its 3 photos"):
        read_reviews(table, tmp_path)
