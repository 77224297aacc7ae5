"""The figures of one restored picture against its truth, over all of it or inside some regions alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.comparison.parts import Region, union
from oldphoto_core.evaluation.second_generator import Damaged

Photo = NDArray[np.uint8]


def paired_figures(
    result: Photo, damaged: Damaged, regions: tuple[Region, ...], lpips: Callable[[Photo, Photo], float] | None
) -> dict[str, float]:
    """Gives figures by the names of `Row`.

    Args:
        result: (H, W, 3) restored.
        damaged: holds the truth and the true mask.
        regions: where figures are taken; over all pixels when there are none. The colour fit of the tone-aligned ones
            is that of the whole photo all the same. SSIM and colour differences are means over the regions.
        lpips: the learned distance, of whole photos alone; None where it is not at hand.
    """
    target, mask = damaged.target, damaged.mask
    aligned, truth = metrics.align_tone(result, target, mask), metrics.as_float(target)
    inside = union(regions, mask.shape) if regions else None
    marked = mask if inside is None else mask & inside
    crops = [(one.crop(result), one.crop(target)) for one in regions] or [(result, target)]
    return {
        "mask_coverage": float(mask.mean() if inside is None else mask[inside].mean()),
        "psnr": metrics.psnr(result, target, where=inside),
        "aligned_psnr": metrics.psnr(aligned, truth, where=inside),
        "masked_psnr": metrics.psnr(result, target, where=marked),
        "aligned_masked_psnr": metrics.psnr(aligned, truth, where=marked),
        "ssim": float(np.mean([metrics.ssim(*pair) for pair in crops])),
        "delta_e": float(np.mean([metrics.delta_e(*pair) for pair in crops])),
        "lpips": lpips(result, target) if lpips and not regions else math.nan,
    }
