"""The parts of the synthetic damage: film, tone, optics, JPEG, strokes and textures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from oldphoto_core.degradation import MIXED, SCRATCHES_ONLY, Degradation, Recipe, TextureLibrary
from oldphoto_core.degradation.dice import Dice
from oldphoto_core.degradation.fields import smooth_noise
from oldphoto_core.degradation.film import add_grain, from_density, halftone, to_density
from oldphoto_core.degradation.jpeg import jpeg
from oldphoto_core.degradation.optics import gaussian_blur, rescale
from oldphoto_core.degradation.scan_tone import scan_tone
from oldphoto_core.degradation.sheet import contact_sheet, mask_picture
from oldphoto_core.degradation.strokes import splat_strokes
from oldphoto_core.degradation.tone import apply_tone, draw_tone

NOTHING = {name: 0.0 for name in Recipe.__dataclass_fields__ if name.startswith("p_")}
"""A recipe's probabilities, all zero."""


@pytest.fixture
def dice() -> Dice:
    return Dice(torch.Generator().manual_seed(1), torch.device("cpu"))


def make_photos(count: int, side: int = 64) -> torch.Tensor:
    """Gives smooth colourful pictures."""
    dice = Dice(torch.Generator().manual_seed(2), torch.device("cpu"))
    return (0.5 + 0.22 * smooth_noise(dice, count, (side, side), cells=5, channels=3)).clamp(0, 1)


@pytest.fixture
def texture_folder(tmp_path):
    """A folder with three textures of several classes and files that are none."""
    random = np.random.default_rng(0)
    for kind in ("fds-scratches", "fds-hair", "fds-stain", "fds-spots", "fds-dots", "subtle"):
        for number in range(12):
            alpha = np.zeros((100, 100), np.uint8)
            alpha[40:60, 20:80] = random.integers(80, 255)
            Image.fromarray(alpha).save(tmp_path / f"{number:04d}_{kind}_{kind}-{number:03d}.png")
    Image.fromarray(random.random((1024, 1024)) > 0.99).save(tmp_path / "0900_fds-realmask_Scan1_full.png")
    (tmp_path / "README.txt").write_text("not a texture")
    return tmp_path


def test_density_is_inverted_exactly():
    photos = make_photos(2)
    assert torch.allclose(from_density(to_density(photos)), photos, atol=1e-5)


def test_grain_on_grey_photos_has_one_channel_and_is_correlated(dice):
    density = to_density(make_photos(4).mean(1, keepdim=True).expand(-1, 3, -1, -1))
    grain = add_grain(dice, density, torch.ones(4), grey=torch.ones(4, dtype=torch.bool)) - density
    assert torch.allclose(grain[:, 0], grain[:, 1], atol=1e-6)
    assert torch.allclose(grain[:, 0], grain[:, 2], atol=1e-6)
    neighbours = (grain[..., 1:] * grain[..., :-1]).mean() / grain.square().mean()
    assert neighbours > 0.3


def test_grain_is_weaker_in_white_than_in_grey(dice):
    tones = torch.tensor([0.99, 0.5]).reshape(2, 1, 1, 1).expand(-1, 3, 64, 64)
    density = to_density(tones)
    grain = add_grain(dice, density, torch.full((2,), 0.5), grey=torch.ones(2, dtype=torch.bool))
    spread = (from_density(grain) - tones).std((1, 2, 3))
    assert spread[0] < spread[1]


def test_grey_targets_stay_grey_without_toning():
    keep = {"p_grain": 1.0, "p_lens_blur": 1.0, "p_scanner_blur": 1.0, "p_jpeg": 1.0, "p_halftone": 0.5}
    recipe = Recipe(**{**NOTHING, **keep}, grey_share=1.0, kind_shares=(0, 0, 0, 1))
    batch = Degradation(recipe, TextureLibrary.procedural())(make_photos(6), torch.Generator().manual_seed(0))
    assert (batch.image.amax(1) - batch.image.amin(1)).max() <= 1.01 / 255
    assert not torch.equal(batch.image, batch.target)


def test_negligible_severity_leaves_tones_nearly_alone(dice):
    photos, grey = make_photos(16), torch.zeros(16, dtype=torch.bool)
    toned = apply_tone(dice, to_density(photos), draw_tone(dice, torch.zeros(16), grey))
    assert (toned - photos).abs().mean() < 0.03


def test_severe_ageing_moves_grey_photos_apart_in_many_ways(dice):
    photos = make_photos(1).mean(1, keepdim=True).expand(64, 3, -1, -1)
    aged = apply_tone(dice, to_density(photos), draw_tone(dice, torch.ones(64), torch.ones(64, dtype=torch.bool)))
    means = aged.mean((2, 3))
    assert means.std(0).min() > 0.08
    assert (means[:, 0] - means[:, 2]).std() > 0.05


def test_halftone_makes_dots_of_the_same_mean(dice):
    grey = torch.full((4, 3, 96, 96), 0.5)
    dots = halftone(dice, grey)
    assert dots.std() > 0.05
    assert torch.allclose(dots.mean((1, 2, 3)), torch.full((4,), 0.5), atol=0.06)


def test_blur_keeps_flat_pictures_and_the_mean():
    flat = torch.full((2, 3, 33, 40), 0.3)
    assert torch.allclose(gaussian_blur(flat, torch.tensor([0.5, 2.0])), flat, atol=1e-5)


def test_resizing_moves_opacity_with_the_picture(dice):
    layers = torch.zeros(4, 5, 64, 64)
    layers[:, :, 20:40, 30:33] = 1
    resized = rescale(dice, layers)
    assert torch.allclose(resized[:, 0], resized[:, 3], atol=1e-6)


@pytest.mark.parametrize(("quality", "chroma"), [(40, True), (75, True), (95, False)])
def test_jpeg_agrees_with_a_real_encoder(quality, chroma):
    photo = make_photos(1, 96)
    pixels = (photo[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2 if chroma else 0)
    real = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1) / 255
    ours = jpeg(photo, torch.tensor([float(quality)]), halve_chroma=chroma)[0]
    loss = float((real - photo[0]).square().mean())
    assert (ours - real).square().mean() < 0.5 * loss + (1.5 / 255) ** 2
    assert float((ours - photo[0]).square().mean()) == pytest.approx(loss, rel=0.35)


def test_jpeg_off_the_grid_keeps_the_size():
    photos = make_photos(2, 61)
    assert jpeg(photos, torch.tensor([50.0, 90.0]), offset=(3, 5)).shape == photos.shape


def test_a_stroke_covers_its_width():
    path = torch.stack([torch.full((60,), 20.0), torch.linspace(5, 55, 60)], -1)[None]
    width, strength = torch.full((1, 60), 2.0), torch.ones(1, 60)
    drawn = splat_strokes(path, width, strength, sample=torch.zeros(1, dtype=torch.long), count=1, size=(40, 64))[0, 0]
    assert drawn[18:23, 30].min() >= 0.5
    assert drawn[16, 30] == drawn[24, 30] == 0
    assert drawn[20, 10:50].min() == 1


def test_textures_are_read_by_class(texture_folder):
    library = TextureLibrary.from_folder(texture_folder, held_out=None)
    assert {"scratch", "hair", "stain", "dust", "patch", "paper", "film-dust"} == set(library.banks)
    assert len(library.banks["scratch"]) == 12
    assert all(bank.dtype == torch.uint8 for bank in library.banks.values())


def test_held_out_textures_never_mix_with_the_others(texture_folder):
    split = [TextureLibrary.from_folder(texture_folder, held_out=held_out) for held_out in (True, False, None)]
    held_out, trained, every = (sum(len(bank) for bank in library.banks.values()) for library in split)
    assert held_out + trained == every
    assert 0 < held_out < trained


def test_damage_with_textures_keeps_its_promises(texture_folder):
    library = TextureLibrary.from_folder(texture_folder)
    damage = Degradation(Recipe(procedural_share=0, kind_shares=(0, 0, 1, 0)), library)
    batch = damage(make_photos(12).mul(255).round() / 255, torch.Generator().manual_seed(0))
    intact = (batch.mask + batch.ignore == 0).expand_as(batch.image)
    assert torch.equal(batch.image[intact], batch.target[intact])
    assert batch.mask.sum() > 0


@pytest.mark.parametrize("name", [name for name in NOTHING if name not in ("p_negative", "p_tone", "p_second_jpeg")])
def test_each_kind_of_damage_alone_changes_something(name):
    recipe = Recipe(**{**NOTHING, name: 1.0}, severity=(0.6, 1.0)).only(MIXED)
    photos = (make_photos(6) * 255).round() / 255
    batch = Degradation(recipe, TextureLibrary.procedural())(photos, torch.Generator().manual_seed(0))
    assert ((batch.image - batch.target).abs().amax((1, 2, 3)) > 1 / 255).sum() >= 2


def test_severity_decides_how_much_is_damaged():
    photos = make_photos(48)
    covered = []
    for severity in ((0.0, 0.1), (0.9, 1.0)):
        damage = Degradation(Recipe(severity=severity).only(SCRATCHES_ONLY), TextureLibrary.procedural())
        covered.append(damage(photos, torch.Generator().manual_seed(0)).mask.mean())
    assert covered[0] < 0.5 * covered[1]


def test_the_contact_sheet_shows_pictures_masks_and_real_photos():
    photos = make_photos(6)
    batch = Degradation(Recipe.heavy(), TextureLibrary.procedural())(photos, torch.Generator().manual_seed(0))
    assert contact_sheet(batch, photos).shape == (2 * 68, 8 * 68, 3)
    assert mask_picture(batch).shape == photos.shape


def test_a_scanner_without_severity_hands_the_print_over(dice):
    photos = make_photos(6)
    scanned, change = scan_tone(
        dice, photos, torch.zeros(6), torch.zeros(6, dtype=torch.bool), change=torch.zeros(6, 1, 64, 64)
    )
    assert torch.allclose(scanned, photos, atol=2e-3)
    assert not change.any()


def test_a_scanner_moves_tones_and_keeps_their_order(dice):
    """Each channel's curve rises: of two places side by side the lighter stays the lighter, but for uneven light."""
    photos = make_photos(24)
    grey = photos.mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    scanned, _ = scan_tone(
        dice, grey, torch.ones(24), torch.zeros(24, dtype=torch.bool), change=torch.zeros(24, 1, 64, 64)
    )
    moved = (scanned - grey).abs().mean((1, 2, 3))
    assert (moved > 0.02).float().mean() > 0.6
    ranks = [pictures[:, 1].flatten(1).argsort().argsort().float() for pictures in (grey, scanned)]
    alike = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(*ranks, strict=True)]
    assert torch.stack(alike).median() > 0.98


def test_half_of_the_grey_prints_are_scanned_in_one_channel(dice):
    grey = make_photos(64, 32).mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    scanned, _ = scan_tone(
        dice, grey, torch.ones(64), torch.ones(64, dtype=torch.bool), change=torch.zeros(64, 1, 32, 32)
    )
    neutral = (scanned - scanned.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-4
    assert 0.35 < neutral.float().mean() < 0.75


def test_damage_that_a_scanner_washes_out_changes_less(dice):
    """What damage changes is carried through the same map as the picture."""
    photos = torch.full((32, 3, 32, 32), 0.5)
    change = torch.zeros(32, 1, 32, 32)
    change[..., 8:12, :] = 0.2
    scratched = photos + change
    scanned, seen = scan_tone(dice, scratched, torch.ones(32), torch.zeros(32, dtype=torch.bool), change=change)
    truly = (scanned[..., 8:12, :].mean((2, 3)) - scanned[..., 20:24, :].mean((2, 3))).abs().amax(1)
    told = seen[..., 8:12, :].mean((1, 2, 3))
    assert not seen[..., 20:24, :].any()
    assert torch.corrcoef(torch.stack([truly, told]))[0, 1] > 0.8
    assert told.std() > 0.02
