"""Both damage generators behind one face: a clean photo and a seed in, a `Damaged` out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.second_generator import Damaged, Kind, damage

if TYPE_CHECKING:
    import torch

    from oldphoto_core.degradation import Recipe, TextureLibrary

Generator = Literal["first", "second"]
"""first: oldphoto_core.degradation, trained on. second: this package's own, never trained on."""

Damager = Callable[[NDArray[np.uint8], int], Damaged]

_KINDS: dict[int, Kind] = {1: "tone", 2: "marks", 3: "mixed"}


def make_damager(generator: Generator, *, textures_dir: Path | None = None) -> Damager:
    """Gives a function of (clean (H, W, 3) uint8, seed) that damages one photo, the same way for the same seed.

    Args:
        generator: which one.
        textures_dir: textures for the first generator, of which only the held-out ones are used; procedural ones
            when None. The second draws everything itself.
    """
    if generator == "second":
        return damage
    from oldphoto_core.degradation import Recipe

    recipe = Recipe.default()
    # What is measured here is damage, so no sample is left untouched; the other kinds keep their proportions.
    _, tone, marks, mixed = recipe.kind_shares
    total = tone + marks + mixed
    touched = replace(recipe, kind_shares=(0.0, tone / total, marks / total, mixed / total))
    return first_generator(touched, held_out_textures(textures_dir))


def photo_seed(seed: int, index: int) -> int:
    """Gives the seed of one photo, the same whatever the number of photos."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint32)[0])


@cache
def held_out_textures(folder: Path | None) -> TextureLibrary:
    """Gives the held-out textures of a folder, read once a process; where there is none, all will be drawn."""
    from oldphoto_core.degradation import TextureLibrary

    return TextureLibrary.from_folder(folder, held_out=True) if folder else TextureLibrary.procedural()


def first_generator(recipe: Recipe, textures: TextureLibrary) -> Damager:
    """Gives the first generator by a recipe."""
    import torch

    from oldphoto_core.degradation import Degradation

    degradation = Degradation(recipe, textures)

    def to_levels(tensor: torch.Tensor) -> NDArray[np.uint8]:
        return (tensor[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).contiguous().numpy()

    def first(clean: NDArray[np.uint8], seed: int) -> Damaged:
        picture = torch.from_numpy(np.ascontiguousarray(clean)).permute(2, 0, 1)[None].float() / 255
        batch = degradation(picture, torch.Generator().manual_seed(seed))
        mask, ignore = (x[0, 0].gt(0.5).numpy() for x in (batch.mask, batch.ignore))
        target = to_levels(batch.target)
        grey = bool(np.ptp(target, axis=2).max() == 0)
        return Damaged(to_levels(batch.image), mask, ignore & ~mask, target, _KINDS[int(batch.kind[0])], grey)

    return first
