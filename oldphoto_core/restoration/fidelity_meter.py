"""Measuring what a restoration did to a photo, in bounded time and memory whatever the photo's size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oldphoto_core.restoration.fidelity import DAMAGED_ABOVE, FidelityFigures
from oldphoto_core.restoration.tone_fit import ToneMap, fit_tone

MEASURED_PX = 2**20
"""Pixels up to which a photo is measured whole; of a larger one about as many are."""

_PATCH_PX = 64  # side of what is measured of a patch
_RIM_PX = 3  # this near to damage a pixel counts as neither intact nor damaged
_COLOUR_PX = 2**16  # pixels whose colour difference is computed, spread evenly over those measured
_ONE_LEVEL = 1 / 255
_END = 0.5 / 65535  # nearer than this to 0 or 1 is clipped, nearer than this to grey is grey, at 16 bits too
_FLAT = (0.5 / 255) ** 2  # gradients of half a level weigh nothing: rounding is no structure
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class FidelityMeter:
    """Measures what a restoration did, on full-resolution patches spread evenly over the photo.

    All of the photo is measured where it is small, about a million pixels where it is large. Strips of any heights give
    the same figures. What is kept of a photo of any size is at most some 35 MB.
    """

    def __init__(self, height: int, width: int, *, monochrome: bool) -> None:
        """Chooses the patches.

        Args:
            height, width: of the whole photo, in pixels.
            monochrome: the photo is neutral grey, so that any chroma in its restoration is wrong. A toned print, which
                has chroma of its own, is not.
        """
        self._height, self._width, self._monochrome = height, width, monochrome
        self._rows, self._columns, self._measured = _patches(height, width)
        size = len(self._rows), len(self._columns)
        self._before = np.zeros((*size, 3), dtype=np.float32)
        self._after = np.zeros((*size, 3), dtype=np.float32)
        self._damaged = np.zeros(size, dtype=np.uint8)
        self._seen_rows = 0
        self._damaged_px = 0

    def add(
        self,
        top: int,
        before: np.ndarray,
        after: np.ndarray,
        mask: np.ndarray,
        seen: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Takes the next strip, and keeps of it only what lies in patches.

        Args:
            top: the photo's row that the strip begins with: strips come from the top, without gaps.
            before, after: (h, W, 3) float32 sRGB in [0, 1]; with `seen`, stored pixels of any form.
            mask: (h, W) float32 in [0, 1].
            seen: gives the former of the latter, for whatever rows and columns.
        """
        if top != self._seen_rows or top + len(mask) > self._height or mask.shape[1] != self._width:
            raise ValueError(
                f"expected a strip from row {self._seen_rows}, {self._width} wide and at most "
                f"{self._height - self._seen_rows} high; found row {top}, mask {mask.shape}"
            )
        wanted = (*mask.shape, 3) if seen is None else before.shape
        if before.shape != wanted or after.shape != wanted or before.shape[:2] != mask.shape:
            raise ValueError(f"expected {(*mask.shape, 3)}; found before {before.shape}, after {after.shape}")
        self._seen_rows = top + len(mask)
        self._damaged_px += int(np.count_nonzero(mask > DAMAGED_ABOVE))
        first, last = np.searchsorted(self._rows, (top, self._seen_rows))
        here = np.ix_(self._rows[first:last] - top, self._columns)
        self._before[first:last] = before[here] if seen is None else seen(before[here])
        self._after[first:last] = after[here] if seen is None else seen(after[here])
        self._damaged[first:last] = mask[here] > DAMAGED_ABOVE

    def figures(self) -> FidelityFigures:
        """Gives the figures of the whole photo; all are finite.

        Where nothing lies outside the mask nothing can be said of it: differences are then 0 and the correlation 1,
        and the mask coverage tells.
        """
        if self._seen_rows != self._height:
            raise ValueError(f"expected {self._height} rows, found {self._seen_rows}: add the missing strips first")
        outside = (self._near_damage() == 0) & self._measured
        before, after = self._before[outside], self._after[outside]
        sample = _spread(len(before))
        intact, restored = before[sample], after[sample]
        tone = fit_tone(intact, restored)
        raw, toned = _colour_differences(restored, intact, tone(intact))
        tone_free = min(raw, toned, key=_mean)
        red, green, blue = np.moveaxis(np.abs(self._after - self._before), 2, 0)
        changed = np.maximum(np.maximum(red, green), blue) > _ONE_LEVEL + _END
        return FidelityFigures(
            mask_coverage=self._damaged_px / (self._height * self._width),
            delta_e_mean=_mean(raw),
            delta_e_p95=_p95(raw),
            tone_free_delta_e_mean=_mean(tone_free),
            tone_free_delta_e_p95=_p95(tone_free),
            gradient_correlation=self._gradient_correlation(outside, tone),
            clipped_black_growth=_mean(after <= _END) - _mean(before <= _END),
            clipped_white_growth=_mean(after >= 1 - _END) - _mean(before >= 1 - _END),
            added_chroma=self._added_chroma() if self._monochrome else 0.0,
            changed_share=_mean(changed[self._measured]),
            measured_px=int(self._measured.sum()),
        )

    def _near_damage(self) -> np.ndarray:
        """Gives (h, w) uint8, 1 on damage and near it. Patches keep a rim of their own, so none reaches another."""
        import cv2

        if not self._damaged.any():
            return self._damaged
        side = 2 * _RIM_PX + 1
        return cv2.dilate(self._damaged, np.ones((side, side), np.uint8))

    def _gradient_correlation(self, outside: np.ndarray, tone: ToneMap) -> float:
        """Gives the correlation in [-1, 1] of the luma's gradients (Sobel's) after, and before in the tone of after."""
        import cv2

        if not outside.any():
            return 1.0
        product = energy_before = energy_after = 0.0
        luma_before, luma_after = tone(self._before) @ _LUMA, self._after @ _LUMA
        for across, down in ((1, 0), (0, 1)):
            slope_before = cv2.Sobel(luma_before, cv2.CV_32F, across, down, scale=1 / 8)[outside].astype(np.float64)
            slope_after = cv2.Sobel(luma_after, cv2.CV_32F, across, down, scale=1 / 8)[outside].astype(np.float64)
            product += float(slope_before @ slope_after)
            energy_before += float(slope_before @ slope_before)
            energy_after += float(slope_after @ slope_after)
        floor = _FLAT * int(outside.sum())
        return (product + floor) / float(np.sqrt((energy_before + floor) * (energy_after + floor)))

    def _added_chroma(self) -> float:
        """Gives the mean growth of CIELAB chroma over all measured pixels, damaged ones too."""
        before, after = self._before[self._measured], self._after[self._measured]
        coloured = np.ptp(after, axis=1) > _END
        if not coloured.any():
            return 0.0
        growth = np.maximum(_chroma(after[coloured]) - _chroma(before[coloured]), 0)
        return float(growth.sum(dtype=np.float64) / len(after))


def _patches(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives the photo's rows (h,) and columns (w,) that are kept, and which of their pixels (h, w) are measured."""
    if height * width <= MEASURED_PX:
        return np.arange(height), np.arange(width), np.ones((height, width), dtype=bool)
    wanted = MEASURED_PX / _PATCH_PX**2
    # A narrow photo is measured from side to side.
    most = MEASURED_PX // (_PATCH_PX * min(width, _PATCH_PX + 2 * _RIM_PX))
    down = min(max(1, round((wanted * height / width) ** 0.5)), most)
    rows, measured_rows = _along(height, down)
    columns, measured_columns = _along(width, max(1, MEASURED_PX // int(measured_rows.sum()) // _PATCH_PX))
    return rows, columns, measured_rows[:, None] & measured_columns


def _along(length: int, patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Gives positions along one side and which of them are measured: the rest are the patches' rims."""
    side = _PATCH_PX + 2 * _RIM_PX
    if patches * side >= length:
        return np.arange(length), np.ones(length, dtype=bool)
    starts = np.rint(np.linspace(0, length - side, patches)) if patches > 1 else np.array([(length - side) // 2])
    inner = np.zeros(side, dtype=bool)
    inner[_RIM_PX:-_RIM_PX] = True
    return (starts.astype(int)[:, None] + np.arange(side)).ravel(), np.tile(inner, patches)


def _spread(count: int) -> np.ndarray:
    """Gives indices below `count`, evenly spread and each by chance within its share, the same ones every time."""
    if count <= _COLOUR_PX:
        return np.arange(count)
    chance = np.random.default_rng(0).random(_COLOUR_PX)
    return ((np.arange(_COLOUR_PX) + chance) * (count / _COLOUR_PX)).astype(int).clip(0, count - 1)


def _colour_differences(restored: np.ndarray, *references: np.ndarray) -> list[np.ndarray]:
    """Gives the CIEDE2000 difference (N,) of restored pixels (N, 3) to each reference, exactly 0 where equal."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    if not len(restored):
        return [np.zeros(0, dtype=np.float32) for _ in references]
    lab = rgb2lab(restored)
    differences = []
    for reference in references:
        same = np.abs(restored - reference).max(axis=1) < _END
        difference = np.zeros(len(restored), dtype=np.float32)
        if not same.all():
            difference[~same] = deltaE_ciede2000(rgb2lab(reference[~same]), lab[~same])
        differences.append(np.nan_to_num(difference))
    return differences


def _chroma(pixels: np.ndarray) -> np.ndarray:
    """Gives the CIELAB chroma (N,) of pixels (N, 3), exactly 0 where the three channels are alike."""
    from skimage.color import rgb2lab

    lab = rgb2lab(pixels)
    return np.where(np.ptp(pixels, axis=1) > _END, np.hypot(lab[:, 1], lab[:, 2]), 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else 0.0


def _p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95)) if values.size else 0.0
