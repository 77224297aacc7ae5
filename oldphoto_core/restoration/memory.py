"""Too little memory: smaller tiles, then the CPU; never a lost photo where there is a way."""

from __future__ import annotations

import torch

from oldphoto_core.restoration.networks import Networks

SMALLEST_TILE_PX = 256
"""Tiles are not made smaller than this: halos would take most of the work."""


def ease(networks: Networks, tile_px: int | None, longest_px: int) -> tuple[Networks, int, str] | None:
    """Gives what to try next, and a sentence for the report; None where nothing is left.

    Args:
        networks: those that ran out of memory.
        tile_px: the tile they were given; None: the whole photo.
        longest_px: the photo's longer side.
    """
    if networks.device.type == "cuda":
        torch.cuda.empty_cache()
    current = min(tile_px or longest_px, longest_px)
    if current > SMALLEST_TILE_PX and networks.reach_px is not None:
        smaller = max(SMALLEST_TILE_PX, current // 2)
        return networks, smaller, f"{networks.device.type} ran out of memory: tiles of {smaller} px"
    if networks.device.type != "cpu":
        return networks.on_cpu(), current, f"{networks.device.type} ran out of memory: restored on the CPU"
    return None
