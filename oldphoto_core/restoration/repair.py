"""The second pass over a photo: the working photo is restored, a row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from oldphoto_core.restoration.blending import MEND_REACH_PX, ToneFit, as_grey, fit_tone, mend_scratches, repair_weight
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.survey import Survey
from oldphoto_core.restoration.tiling import Tile, fill_up, map_tiles, plan_tiles, read_box
from oldphoto_core.restoration.working import WorkingPhoto, as_sixteen_bits

Mode = Literal["full", "scratches"]
ToneChoice = Literal["correct", "keep"]

_FIT_STRIDE_PX = 16


@dataclass(frozen=True)
class RepairedRows:
    """Some rows of the working photo.

    Attributes:
        top: the first of them.
        image: (h, W, 3) uint16 of full range, sRGB, restored.
        weight: (h, W) float32 in [0, 1], how much of the repair each pixel takes; `scratches` mode alone, else None.
    """

    top: int
    image: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class Repair:
    """How a photo's working rows are restored.

    Attributes:
        found: what the first pass found.
        tile_px: side of a tile's core at most.
        mode: `full`, or `scratches`, which keeps every pixel that is not damaged.
        tone: `correct` or `keep`; `scratches` mode keeps it.
    """

    networks: Networks
    found: Survey
    tile_px: int | None
    mode: Mode
    tone: ToneChoice

    @property
    def keeps_tone(self) -> bool:
        """Whether the restoration is brought back into the print's own tone."""
        return self.mode == "scratches" or self.tone == "keep"

    @property
    def is_monochrome(self) -> bool:
        """Whether the restoration may have no colour of its own."""
        return self.found.monochrome != "no"

    def tiles(self, photo: WorkingPhoto) -> list[list[Tile]]:
        """The tiles, in rows."""
        reach = self.networks.reach_px
        mend = MEND_REACH_PX if self.mode == "scratches" else 0
        return plan_tiles(
            photo.height,
            photo.width,
            core_px=None if reach is None else self.tile_px,
            halo_px=(reach or 0) + mend,
            stride=self.networks.stride,
        )

    def rows(self, photo: WorkingPhoto) -> Iterator[RepairedRows]:
        """Restores the photo from its top."""
        fit = self._tone_fit() if self.keeps_tone else None
        for row in self.tiles(photo):
            top, _, bottom, right = (*row[0].read[:3], row[-1].read[3])
            seen = read_box(photo, row)
            codes = fill_up(self.found.mask[top : min(bottom, photo.height)], bottom - top, right)
            mask = codes.astype(np.float32) / 255
            both = np.dstack([seen, mask])
            joined = map_tiles(row, both, lambda piece, tile: self._tile(piece, tile, photo, fit))
            yield RepairedRows(
                top=row[0].core[0],
                image=as_sixteen_bits(joined[:, :, :3]),
                weight=np.ascontiguousarray(joined[:, :, 3]) if self.mode == "scratches" else None,
            )

    def _tile(self, piece: np.ndarray, tile: Tile, photo: WorkingPhoto, fit: ToneFit | None) -> np.ndarray:
        """Gives (h, w, 4): the restoration, and the weight of the repair."""
        original, mask = piece[:, :, :3], np.ascontiguousarray(piece[:, :, 3])
        weight = np.zeros_like(mask)
        if self.mode == "scratches":
            weight = repair_weight(mask, threshold=self.networks.mask_threshold)
            if not weight.any():  # nothing to mend here
                return np.dstack([original, weight])
        acted_on = self.networks.acted_on(mask) if self.found.detected else mask
        window = tile.window(photo.height, photo.width)
        restored = self.networks.restore(np.ascontiguousarray(original), acted_on, self.found.glance, window)
        restored = self._in_tone(restored, fit)
        if self.mode == "scratches":
            restored = mend_scratches(original, restored, weight)
        return np.dstack([restored, weight])

    def _in_tone(self, restored: np.ndarray, fit: ToneFit | None) -> np.ndarray:
        if self.is_monochrome:
            restored = as_grey(restored)
        return restored if fit is None else fit.apply(restored)

    def _tone_fit(self) -> ToneFit:
        """How the tone of a restoration leads back to the print's own, from the small copy and its restoration."""
        small, mask = self.found.small, self.found.small_mask
        height, width = small.shape[:2]
        stride = max(self.networks.stride, _FIT_STRIDE_PX)
        size = (-(-height // stride) * stride, -(-width // stride) * stride)
        window = (0.0, 0.0, size[0] / height, size[1] / width)
        restored = self.networks.restore(fill_up(small, *size), fill_up(mask, *size), self.found.glance, window)
        restored = restored[:height, :width]
        if self.is_monochrome:
            restored = as_grey(restored)
        return fit_tone(small, restored, mask, monochrome=self.is_monochrome)
