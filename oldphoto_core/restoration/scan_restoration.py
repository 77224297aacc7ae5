"""One photo on its way: surveyed, restored from its top to its bottom, and reported on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import torch

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ConfigError, is_out_of_memory
from oldphoto_core.restoration.fidelity import RestorationReport, measure_change
from oldphoto_core.restoration.fidelity_meter import FidelityMeter
from oldphoto_core.restoration.fine_mending import FineMender
from oldphoto_core.restoration.fine_scratches import FineMarks, find_fine_scratches
from oldphoto_core.restoration.finishing import FinishedRows, Finisher
from oldphoto_core.restoration.mask import Mending, probabilities_of
from oldphoto_core.restoration.memory import ease
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.repair import Mode, Repair, ToneChoice
from oldphoto_core.restoration.scale import LARGEST_SCALE, snapshot_scale
from oldphoto_core.restoration.survey import Survey, reduced_mask, survey
from oldphoto_core.restoration.working import ReducedPhoto, seen_by_networks, working_photo
from oldphoto_core.scan import Scan

LEAVE_ALONE_LEVELS = 1.0
"""A photo without damage whose mean change would be below this many 8-bit levels comes back bit for bit."""
LEAVE_ALONE_COVERAGE = 2e-4
"""Share of damaged pixels up to which a photo counts as without damage."""
_MASK_BLOCK_PIXELS = 4_000_000


@dataclass(frozen=True)
class Wanted:
    """What is asked of a restoration.

    Attributes:
        mode: `full` or `scratches`.
        strength: 0 gives the scan back, 1 the whole restoration.
        tone: `correct`, `neutral` or `keep`.
        mending: how much of what is found is mended: `sure`, `normal` or `everything`.

    Raises:
        ConfigError: a value that cannot be right.
    """

    mode: Mode = "full"
    strength: float = 1.0
    tone: ToneChoice = "correct"
    mending: Mending = "normal"

    def __post_init__(self) -> None:
        if self.mode not in ("full", "scratches"):
            raise ConfigError(f"unknown mode {self.mode!r}; expected full or scratches")
        if self.tone not in ("correct", "neutral", "keep"):
            raise ConfigError(f"unknown tone {self.tone!r}; expected correct, neutral or keep")
        if self.mending not in ("sure", "normal", "everything"):
            raise ConfigError(f"unknown mending {self.mending!r}; expected sure, normal or everything")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be from 0 to 1, found {self.strength}")


class ScanRestoration:
    """A photo that is being restored.

    Attributes:
        scale: scan pixels a side for one working pixel.
    """

    def __init__(
        self,
        scan: Scan,
        networks: Networks,
        wanted: Wanted,
        *,
        tile_px: int | None,
        mask: Scan | None,
        join: bool,
        colour: WorkingColour,
        scale: int | None,
    ) -> None:
        """See `Restorer.begin`; `mask` is (H, W) uint8 at the scan's scale, 255 where damaged."""
        self._started = time.perf_counter()
        self._scan, self._networks, self._wanted, self._tile_px = scan, networks, wanted, tile_px
        self._colour = colour
        if scale is not None and not 1 <= scale <= LARGEST_SCALE:
            raise ConfigError(f"scale: expected a whole number from 1 to {LARGEST_SCALE}, found {scale}")
        self.scale = snapshot_scale(scan) if scale is None else scale
        self._given = None if mask is None else reduced_mask(mask, self.scale)
        self._detects = mask is None or join
        self._within = None if self._detects else mask
        self._marked = self._given is not None and (not join or bool(self._given.any()))
        self._photo = working_photo(scan, colour, self.scale)
        self._found: Survey | None = None
        self._fine: FineMarks | None = None
        self._mender: FineMender | None = None
        self._notes: list[str] = []
        self._sums = _Sums()
        self._meter: FidelityMeter | None = None
        self._tiles = 0

    @property
    def found(self) -> Survey:
        """What the first pass found; made when first asked for."""
        if self._found is None:
            self._eased(self._survey)
            self._eased(self._mend_fine_scratches)
        assert self._found is not None
        return self._found

    def _survey(self) -> None:
        self._found = survey(
            self._photo.again(),
            self._networks,
            tile_px=self._tile_px,
            mending=self._wanted.mending,
            mask=self._given,
            join=self._detects,
            grey=len(self._scan.shape) == 2,
        )

    def _mend_fine_scratches(self) -> None:
        """Finds what is too fine for the working scale; from here on the working photo knows nothing of it."""
        if not isinstance(self._photo, ReducedPhoto) or not self._detects:
            return
        fine = find_fine_scratches(self._scan, self._colour, self._networks, self.found, scale=self.scale)
        if fine is not None and fine.some:
            mender = FineMender(self._scan, self._colour, fine)
            mender.put_into_working(self._photo, self.scale)
            self._fine, self._mender = fine, mender

    def _eased(self, work: Callable[[], None]) -> None:
        """Does work, again and more easily where memory runs out."""
        while True:
            try:
                return work()
            except (MemoryError, RuntimeError, cv2.error) as error:
                self._ease(error)

    def rows(self) -> Iterator[FinishedRows]:
        """Gives the result from its top to its bottom, every row once."""
        done = 0
        while done < self._scan.shape[0]:
            repair = Repair(self._networks, self.found, self._tile_px, self._wanted.mode, self._wanted.tone)
            parts = Finisher(
                self._scan, self._colour, self.scale, repair, self._wanted.strength, self._mender, self._within
            ).rows(self._photo.again())
            while True:
                try:
                    part = next(parts, None)
                except (MemoryError, RuntimeError, cv2.error) as error:
                    self._ease(error)
                    break
                if part is None:
                    self._tiles = sum(map(len, repair.tiles(self._photo)))
                    assert done == self._scan.shape[0], f"{done} of {self._scan.shape[0]} rows were given"
                    return
                fresh = part.below(done)
                if fresh is not None:  # else given before memory ran out
                    self._measure(fresh)
                    done = fresh.top + len(fresh.after)
                    yield fresh

    def found_rows(self) -> Iterator[tuple[int, np.ndarray]]:
        """Gives the probability of damage at the scan's scale: the first row, and (h, W) float32 in [0, 1]."""
        mask, (height, width) = self.found.found, self._scan.shape[:2]
        step = max(1, _MASK_BLOCK_PIXELS // (width * self.scale))
        for top in range(0, len(mask), step):
            bottom = min(top + step, len(mask))
            first, last = max(top - 3, 0), min(bottom + 3, len(mask))
            rows = probabilities_of(mask[first:last])
            if self.scale > 1:
                size = (rows.shape[1] * self.scale, rows.shape[0] * self.scale)
                rows = np.clip(cv2.resize(rows, size, interpolation=cv2.INTER_CUBIC), 0, 1)
            rows = rows[(top - first) * self.scale : (bottom - first) * self.scale, :width]
            rows = rows[: height - top * self.scale]
            if self._fine is not None:
                fine = self._fine.rows.rows(top * self.scale, top * self.scale + len(rows))
                rows = np.maximum(rows, fine.astype(np.float32) / 255)
            yield top * self.scale, rows

    def mended_rows(self) -> Iterator[tuple[int, np.ndarray]]:
        """Gives what would be mended at the scan's scale: the first row, and (h, W) float32, 1 where mended, else 0.

        A working pixel is all of its square. Nothing is restored for it.
        """
        mended, (height, width) = self.found.mended, self._scan.shape[:2]
        step = max(1, _MASK_BLOCK_PIXELS // (width * self.scale))
        for first in range(0, len(mended), step):
            top = first * self.scale
            rows = mended[first : first + step].repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            rows = rows[: height - top, :width]
            if self._fine is not None:
                rows = rows | (self._fine.rows.rows(top, top + len(rows)) > 0)
            yield top, rows.astype(np.float32)

    def report(self) -> RestorationReport:
        """Tells how it went, once all rows were had."""
        wanted, sums = self._wanted, self._sums
        assert sums.pixels == self._scan.shape[0] * self._scan.shape[1], "the report is made when all rows are done"
        coverage = sums.damaged / sums.pixels
        mean_change = sums.change / sums.pixels
        outside = sums.change_outside / max(1, sums.pixels - sums.damaged)
        is_slight = not self._marked and coverage <= LEAVE_ALONE_COVERAGE and mean_change < LEAVE_ALONE_LEVELS
        left_alone = is_slight or not sums.is_changed
        return RestorationReport(
            seconds=time.perf_counter() - self._started,
            device=_device_name(self._networks.device),
            precision=self._networks.precision,
            tiles=self._tiles,
            mask_coverage=0.0 if left_alone else coverage,
            change_outside_mask=0.0 if left_alone else outside,
            mean_change=0.0 if left_alone else mean_change,
            left_alone=left_alone,
            monochrome=self.found.monochrome,
            mode=wanted.mode,
            tone="keep" if wanted.mode == "scratches" else wanted.tone,
            strength=wanted.strength,
            mending=wanted.mending,
            fidelity=None if left_alone or self._meter is None else self._meter.figures(),
            working_scale=self.scale,
            notes=(*self._notes, *self._lost_pieces(left_alone=left_alone)),
        )

    def _lost_pieces(self, *, left_alone: bool) -> tuple[str, ...]:
        lost, left = self.found.lost_share, self.found.left_share
        if lost and left_alone:
            return (f"lost pieces on {lost:.1%} of the photo, left as they are",)
        if not lost:
            return ()
        said = f"lost pieces on {lost:.1%} of the photo"
        if not left:
            return (f"{said}, filled",)
        which = "left as they are" if left == lost else f"those on {left:.1%} left as they are"
        return (f"{said}, {which}: what surrounds them is not calm (mending: everything fills them)",)

    def _measure(self, part: FinishedRows) -> None:
        self._sums.add(part)
        if self._meter is None:
            is_neutral = self.found.monochrome == "neutral"
            self._meter = FidelityMeter(*self._scan.shape[:2], monochrome=is_neutral)
        seen = partial(seen_by_networks, colour=self._colour)
        self._meter.add(part.top, part.before, part.after, part.mask, seen)

    def _ease(self, error: BaseException) -> None:
        """Takes smaller tiles, or the CPU, where memory ran out; whatever else it was goes on up."""
        if not is_out_of_memory(error):
            raise error
        eased = ease(self._networks, self._tile_px, max(self._photo.height, self._photo.width))
        if eased is None:
            raise error
        self._networks, self._tile_px, note = eased
        self._notes.append(note)
        if self._found is not None and self._found.glance is not None:
            self._found = replace(self._found, glance=self._found.glance.to(self._networks.device))


@dataclass
class _Sums:
    """What rows changed, added up."""

    pixels: int = 0
    damaged: int = 0
    change: float = 0.0
    change_outside: float = 0.0
    is_changed: bool = False

    def add(self, part: FinishedRows) -> None:
        pixels, damaged = part.mask.size, int(np.count_nonzero(part.mask > 0.5))
        outside, overall = measure_change(part.before, part.after, part.mask)
        self.pixels += pixels
        self.damaged += damaged
        self.change += overall * pixels
        self.change_outside += outside * (pixels - damaged)
        self.is_changed = self.is_changed or overall > 0


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
