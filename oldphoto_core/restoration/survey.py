"""The first pass over a photo: where it is damaged, whether it has colours, and the one look at the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from oldphoto_core.color import NEUTRAL_SPREAD, is_toned_grey
from oldphoto_core.models.look import THUMBNAIL_PX, Glance, make_thumbnail
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.tiling import plan_tiles, tiles_with_pieces
from oldphoto_core.restoration.working import WorkingPhoto
from oldphoto_core.scan import Scan

SMALL_PX = 512
"""Longer side, at most, of the small copy that global things are judged by."""

_COLOURED_SHARE = 0.001
"""Share of pixels with colour from which a photo is not neutral: JPEG leaves a trace of it at edges of a grey one."""

_BLOCK_PIXELS = 1_000_000
"""Pixels that are gathered at once."""


@dataclass(frozen=True)
class Survey:
    """What is known of a photo before it is restored.

    Attributes:
        mask: (H, W) uint8 of the working photo, 255 times the probability of damage, the mask that was given, or the
            larger of both.
        detected: whether the detector had a say in the mask.
        glance: the look at the whole photo; None in `paper`.
        monochrome: `no`, `neutral` or `toned`.
        small: (h, w, 3) float32 in [0, 1], the photo averaged to at most 512 pixels.
        small_mask: (h, w) float32, the mask averaged likewise.
        tiles: tiles the detector was given.
    """

    mask: np.ndarray
    detected: bool
    glance: Glance | None
    monochrome: str
    small: np.ndarray
    small_mask: np.ndarray
    tiles: int

    def acted_on(self, networks: Networks, mask: np.ndarray) -> np.ndarray:
        """Gives float32 in [0, 1] of uint8 of the mask, as the translation is shown it."""
        probability = mask.astype(np.float32) / 255
        return networks.acted_on(probability) if self.detected else probability


def survey(
    photo: WorkingPhoto,
    networks: Networks,
    *,
    tile_px: int | None,
    mask: np.ndarray | None = None,
    join: bool = False,
    grey: bool = False,
) -> Survey:
    """Goes through a photo once.

    Args:
        photo: at working scale.
        networks: of the release.
        tile_px: side of a tile's core at most.
        mask: (H, W) uint8 of working pixels; None: it is detected.
        join: what the detector finds is added to the mask, which is then as damaged as what it is sure of.
        grey: whether the scan has one channel.
    """
    gathered = _Gathered(photo.height, photo.width)
    detects = mask is None or join
    found = np.empty((photo.height, photo.width), np.uint8) if mask is None or join else mask
    reach = networks.detector_reach_px
    step = max(1, _BLOCK_PIXELS // photo.width)
    rows_of_tiles = plan_tiles(
        photo.height,
        photo.width,
        core_px=None if detects and reach is None else tile_px,
        halo_px=(reach or 0) if detects else 0,
        stride=networks.stride,
    )
    for row in rows_of_tiles:
        top, bottom = row[0].core[0], row[0].core[2]
        codes = photo.codes(row[0].read[0], min(row[0].read[2], photo.height))[top - row[0].read[0] :]
        if detects:
            for tile, piece in tiles_with_pieces(photo, row):
                found[top:bottom, tile.columns] = np.rint(tile.core_of(networks.detect(piece)) * 255)
            if mask is not None:
                np.maximum(found[top:bottom], mask[top:bottom], out=found[top:bottom])
        for start in range(top, bottom, step):
            end = min(start + step, bottom)
            probability = found[start:end].astype(np.float32) / 255
            rows = photo.seen(codes[start - top : end - top])
            gathered.add(start, rows, networks.acted_on(probability) if detects else probability)
    small, small_mask = gathered.small()
    return Survey(
        mask=found,
        detected=detects,
        glance=networks.glance(*gathered.thumbnail()),
        monochrome=gathered.monochrome(small, grey=grey),
        small=small,
        small_mask=small_mask,
        tiles=sum(map(len, rows_of_tiles)),
    )


class _Gathered:
    """Sums over the photo, so that the whole of it need never be held."""

    def __init__(self, height: int, width: int) -> None:
        self._factor = max(1, -(-max(height, width) // SMALL_PX))
        self._sums = np.zeros((-(-height // self._factor), -(-width // self._factor), 5), np.float64)
        self._is_tiny = min(height, width) < THUMBNAIL_PX
        self._columns: list[torch.Tensor] = []
        self._colourful = 0
        self._pixels = height * width

    def add(self, top: int, rows: np.ndarray, mask: np.ndarray) -> None:
        """Takes the next rows (h, W, 3) in [0, 1] and their mask (h, W) in [0, 1], as acted on."""
        red, green, blue = (rows[:, :, channel] for channel in range(3))
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        self._colourful += int(np.count_nonzero(spread > NEUTRAL_SPREAD + 1e-5))
        starts = np.arange(0, rows.shape[1], self._factor)
        place = np.arange(top, top + len(rows)) // self._factor
        first = np.flatnonzero(np.diff(place, prepend=-1))
        for channels, values in ((slice(0, 3), rows), (slice(3, 4), mask[:, :, None])):
            across = np.add.reduceat(values, starts, axis=1)
            self._sums[place[first], :, channels] += np.add.reduceat(across, first, axis=0)
        counts = np.outer(np.diff(first, append=len(rows)), np.diff(starts, append=rows.shape[1]))
        self._sums[place[first], :, 4] += counts
        self._columns.append(self._of_columns(rows, mask))

    def _of_columns(self, rows: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        """Rows as they are, columns averaged to the thumbnail's: (1, 7, h, 64) of image, image x intact and mask."""
        image = torch.from_numpy(rows * 2 - 1).permute(2, 0, 1)[None]
        covered = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
        if self._is_tiny:
            return torch.cat([image, image * (1 - covered), covered], dim=1)
        size = (len(rows), THUMBNAIL_PX)
        whole = F.adaptive_avg_pool2d(image, size)
        intact = F.adaptive_avg_pool2d(image * (1 - covered), size) if mask.any() else whole
        return torch.cat([whole, intact, F.adaptive_avg_pool2d(covered, size)], dim=1)

    def thumbnail(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives what `make_thumbnail` gives of the whole photo."""
        stacked = torch.cat(self._columns, dim=2)
        if self._is_tiny:
            return make_thumbnail(stacked[:, :3], stacked[:, 6:])
        pooled = F.adaptive_avg_pool2d(stacked, (THUMBNAIL_PX, THUMBNAIL_PX))
        plain = stacked.mean(dim=(2, 3), keepdim=True)
        weight = 1 - plain[:, 6:]
        mean = torch.where(weight > 1e-4, plain[:, 3:6] / weight.clamp_min(1e-4), plain[:, :3])
        share = 1 - pooled[:, 6:]
        return torch.where(share > 1e-3, pooled[:, 3:6] / share.clamp_min(1e-3), mean), pooled[:, 6:]

    def small(self) -> tuple[np.ndarray, np.ndarray]:
        """Gives the photo and its mask, averaged to the small copy's size."""
        means = (self._sums[:, :, :4] / self._sums[:, :, 4:]).astype(np.float32)
        return np.ascontiguousarray(means[:, :, :3]), np.ascontiguousarray(means[:, :, 3])

    def monochrome(self, small: np.ndarray, *, grey: bool) -> str:
        """Gives `neutral`, `toned` or `no`."""
        if grey or self._colourful < _COLOURED_SHARE * self._pixels:
            return "neutral"
        return "toned" if is_toned_grey(np.rint(small * 65_535).astype(np.uint16)) else "no"


def reduced_mask(mask: Scan, scale: int) -> np.ndarray:
    """Gives a scan's mask (H, W) uint8 in working pixels: the worst of each square."""
    height, width = mask.shape[:2]
    if scale == 1:
        return mask.rows(0, height)
    reduced = np.empty((-(-height // scale), -(-width // scale)), np.uint8)
    step = max(1, _BLOCK_PIXELS // (width * scale)) * scale
    for top in range(0, height, step):
        codes = mask.rows(top, min(top + step, height))
        codes = cv2.copyMakeBorder(codes, 0, -codes.shape[0] % scale, 0, -width % scale, cv2.BORDER_REPLICATE)
        squares = codes.reshape(codes.shape[0] // scale, scale, -1, scale)
        reduced[top // scale : top // scale + len(squares)] = squares.max(axis=(1, 3))
    return reduced
