"""The optional last part of a release: `uncertainty.safetensors` beside the others, and what its card says of it.

It changes no restored pixel, so it is no part of the release's weights hash, its name or its `files`: a release may
get a head, or a better one, and stay the same release. The card's own entry names the file's SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from oldphoto_core.errors import ReleaseError
from oldphoto_core.models.uncertainty import UncertaintyHead
from oldphoto_core.releases.bundle import write_whole
from oldphoto_core.releases.card import CARD_NAME, ReleaseCard, read_card

FILE_NAME = "uncertainty.safetensors"
ENTRY = "uncertainty"
"""Of the card."""


def attach_uncertainty(folder: Path, head: UncertaintyHead, notes: Mapping[str, Any]) -> ReleaseCard:
    """Writes a head beside a release's networks, then names it in the card, and gives the card as it is read again.

    Args:
        folder: of the release.
        head: trained on this release.
        notes: for the card: data, training, `calibration`.
    """
    card = read_card(folder)
    data = save({name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()})
    entry = {
        "file": FILE_NAME,
        "sha256": hashlib.sha256(data).hexdigest(),
        "weights": sum(parameter.numel() for parameter in head.parameters()),
        **notes,
    }
    write_whole(folder / FILE_NAME, data)
    whole = {**card.card, ENTRY: entry}
    write_whole(folder / CARD_NAME, (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode())
    return read_card(folder)


def require_uncertainty(card: ReleaseCard) -> Mapping[str, Any]:
    """Gives what the card says of the release's head.

    Raises:
        ReleaseError: the release has none.
    """
    if ENTRY not in card.card:
        raise ReleaseError(
            f"release {card.name} ({card.folder}) has no uncertainty head: its card has no {ENTRY!r}; restore without a"
            " map of uncertainty, or train a head with `python -m oldphoto_core.training.uncertainty`"
        )
    return card.card[ENTRY]


def load_uncertainty(card: ReleaseCard, *, device: torch.device | str = "cpu") -> UncertaintyHead:
    """Loads a release's head, in evaluation mode, after its file has been compared with the card.

    Raises:
        ReleaseError: the release has none, or its file is missing, altered, or of another shape.
    """
    entry = require_uncertainty(card)
    path = card.folder / str(entry["file"])
    try:
        data = path.read_bytes()
    except OSError:
        raise ReleaseError(f"release {card.name}: {path} is missing; install the release again") from None
    found, expected = hashlib.sha256(data).hexdigest(), str(entry["sha256"])
    if found != expected:
        raise ReleaseError(
            f"release {card.name}: {path} was altered: expected SHA-256 {expected[:12]}…, found {found[:12]}…;"
            " install the release again"
        )
    head = UncertaintyHead()
    try:
        head.load_state_dict(load(data))
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise ReleaseError(f"release {card.name}: {path} does not fit this oldphoto's head: {first}") from None
    return head.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)
