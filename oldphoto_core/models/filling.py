"""Filling what is damaged from beside it, before E_RX sees it: a start from which T has less to mend.

(Not in the paper, whose T meets the scratch itself. T gives z + delta: on a filled photo it begins where classical
inpainting ends, and need not first learn to take scratches away.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 4
"""Halvings: the coarsest cells have 16 pixels a side, T's total stride, so that they lie alike in every tile."""
SMOOTHINGS = 6
REACH_PX = 2 ** (LEVELS + 2) + SMOOTHINGS
"""How far a pixel may change the filling: within its coarsest cell and the next but one, then pixel by pixel."""
_LEAST = 1e-3


def fill(image: Tensor, mask: Tensor) -> Tensor:
    """Gives the image with damaged places filled from intact ones around them.

    Averages of what is intact, over cells of 2 to 16 pixels a side, fill what the finer ones leave open ("push-pull",
    Gortler et al. 1996), and some rounds of smoothing inside the mask take the cells' edges away. The filling is mixed
    in by the square of the mask: a soft mask is a probability to which the detector's loss, which counts a damaged
    pixel three times an intact one, has added, and its square is about what is meant. From a mask of 0.5 on a pixel is
    no source. A place with nothing intact within reach stays as it is.

    Args:
        image: (B, 3, H, W) in [-1, 1], H and W multiples of 16.
        mask: (B, 1, H, W) in [0, 1], soft.

    Returns:
        (B, 3, H, W) float32; the image itself, bit for bit, where the mask is 0.
    """
    image, mask = image.float(), mask.float().clamp(0, 1)
    if not bool(mask.any()):
        return image
    filling = _filling(image, (1 - 2 * mask).clamp_min(0))
    for _ in range(SMOOTHINGS):
        filling = torch.where(mask > 0.5, F.avg_pool2d(F.pad(filling, (1, 1, 1, 1), mode="replicate"), 3, 1), filling)
    return torch.where(mask > 0, torch.lerp(image, filling, mask.square()), image)


def _filling(image: Tensor, intact: Tensor) -> Tensor:
    """Gives (B, 3, H, W): intact values, and beside them averages of the nearest ones."""
    weights, sums = [intact], [image * intact]
    for _ in range(LEVELS):
        weights.append(F.avg_pool2d(weights[-1], 2))
        sums.append(F.avg_pool2d(sums[-1], 2))
    # A coarsest cell without anything intact takes its neighbours', else what is there.
    near, around = (_around(x) for x in (weights[-1], sums[-1]))
    plain = F.avg_pool2d(image, 2**LEVELS)
    coarser = torch.where(near > _LEAST, around / near.clamp_min(_LEAST), plain)
    coarser = _joined(weights[-1], sums[-1], coarser)
    for weight, total in zip(reversed(weights[:-1]), reversed(sums[:-1]), strict=True):
        raised = F.interpolate(coarser, scale_factor=2, mode="bilinear", align_corners=False)
        coarser = _joined(weight, total, raised)
    return coarser


def _around(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def _joined(weight: Tensor, total: Tensor, below: Tensor) -> Tensor:
    """Gives a level's own average where enough of it is intact, and what the coarser level says where not."""
    own = total / weight.clamp_min(_LEAST)
    return torch.lerp(below, own, torch.where(weight > _LEAST, (2 * weight).clamp_max(1), 0.0))
