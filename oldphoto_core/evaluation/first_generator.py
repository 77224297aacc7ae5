"""The first generator (oldphoto_core.degradation, the one trained on) one photo at a time, on held-out textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class FirstGenerator:
    """Damages single photos by the training degradation, on the CPU, with textures that were never trained on."""

    def __init__(self, textures_dir: Path | None = None) -> None:
        """Reads the held-out textures of the folder, or takes procedural ones when it is None."""
        import torch

        from oldphoto_core.degradation import Degradation, Recipe, TextureLibrary

        self._torch = torch
        textures = (
            TextureLibrary.from_folder(textures_dir, held_out=True) if textures_dir else TextureLibrary.procedural()
        )
        self._degradation = Degradation(Recipe.default(), textures)

    def damage(self, clean: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], ...]:
        """Gives (image, target) (H, W, 3) uint8 and (mask, ignore) (H, W) uint8 of 0 and 1.

        An untouched sample is drawn again, with the next of this seed's generators: damage is what is measured here.
        """
        torch = self._torch
        picture = torch.from_numpy(clean).permute(2, 0, 1)[None].float() / 255
        for attempt in range(16):
            generator = torch.Generator().manual_seed(seed + attempt * 2**33)
            batch = self._degradation(picture, generator)
            if int(batch.kind[0]) != 0:
                break
        image, target = (
            (x[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
            for x in (batch.image, batch.target)
        )
        mask, ignore = (x[0, 0].gt(0.5).to(torch.uint8).numpy() for x in (batch.mask, batch.ignore))
        return image, target, mask, ignore & ~mask & 1
