"""What a training run learns from and is judged on: photos, textures, damage."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.chunks import WHOLE_PX
from oldphoto_core.training.data import PhotoBank

if TYPE_CHECKING:
    from oldphoto_core.degradation import Degradation

_LOG = logging.getLogger(__name__)

JUDGED_PHOTOS = 32
"""Held-out photos that each checkpoint is judged on, from either generator."""


@dataclass(frozen=True)
class Material:
    """Photos and damage, split into what is trained on and what is kept for measuring."""

    clean: PhotoBank
    clean_held_out: PhotoBank
    degradation: Degradation
    degradation_held_out: Degradation
    old: PhotoBank | None = None
    old_held_out: PhotoBank | None = None
    photos_path: Path | None = None
    """Where the clean photos came from."""
    judged_photos: int = JUDGED_PHOTOS
    judged_px: int = WHOLE_PX
    """Side of the judged photos."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def load(
        cls,
        photos: Path,
        *,
        old: Path | None = None,
        textures: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> Material:
        """Loads the folders onto the device.

        Args:
            photos: clean photos; about a tenth, chosen by the hash of their names, are kept for measuring.
            old: real old photos, split likewise; without them VAE1 learns from synthetic damage alone.
            textures: scratches, dust and papers; without them all damage is drawn procedurally.
            device: where to keep them.
        """
        from oldphoto_core.degradation import Degradation, Recipe, TextureLibrary

        device = torch.device(device)

        def damage(held_out: bool) -> Degradation:
            library = TextureLibrary.procedural()
            if textures:
                library = TextureLibrary.from_folder(textures, held_out=held_out)
            return Degradation(Recipe.default(), library.to(device))

        if textures and not Path(textures).is_dir():
            raise TrainingError(f"texture folder {textures} does not exist; leave --textures out to draw all damage")
        clean, clean_held_out = _both(Path(photos), device)
        old_bank, old_held_out = _both(Path(old), device) if old else (None, None)
        return cls(
            clean=clean,
            clean_held_out=clean_held_out,
            degradation=damage(False),
            degradation_held_out=damage(True),
            old=old_bank,
            old_held_out=old_held_out,
            photos_path=Path(photos),
            device=device,
        )


def _both(folder: Path, device: torch.device) -> tuple[PhotoBank, PhotoBank]:
    training = PhotoBank.from_folder(folder, held_out=False, device=device)
    try:
        return training, PhotoBank.from_folder(folder, held_out=True, device=device)
    except TrainingError:
        _LOG.warning("%s has no held-out photo; judging on the training photos, whose figures flatter", folder)
        return training, training
