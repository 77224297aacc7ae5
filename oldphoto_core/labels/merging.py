"""One mask of several people's: the majority, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_ANNOTATORS = 255


@dataclass(frozen=True)
class MergedMask:
    """What came of several masks.

    Attributes:
        mask: (H, W) uint8, 255 where at least half of the annotators marked.
        differing: (H, W) uint8, 255 where some marked and some did not; None where they agree, or there is one.
        disagreement: share of the pixels where they differ, 0 to 1.
    """

    mask: np.ndarray
    differing: np.ndarray | None
    disagreement: float


def merged(masks: Sequence[np.ndarray]) -> MergedMask:
    """Merges masks by majority; with a tie, what half of them marked counts as damaged.

    A scratch is overlooked more often than it is made up, and training leaves out what people do not agree on.

    Args:
        masks: (H, W) uint8, 255 where marked; all of one size.
    """
    assert masks and len(masks) <= MOST_ANNOTATORS, len(masks)
    if len(masks) == 1:
        return MergedMask(masks[0], None, 0.0)
    votes = np.zeros(masks[0].shape, np.uint8)
    for mask in masks:
        votes += mask > 0
    majority = (votes >= (len(masks) + 1) // 2).astype(np.uint8) * np.uint8(255)
    differing = ((votes > 0) & (votes < len(masks))).astype(np.uint8) * np.uint8(255)
    share = float(np.count_nonzero(differing)) / differing.size
    return MergedMask(majority, differing if share else None, share)
