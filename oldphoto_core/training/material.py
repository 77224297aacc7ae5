"""What a training run learns from and is judged on: photos, textures, damage."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.chunks import WHOLE_PX
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.material_folder import old_photos, sound_photos

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
    textures_path: Path | None = None
    """Where the textures came from; None where all damage is drawn."""
    labelled: LabelledBank | None = None
    """Labelled real photos to fine-tune the detector on."""
    labelled_validation: LabelledBank | None = None
    """Labelled real photos that checkpoints and thresholds are chosen on."""
    reviewed: LabelledBank | None = None
    """Old photos of which every pixel was judged."""
    reviewed_validation: LabelledBank | None = None
    film: LabelledBank | None = None
    """Film frames with masks of real dust."""
    film_validation: LabelledBank | None = None
    folder: Path | None = None
    """The material folder, whose test photos candidates are judged on."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def load(
        cls,
        photos: Path,
        *,
        old: Path | None = None,
        textures: Path | None = None,
        labelled: Path | None = None,
        judged_photos: int = JUDGED_PHOTOS,
        judged_px: int = WHOLE_PX,
        device: torch.device | str = "cpu",
    ) -> Material:
        """Loads the folders onto the device.

        Args:
            photos: clean photos; about a tenth, chosen by the hash of their names, are kept for measuring.
            old: real old photos, split likewise; without them VAE1 learns from synthetic damage alone.
            textures: scratches, dust and papers; without them all damage is drawn procedurally.
            labelled: a material folder (see `material_folder`): its labelled photos fine-tune and judge the detector,
                and its old ones, split as they were there, join those of `old`.
            judged_photos: held-out photos that each checkpoint is judged on.
            judged_px: side of those.
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
        banks: dict[str, LabelledBank | None] = {"train": None, "validation": None}
        if labelled:
            if not Path(labelled).is_dir():
                raise TrainingError(f"material folder {labelled} does not exist; expected labelled/ and old/ in it")
            loaded = {split: LabelledBank.from_folder(Path(labelled), split, device=device) for split in banks}
            banks = {split: bank or None for split, bank in loaded.items()}
            clean = _joined(clean, sound_photos(Path(labelled), "train"), device) or clean
            old_bank = _joined(old_bank, old_photos(Path(labelled), "train"), device)
            old_held_out = _joined(old_held_out, old_photos(Path(labelled), "validation"), device) or old_bank
        return cls(
            clean=clean,
            clean_held_out=clean_held_out,
            degradation=damage(False),
            degradation_held_out=damage(True),
            old=old_bank,
            old_held_out=old_held_out,
            photos_path=Path(photos),
            textures_path=Path(textures) if textures else None,
            labelled=banks["train"],
            labelled_validation=banks["validation"],
            **_judged(labelled, device),
            folder=Path(labelled) if labelled else None,
            judged_photos=judged_photos,
            judged_px=judged_px,
            device=device,
        )

    def to(self, device: torch.device | str) -> Material:
        """Gives the material on a device; itself if it is there."""
        device = torch.device(device)
        if device == self.device:
            return self

        def moved(bank: PhotoBank | None) -> PhotoBank | None:
            return bank and bank.to(device)

        def labelled(bank: LabelledBank | None) -> LabelledBank | None:
            return bank and bank.to(device)

        from oldphoto_core.degradation import Degradation

        def damage(degradation: Degradation) -> Degradation:
            return Degradation(degradation.recipe, degradation.textures.to(device))

        return replace(
            self,
            clean=self.clean.to(device),
            clean_held_out=self.clean_held_out.to(device),
            degradation=damage(self.degradation),
            degradation_held_out=damage(self.degradation_held_out),
            old=moved(self.old),
            old_held_out=moved(self.old_held_out),
            labelled=labelled(self.labelled),
            labelled_validation=labelled(self.labelled_validation),
            reviewed=labelled(self.reviewed),
            reviewed_validation=labelled(self.reviewed_validation),
            film=labelled(self.film),
            film_validation=labelled(self.film_validation),
            device=device,
        )


def _judged(folder: Path | None, device: torch.device) -> dict[str, LabelledBank | None]:
    """Gives the banks of reviewed photos and of film frames, None where the folder has none."""
    banks: dict[str, LabelledBank | None] = {}
    for kind in ("reviewed", "film") if folder else ():
        for split, name in (("train", kind), ("validation", f"{kind}_validation")):
            banks[name] = LabelledBank.from_folder(Path(folder), split, kind=kind, device=device) or None
    return banks


def _both(folder: Path, device: torch.device) -> tuple[PhotoBank, PhotoBank]:
    training = PhotoBank.from_folder(folder, held_out=False, device=device)
    try:
        return training, PhotoBank.from_folder(folder, held_out=True, device=device)
    except TrainingError:
        _LOG.warning("%s has no held-out photo; judging on the training photos, whose figures flatter", folder)
        return training, training


def _joined(bank: PhotoBank | None, files: list[Path], device: torch.device) -> PhotoBank | None:
    """Gives the bank with the files' photos in it; itself where there are none."""
    if not files:
        return bank
    added = PhotoBank.from_files(files, device=device)
    if bank is None or added is None:
        return bank or added
    return PhotoBank(bank.photos + added.photos, bank.names + added.names)
