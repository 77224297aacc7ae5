"""Cutting a photo into tiles whose results join without a seam.

Each tile is read with a halo at least as wide as the network's reach, starts and ends at multiples of its total
stride, and only its core is kept. Convolution padding then falls on true photo edges alone, and tiled equals whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.scratch_unet import pad_to_multiple


@dataclass(frozen=True)
class Tile:
    """One tile of a photo, in pixels; half-open ranges.

    Attributes:
        read: (top, left, bottom, right) of what the network is shown, halo included.
        core: (top, left, bottom, right) of what is kept.
    """

    read: tuple[int, int, int, int]
    core: tuple[int, int, int, int]

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Gives `read` as fractions of a photo of this height and width."""
        top, left, bottom, right = self.read
        return top / height, left / width, bottom / height, right / width


def round_up(value: int, multiple: int) -> int:
    """Gives the smallest multiple that is not below the value."""
    return -(-value // multiple) * multiple


def plan_tiles(height: int, width: int, *, core_px: int | None, halo_px: int, stride: int) -> list[Tile]:
    """Plans the tiles of a photo whose height and width are multiples of the stride.

    Args:
        height, width: of the photo, padded to the stride.
        core_px: side of a tile's core, rounded up to the stride; None: one tile.
        halo_px: pixels read around the core, rounded up to the stride.
        stride: the network's total stride.

    Returns:
        Tiles in rows, whose cores cover the photo once.
    """
    if core_px is None:
        core_px = max(height, width)
    if core_px < 1:
        raise ConfigError(f"a tile must be at least one pixel: expected tile_px >= 1, found {core_px}")
    core, halo = round_up(core_px, stride), round_up(halo_px, stride)
    return list(_tiles(height, width, core, halo))


def _tiles(height: int, width: int, core: int, halo: int) -> Iterator[Tile]:
    for top in range(0, height, core):
        bottom = min(top + core, height)
        for left in range(0, width, core):
            right = min(left + core, width)
            read = (max(top - halo, 0), max(left - halo, 0), min(bottom + halo, height), min(right + halo, width))
            yield Tile(read=read, core=(top, left, bottom, right))


def map_tiles(
    inputs: Tensor,
    function: Callable[[Tensor, Tile], Tensor],
    *,
    outputs: int,
    core_px: int | None,
    reach_px: int | None,
    stride: int,
    device: torch.device,
) -> tuple[Tensor, int]:
    """Applies a network to a photo, tile by tile.

    Args:
        inputs: (1, C, H, W) float32 on the CPU; padded here to the stride by repeating the edge.
        function: takes a tile's pixels (1, C, h, w) on the device and the tile; gives (1, outputs, h, w).
        outputs: channels that the function gives.
        core_px: side of a tile's core; None: the whole photo at once.
        reach_px: the network's reach; None (it sees everywhere) means the whole photo at once.
        stride: the network's total stride.
        device: where the function works.

    Returns:
        (1, outputs, H, W) float32 on the CPU, and the number of tiles.
    """
    padded, (height, width) = pad_to_multiple(inputs, stride)
    tiles = plan_tiles(
        padded.shape[2],
        padded.shape[3],
        core_px=None if reach_px is None else core_px,
        halo_px=reach_px or 0,
        stride=stride,
    )
    result = torch.empty(1, outputs, *padded.shape[2:])
    for tile in tiles:
        top, left, bottom, right = tile.read
        piece = padded[:, :, top:bottom, left:right].to(device).contiguous(memory_format=torch.channels_last)
        answer = function(piece, tile)
        core_top, core_left, core_bottom, core_right = tile.core
        result[:, :, core_top:core_bottom, core_left:core_right] = answer[
            :, :, core_top - top : core_bottom - top, core_left - left : core_right - left
        ].cpu()
    return result[:, :, :height, :width], len(tiles)
