"""What a century does to tones: families of fading, toning and casts, in density, dye by dye, uneven over the photo.

Red, green and blue densities stand for the cyan, magenta and yellow dyes; in a silver print the three are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oldphoto_core.degradation.areas import blotches
from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates, edge_distance, smooth_noise
from oldphoto_core.degradation.film import from_density, to_density

FAMILIES = (
    "plain", "sepia", "yellowed", "dye-fade", "silver-fade", "flat", "pale", "dense", "harsh", "cast", "anything",
)  # fmt: skip
"""Families of tone damage."""

_WEIGHTS = (0.8, 1.6, 1.3, 1.2, 1.2, 1.2, 0.9, 0.7, 0.7, 0.9, 1.5)


@dataclass
class Tone:
    """Parameters of one batch, (B, 1 or 3, 1, 1) each; the defaults change nothing."""

    contrast: Tensor
    """Slope of the print curve in density."""
    exposure: Tensor
    """Density added everywhere: negative for a pale print."""
    curvature: Tensor
    """Rounding of the highlights' end, in density."""
    bleed: Tensor
    """Share in which the dyes become one: 1 is silver."""
    tone_high: Tensor
    """Density of each channel over the neutral one, in highlights."""
    tone_low: Tensor
    """The same in shadows."""
    kept: Tensor
    """Share of each dye that is left."""
    uneven: Tensor
    """Share of each dye lost where the fade field is 1."""
    paper: Tensor
    """Density of the paper: tints highlights."""
    paper_uneven: Tensor
    """How much the paper's tint varies."""
    vignette: Tensor
    """Density added where the camera's field is darkest, by lens or lamp; negative where the corners are fogged."""
    veil: Tensor
    """Share of light reflected off the surface: tints and lifts shadows."""
    veil_uneven: Tensor
    """How much the veil varies: mist, glare, silver coming to the surface."""
    veil_colour: Tensor
    """Colour of that light."""


def draw_tone(dice: Dice, severity: Tensor, grey: Tensor) -> Tone:
    """Draws a family for each sample and the family's parameters.

    Args:
        dice: randomness.
        severity: (B,) on the CPU, in [0, 1].
        grey: (B,) bool on the CPU: colour photos are never made wholly grey, since nobody could undo it.
    """
    count = len(severity)
    family = dice.choice(_WEIGHTS, count)
    s = dice.send(severity)
    member = {name: dice.send(family == number).float() for number, name in enumerate(FAMILIES)}
    wild = member["anything"]

    def share(name: str, also: float = 0.5) -> Tensor:
        """Gives how far each sample belongs to the family: wild samples partly belong to all."""
        return s * (member[name] + wild * also * dice.uniform(0, 1, count))

    sepia, yellow, dye = share("sepia"), share("yellowed"), share("dye-fade")
    silver, flat, pale = share("silver-fade"), share("flat"), share("pale")
    dense, harsh, cast = share("dense"), share("harsh", 0.3), share("cast")
    contrast = torch.exp(dice.normal(count) * 0.12 * (0.3 + s))
    contrast = (
        contrast * (1 - 0.6 * flat * dice.uniform(0.3, 1, count)) * (1 - 0.35 * silver * dice.uniform(0, 1, count))
    )
    contrast = contrast * (1 + 1.1 * harsh * dice.uniform(0.2, 1, count)) * (1 - 0.3 * pale * dice.uniform(0, 1, count))
    exposure = dice.normal(count) * 0.08 * (0.3 + s) - 0.45 * pale * dice.uniform(0.3, 1, count)
    exposure = exposure + 0.6 * dense * dice.uniform(0.3, 1, count)
    silvery = dice.send(~grey).float() * dice.uniform(0, 0.7, count) * (sepia + 0.5 * silver).clamp(0, 1)

    hue = dice.normal(count, 3) * 0.05
    warm = dice.send(torch.tensor([-0.42, 0.0, 0.5])) * dice.uniform(0.3, 1.1, count)[:, None] + hue
    warm_low = warm * dice.uniform(0.1, 1.1, count)[:, None] + dice.normal(count, 3) * 0.03
    toned = (sepia + 0.45 * silver + 0.2 * yellow)[:, None]
    first = dice.choice([0.5, 0.25, 0.25], count)  # cyan goes first, hence red photos
    faded = torch.nn.functional.one_hot(first, 3).float().roll(0, 1)
    faded = dice.send(faded) * 0.8 + dice.uniform(0, 0.55, count, 3)
    kept = 1 - 0.7 * dye[:, None] * faded * dice.uniform(0.4, 1, count)[:, None]
    kept = kept * (1 - 0.5 * silver * dice.uniform(0.1, 1, count))[:, None]
    uneven = 0.75 * silver[:, None] * dice.uniform(0.3, 1, count)[:, None] + 0.6 * dye[:, None] * faded * dice.uniform(
        0, 1, count, 1
    )
    uneven = uneven + s[:, None] * dice.send(dice.chance(0.35, count)).float()[:, None] * dice.uniform(
        0, 0.45, count, 1
    )
    age = dice.send(torch.tensor([0.03, 0.11, 0.36])) * torch.exp(dice.normal(count, 3) * 0.3)
    paper = age * (yellow * dice.uniform(0.3, 1.4, count) + 0.5 * (sepia + silver) * dice.uniform(0, 1, count))[:, None]
    paper = paper.clamp_max(0.5) + (cast[:, None] * dice.normal(count, 3) * 0.13).clamp(-0.15, 0.35)
    veil = (0.28 * flat + 0.18 * silver + 0.1 * s * dice.uniform(0, 1, count)) * dice.uniform(0.1, 1, count)
    veil_uneven = dice.send(dice.chance(0.5, count)).float() * dice.uniform(0, 1.6, count)
    vignette = dice.send(dice.chance(0.4, count)).float() * dice.uniform(-0.25, 0.9, count) * s
    veil_colour = 0.85 + dice.send(torch.tensor([0.08, 0.0, -0.2])) * dice.uniform(-0.6, 1, count)[:, None]
    return Tone(
        contrast=each(contrast),
        exposure=each(exposure),
        curvature=each(0.01 + 0.09 * s * dice.uniform(0, 1, count)),
        bleed=each(silvery),
        tone_high=each(1 + toned * warm),
        tone_low=each(1 + toned * warm_low),
        kept=each(kept.clamp(0.15, 1)),
        uneven=each(uneven.clamp(0, 0.85)),
        paper=each(paper),
        paper_uneven=each(dice.uniform(0, 0.9, count) * s),
        vignette=each(vignette),
        veil=each(veil.clamp(0, 0.45)),
        veil_uneven=each(veil_uneven),
        veil_colour=each(veil_colour.clamp(0, 1)),
    )


def fade_field(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W) in [0, 1]: where fading went furthest: at the edges, in clouds, or towards one side."""
    edge = edge_distance(size, dice.device)
    near_edge = torch.exp(-edge / each(dice.uniform(0.08, 0.6, count)))
    cloud = 0.5 + 0.4 * smooth_noise(dice, count, size, cells=3)
    mix = each(dice.uniform(0, 1, count))
    inside_out = each(dice.send(dice.chance(0.12, count)).float())
    near_edge = near_edge + inside_out * (1 - 2 * near_edge)
    return (near_edge * mix * (0.6 + 0.8 * cloud) + cloud * (1 - mix)).clamp(0, 1)


def corner_field(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W), 0 at a point near the middle and about 1 in the corners."""
    y, x = coordinates(size, dice.device)
    centre = dice.normal(count, 2)[:, :, None, None, None] * 0.2
    squared = (y - centre[:, 0]).square() + (x - centre[:, 1]).square()
    return (squared / 2).pow(each(dice.uniform(0.7, 1.8, count))).clamp_max(1.5)


def apply_tone(dice: Dice, density: Tensor, tone: Tone) -> Tensor:
    """Ages a density (B, 3, H, W) and gives sRGB in [0, 1]."""
    count, _, height, width = density.shape
    neutral = density.mean(1, keepdim=True)
    density = density + tone.bleed * (neutral - density) + tone.vignette * corner_field(dice, count, (height, width))
    middle = 0.75
    density = (density - middle) * tone.contrast + (middle + tone.exposure)
    density = 0.5 * (density + (density.square() + tone.curvature.square()).sqrt())
    depth = (density.mean(1, keepdim=True) / 1.6).clamp(0, 1)
    field = fade_field(dice, count, (height, width))
    density = density * (tone.tone_high + (tone.tone_low - tone.tone_high) * depth)
    density = density * (tone.kept * (1 - tone.uneven * field))
    clouds = smooth_noise(dice, count, (height, width), cells=4)
    density = density + tone.paper * (1 + tone.paper_uneven * (field - 0.5 + 0.5 * clouds))
    image = from_density(density)
    mist = (1 + tone.veil_uneven * (clouds * 0.8 + field - 0.5)).clamp(0, 2)
    return image + tone.veil * mist * (tone.veil_colour - image)


def local_stain(dice: Dice, image: Tensor, severity: Tensor) -> Tensor:
    """Tints parts of the photo with a translucent stain, or bleaches them: tone, not structure."""
    count = len(image)
    shape = blotches(dice, severity, (image.shape[-2], image.shape[-1]))
    colour = dice.send(torch.tensor([0.06, 0.18, 0.4])) * dice.uniform(0.3, 1.4, count)[:, None]
    colour = colour + dice.normal(count, 3) * 0.04
    sign = torch.where(dice.send(dice.chance(0.25, count)), -0.7, 1.0)
    amount = each(colour * (sign * (0.25 + 0.9 * dice.send(severity)))[:, None])
    return from_density((to_density(image) + shape * amount).clamp_min(0))
