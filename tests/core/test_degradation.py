"""The synthetic damage: what training may rely on."""

from __future__ import annotations

import pytest
import torch

from oldphoto_core.degradation import (
    MIXED,
    SCRATCHES_ONLY,
    TONE_ONLY,
    UNTOUCHED,
    Degradation,
    DegradedBatch,
    Recipe,
    TextureLibrary,
)
from oldphoto_core.degradation.dice import Dice
from oldphoto_core.degradation.fields import smooth_noise
from oldphoto_core.errors import ConfigError


def make_photos(count: int, height: int = 64, width: int = 64, *, seed: int = 5) -> torch.Tensor:
    """Gives smooth colourful pictures of whole 255ths."""
    dice = Dice(torch.Generator().manual_seed(seed), torch.device("cpu"))
    photos = 0.5 + 0.22 * smooth_noise(dice, count, (height, width), cells=5, channels=3)
    return (photos.clamp(0, 1) * 255).round() / 255


def degrade(recipe: Recipe, photos: torch.Tensor, *, seed: int = 0) -> DegradedBatch:
    """Damages the photos by drawn textures alone."""
    damage = Degradation(recipe, TextureLibrary.procedural())
    return damage(photos, torch.Generator().manual_seed(seed))


def as_bytes(batch: DegradedBatch) -> bytes:
    """Gives every number of the batch."""
    parts = (batch.image, batch.target, batch.mask, batch.ignore, batch.opacity, batch.kind)
    return b"".join(part.numpy().tobytes() for part in parts)


def test_the_same_seed_gives_the_same_bytes():
    photos = make_photos(8)
    first, second = degrade(Recipe.heavy(), photos, seed=3), degrade(Recipe.heavy(), photos, seed=3)
    assert as_bytes(first) == as_bytes(second)
    assert as_bytes(first) != as_bytes(degrade(Recipe.heavy(), photos, seed=4))


def test_clean_photos_are_not_written_to():
    photos = make_photos(8)
    before = photos.clone()
    degrade(Recipe.heavy(), photos)
    assert torch.equal(photos, before)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (61, 200), (129, 65)])
def test_odd_sizes_keep_their_shape_and_range(size):
    photos = make_photos(6, *size)
    for seed in range(3):
        batch = degrade(Recipe.heavy(), photos, seed=seed)
        assert batch.image.shape == batch.target.shape == photos.shape
        assert batch.mask.shape == batch.ignore.shape == batch.opacity.shape == (6, 1, *size)
        for values in (batch.image, batch.target, batch.opacity):
            assert torch.isfinite(values).all()
            assert values.min() >= 0
            assert values.max() <= 1


def test_untouched_samples_are_identical_to_their_targets():
    batch = degrade(Recipe.default().only(UNTOUCHED), make_photos(8))
    assert torch.equal(batch.image, batch.target)
    assert batch.mask.sum() == batch.ignore.sum() == batch.opacity.sum() == 0


def test_tone_only_samples_have_no_mask_and_change():
    batch = degrade(Recipe.heavy().only(TONE_ONLY), make_photos(8))
    assert batch.mask.sum() == batch.opacity.sum() == 0
    assert ((batch.image - batch.target).abs().amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_scratched_samples_equal_their_target_where_neither_masked_nor_ignored(seed):
    batch = degrade(Recipe.heavy().only(SCRATCHES_ONLY), make_photos(12), seed=seed)
    intact = (batch.mask + batch.ignore == 0).expand_as(batch.image)
    assert torch.equal(batch.image[intact], batch.target[intact])
    assert batch.mask.sum() > 0


def test_mask_and_ignore_follow_from_opacity_and_visible_change():
    batch = degrade(Recipe.heavy().only(SCRATCHES_ONLY), make_photos(16), seed=1)
    visible = ((batch.image - batch.target).abs().amax(1, keepdim=True) * 255).round() >= 4
    assert torch.equal(batch.mask > 0, (batch.opacity > 0.25) & visible)
    assert torch.equal(batch.ignore > 0, (batch.opacity >= 0.1) & (batch.mask == 0))
    assert batch.ignore.sum() > 0


def test_mask_and_ignore_never_overlap_in_mixed_samples():
    batch = degrade(Recipe.heavy().only(MIXED), make_photos(12), seed=1)
    assert (batch.mask * batch.ignore).sum() == 0
    assert (batch.opacity[batch.mask > 0] > 0.25).all()
    assert (batch.opacity[batch.ignore > 0] >= 0.1).all()


def test_kinds_come_in_the_shares_of_the_recipe():
    dice = Dice(torch.Generator().manual_seed(0), torch.device("cpu"))
    counts = torch.bincount(dice.choice(Recipe.default().kind_shares, 4000), minlength=4) / 4000
    assert torch.allclose(counts, torch.tensor([0.25, 0.15, 0.15, 0.45]), atol=0.03)


def test_about_two_in_five_targets_are_neutral_grey():
    batch = degrade(Recipe(kind_shares=(1, 0, 0, 0), p_negative=0), make_photos(300, 32, 32))
    grey = (batch.target.amax(1) - batch.target.amin(1)).amax((1, 2)) == 0
    assert 0.3 < grey.float().mean() < 0.5


def test_a_recipe_refuses_what_is_no_probability():
    with pytest.raises(ConfigError, match="p_scratch"):
        Recipe(p_scratch=1.5)
    with pytest.raises(ConfigError, match="kind_shares"):
        Recipe(kind_shares=(0.5, 0.5, 0.5, 0.5))
