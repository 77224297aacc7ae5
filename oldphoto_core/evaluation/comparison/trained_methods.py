"""Networks that were trained to be compared with: pix2pix, variants of the method, other releases. A folder each.

    {run}/pix2pix/                    what the stage of pix2pix leaves: weights and run.json
    {run}/{vae_x,translation,...}/    a run folder of the method, from `oldphoto train` or from the ablation
    {release}/card.json               a release
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.baselines import Image, Mask
from oldphoto_core.evaluation.comparison.interface import Cost, MaskSource, given_mask
from oldphoto_core.models.detector import pad_to_multiple
from oldphoto_core.models.look import whole_window
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.releases.card import CARD_NAME, read_card

RestorePicture = Callable[[Image, Mask], Image]
_RestoreTensors = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class TrainedFolder:
    """A folder that a trained network is in; the network is loaded when it is first used, in whichever process.

    Attributes:
        folder: see above.
        name: of the method, for tables; where there is none, the release's or the folder's own.
    """

    folder: Path
    name: str = ""

    def __post_init__(self) -> None:
        is_release = (self.folder / CARD_NAME).is_file()
        own = read_card(self.folder).name if is_release else self.folder.resolve().name
        object.__setattr__(self, "name", self.name or own)
        if not self._files:
            raise ConfigError(
                f"{self.folder} holds no trained network: no {CARD_NAME}, pix2pix/run.json or translation/run.json"
            )
        missing = [file for file in self._files if not file.is_file()]
        if missing:
            raise ConfigError(f"{missing[0]} is missing; train {self.folder} to its end first")

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "name": self.name}  # what is loaded stays

    @property
    def version(self) -> str:
        """A hash that its weights alone decide."""
        parts = [hashlib.sha256(file.read_bytes()).digest() for file in self._files]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def restore(self, image: Image, mask: Mask) -> Image:
        """Gives a picture restored by the network, with this mask."""
        return self._restore(image, mask)

    @property
    def _files(self) -> list[Path]:
        """Files that decide its pixels."""
        if (self.folder / CARD_NAME).is_file():
            return [self.folder / CARD_NAME]  # which holds the hashes of all others
        if self._pix2pix is not None:
            return [self._pix2pix / "run.json", self._pix2pix / "best.safetensors"]
        if (self.folder / "translation" / "run.json").is_file():
            return [self.folder / "vae_x" / "last.safetensors", self.folder / "translation" / "best.safetensors"]
        return []

    @property
    def _pix2pix(self) -> Path | None:
        stages = (self.folder / "pix2pix", self.folder)
        found = [stage for stage in stages if stage.name == "pix2pix" and (stage / "run.json").is_file()]
        return found[0] if found else None

    @cached_property
    def _restore(self) -> RestorePicture:
        if (self.folder / CARD_NAME).is_file():
            from oldphoto_core import Restorer

            restorer = Restorer.from_release(read_card(self.folder).folder)
            return lambda image, mask: restorer.restore(image, mask=np.asarray(mask, np.float32)).image
        if self._pix2pix is not None:
            from oldphoto_core.training.pix2pix import trained_pix2pix

            return _on_pictures(trained_pix2pix(self._pix2pix).restore)
        from oldphoto_core.training.export import trained_restoration

        settings = json.loads((self.folder / "translation" / "run.json").read_text(encoding="utf-8"))["settings"]
        return _on_pictures(_at_once(trained_restoration(self.folder, settings["preset"])))


@dataclass(frozen=True)
class Trained:
    """A network that was trained beside the release, on the same inputs; what it is, its folder says."""

    network: TrainedFolder
    mask_source: MaskSource
    cost: Cost = "middle"

    @property
    def name(self) -> str:
        """Such as `pix2pix-true-mask`."""
        return f"{self.network.name}-{self.mask_source}-mask"

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.network.name}, {self.mask_source} mask"

    @cached_property
    def version(self) -> str:
        """Its weights'."""
        return self.network.version

    def restore(self, image: Image, mask: Mask | None) -> Image:
        """Gives the restored picture."""
        return self.network.restore(image, given_mask(mask))


def _on_pictures(restore: _RestoreTensors) -> RestorePicture:
    """Gives a restoration of (H, W, 3) uint8 by one of (B, 3, H, W) in [-1, 1]."""

    def on_pictures(image: Image, mask: Mask) -> Image:
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        damaged = torch.from_numpy(np.asarray(mask, np.float32))[None, None]
        with torch.no_grad():
            made = restore(pixels, damaged).clamp(-1, 1)
        return ((made[0] + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()

    return on_pictures


def _at_once(network: RestorationNetwork) -> _RestoreTensors:
    """Gives restoration in one piece, the photo padded to the networks' stride."""

    def at_once(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        glance = network.glance(image, mask)
        toned = network.toned(image, glance, whole_window(len(image)))
        padded, (height, width) = pad_to_multiple(toned, network.total_stride)
        damaged, _ = pad_to_multiple(mask, network.total_stride)
        return network.restore_toned(padded, damaged, glance)[..., :height, :width]

    return at_once
