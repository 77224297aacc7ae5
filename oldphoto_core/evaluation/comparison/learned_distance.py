"""LPIPS (Zhang et al. 2018), where the package `lpips` and AlexNet's weights are on the machine. Nothing is fetched."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

BACKBONE = "alexnet-owt-*.pth"
"""What torchvision calls AlexNet's weights in PyTorch's folder of checkpoints."""


class LearnedDistance:
    """Gives the distance of two pictures: 0 the same, about 0.7 nothing alike."""

    def __init__(self, network: Any) -> None:
        self._network = network

    @classmethod
    def at_hand(cls) -> LearnedDistance | None:
        """Gives the metric, or None, with the reason in the log."""
        missing = why_not()
        if missing:
            log.info("LPIPS is not measured: %s", missing)
            return None
        lpips = importlib.import_module("lpips")
        return cls(lpips.LPIPS(net="alex", verbose=False).eval())

    def __call__(self, result: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
        """Gives the distance of two (H, W, 3) uint8 pictures."""
        import torch

        with torch.no_grad():
            pair = [torch.from_numpy(np.array(x)).permute(2, 0, 1)[None] / 127.5 - 1 for x in (result, target)]
            return float(self._network(*pair))


def why_not() -> str | None:
    """Gives what is missing to measure LPIPS, in words; None where it is all there."""
    for name in ("lpips", "torchvision"):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is not installed"
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return None if any(folder.glob(BACKBONE)) else f"AlexNet's weights are not in {folder}"
