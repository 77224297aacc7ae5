"""The second damage generator and the fixed set made with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.fixed_set import FixedSet, damaged_set, evaluate_network
from oldphoto_core.evaluation.generators import make_damager, photo_seed
from oldphoto_core.evaluation.held_out import centre_crop, centre_square, held_out_photos
from oldphoto_core.evaluation.second_generator import damage
from oldphoto_core.splits import is_held_out


def scene(height: int = 96, width: int = 128, seed: int = 5) -> np.ndarray:
    """Gives a colourful smooth picture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 235, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def photo_folder(folder: Path, count: int = 90) -> Path:
    """Writes photos of which about a tenth are held out."""
    folder.mkdir()
    for k in range(count):
        cv2.imwrite(str(folder / f"{k:04d}_photo{k}.png"), scene(80, 100, seed=k))
    return folder


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, two, other = damage(scene(), 3), damage(scene(), 3), damage(scene(), 4)
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.mask, two.mask)
    assert not np.array_equal(one.image, other.image)


def test_every_seed_keeps_shape_and_keeps_mask_and_ignore_apart() -> None:
    for seed in range(40):
        made = damage(scene(65, 97), seed)
        assert made.image.shape == made.target.shape == (65, 97, 3)
        assert made.image.dtype == np.uint8
        assert made.mask.shape == made.ignore.shape == (65, 97)
        assert made.mask.dtype == bool
        assert not (made.mask & made.ignore).any()


def test_tone_damage_alone_has_an_empty_mask() -> None:
    for seed in range(10):
        made = damage(scene(), seed, kind="tone")
        assert not made.mask.any()
        assert not made.ignore.any()
        assert not np.array_equal(made.image, made.target)


def test_marks_alone_leave_what_is_far_from_them_nearly_as_it_was() -> None:
    """Shading beside folds, scanner blur and JPEG change a little; the marks change much."""
    near, far = [], []
    for seed in range(15):
        made = damage(scene(160, 160), seed, kind="marks")
        change = np.abs(made.image.astype(int) - made.target).max(axis=2)
        reach = cv2.dilate((made.mask | made.ignore).astype(np.uint8), np.ones((9, 9))) == 0
        near.append(change[made.mask].mean() if made.mask.any() else np.nan)
        far.append(change[reach].mean())
    assert np.nanmean(near) > 40
    assert np.mean(far) < 12


def test_masked_pixels_are_visibly_changed() -> None:
    made = damage(scene(160, 160), 1, kind="marks")
    assert made.mask.any()
    assert 0 < made.mask.mean() < 0.6


def test_four_targets_in_ten_are_neutral_grey_and_made_from_the_photo() -> None:
    made = [damage(scene(48, 48), seed) for seed in range(90)]
    grey = [d for d in made if d.grey]
    assert 0.25 < len(grey) / len(made) < 0.55
    assert all(np.ptp(d.target, axis=2).max() == 0 for d in grey)
    assert all(np.array_equal(d.target, scene(48, 48)) for d in made if not d.grey)


def test_kinds_are_mostly_mixed() -> None:
    kinds = [damage(scene(32, 32), seed).kind for seed in range(70)]
    assert kinds.count("mixed") > 45
    assert kinds.count("tone") > 1
    assert kinds.count("marks") > 1


@pytest.mark.parametrize("bad", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), np.zeros((20, 64, 3), np.uint8)])
def test_a_picture_of_another_shape_or_type_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="wants"):
        damage(bad, 0)


def test_only_held_out_photos_are_measured_and_the_two_roles_share_none(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "clean")
    select, report = (held_out_photos(folder, role=role) for role in ("select", "report"))
    assert select
    assert report
    assert not set(select) & set(report)
    assert all(is_held_out(p.name) for p in select + report)
    assert set(held_out_photos(folder, role="all")) == set(select) | set(report)
    assert held_out_photos(folder, role="all", count=3) == held_out_photos(folder, role="all")[:3]
    with pytest.raises(ConfigError, match="no held-out photos"):
        held_out_photos(tmp_path / "nothing")


def test_crops_have_the_asked_shape() -> None:
    assert centre_crop(scene(100, 130)).shape == (96, 128, 3)
    assert centre_square(scene(100, 130), 64).shape == (64, 64, 3)
    assert centre_square(scene(40, 50), 64).shape == (64, 64, 3)


def test_a_fixed_set_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    folder, cache = photo_folder(tmp_path / "clean"), tmp_path / "cache" / "fixed.npz"
    made = FixedSet.prepare(folder, count=3, size=64, role="all", cache=cache)
    before = cache.stat().st_mtime_ns
    read = FixedSet.prepare(folder, count=3, size=64, role="all", cache=cache)
    assert cache.stat().st_mtime_ns == before
    assert len(read) == 3
    for name in ("image", "target", "mask", "ignore"):
        assert np.array_equal(getattr(made, name), getattr(read, name))
    other = FixedSet.prepare(folder, count=2, size=64, role="all", cache=cache)
    assert len(other) == 2
    assert np.array_equal(other.image, made.image[:2])


def test_a_perfect_network_scores_the_cap_and_the_identity_scores_the_input() -> None:
    fixed = damaged_set([scene(64, 64, seed=k) for k in range(5)], generator="second", seed=1)
    same = evaluate_network(lambda image, mask: image, fixed, batch=2)
    assert same["psnr"] == pytest.approx(same["input_psnr"])
    assert same["psnr_gain"] == pytest.approx(0)
    assert same["clean_psnr"] == 60
    answers = {image.tobytes(): target for image, target in zip(fixed.image, fixed.target, strict=True)}
    masks = {image.tobytes(): mask for image, mask in zip(fixed.image, fixed.mask, strict=True)}
    perfect = evaluate_network(
        lambda image, mask: np.stack([answers[i.tobytes()] for i in image]),
        fixed,
        detect=lambda image: np.stack([masks[i.tobytes()] for i in image]).astype(np.float32),
        with_clean=False,
    )
    assert perfect["psnr"] == 60
    assert perfect["aligned_psnr"] > 55
    assert perfect["ssim"] == pytest.approx(1)
    assert perfect["auc"] == pytest.approx(1)
    assert perfect["best_f1"] == pytest.approx(1)
    assert perfect["detected_psnr"] == 60


def test_the_first_generator_gives_damage_in_the_same_form_and_never_an_untouched_photo() -> None:
    damager = make_damager("first")
    made = [damager(scene(64, 80), photo_seed(3, k)) for k in range(8)]
    again = damager(scene(64, 80), photo_seed(3, 0))
    assert np.array_equal(made[0].image, again.image)
    for one in made:
        assert one.image.shape == one.target.shape == (64, 80, 3)
        assert one.mask.shape == (64, 80)
        assert not (one.mask & one.ignore).any()
        assert not np.array_equal(one.image, one.target)
        assert one.kind != "tone" or not one.mask.any()


def test_a_photo_keeps_its_seed_when_more_photos_are_added() -> None:
    assert len({photo_seed(0, k) for k in range(500)}) == 500
    assert all(photo_seed(7, k) < 2**32 for k in range(20))
