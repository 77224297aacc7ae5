"""The second pass over a photo: the working photo is restored, a row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from oldphoto_core.restoration.blending import ToneFit, as_grey, fit_tone
from oldphoto_core.restoration.mending import MendedPhoto, mend
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.print_tone import PrintTone, fit_print_tone
from oldphoto_core.restoration.survey import Survey
from oldphoto_core.restoration.tiling import Tile, fill_up, plan_tiles, tiles_with_pieces
from oldphoto_core.restoration.working import WorkingPhoto, as_sixteen_bits

Mode = Literal["full", "scratches"]
ToneChoice = Literal["correct", "neutral", "keep"]

_FIT_STRIDE_PX = 16


@dataclass(frozen=True)
class RepairedRows:
    """Some rows of the working photo.

    Attributes:
        top: the first of them.
        image: (h, W, 3) uint16 of full range, sRGB, restored.
    """

    top: int
    image: np.ndarray


@dataclass(frozen=True)
class Repair:
    """How a photo's working rows are restored.

    Attributes:
        found: what the first pass found.
        tile_px: side of a tile's core at most.
        mode: `full`, or `scratches`, which keeps every pixel that is not mended.
        tone: `correct`, `neutral` or `keep`; `scratches` mode keeps it.
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

    def tiles(self, photo: WorkingPhoto) -> list[list[Tile]]:
        """The tiles, in rows."""
        reach = 0 if self.mode == "scratches" else self.networks.reach_px
        return plan_tiles(
            photo.height,
            photo.width,
            core_px=None if reach is None else self.tile_px,
            halo_px=reach or 0,
            stride=self.networks.stride,
        )

    def rows(self, photo: WorkingPhoto) -> Iterator[RepairedRows]:
        """Restores the photo from its top."""
        shown: WorkingPhoto = photo
        if self.mode == "scratches" or self.networks.mends_first:
            is_grey = self.found.monochrome == "neutral"
            shown = MendedPhoto(photo, mend(photo, self.found.mended, self.networks, grey=is_grey))
        fit = self._tone_fit() if self.mode == "full" and self.tone == "keep" else None
        for row in self.tiles(photo):
            top, bottom = row[0].core[0], row[0].core[2]
            image = np.empty((bottom - top, photo.width, 3), np.uint16)
            for tile, piece in tiles_with_pieces(shown, row):
                restored = piece if self.mode == "scratches" else self._tile(piece, tile, photo, fit)
                image[:, tile.columns] = as_sixteen_bits(tile.core_of(restored))
            yield RepairedRows(top=top, image=image)

    def _tile(self, piece: np.ndarray, tile: Tile, photo: WorkingPhoto, fit: ToneFit | None) -> np.ndarray:
        """Gives (h, w, 3) the restoration of what a tile reads."""
        top, left, bottom, right = tile.read
        mask = np.zeros(piece.shape[:2], np.float32)
        if not self.networks.mends_first:
            damaged = self.found.mended[top:bottom, left:right].astype(np.float32)
            mask = fill_up(damaged, bottom - top, right - left)
        window = tile.window(photo.height, photo.width)
        return self._in_tone(self.networks.restore(piece, mask, self.found.glance, window), fit)

    def _in_tone(self, restored: np.ndarray, fit: ToneFit | None) -> np.ndarray:
        restored = self.in_print_hue(restored)
        return restored if fit is None else fit.apply(restored)

    def in_print_hue(self, restored: np.ndarray) -> np.ndarray:
        """Gives a restoration (h, w, 3) without colours of its own where the print has none: grey, or in its hue."""
        if self.found.monochrome == "no":
            return restored
        if self.found.monochrome == "toned" and self.tone == "correct":
            return self._print_tone.apply(restored)
        return as_grey(restored)

    @cached_property
    def _print_tone(self) -> PrintTone:
        return fit_print_tone(self.found.small, self._restored_small(), self.found.small_mask)

    def _tone_fit(self) -> ToneFit:
        """How the tone of a restoration leads back to the print's own, from the small copy and its restoration."""
        restored = self._restored_small()
        is_monochrome = self.found.monochrome != "no"
        restored = as_grey(restored) if is_monochrome else restored
        return fit_tone(self.found.small, restored, self.found.small_mask, monochrome=is_monochrome)

    def _restored_small(self) -> np.ndarray:
        """The small copy as the networks restore it."""
        small = self.found.small
        height, width = small.shape[:2]
        stride = max(self.networks.stride, _FIT_STRIDE_PX)
        size = (-(-height // stride) * stride, -(-width // stride) * stride)
        window = (0.0, 0.0, size[0] / height, size[1] / width)
        nothing = np.zeros(size, np.float32)
        return self.networks.restore(fill_up(small, *size), nothing, self.found.glance, window)[:height, :width]
