"""What a restoration will take, before it runs: its tiles, memory, room on disk and time.

Peak memory follows from the tile, the photo's width and the mask, not from the photo's pixels times a float:

    peak = process + work + a * tile + rows of codes (tile height x photo width) + mask + what is held
         + what several tiles leave between them

with `a` bytes a pixel of the largest tile that networks are shown, measured (docs/performance.md).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oldphoto_core.image_types import OpenedImage
from oldphoto_core.machine import resident_bytes
from oldphoto_core.restoration.pages import held_bytes_of_each
from oldphoto_core.restoration.restorer import Restorer
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.restoration.tiling import plan_tiles
from oldphoto_core.row_spool import HELD_BYTES
from oldphoto_core.scan import ArrayScan, Scan

NETWORK_BYTES_A_PIXEL = {"bfloat16": 165, "float32": 170}
"""Of the largest tile, halo included; on a CPU."""
WORK_BYTES = 250_000_000
"""Blocks of rows that are finished, measured and written, and libraries loaded on the way."""
SEVERAL_TILES_BYTES = 350_000_000
"""Beside that where there are several tiles: their shapes differ, and what one gave back does not fit the next."""
PROBE_PX = 768


@dataclass(frozen=True)
class RestorationPlan:
    """How a photo will be restored.

    Attributes:
        height, width: of the photo, pixels.
        scale: scan pixels a side for one pixel that the networks see.
        tile_rows, tile_columns: tiles that are restored.
        tile_px: (height, width) of the largest tile that networks are shown, halo included.
        computed_px: pixels that networks are shown in all: more than the photo has, for halos overlap.
        read_by_rows: whether the file is read as its rows are asked for; else it is held, decoded.
        peak_bytes: resident memory at most.
        temporary_bytes: room in the temporary folder.
    """

    height: int
    width: int
    scale: int
    tile_rows: int
    tile_columns: int
    tile_px: tuple[int, int]
    computed_px: int
    read_by_rows: bool
    peak_bytes: int
    temporary_bytes: int


def plan_restoration(restorer: Restorer, image: OpenedImage, *, scale: int) -> RestorationPlan:
    """Plans how an image is restored on this machine, with nothing restored yet.

    Args:
        restorer: with its networks loaded, on the device that will restore.
        image: opened.
        scale: scan pixels a side for one pixel that the networks see; `Restorer.scale_of` tells.
    """
    scan = image.scan
    height, width = scan.shape[:2]
    rows, columns = -(-height // scale), -(-width // scale)
    tiles = plan_tiles(rows, columns, core_px=restorer.tile_px, halo_px=restorer.reach_px, stride=restorer.stride)
    reads = [tile.read for row in tiles for tile in row]
    tile_px = (max(read[2] - read[0] for read in reads), max(read[3] - read[1] for read in reads))
    bytes_a_pixel = int(np.prod(scan.shape[2:])) * scan.dtype.itemsize
    row_of_tiles = columns * (tile_px[0] * (bytes_a_pixel if scale == 1 else 0) + tile_px[0] * 6)
    working = rows * columns * (1 if scale == 1 else 6 + 6 + 1)
    fine_rows = restorer.fine_rows_px(height, width, scale)
    row_of_tiles = max(row_of_tiles, fine_rows * width * (bytes_a_pixel + 1))
    spooled = [height * width * bytes_a_pixel, height * width] + [height * width] * bool(fine_rows)
    held = image.held_bytes + sum(size for size in spooled if size <= HELD_BYTES)
    network = tile_px[0] * tile_px[1] * NETWORK_BYTES_A_PIXEL.get(restorer.precision, 170)
    between = SEVERAL_TILES_BYTES if len(reads) > 1 else 0
    return RestorationPlan(
        height=height,
        width=width,
        scale=scale,
        tile_rows=len(tiles),
        tile_columns=len(tiles[0]),
        tile_px=tile_px,
        computed_px=sum((read[2] - read[0]) * (read[3] - read[1]) for read in reads),
        read_by_rows=image.held_bytes < height * width * bytes_a_pixel,
        peak_bytes=resident_bytes() + WORK_BYTES + between + network + row_of_tiles + working + held,
        temporary_bytes=sum(size for size in spooled if size > HELD_BYTES) + height * width * (bytes_a_pixel + 2),
    )


def plan_together(plans: Sequence[RestorationPlan], image: OpenedImage) -> RestorationPlan:
    """Gives the plan of an image by those of its pages, which are restored one after the other.

    Tiles are those of the page that takes most memory, beside which the rows of all others lie; disk and what networks
    are shown are added up.

    Args:
        plans: One a page, in order; of an image of one page its own, which is then the answer.
        image: opened.
    """
    if not image.pages:
        return plans[0]
    largest = max(plans, key=lambda one: one.peak_bytes)
    kept, spooled = 0, 0
    for plan, page in zip(plans, image.pages, strict=True):
        pixels = plan.height * plan.width
        for size in (pixels * int(np.prod(page.scan.shape[2:])) * page.scan.dtype.itemsize, pixels):
            if size <= held_bytes_of_each(len(plans)):
                kept += size
            else:
                spooled += size
    return replace(
        largest,
        computed_px=sum(plan.computed_px for plan in plans),
        read_by_rows=image.held_bytes < sum(page.held_bytes for page in image.pages),
        peak_bytes=largest.peak_bytes + kept + image.held_bytes,
        temporary_bytes=spooled + sum(plan.temporary_bytes for plan in plans),
    )


def probe(restorer: Restorer, image: OpenedImage, wanted: Wanted, scale: int) -> float:
    """Gives the seconds that a megapixel takes the networks here, on a piece from the photo's middle.

    The piece is restored twice; the first time also warms up.
    """
    piece = middle_of(image.scan, PROBE_PX * scale)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        restorer.restore_scan(piece, wanted, icc_profile=image.icc_profile, scale=scale).close()
        seconds.append(time.perf_counter() - began)
    working_px = piece.shape[0] * piece.shape[1] / scale**2
    return min(seconds) / working_px * 1e6


def middle_of(scan: Scan, side_px: int) -> ArrayScan:
    """Gives a square from the middle of a scan, as large as it may be up to a side, its sides even multiples of 16."""
    height, width = scan.shape[:2]
    down, across = (max(32, min(side_px, extent) // 16 * 16) for extent in (height, width))
    top, left = (height - down) // 2, (width - across) // 2
    return ArrayScan(np.ascontiguousarray(scan.rows(top, top + down)[:, left : left + across]))
