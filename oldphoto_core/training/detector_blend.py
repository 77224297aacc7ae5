"""How much of a fine-tuned detector to keep: the mixture of old and new weights that forgets no more than is allowed.

Fine-tuning on a few labelled photos moves a detector along a line, on which what it learns and what it forgets grow
about alike (weight-space ensembles, Wortsman et al., CVPR 2022). So the end of that line need not be taken or
left: of some places on it the one is kept that finds most on labelled validation photos while it loses at most
`FORGIVEN` of the AUC on the second generator.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oldphoto_core.training.checkpoint import WEIGHTS, load_weights, save_weights

_LOG = logging.getLogger(__name__)

Judge = Callable[[Mapping[str, nn.Module]], dict[str, float]]

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Of the change, that are tried."""
FORGIVEN = 0.008
"""AUC on the second generator that may be lost; the rules of promotion allow 0.01, on other photos."""


def blended(parent: nn.Module, trained: nn.Module, share: float) -> nn.Module:
    """Gives a detector whose weights are the parent's and this share of what training changed."""
    mixture = copy.deepcopy(parent)
    old, new = parent.state_dict(), trained.state_dict()
    with torch.no_grad():
        mixture.load_state_dict(
            {key: torch.lerp(old[key], new[key], share) if old[key].is_floating_point() else old[key] for key in old}
        )
    return mixture.eval().requires_grad_(False)


def keep_what_is_better(judge: Judge, parent: nn.Module, folder: Path) -> float:
    """Makes the mixture that is kept the stage's best weights, and gives its share of the change; 0 keeps the parent.

    The same weights give the same mixture, so it may be done again.

    Args:
        judge: gives the figures `labelled/auc` and `second/auc`, among others, of a detector by that name.
        parent: the detector that fine-tuning started from.
        folder: of the stage, which has ended; its last weights are read, its best ones written.
    """
    trained = copy.deepcopy(parent)
    notes = load_weights(folder / WEIGHTS["last"], {"detector": trained})
    before = judge({"detector": parent})
    tried: dict[float, dict[str, float]] = {0.0: before}
    allowed = [0.0]
    for share in SHARES:
        figures = judge({"detector": blended(parent, trained, share)})
        tried[share] = figures
        if figures["second/auc"] >= before["second/auc"] - FORGIVEN:
            allowed.append(share)
    share = max(allowed, key=lambda one: (_found(tried[one]), one))
    content: dict[str, Any] = {**notes, "figures": tried[share], "share_of_change": share}
    save_weights(folder / WEIGHTS["best"], {"detector": blended(parent, trained, share)}, content)
    _LOG.info(
        "detector: %g of the change is kept; labelled AUC, second generator's AUC by share: %s", share,
        ", ".join(f"{s:g}: {f['labelled/auc']:.3f}, {f['second/auc']:.3f}" for s, f in sorted(tried.items())),
    )  # fmt: skip
    return share


def _found(figures: dict[str, float]) -> float:
    """What is looked for: the AUC on labelled photos; one that cannot be told is as bad as none."""
    auc = figures["labelled/auc"]
    return auc if auc == auc else float("-inf")
