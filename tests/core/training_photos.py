"""A little material to train on: smooth synthetic photos and procedural damage, made once a test process."""

from __future__ import annotations

from functools import cache

import torch

from oldphoto_core.degradation import Degradation, Recipe, TextureLibrary
from oldphoto_core.training.data import PhotoBank, resize
from oldphoto_core.training.material import Material
from oldphoto_core.training.schedule import seeded


def smooth_photos(count: int, seed: int) -> PhotoBank:
    """Gives photos of 96 x 112 pixels with soft colour fields and some edges."""
    generator = seeded(seed, "test photos", 0)
    photos = []
    for _ in range(count):
        field = resize(torch.rand(1, 3, 7, 7, generator=generator), 112)[0, :, :96]
        field[:, 30:60, 40:80] = field[:, 30:60, 40:80] * 0.5
        photos.append((field * 255).round().byte())
    return PhotoBank(photos)


@cache
def tiny_material() -> Material:
    """Gives eight photos to train on, two held out, and three that pass for old."""
    torch.set_num_threads(1)
    damage = Degradation(Recipe.default(), TextureLibrary.procedural())
    held_out = smooth_photos(2, 1)
    return Material(
        clean=smooth_photos(8, 0),
        clean_held_out=held_out,
        degradation=damage,
        degradation_held_out=damage,
        old=smooth_photos(3, 2),
        old_held_out=smooth_photos(1, 3),
        judged_photos=4,
        judged_px=96,
    )
