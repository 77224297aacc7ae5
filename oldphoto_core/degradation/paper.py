"""The paper that shows where the picture is lost, and its relief under the picture that is left."""

from __future__ import annotations

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, fractal_noise
from oldphoto_core.degradation.optics import gaussian_blur
from oldphoto_core.degradation.textures import TextureLibrary


def paper_relief(dice: Dice, textures: TextureLibrary, count: int, size: Size, *, procedural_share: float) -> Tensor:
    """Gives (B, 1, H, W), zero in the mean, about unit variance: fibres and weave."""
    drawn = gaussian_blur(dice.field(count, 1, *size), dice.uniform(0.4, 1.6, count), reach=3) * 2.5
    drawn = drawn + 0.6 * fractal_noise(dice, count, size, cells=3, octaves=3)
    if not textures.has("paper"):
        return drawn
    read = textures.draw("paper", dice, count, size=size, zoom=(0.8, 1.6), fill=True) * 8 - 4
    choose = each(dice.send(dice.chance(procedural_share, count)).float())
    return read + (drawn - read) * choose


def bare_paper(dice: Dice, textures: TextureLibrary, count: int, size: Size, *, procedural_share: float) -> Tensor:
    """Gives (B, 3, H, W) in [0, 1]: card, yellowed paper, or sometimes the dark back of a frame."""
    relief = paper_relief(dice, textures, count, size, procedural_share=procedural_share)
    light = dice.uniform(0.55, 1.0, count)
    light = torch.where(dice.send(dice.chance(0.12, count)), dice.uniform(0.03, 0.3, count), light)
    warmth = dice.uniform(-0.15, 1, count)[:, None] * dice.send(torch.tensor([0.02, -0.03, -0.16]))
    colour = light[:, None] * (1 + warmth + dice.normal(count, 3) * 0.02)
    return (each(colour) * (1 + relief * each(dice.log_uniform(0.008, 0.06, count)))).clamp(0, 1)
