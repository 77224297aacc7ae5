"""Filling damaged places from beside them, before the encoder sees the photo."""

from __future__ import annotations

import pytest
import torch

from oldphoto_core.models.filling import REACH_PX, fill


def smooth_photo(height: int = 96, width: int = 128) -> torch.Tensor:
    """A ramp of light from corner to corner, each channel its own, in [-1, 1]."""
    y = torch.linspace(-0.8, 0.4, height)[:, None]
    x = torch.linspace(-0.3, 0.5, width)[None, :]
    return torch.stack([y + x, y - x, 0.5 * y + 0 * x])[None].clamp(-1, 1)


def mask_of(photo: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    mask = torch.zeros_like(photo[:, :1])
    mask[..., rows, columns] = 1
    return mask


@pytest.mark.parametrize(
    ("rows", "columns", "off"),
    [(slice(40, 43), slice(0, 128), 0.03), (slice(30, 50), slice(60, 75), 0.06), (slice(0, 9), slice(0, 128), 0.12)],
    ids=["scratch", "hole", "torn edge"],
)
def test_a_damaged_place_becomes_like_what_is_beside_it(rows, columns, off):
    photo = smooth_photo()
    mask = mask_of(photo, rows, columns)
    damaged = torch.where(mask > 0, torch.ones(()), photo)
    filled = fill(damaged, mask)
    assert (filled - photo)[..., rows, columns].abs().mean() < off
    assert (damaged - photo)[..., rows, columns].abs().mean() > 4 * off


def test_what_is_intact_stays_bit_for_bit_and_what_is_damaged_has_no_say():
    photo = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = mask_of(photo, slice(20, 24), slice(5, 60))
    filled = fill(photo, mask)
    assert torch.equal(filled[mask.expand_as(photo) == 0], photo[mask.expand_as(photo) == 0])
    other = fill(torch.where(mask > 0, -photo, photo), mask)
    assert torch.equal(other, filled)


def test_a_soft_mask_is_believed_by_its_square():
    photo = smooth_photo()
    mask = mask_of(photo, slice(40, 43), slice(0, 128))
    damaged = torch.where(mask > 0, torch.ones(()), photo)
    half = fill(damaged, 0.5 * mask)[..., 41, :]
    moved = (damaged[..., 41, :] - half) / (damaged[..., 41, :] - photo[..., 41, :])
    assert 0.15 < moved.median() < 0.3


def test_a_photo_damaged_everywhere_stays_as_it_is():
    photo = smooth_photo()
    filled = fill(photo, torch.ones_like(photo[:, :1]))
    assert torch.isfinite(filled).all()
    assert (filled - photo).abs().mean() < 0.1


def test_a_tile_is_filled_as_in_the_whole_photo():
    photo = torch.rand(1, 3, 288, 320, generator=torch.Generator().manual_seed(1)) * 2 - 1
    mask = (torch.rand(1, 1, 288, 320, generator=torch.Generator().manual_seed(2)) > 0.6).float()
    mask[..., 100:170, 90:180] = 1  # a hole larger than the coarsest cells
    whole = fill(photo, mask)
    halo = -(-REACH_PX // 16) * 16
    top, left, bottom, right = 128, 112, 160, 208
    read = (slice(top - halo, bottom + halo), slice(left - halo, right + halo))
    tile = fill(photo[..., read[0], read[1]], mask[..., read[0], read[1]])
    core = tile[..., halo : halo + bottom - top, halo : halo + right - left]
    assert torch.equal(core, whole[..., top:bottom, left:right])
