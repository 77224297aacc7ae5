"""The last step: the repair is carried up to the scan's own scale, depth and colours.

Of a scan that was taken as it is, the repaired rows are the result. Of one that was averaged down, the result is

    out = T(x) + up(c) - up(m) (T(x) - up(T(w)))

with x the scan, w the working photo, T the photo's tone map (nothing where the tone is kept), m the mask, and c what is
carried (`oldphoto_core.restoration.carrying`) of the change r - T(w) that the restoration r makes: inside the mask the
repair stands, under the scan's own grain, outside it the scan keeps its detail and takes the coarse change alone.
Scratches too fine for the working scale are mended in x, and so in w, before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.restoration.carrying import CARRY_REACH_PX, carried_change
from oldphoto_core.restoration.fine_mending import FineMender
from oldphoto_core.restoration.grain import Grain, lay_grain, measure_grain
from oldphoto_core.restoration.mask import probabilities_of
from oldphoto_core.restoration.mending import mask_seed
from oldphoto_core.restoration.networks import Window
from oldphoto_core.restoration.repair import Repair
from oldphoto_core.restoration.survey import GIVEN_FROM
from oldphoto_core.restoration.working import DirectPhoto, ReducedPhoto, as_float, seen_by_networks
from oldphoto_core.scan import Scan

_BLOCK_PIXELS = 1_500_000
"""Pixels of the scan that are finished at once."""
_CONTEXT = 3
"""Working rows beside a block that its enlargement looks at."""


@dataclass(frozen=True)
class FinishedRows:
    """Some rows of the result.

    Attributes:
        top: the first of them.
        before, after: of the scan's shape and dtype.
        mask: (h, W) float32, 1 where it was mended, at the scan's scale.
        found: (h, W) float32 in [0, 1], the probability of damage.
    """

    top: int
    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    found: np.ndarray

    def below(self, row: int) -> FinishedRows | None:
        """Gives what of it lies at this row or below; None where nothing does."""
        skip = max(0, row - self.top)
        if skip >= len(self.after):
            return None
        parts = (self.before, self.after, self.mask, self.found)
        return FinishedRows(self.top + skip, *(part[skip:] for part in parts))


@dataclass(frozen=True)
class Finisher:
    """Makes rows of the result of rows of the repair.

    Attributes:
        scan: the photo as it is stored.
        colour: how its values become sRGB and back.
        scale: scan pixels a side for one working pixel.
        repair: how working rows are restored.
        strength: 0 gives the scan back, 1 the whole restoration.
        fine: mends what is too fine for the working scale; None: nothing is.
        within: (H, W) uint8 at the scan's scale; in `scratches` mode no pixel outside changes. None: the working mask
            says where.
    """

    scan: Scan
    colour: WorkingColour
    scale: int
    repair: Repair
    strength: float
    fine: FineMender | None = None
    within: Scan | None = None

    def rows(self, photo: DirectPhoto | ReducedPhoto) -> Iterator[FinishedRows]:
        """Restores the whole photo, from its top."""
        if isinstance(photo, DirectPhoto):
            yield from self._as_it_is(photo)
        else:
            yield from self._carried_up(photo)

    def _as_it_is(self, photo: DirectPhoto) -> Iterator[FinishedRows]:
        found, scratches = self.repair.found, self.repair.mode == "scratches"
        step = max(1, _BLOCK_PIXELS // photo.width)
        for repaired in self.repair.rows(photo):
            for start in range(0, len(repaired.image), step):
                part = slice(start, start + step)
                top, image = repaired.top + start, as_float(repaired.image[part])
                before = photo.held(top, top + len(image))
                rows = slice(top, top + len(image))
                mended = found.mended[rows].astype(np.float32)
                probability = probabilities_of(found.found[rows])
                yield self._finished(top, before, image, mended, probability, mended if scratches else None)

    def _carried_up(self, photo: ReducedPhoto) -> Iterator[FinishedRows]:
        image = np.empty_like(photo.pixels)
        scratches, found = self.repair.mode == "scratches", self.repair.found
        for repaired in self.repair.rows(photo):
            part = slice(repaired.top, repaired.top + len(repaired.image))
            image[part] = repaired.image
        height, width = self.scan.shape[:2]
        grain, seed = self._grain(), mask_seed(found.mended)
        step = max(1, _BLOCK_PIXELS // (width * self.scale))
        for top in range(0, photo.height, step):
            bottom = min(top + step, photo.height)
            around = CARRY_REACH_PX + _CONTEXT
            first, last = max(top - around, 0), min(bottom + around, photo.height)
            rows = slice(first, last)
            before = self.scan.rows(top * self.scale, min(bottom * self.scale, height))
            seen = seen_by_networks(before, self.colour)
            fine, marked = np.zeros(seen.shape[:2], bool), np.float32(0)
            if self.fine is not None:
                fine, marked = self.fine.put(top * self.scale, seen)
            probability = probabilities_of(found.found[rows])
            window = (first / photo.height, 0.0, last / photo.height, 1.0)
            working = self._toned(as_float(photo.pixels[rows]), window)
            share = found.mended[rows].astype(np.float32)
            change = as_float(image[rows]) - working
            if not scratches:
                change = carried_change(change, share)
            small = np.dstack([change, working, share, probability])
            above = min(top - first, _CONTEXT)  # what only the change looked at is not enlarged
            small = small[top - first - above : bottom - first + _CONTEXT]
            large = self._enlarged(small, above, bottom - top)[: len(before), :width]
            change, soft, share_up, mask_up = large[:, :, :3], large[:, :, 3:6], large[:, :, 6], large[:, :, 7]
            share_up = np.clip(share_up, 0, 1)
            sharp = self._toned(seen, self._window_of(photo, top, len(before)))
            restored = sharp + change - share_up[:, :, None] * (sharp - soft)
            lay_grain(restored, top * self.scale, np.where(share_up > 1e-3, share_up, 0), grain, seed=seed)
            if not self.repair.keeps_tone:
                restored = self.repair.in_print_hue(restored)
            mended, weight = np.maximum(share_up > 0.5, marked).astype(np.float32), None
            if scratches:
                weight = ((share_up > 1e-3) | fine).astype(np.float32)
                if self.within is not None:
                    weight *= self.within.rows(top * self.scale, top * self.scale + len(before)) >= GIVEN_FROM
                mended = weight
            found_up = np.maximum(np.clip(mask_up, 0, 1), marked)
            yield self._finished(top * self.scale, before, np.clip(restored, 0, 1), mended, found_up, weight)

    def _grain(self) -> Grain:
        """The scan's own grain around what is mended: an enlarged repair has none so fine."""

        def read(top: int, bottom: int) -> np.ndarray:
            return seen_by_networks(self.scan.rows(top, bottom), self.colour)

        return measure_grain(read, self.repair.found.mended, scale=self.scale, size=self.scan.shape[:2])

    def _enlarged(self, rows: np.ndarray, above: int, height: int) -> np.ndarray:
        """Gives working rows (h, W, 8) at the scan's scale, without their context: cubic between pixels' centres."""
        size = (rows.shape[1] * self.scale, rows.shape[0] * self.scale)
        parts = [
            cv2.resize(np.ascontiguousarray(rows[:, :, at : at + 4]), size, interpolation=cv2.INTER_CUBIC)
            for at in (0, 4)
        ]
        return np.dstack(parts)[above * self.scale : (above + height) * self.scale]

    def _window_of(self, photo: ReducedPhoto, top: int, height: int) -> Window:
        """Where some rows of the scan lie, as fractions of the working photo."""
        across = self.scan.shape[1] / (photo.width * self.scale)
        return top / photo.height, 0.0, (top + height / self.scale) / photo.height, across

    def _toned(self, image: np.ndarray, window: Window) -> np.ndarray:
        if self.repair.keeps_tone:
            return image
        return self.repair.networks.tone(image, self.repair.found.glance, window)

    def _finished(
        self,
        top: int,
        before: np.ndarray,
        restored: np.ndarray,
        mask: np.ndarray,
        found: np.ndarray,
        weight: np.ndarray | None,
    ) -> FinishedRows:
        """Gives rows in the scan's own values: what lies outside sRGB comes through, and what is kept is kept."""
        if self.strength == 0:
            return FinishedRows(top, before, before.copy(), mask, found)
        stored = before if self.colour.is_srgb and self.strength == 1 else None
        original = seen_by_networks(before, self.colour) if stored is None else None
        if self.strength < 1:
            assert original is not None
            restored = original + np.float32(self.strength) * (restored - original)
        if before.ndim == 2:
            restored = restored[:, :, 0]
        if not self.colour.is_srgb:
            assert original is not None
            unbounded = self.colour.to_srgb(before)
            beyond = unbounded - np.clip(unbounded, 0, 1)
            repaired = mask if before.ndim == 2 else mask[:, :, None]
            restored = self.colour.from_srgb(restored + beyond * (1 - np.float32(self.strength) * repaired))
        after = quantised(restored, before.dtype)
        if weight is not None:
            intact = weight <= 0
            after[intact] = before[intact]
        return FinishedRows(top, before, after, mask, found)


def quantised(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Gives values in [0, 1] as levels of uint8 or uint16, rounded to the nearest, ends clipped."""
    most = np.iinfo(dtype).max
    return np.clip(np.rint(values.astype(np.float64) * most), 0, most).astype(dtype)
