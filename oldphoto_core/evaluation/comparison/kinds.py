"""One kind of damage at one severity, by either generator, so that it is seen what a method can and cannot mend.

The first generator's kinds are its recipe with all else set to nothing; the second's are its own drawing functions.
Neither is changed for it: `mixed` at the severity `drawn` is what the generator makes by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation import second_marks, second_tone, second_wear
from oldphoto_core.evaluation.generators import Damager, Generator, first_generator, held_out_textures
from oldphoto_core.evaluation.second_generator import Damaged, damage, drawn_target, lay_marks, masks

Kind = Literal["mixed", "scratch", "hole", "grain", "blur", "fading"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MARKED: tuple[Kind, ...] = ("mixed", "scratch", "hole")
"""Kinds with something for a detector to find."""

Severity = Literal["drawn", "mild", "medium", "bad"]

LEVELS: dict[Severity, float] = {"mild": 0.2, "medium": 0.5, "bad": 0.9}
"""Severity as the generators count it, in [0, 1]."""


def make_kind_damager(
    generator: Generator, kind: Kind, severity: Severity, *, textures_dir: Path | None = None
) -> Damager:
    """Gives a function of (clean (H, W, 3) uint8, seed) that lays this kind of damage on a photo.

    Args:
        generator: whose damage.
        kind: which.
        severity: `drawn` lets the generator draw it from the seed; else one of `LEVELS`.
        textures_dir: textures for the first generator, of which only the held-out ones are used.
    """
    if generator == "first":
        return _first(kind, LEVELS.get(severity), textures_dir)
    level = LEVELS.get(severity)
    if kind == "mixed":
        return lambda clean, seed: damage(clean, seed, kind="mixed", severity=level)
    return lambda clean, seed: _second(clean, seed, kind, level)


_FIRST_PROBABILITY: dict[Kind, str] = {
    "scratch": "p_scratch", "hole": "p_hole", "grain": "p_grain", "blur": "p_lens_blur", "fading": "p_tone",
}  # fmt: skip


def _first(kind: Kind, level: float | None, textures_dir: Path | None) -> Damager:
    from oldphoto_core.degradation import MIXED, SCRATCHES_ONLY, TONE_ONLY, Recipe

    recipe = Recipe.default()
    if kind != "mixed":
        nothing = {field.name: 0.0 for field in fields(Recipe) if field.name.startswith("p_")}
        recipe = replace(recipe, **{**nothing, _FIRST_PROBABILITY[kind]: 1.0})  # type: ignore[arg-type]
    if level is not None:
        recipe = replace(recipe, severity=(level, level))
    only = {"scratch": SCRATCHES_ONLY, "hole": SCRATCHES_ONLY, "fading": TONE_ONLY}.get(kind, MIXED)
    return first_generator(recipe.only(only), held_out_textures(textures_dir))


def _second(clean: NDArray[np.uint8], seed: int, kind: Kind, level: float | None) -> Damaged:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    target, grey = drawn_target(rng, clean)
    severity = float(rng.beta(2.1, 1.3)) if level is None else level
    image = target.astype(np.float32) / 255
    before, opacity = image, np.zeros(clean.shape[:2], np.float32)
    if kind in _MARKS:
        draws = _MARKS[kind]
        chosen = draws[int(rng.integers(len(draws)))]
        image, before, opacity = lay_marks(rng, image, [chosen], severity, grey=grey)
    elif kind == "grain":
        image = second_tone.add_grain(rng, image, severity, grey=grey)
    elif kind == "blur":
        image = second_tone.blur_lens(rng, image, severity)
    else:
        image = second_tone.damage_tone(rng, image, 1.3 * severity, grey=grey)
    mask, ignore = masks(image, before, opacity)
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Damaged(levels, mask, ignore, target, "marks" if kind in _MARKS else "tone", grey)


_MARKS: dict[Kind, tuple[Callable[..., second_marks.Layer | second_wear.Wear], ...]] = {
    "scratch": (second_marks.scratches,),
    "hole": (second_wear.tear, second_wear.flaking),
}
