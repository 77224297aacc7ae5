"""The first pass over a photo: where it is damaged, what of that is mended, and the one look at the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from oldphoto_core.color import NEUTRAL_SPREAD
from oldphoto_core.models.faces import find_faces
from oldphoto_core.models.look import Glance, make_thumbnail
from oldphoto_core.restoration.blending import LUMA
from oldphoto_core.restoration.mask import MaskShape, Mending, codes_of, joined_codes, logits_of, shape_mask
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.print_tone import Monochrome, tell_monochrome
from oldphoto_core.restoration.tiling import plan_tiles, tiles_with_pieces
from oldphoto_core.restoration.working import ReducedPhoto, WorkingPhoto, as_sixteen_bits, reduce_by
from oldphoto_core.scan import Scan

SMALL_PX = 512
"""Longer side, at most, of the small copy that global things are judged by."""

_COLOURED_SHARE = 0.001
"""Share of pixels with colour from which a photo is not neutral: JPEG leaves a trace of it at edges of a grey one."""

_LIKELY = int(codes_of(np.float32(0.5)))
"""Code from which what is found tells nothing of the photo's tone, mended or not."""

GIVEN_FROM = 128
"""Code of a given mask from which a pixel is damaged."""

_DOUBT = 4.0
"""A place of the small copy counts for nothing where one part in so many of it is damaged."""

_BLOCK_PIXELS = 1_000_000
"""Pixels that are gathered at once."""


@dataclass(frozen=True)
class Survey:
    """What is known of a photo before it is restored.

    Attributes:
        found: (H, W) uint8 of the working photo, the probability of damage as `codes_of` codes it; the mask that was
            given, where nothing was detected.
        mended: (H, W) bool of the working photo, what is mended.
        lost_share, left_share: shares of the photo in lost pieces, and in those that are left as they are.
        glance: the look at the whole photo; None in `paper`.
        monochrome: `no`, `neutral` or `toned`.
        small: (h, w, 3) float32 in [0, 1], the photo averaged to at most 512 pixels.
        small_mask: (h, w) float32, what is mended or found, averaged likewise.
        tiles: tiles the detector was given.
    """

    found: np.ndarray
    mended: np.ndarray
    lost_share: float
    left_share: float
    glance: Glance | None
    monochrome: Monochrome
    small: np.ndarray
    small_mask: np.ndarray
    tiles: int


def survey(
    photo: WorkingPhoto,
    networks: Networks,
    *,
    tile_px: int | None,
    mending: Mending,
    mask: np.ndarray | None = None,
    join: bool = False,
    grey: bool = False,
) -> Survey:
    """Finds what is damaged, decides what is mended, and looks at the whole.

    Args:
        photo: at working scale.
        networks: of the release.
        tile_px: side of a tile's core at most.
        mending: how much of what is found is mended.
        mask: (H, W) uint8 of working pixels, damaged from 128 on, which is mended as it is; None: it is detected.
        join: what the detector finds is mended beside the mask.
        grey: whether the scan has one channel.
    """
    gathered = _Gathered(photo.height, photo.width)
    detects = mask is None or join
    found, luma, tiles = _looked_through(photo.again(), networks if detects else None, gathered, tile_px=tile_px)
    shape = MaskShape(np.zeros(found.shape, bool), 0.0, 0.0)
    given = None if mask is None else mask >= GIVEN_FROM
    if detects:
        faces = find_faces(np.repeat(luma[:, :, None], 3, axis=2))  # colour tells a face detector little
        shape = shape_mask(found, luma, mending=mending, faces=faces, given=given)
    mended = shape.mended
    if mask is not None and given is not None:
        found = np.maximum(found, codes_of(mask.astype(np.float32) / 255))
        mended = mended | given
    small, small_mask = gathered.small(), gathered.averaged(mended | (found >= _LIKELY))
    monochrome = gathered.monochrome(small, small_mask, grey=grey)
    return Survey(
        found=found,
        mended=mended,
        lost_share=shape.lost_share,
        left_share=shape.left_share,
        glance=networks.glance(*_thumbnail(small, small_mask)),
        monochrome=monochrome,
        small=small,
        small_mask=small_mask,
        tiles=tiles,
    )


def _looked_through(
    photo: WorkingPhoto, networks: Networks | None, gathered: _Gathered, *, tile_px: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Reads a photo once; gives (H, W) uint8 codes of what is found and luma, and how many tiles were looked at."""
    reach = 0 if networks is None else networks.detector_reach_px
    found = np.zeros((photo.height, photo.width), np.uint8)
    luma = np.empty_like(found)
    averaged = None if networks is None or networks.coarse == 1 else _Averaged(networks.coarse)
    step = max(1, _BLOCK_PIXELS // photo.width)
    rows_of_tiles = plan_tiles(
        photo.height,
        photo.width,
        core_px=None if reach is None else tile_px,
        halo_px=reach or 0,
        stride=1 if networks is None else networks.stride,
    )
    for row in rows_of_tiles:
        top, bottom = row[0].core[0], row[0].core[2]
        if networks is not None:
            for tile, piece in tiles_with_pieces(photo, row):
                found[top:bottom, tile.columns] = codes_of(tile.core_of(networks.detect(piece)))
        codes = photo.codes(row[0].read[0], min(row[0].read[2], photo.height))[top - row[0].read[0] :]
        for start in range(top, bottom, step):
            end = min(start + step, bottom)
            rows = photo.seen(codes[start - top : end - top], start)
            luma[start:end] = np.rint(rows @ LUMA * 255)
            gathered.add(start, rows)
            if averaged is not None:
                averaged.add(rows)
    if networks is not None and averaged is not None:
        coarse = _looked_at(averaged.photo(), networks, tile_px=tile_px)
        for top in range(0, len(found), step):
            rows = found[top : top + step]
            rows[:] = joined_codes(rows, enlarged_rows(coarse, networks.coarse, top, rows.shape))
    return found, luma, 0 if networks is None else sum(map(len, rows_of_tiles))


def _looked_at(photo: WorkingPhoto, networks: Networks, *, tile_px: int | None) -> np.ndarray:
    """Gives the logits (H, W) float32 of one look at a photo."""
    logits = np.empty((photo.height, photo.width), np.float32)
    reach = networks.detector_reach_px
    rows_of_tiles = plan_tiles(
        photo.height, photo.width,
        core_px=None if reach is None else tile_px, halo_px=reach or 0, stride=networks.stride,
    )  # fmt: skip
    for row in rows_of_tiles:
        for tile, piece in tiles_with_pieces(photo, row):
            logits[tile.core[0] : tile.core[2], tile.columns] = logits_of(tile.core_of(networks.detect(piece)))
    return logits


def enlarged_rows(values: np.ndarray, factor: int, top: int, shape: tuple[int, ...]) -> np.ndarray:
    """Gives rows of `values` (h, w) enlarged linearly by a whole factor, from row `top` on, in this shape (H, W)."""
    first, last = max(0, top // factor - 1), (top + shape[0]) // factor + 2
    part = values[first:last]
    size = (part.shape[1] * factor, part.shape[0] * factor)
    rows = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    return rows[top - first * factor :][: shape[0], : shape[1]]


class _Averaged:
    """A photo averaged down by a whole factor, taken in a few rows at a time."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._parts: list[np.ndarray] = []
        self._rest: np.ndarray | None = None

    def add(self, rows: np.ndarray) -> None:
        """Takes the next rows (h, W, 3) in [0, 1]."""
        rows = rows if self._rest is None else np.concatenate([self._rest, rows])
        whole = len(rows) - len(rows) % self._factor
        self._rest = rows[whole:].copy()
        if whole:
            self._parts.append(as_sixteen_bits(reduce_by(rows[:whole], self._factor)))

    def photo(self) -> ReducedPhoto:
        """Gives the photo; its last row and column are repeated to fill their squares."""
        if self._rest is not None and len(self._rest):
            self._parts.append(as_sixteen_bits(reduce_by(self._rest, self._factor)))
        return ReducedPhoto(np.concatenate(self._parts))


def _thumbnail(small: np.ndarray, small_mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives what the look is shown: (1, 3, 64, 64) in [-1, 1] of intact places, and the share of each that is damaged.

    A place of the small copy that is damaged in part holds some of the damage's colour, and counts for less.
    """
    image = torch.from_numpy(small * 2 - 1).permute(2, 0, 1)[None]
    mask = torch.from_numpy(small_mask)[None, None]
    thumbnail, _ = make_thumbnail(image, (_DOUBT * mask).clamp_max(1))
    return thumbnail, make_thumbnail(image, mask)[1]


class _Gathered:
    """Means over the photo, so that the whole of it need never be held."""

    def __init__(self, height: int, width: int) -> None:
        self._factor = max(1, -(-max(height, width) // SMALL_PX))
        self._sums = np.zeros((-(-height // self._factor), -(-width // self._factor), 3), np.float64)
        self._colourful = 0
        self._size = (height, width)

    def add(self, top: int, rows: np.ndarray) -> None:
        """Takes the next rows (h, W, 3) in [0, 1]."""
        red, green, blue = (rows[:, :, channel] for channel in range(3))
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        self._colourful += int(np.count_nonzero(spread > NEUTRAL_SPREAD + 1e-5))
        self._sum(self._sums, top, rows)

    def _sum(self, sums: np.ndarray, top: int, rows: np.ndarray) -> None:
        place = np.arange(top, top + len(rows)) // self._factor
        first = np.flatnonzero(np.diff(place, prepend=-1))
        across = np.add.reduceat(rows, np.arange(0, rows.shape[1], self._factor), axis=1)
        sums[place[first]] += np.add.reduceat(across, first, axis=0)

    def _counts(self) -> np.ndarray:
        down, across = (np.minimum(np.arange(0, side, self._factor) + self._factor, side) for side in self._size)
        return np.outer(np.diff(down, prepend=0), np.diff(across, prepend=0))

    def small(self) -> np.ndarray:
        """Gives the photo (h, w, 3) float32, averaged to the small copy's size."""
        return (self._sums / self._counts()[:, :, None]).astype(np.float32)

    def averaged(self, mask: np.ndarray) -> np.ndarray:
        """Gives a mask (H, W) bool as (h, w) float32, averaged likewise."""
        sums = np.zeros(self._sums.shape[:2])
        step = max(1, _BLOCK_PIXELS // mask.shape[1])
        for top in range(0, len(mask), step):
            self._sum(sums, top, mask[top : top + step].astype(np.float32))
        return (sums / self._counts()).astype(np.float32)

    def monochrome(self, small: np.ndarray, small_mask: np.ndarray, *, grey: bool) -> Monochrome:
        """Gives `neutral`, `toned` or `no`; what has a trace of colour is not neutral, but toned where monochrome."""
        if grey or self._colourful < _COLOURED_SHARE * self._size[0] * self._size[1]:
            return "neutral"
        return "no" if tell_monochrome(small, small_mask) == "no" else "toned"


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
