"""Facts about tiles: they cover a photo once, and joined they are the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.restoration.tiling import plan_tiles, round_up, tiles_with_pieces
from oldphoto_core.restoration.working import ReducedPhoto

STRIDE = 16


@given(
    height=st.integers(1, 640),
    width=st.integers(1, 640),
    core_px=st.integers(1, 300),
    halo_px=st.integers(0, 200),
)
def test_cores_cover_the_photo_once_and_reading_starts_on_the_stride(height, width, core_px, halo_px):
    covered = np.zeros((height, width), dtype=int)
    limits = (0, 0, round_up(height, STRIDE), round_up(width, STRIDE))
    for row in plan_tiles(height, width, core_px=core_px, halo_px=halo_px, stride=STRIDE):
        assert len({(tile.core[0], tile.core[2], tile.read[0], tile.read[2]) for tile in row}) == 1
        for tile in row:
            assert all(edge % STRIDE == 0 for edge in tile.read)
            top, left, bottom, right = tile.core
            assert max(bottom - top, right - left) <= round_up(core_px, STRIDE)
            covered[top:bottom, left:right] += 1
            for edge, outer, limit in zip(tile.core, tile.read, limits, strict=True):
                assert outer == limit or abs(edge - outer) >= halo_px
    assert (covered == 1).all()


def test_a_photo_is_shared_out_evenly():
    """A photo a little larger than a tile is two halves, not a tile and a strip that is mostly halo."""
    [row] = plan_tiles(64, 1040, core_px=1024, halo_px=160, stride=STRIDE)
    assert [tile.core[3] - tile.core[1] for tile in row] == [528, 512]


def test_a_tile_of_no_size_is_refused():
    with pytest.raises(ConfigError, match="tile_px >= 1"):
        plan_tiles(32, 32, core_px=0, halo_px=0, stride=STRIDE)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 16), (16, 16), (17, 32)])
def test_rounding_up_to_the_stride(value, expected):
    assert round_up(value, STRIDE) == expected


def awake(module):
    """A network whose zero-initialised layers do something, with weights that keep pixels in range."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return module.eval()


def over_tiles(
    photo: ReducedPhoto, function, *, core_px, halo_px, stride=STRIDE
) -> tuple[np.ndarray, int]:
    """The function over all tiles, joined, and their number."""
    rows = plan_tiles(photo.height, photo.width, core_px=core_px, halo_px=halo_px, stride=stride)
    joined = np.concatenate(
        [
            np.concatenate([tile.core_of(function(piece, tile)) for tile, piece in tiles_with_pieces(photo, row)], 1)
            for row in rows
        ]
    )
    return joined, sum(map(len, rows))


@pytest.mark.parametrize("size", [(200, 330), (97, 161)])
def test_tiled_detection_equals_whole(size):
    detector = awake(build_detector(preset("archive")))
    photo = ReducedPhoto(np.random.default_rng(0).integers(0, 65_536, (*size, 3), dtype=np.uint16))

    @torch.inference_mode()
    def detect(piece, _):
        return detector.at_one_scale(torch.from_numpy(piece * 2 - 1).permute(2, 0, 1)[None])[0, 0].numpy()

    at = {"stride": detector.total_stride}
    whole, one = over_tiles(photo, detect, core_px=None, halo_px=detector.reach_px, **at)
    tiled, many = over_tiles(photo, detect, core_px=64, halo_px=detector.reach_px, **at)
    assert one == 1 and many > 3 and whole.shape == size
    assert np.allclose(whole, tiled, atol=1e-4)
    without, _ = over_tiles(photo, detect, core_px=64, halo_px=0, **at)
    assert not np.allclose(whole, without, atol=1e-4), "the halo must matter for this to say anything"
