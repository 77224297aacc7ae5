"""Crops and their whole photos: windows, thumbnails, given masks, and a pool that depends on (seed, step) only."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.look import make_thumbnail
from oldphoto_core.training.batches import ALIGNMENT_PX, CropSource, WholePhotos, cut
from oldphoto_core.training.chunks import (
    REAL_OLD_PHOTO,
    ChunkMaker,
    clean_chunks,
    given_mask,
    old_chunks,
    synthetic_chunks,
)
from oldphoto_core.training.schedule import seeded
from tests.core.training_photos import tiny_material

WHOLE = 96


def coordinate_photos(count: int = 3, side: int = WHOLE, number_from: int = 0) -> WholePhotos:
    """Photos whose three channels are their number and each pixel's row and column, over 128."""
    number = (torch.arange(count) + number_from)[:, None, None, None].expand(count, 1, side, side)
    row = torch.arange(side)[None, None, :, None].expand(count, 1, side, side)
    column = torch.arange(side)[None, None, None, :].expand(count, 1, side, side)
    image = torch.cat([number, row, column], 1).float() / 128
    nothing = torch.zeros(count, 1, side, side)
    thumbnail, thumbnail_mask = make_thumbnail(image, nothing)
    return WholePhotos(
        image=image, target=-image, mask=row.float() / 128, ignore=nothing, opacity=nothing, given=column.float() / 128,
        kind=torch.arange(count) + number_from, thumbnail=thumbnail, thumbnail_mask=thumbnail_mask,
        target_thumbnail=-thumbnail,
    )  # fmt: skip


def synthetic(photos: int = 2, **options) -> ChunkMaker:
    material = tiny_material()
    return synthetic_chunks(material.clean, material.degradation, photos=photos, whole_px=WHOLE, **options)


def same(one: WholePhotos, other: WholePhotos) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


def test_a_window_says_where_its_crop_lies():
    crops = cut([coordinate_photos()], crop_px=32, batch=24, generator=seeded(0, "cut", 0))
    top, left = crops.image[:, 1, 0, 0] * 128, crops.image[:, 2, 0, 0] * 128
    bottom, right = crops.image[:, 1, -1, -1] * 128 + 1, crops.image[:, 2, -1, -1] * 128 + 1
    assert torch.allclose(crops.window * WHOLE, torch.stack([top, left, bottom, right], 1), atol=1e-4)
    assert (top % ALIGNMENT_PX == 0).all() and (left % ALIGNMENT_PX == 0).all()
    assert len(set(top.tolist())) > 2 and len(set(left.tolist())) > 2
    assert (bottom <= WHOLE).all() and (right <= WHOLE).all()


def test_maps_are_cut_at_the_image_s_place_and_photo():
    crops = cut([coordinate_photos()], crop_px=32, batch=6, generator=seeded(0, "cut", 1))
    assert torch.equal(crops.mask[:, 0], crops.image[:, 1])
    assert torch.equal(crops.given[:, 0], crops.image[:, 2])
    assert torch.equal(crops.target, -crops.image)
    assert torch.equal(crops.image[:, 0, 0, 0] * 128, crops.kind.float())


def test_a_tone_map_drawn_through_the_window_is_the_whole_photo_s():
    """The window is in the units that `Tone.apply` reads: cut and toned is toned and cut."""
    from oldphoto_core.models.look import whole_window
    from oldphoto_core.models.tone import GLOBAL_NUMBERS, GRID, GRID_NUMBERS, Tone

    whole = coordinate_photos(1)
    raw = torch.randn(1, GRID_NUMBERS, GRID, GRID, generator=seeded(0, "tone", 0))
    numbers = torch.randn(1, GLOBAL_NUMBERS, generator=seeded(0, "tone", 1))
    crops = cut([whole], crop_px=32, batch=1, generator=seeded(0, "cut", 3))
    top, left = (round(float(edge) * WHOLE) for edge in crops.window[0, :2])
    assert (top, left) != (0, 0)
    toned = Tone.from_raw(raw, numbers).apply(whole.image, whole_window(1))[..., top : top + 32, left : left + 32]
    assert torch.allclose(Tone.from_raw(raw, numbers).apply(crops.image, crops.window), toned, atol=1e-5)


def test_thumbnails_come_from_the_whole_photo():
    whole = synthetic()(seeded(0, "chunk", 0))
    wanted, wanted_mask = make_thumbnail(whole.image, whole.given)
    for crop_px in (16, 64):
        crops = cut([whole], crop_px=crop_px, batch=2, generator=seeded(0, "cut", crop_px))
        for index in range(2):
            owner = next(i for i in range(2) if torch.equal(wanted[i], crops.thumbnail[index]))
            assert torch.equal(crops.thumbnail_mask[index], wanted_mask[owner])
            assert torch.equal(crops.target_thumbnail[index], whole.target_thumbnail[owner])
            top, left = (round(float(edge) * WHOLE) for edge in crops.window[index, :2])
            assert torch.equal(crops.image[index], whole.image[owner, :, top : top + crop_px, left : left + crop_px])


def test_every_photo_of_the_pool_is_used_before_one_is_used_twice():
    pool = [coordinate_photos(2), coordinate_photos(3, number_from=2)]
    crops = cut(pool, crop_px=16, batch=10, generator=seeded(0, "cut", 0))
    assert sorted(crops.kind[:5].tolist()) == sorted(crops.kind[5:].tolist()) == [0, 1, 2, 3, 4]


def test_crops_larger_than_their_photos_are_refused():
    with pytest.raises(TrainingError, match="112 px do not fit"):
        cut([coordinate_photos()], crop_px=112, batch=1, generator=seeded(0, "cut", 0))


def test_the_pool_depends_on_seed_and_step_only():
    """A source that was asked for every step, one that begins in the middle, and one that goes back: all agree."""
    make = synthetic(1)
    with CropSource(make, seed=5, pool_chunks=2) as through, CropSource(make, seed=5, pool_chunks=2) as resumed:
        crops = [through.at(step, crop_px=32, batch=3) for step in range(6)]
        for step in (4, 5, 1):
            assert same(resumed.at(step, crop_px=32, batch=3), crops[step]), step
        assert not torch.equal(crops[0].image, crops[1].image)


def test_other_seeds_and_other_sources_draw_other_photos():
    make = synthetic(1)
    pools = []
    for seed, name in ((5, "synthetic"), (6, "synthetic"), (5, "old")):
        with CropSource(make, seed=seed, name=name, pool_chunks=1) as source:
            pools.append(source.pool(0)[0].image)
    assert not any(torch.equal(pools[a], pools[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_new_chunk_enters_the_pool_as_the_oldest_leaves():
    made = []

    def make(generator: torch.Generator) -> WholePhotos:
        made.append(generator.initial_seed())
        return coordinate_photos(1, number_from=len(made) - 1)

    with CropSource(make, seed=0, steps_a_chunk=3, pool_chunks=2) as source:
        numbers = [[int(chunk.kind[0]) for chunk in source.pool(step)] for step in (0, 2, 3, 5, 6)]
    assert numbers == [[0, 1], [0, 1], [1, 2], [1, 2], [2, 3]]
    assert len(set(made)) == len(made)


def test_a_failure_of_synthesis_reaches_the_step_that_waits_for_it():
    def make(_: torch.Generator) -> WholePhotos:
        raise TrainingError("no photo")

    with CropSource(make, seed=0) as source, pytest.raises(TrainingError, match="no photo"):
        source.at(0, crop_px=16, batch=1)


def test_given_masks_are_probabilities_that_mark_about_the_damage():
    mask = torch.zeros(32, 1, 32, 32)
    mask[:, :, 8:24, 15:17] = 1
    given = given_mask(mask, torch.zeros(32, 3, 32, 32), seeded(0, "given", 0))
    assert given.shape == mask.shape
    assert given.min() >= 0 and given.max() <= 1
    assert (given[:, :, :4] == 0).all() and (given[:, :, -4:] == 0).all()  # never more than 3 pixels off, and an edge
    inside = (given[:, 0, 8:24, 15:17] > 0.5).float().mean(dim=(1, 2))
    assert (inside > 0.999).float().mean() > 0.5, "at least half are given the whole of the damage"
    assert (inside < 0.9).any(), "some have strokes missing"
    wider = (given[:, 0, 8:24, 12:20] > 0.5).float().sum(dim=(1, 2)) > 16 * 4
    assert 0 < wider.sum() < 32, "some are dilated, some are not"


def test_an_intact_photo_is_given_an_empty_mask():
    nothing = torch.zeros(16, 1, 32, 32)
    assert (given_mask(nothing, torch.zeros(16, 3, 32, 32), seeded(0, "given", 1)) == 0).all()


def test_the_detector_s_mask_is_given_to_a_share_of_the_photos():
    seen = []

    def detect(image: torch.Tensor) -> torch.Tensor:
        seen.append(len(image))
        return torch.full_like(image[:, :1], 0.125)

    given = given_mask(torch.zeros(200, 1, 16, 16), torch.zeros(200, 3, 16, 16), seeded(0, "given", 2), detect=detect)
    detected = (given == 0.125).flatten(1).all(1).sum()
    assert 0.33 < detected / 200 < 0.52  # 0.5 x 0.85
    assert sum(seen) == detected, "the detector looks at no photo in vain"


def test_synthetic_chunks_are_images_in_range_with_masks_in_range():
    whole = synthetic(4)(seeded(0, "chunk", 1))
    for name in ("image", "target", "thumbnail", "target_thumbnail"):
        assert getattr(whole, name).abs().max() <= 1 + 1e-5, name
    for name in ("mask", "ignore", "opacity", "given", "thumbnail_mask"):
        assert 0 <= getattr(whole, name).min() and getattr(whole, name).max() <= 1, name
    exact = synthetic(4, exact_masks=True)(seeded(0, "chunk", 1))
    assert torch.equal(exact.given, exact.mask)


def test_old_photos_have_no_partner_and_clean_ones_no_damage():
    old = old_chunks(tiny_material().old, photos=2, whole_px=WHOLE)(seeded(0, "chunk", 0))
    assert torch.equal(old.image, old.target) and (old.kind == REAL_OLD_PHOTO).all()
    clean = clean_chunks(tiny_material().clean, photos=8, whole_px=32)(seeded(0, "chunk", 0))
    grey = (clean.image[:, :1] == clean.image).flatten(1).all(1)
    assert (clean.mask == 0).all() and 0 < grey.sum() < 8, "some clean photos are neutral grey, as targets are"
