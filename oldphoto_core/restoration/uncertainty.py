"""The map of uncertainty of a restoration: the error to be expected of each pixel, from its top to its bottom.

Made after a restoration, of what went in and what came out; it changes neither. The photo is gone through in tiles
that are read with a halo as wide as the head's reach, so that no seam can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.image_types import OpenedImage
from oldphoto_core.models.uncertainty import UncertaintyHead
from oldphoto_core.releases.bundle import LoadedRelease
from oldphoto_core.releases.uncertainty import load_uncertainty
from oldphoto_core.restoration.scan_result import ScanResult
from oldphoto_core.restoration.survey import reduced_mask
from oldphoto_core.restoration.tiling import Tile, fill_up, plan_tiles
from oldphoto_core.restoration.working import ReducedPhoto, seen_by_networks, working_photo
from oldphoto_core.row_spool import RowSpool
from oldphoto_core.scan import ArrayScan, RollingRows, Scan
from oldphoto_core.stacked_scan import StackedScan

TILE_PX = 1024
"""Side of a tile's core at most."""

CODES_A_LEVEL = 256
"""In files: 16 bits, the upper eight of which are whole levels of 255."""

Rows = tuple[int, np.ndarray]
"""The first row, and (h, W) float32."""


def uncertainty_rows(
    release: LoadedRelease,
    before: Scan,
    after: Scan,
    mask: Scan,
    colour: WorkingColour,
    *,
    scale: int = 1,
    tile_px: int = TILE_PX,
    device: torch.device | str = "cpu",
) -> Iterator[Rows]:
    """Gives the error to be expected, in levels of 255: the mean absolute difference of a channel from the truth.

    Args:
        release: whose restoration it is; its head is loaded here.
        before: the photo as it was, (H, W) or (H, W, 3).
        after: the restoration, of the same shape.
        mask: (H, W) uint8, 255 times the probability of damage or the mask that was given.
        colour: how the values of both become sRGB.
        scale: pixels a side for one pixel of a snapshot: the map is made at 1/scale, as the repair is, and each of its
            values stands for a square.
        tile_px: side of a tile's core at most.
        device: where the head computes.

    Yields:
        The first row, and (h, W) float32, from the top; every row once.

    Raises:
        ReleaseError: the release has no head, or its file was altered. At once, before any row is asked for.
    """
    head = load_uncertainty(release.card, device=device)
    if scale == 1:
        return _rows(head, before, after, mask, colour, tile_px)
    height, width = mask.shape[:2]
    small = [ArrayScan(_reduced(scan, colour, scale)) for scan in (before, after)]
    covered = ArrayScan(reduced_mask(mask, scale))
    rows = _rows(head, *small, covered, WorkingColour.of(None, channels=3), tile_px)
    return _enlarged(rows, scale, height, width)


@dataclass(frozen=True)
class Restored:
    """A photo, or a page of one, before and after.

    Attributes:
        before, after: (H, W) or (H, W, 3) each.
        mask: (H, W) uint8, the one that was acted on.
        icc_profile: of both; None: sRGB.
        scale: that it was repaired at.
    """

    before: Scan
    after: Scan
    mask: Scan
    icc_profile: bytes | None = None
    scale: int = 1


def restored_pages(photo: OpenedImage, result: ScanResult) -> tuple[Restored, ...]:
    """Gives a photo's pages beside what came of them; of a photo without pages that is one."""
    pairs = zip(photo.pages or (photo,), result.pages or (result,), strict=True)
    return tuple(
        Restored(page.scan, done.image, done.found, page.icc_profile, done.report.working_scale) for page, done in pairs
    )


def uncertainty_of(
    release: LoadedRelease, pages: Sequence[Restored], *, device: torch.device | str, files: ExitStack
) -> Scan:
    """Gives the map of a restored photo, (H, W) uint16, `CODES_A_LEVEL` to a level; pages lie below each other.

    Args:
        release: whose restoration it is.
        pages: of the photo, one or more.
        device: where the head computes.
        files: lets go of the map.
    """
    maps: list[Scan] = []
    for page in pages:
        colour = WorkingColour.of(page.icc_profile, channels=1 if len(page.before.shape) == 2 else 3)
        spool = RowSpool(page.before.shape[:2], np.uint16)
        files.callback(spool.close)
        rows = uncertainty_rows(
            release, page.before, page.after, page.mask, colour, scale=page.scale, device=device
        )
        for _, levels in rows:
            spool.append(np.rint(np.clip(levels, 0, 255) * CODES_A_LEVEL).astype(np.uint16))
        maps.append(spool)
    return maps[0] if len(maps) == 1 else StackedScan(tuple(maps), 0)


def _rows(
    head: UncertaintyHead, before: Scan, after: Scan, mask: Scan, colour: WorkingColour, tile_px: int
) -> Iterator[Rows]:
    height, width = mask.shape[:2]
    pictures = [RollingRows(scan) for scan in (before, after)]
    masks = RollingRows(mask)
    for row in plan_tiles(height, width, core_px=tile_px, halo_px=head.reach_px, stride=head.total_stride):
        top, bottom = row[0].read[0], min(row[0].read[2], height)
        codes = [rows.between(top, bottom) for rows in pictures]
        covered = masks.between(top, bottom)
        first, last = row[0].core[0], row[0].core[2]
        answer = np.empty((last - first, width), np.float32)
        for tile in row:
            across = slice(tile.read[1], tile.read[3])
            seen = [_tensor(seen_by_networks(rows[:, across], colour) * 2 - 1, tile) for rows in codes]
            damage = _tensor(covered[:, across, None].astype(np.float32) / 255, tile)
            answer[:, tile.core[1] : tile.core[3]] = tile.core_of(_expected(head, seen[0], damage, seen[1]))
        yield first, answer


@torch.inference_mode()
def _expected(head: UncertaintyHead, before: Tensor, mask: Tensor, after: Tensor) -> np.ndarray:
    """Gives (h, w) float32 in levels of 255."""
    device = head.asked.device
    return (head(before.to(device), mask.to(device), after.to(device))[0, 0] * 255).cpu().numpy()


def _tensor(piece: np.ndarray, tile: Tile) -> Tensor:
    """Gives (1, C, h, w) channels-last of (h, w, C), its last pixels repeated up to what the tile reads."""
    top, left, bottom, right = tile.read
    filled = fill_up(piece, bottom - top, right - left).reshape(bottom - top, right - left, -1)
    return torch.from_numpy(np.ascontiguousarray(filled)).permute(2, 0, 1)[None]


def _reduced(scan: Scan, colour: WorkingColour, scale: int) -> np.ndarray:
    photo = working_photo(scan, colour, scale)
    assert isinstance(photo, ReducedPhoto)
    return photo.pixels


def _enlarged(rows: Iterator[Rows], scale: int, height: int, width: int) -> Iterator[Rows]:
    for top, values in rows:
        large = np.repeat(np.repeat(values, scale, axis=0), scale, axis=1)[:, :width]
        yield top * scale, large[: height - top * scale]
