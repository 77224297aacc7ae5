"""Facts about tiles: they cover a photo once, and joined they are the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.network import stack_windows
from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.restoration.tiling import map_tiles, plan_tiles, round_up

STRIDE = 16


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    core_px=st.integers(1, 300),
    halo_px=st.integers(0, 200),
)
def test_cores_cover_the_photo_once_and_lie_on_the_stride(height, width, core_px, halo_px):
    height, width = height * STRIDE, width * STRIDE
    covered = np.zeros((height, width), dtype=int)
    for tile in plan_tiles(height, width, core_px=core_px, halo_px=halo_px, stride=STRIDE):
        assert all(edge % STRIDE == 0 for edge in (*tile.read, *tile.core))
        top, left, bottom, right = tile.core
        covered[top:bottom, left:right] += 1
        for edge, outer, limit in zip(tile.core, tile.read, (0, 0, height, width), strict=True):
            assert outer == limit or abs(edge - outer) >= halo_px
    assert (covered == 1).all()


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


@pytest.mark.parametrize("size", [(200, 330), (97, 161)])
def test_tiled_detection_equals_whole(size):
    detector = awake(build_detector(preset("archive")))
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    common = {"outputs": 1, "reach_px": detector.reach_px, "stride": 16, "device": torch.device("cpu")}
    with torch.inference_mode():
        whole, one = map_tiles(image, lambda piece, _: detector(piece), core_px=None, **common)
        tiled, many = map_tiles(image, lambda piece, _: detector(piece), core_px=64, **common)
    assert one == 1 and many > 3
    assert torch.allclose(whole, tiled, atol=1e-4)


def test_tiled_restoration_equals_whole():
    network = awake(build_restoration(preset("archive")))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 90, 600, generator=generator) * 2 - 1
    mask = (torch.rand(1, 1, 90, 600, generator=generator) > 0.97).float()
    glance = network.glance(image, mask)

    def restore(piece, tile):
        window = stack_windows([tile.window(90, 600)], "cpu")
        return network.restore(piece[:, :3], piece[:, 3:], glance, window)

    common = {"outputs": 3, "reach_px": network.reach_px, "stride": 16, "device": torch.device("cpu")}
    with torch.inference_mode():
        both = torch.cat([image, mask], dim=1)
        whole, _ = map_tiles(both, restore, core_px=None, **common)
        tiled, many = map_tiles(both, restore, core_px=96, **common)
    assert many == 7
    assert (whole - image).abs().mean() > 0.05, "the network must do something for this to say anything"
    assert torch.allclose(whole, tiled, atol=1e-4)
