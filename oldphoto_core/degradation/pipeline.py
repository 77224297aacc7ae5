"""A batch of clean photos in, damaged ones out, in the order in which a photograph meets its damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice
from oldphoto_core.degradation.film import add_grain, from_density, halftone, to_density
from oldphoto_core.degradation.jpeg import compress
from oldphoto_core.degradation.negatives import add_negatives
from oldphoto_core.degradation.optics import lens_blur, rescale, scanner_blur, sensor_noise, sharpening_halo
from oldphoto_core.degradation.recipe import MIXED, SCRATCHES_ONLY, TONE_ONLY, Recipe
from oldphoto_core.degradation.scan_tone import scan_tone
from oldphoto_core.degradation.surface import FAINT, Surface
from oldphoto_core.degradation.textures import TextureLibrary
from oldphoto_core.degradation.tone import apply_tone, draw_tone, local_stain

DAMAGED = 0.25
"""Opacity of structured damage above which a pixel counts as damaged."""
VISIBLE = 3.5 / 255
"""Change below which damage is not seen (under 4 of 255 in a file), so that it is neither damage nor intact."""


@dataclass
class DegradedBatch:
    """Clean and damaged photos with what was done where.

    Attributes:
        image: (B, 3, H, W) float32 in [0, 1], sRGB: damaged.
        target: (B, 3, H, W) float32 in [0, 1], sRGB: what restoration should give.
        mask: (B, 1, H, W), 1 where structured damage hides the picture.
        ignore: (B, 1, H, W), 1 where a pixel is neither damaged nor intact; never where `mask` is 1.
        opacity: (B, 1, H, W) in [0, 1] of structured damage, after all warps.
        kind: (B,) int64: 0 untouched, 1 tone only, 2 scratches only, 3 mixed.
    """

    image: Tensor
    target: Tensor
    mask: Tensor
    ignore: Tensor
    opacity: Tensor
    kind: Tensor


class Degradation:
    """Damages batches by a recipe.

    Args:
        recipe: how often and how hard.
        textures: damage textures; everything is drawn where there are none.
    """

    def __init__(self, recipe: Recipe, textures: TextureLibrary) -> None:
        self.recipe = recipe
        self.textures = textures

    def __call__(self, clean: Tensor, generator: torch.Generator) -> DegradedBatch:
        """Gives the damaged batch, on the device of `clean`.

        Args:
            clean: (B, 3, H, W) float32 in [0, 1], H and W at least 32; not written to.
            generator: of any device; the same state gives the same bytes on the same kind of device.
        """
        with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):
            return self._degrade(clean, generator)

    def _degrade(self, clean: Tensor, generator: torch.Generator) -> DegradedBatch:
        batch, channels, height, width = clean.shape
        assert channels == 3, clean.shape
        assert min(height, width) >= 32, clean.shape
        self.textures = self.textures.to(clean.device)
        recipe, count = self.recipe, batch
        dice = Dice(generator, clean.device)
        kind = dice.choice(recipe.kind_shares, count)
        target, grey = self._draw_targets(dice, clean)
        image = target.clone()
        opacity = torch.zeros_like(image[:, :1])
        change = torch.zeros_like(opacity)
        severity = self._draw_severity(dice, count)

        aged = (kind == TONE_ONLY) | (kind == MIXED)
        if aged.any():
            index = dice.indices(aged)
            image[index] = self._photograph(dice, image[index], kind[aged], severity[aged], grey[aged])
        scratched = (kind == SCRATCHES_ONLY) | (kind == MIXED)
        if scratched.any():
            index = dice.indices(scratched)
            image[index], opacity[index], change[index] = self._wear(
                dice, image[index], self._draw_severity(dice, int(scratched.sum())), kind[scratched]
            )
        handled = aged & dice.chance(recipe.p_scan_tone, count) if recipe.p_scan_tone else torch.zeros_like(aged)
        if handled.any():
            index = dice.indices(handled)
            faded = self._draw_severity(dice, len(index), power=recipe.tone_severity_power)
            image[index], change[index] = scan_tone(dice, image[index], faded, grey[handled], change=change[index])
        if (kind == MIXED).any():
            index = dice.indices(kind == MIXED)
            layers = torch.cat([image[index], opacity[index], change[index]], 1)
            layers = self._scan(dice, layers, self._draw_severity(dice, len(index)))
            image[index], opacity[index], change[index] = layers.split([3, 1, 1], 1)
        changed = dice.send(aged)[:, None, None, None] | (opacity > 0)
        image = torch.where(changed, (image * 255).round().clamp(0, 255) / 255, image)  # a scan has 8 bits
        exact = dice.send(kind == SCRATCHES_ONLY)[:, None, None, None]
        change = torch.where(exact, (image - target).abs().amax(1, keepdim=True), change)
        damaged = (opacity > DAMAGED) & (change >= VISIBLE)
        unsure = (opacity >= FAINT) & ~damaged
        opacity = opacity.clamp(0, 1)  # rounding
        return DegradedBatch(image, target, damaged.float(), unsure.float(), opacity, dice.send(kind))

    def _draw_severity(self, dice: Dice, count: int, *, power: float | None = None) -> Tensor:
        """Gives (count,) on the CPU."""
        low, high = self.recipe.severity
        return low + (high - low) * dice.shares(count) ** (power or self.recipe.severity_power)

    def _draw_targets(self, dice: Dice, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Makes some targets neutral grey and draws harmless things into some scenes."""
        target, count = clean.clone(), len(clean)
        grey = dice.chance(self.recipe.grey_share, count)
        if grey.any():
            index = dice.indices(grey)
            weights = dice.send(torch.tensor([0.299, 0.587, 0.114]))
            luma = (target[index] * weights[:, None, None]).sum(1, keepdim=True)
            target[index] = ((luma * 255).round() / 255).expand(-1, 3, -1, -1)
        busy = dice.chance(self.recipe.p_negative, count)
        if busy.any():
            index = dice.indices(busy)
            target[index] = add_negatives(dice, self.textures, target[index])
        return target, grey

    def _photograph(self, dice: Dice, image: Tensor, kind: Tensor, severity: Tensor, grey: Tensor) -> Tensor:
        """Lens, grain, print and a century of fading; tone-only samples get no blur and no grain."""
        recipe, mixed = self.recipe, kind == MIXED
        image = _some(
            dice,
            image,
            mixed & dice.chance(recipe.p_lens_blur, len(kind)),
            lambda x, c: lens_blur(dice, x, severity[c]),
        )
        image = _some(dice, image, mixed & dice.chance(recipe.p_halftone, len(kind)), lambda x, c: halftone(dice, x))
        density = to_density(image)
        density = _some(
            dice,
            density,
            mixed & dice.chance(recipe.p_grain, len(kind)),
            lambda x, c: add_grain(dice, x, severity[c], grey=grey[c]),
        )
        toned = ~mixed | dice.chance(recipe.p_tone, len(kind))
        faded = self._draw_severity(dice, len(kind), power=recipe.tone_severity_power)
        image = from_density(density)
        if toned.any():
            index = dice.indices(toned)
            image[index] = apply_tone(dice, density[index], draw_tone(dice, faded[toned], grey[toned]))
        return _some(
            dice, image, dice.chance(recipe.p_local_stain, len(kind)), lambda x, c: local_stain(dice, x, severity[c])
        )

    def _wear(self, dice: Dice, image: Tensor, severity: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gives image, opacity and the largest visible change of surface damage."""
        surface = Surface(
            image, severity, exact=kind == SCRATCHES_ONLY, recipe=self.recipe, textures=self.textures, dice=dice
        )
        surface.add_tonal()
        before = surface.image.clone()
        surface.add_structured()
        change = (surface.image - before).abs().amax(1, keepdim=True)
        return surface.image, surface.opacity, change

    def _scan(self, dice: Dice, layers: Tensor, severity: Tensor) -> Tensor:
        """Scans and saves (B, 5, H, W): blur and resizing move opacity and change along, the rest acts on the image."""
        recipe, count = self.recipe, len(layers)
        layers = _some(dice, layers, dice.chance(recipe.p_scanner_blur, count), lambda x, c: scanner_blur(dice, x))
        layers = _some(dice, layers, dice.chance(recipe.p_resize, count), lambda x, c: rescale(dice, x))
        image = layers[:, :3]
        image = _some(dice, image, dice.chance(recipe.p_halo, count), lambda x, c: sharpening_halo(dice, x))
        image = _some(dice, image, dice.chance(recipe.p_noise, count), lambda x, c: sensor_noise(dice, x, severity[c]))
        first = dice.chance(recipe.p_jpeg, count)
        image = _some(dice, image, first, lambda x, c: compress(dice, x))
        image = _some(
            dice, image, first & dice.chance(recipe.p_second_jpeg, count), lambda x, c: compress(dice, x, again=True)
        )
        return torch.cat([image, layers[:, 3:]], 1)


def _some(dice: Dice, images: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Changes the chosen pictures of a batch: `change` gets them and the CPU mask that chose them."""
    if not chosen.any():
        return images
    if chosen.all():
        return change(images, chosen)
    index = dice.indices(chosen)
    return images.index_copy(0, index, change(images[index], chosen))
