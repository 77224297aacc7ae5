"""Synthetic damage: clean photos in, damaged photos with masks out, in batches on the training device."""

from oldphoto_core.degradation.pipeline import Degradation, DegradedBatch
from oldphoto_core.degradation.recipe import MIXED, SCRATCHES_ONLY, TONE_ONLY, UNTOUCHED, Recipe
from oldphoto_core.degradation.textures import TextureLibrary

__all__ = [
    "MIXED",
    "SCRATCHES_ONLY",
    "TONE_ONLY",
    "UNTOUCHED",
    "Degradation",
    "DegradedBatch",
    "Recipe",
    "TextureLibrary",
]
