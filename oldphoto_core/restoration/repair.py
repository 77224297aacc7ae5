"""The second pass over a photo: the working photo is restored, a row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from oldphoto_core.restoration.blending import MEND_REACH_PX, ToneFit, as_grey, fit_tone, mend_scratches, repair_weight
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.survey import Survey
from oldphoto_core.restoration.tiling import Tile, fill_up, plan_tiles, tiles_with_pieces
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
            top, bottom = row[0].core[0], row[0].core[2]
            image = np.empty((bottom - top, photo.width, 3), np.uint16)
            weight = np.empty(image.shape[:2], np.float32) if self.mode == "scratches" else None
            for tile, piece in tiles_with_pieces(photo, row):
                restored, share = self._tile(piece, tile, photo, fit)
                image[:, tile.columns] = as_sixteen_bits(tile.core_of(restored))
                if weight is not None:
                    weight[:, tile.columns] = tile.core_of(share)
            yield RepairedRows(top=top, image=image, weight=weight)

    def _tile(
        self, original: np.ndarray, tile: Tile, photo: WorkingPhoto, fit: ToneFit | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gives (h, w, 3) the restoration, and (h, w) the weight of the repair."""
        top, left, bottom, right = tile.read
        mask = fill_up(self.found.mask[top:bottom, left:right], bottom - top, right - left).astype(np.float32) / 255
        weight = np.zeros_like(mask)
        if self.mode == "scratches":
            weight = repair_weight(mask, threshold=self.networks.mask_threshold)
            if not weight.any():  # nothing to mend here
                return original, weight
        acted_on = self.networks.acted_on(mask) if self.found.detected else mask
        window = tile.window(photo.height, photo.width)
        restored = self._in_tone(self.networks.restore(original, acted_on, self.found.glance, window), fit)
        if self.mode == "scratches":
            restored = mend_scratches(original, restored, weight)
        return restored, weight

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
