"""A release and material at toy size, to retrain with: made by the real code, in a second."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.releases.bundle import save_release
from oldphoto_core.releases.card import ReleaseCard
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.material import Material
from oldphoto_core.training.material_folder import LabelledPhoto
from oldphoto_core.training.schedule import fresh_weights
from tests.core.training_photos import smooth_photos, tiny_material


def tiny_release(folder: Path, *, operating: dict[str, float] | None = None) -> ReleaseCard:
    """Gives a release of the tiny preset, its VAEs on the principal components and the rest as it starts."""
    tiny = preset("tiny")
    with fresh_weights(0, "tiny release"):
        detector, network = build_detector(tiny), build_restoration(tiny)
    crops = tiny_material().clean.centre_windows(range(8), 96) * 2 - 1
    for vae in (network.vae_x, network.vae_y):
        vae.initialise_linear_path(crops)
    card = {"operating": operating} if operating else {}
    return save_release(folder, sizes=tiny, detector=detector, network=network, card=card)


def scratched_photos(count: int, seed: int) -> list[LabelledPhoto]:
    """Gives photos with a bright scratch three pixels wide each, marked to the pixel."""
    rng = np.random.default_rng(seed)
    photos = []
    for number, photo in enumerate(smooth_photos(count, 10 + seed).photos):
        image = photo.permute(1, 2, 0).numpy().copy()
        mask = np.zeros(image.shape[:2], bool)
        left = int(rng.integers(8, image.shape[1] - 12))
        mask[4:-4, left : left + 3] = True
        image[mask] = 240
        photos.append(LabelledPhoto(f"{seed:02d}{number:062d}", image, mask, np.zeros_like(mask)))
    return photos


@cache
def labelled_material() -> Material:
    """Gives the tiny material with six labelled photos to train on and three to validate with."""
    torch.set_num_threads(1)
    return replace(
        tiny_material(),
        old_held_out=smooth_photos(3, 3),
        labelled=LabelledBank(scratched_photos(6, 1)),
        labelled_validation=LabelledBank(scratched_photos(3, 2)),
    )
