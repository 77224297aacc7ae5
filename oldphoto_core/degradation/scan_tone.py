"""What a scanner and its software do to tones, after the century: in the scan's own values, never in density.

Old photos reach us through exposure, glare, automatic levels and an operator's taste. These act on print and scratches
alike, in sRGB values or in linear light, where fading acts on density; a network that has met tone in density alone
takes the mathematics for the damage.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, coordinates, smooth_noise

_KNOTS = 7
_GAMMA = 2.2
_SHARES = {"curves": 0.55, "glare": 0.4, "saturation": 0.5, "light": 0.3}
"""How often each part of it is met where any is."""


def scan_tone(dice: Dice, image: Tensor, severity: Tensor, grey: Tensor, *, change: Tensor) -> tuple[Tensor, Tensor]:
    """Gives the image as a scanner hands it over, and the largest change that damage makes after it.

    Args:
        dice: randomness.
        image: (B, 3, H, W) sRGB in [0, 1], fading and surface damage in it.
        severity: (B,) on the CPU, in [0, 1].
        grey: (B,) bool on the CPU: half of these are scanned in one channel, and stay neutral where they were.
        change: (B, 1, H, W) in [0, 1], the largest change of a channel by structured damage.
    """
    count = len(image)
    strength = dice.send(severity)
    neutral = dice.send(grey & dice.chance(0.5, count))
    lighter, darker = (image + change).clamp(0, 1), (image - change).clamp(0, 1)
    layers = torch.stack([image, lighter, darker], 1)  # (B, 3, 3, H, W): carried along by the same map
    layers = _glare(dice, layers, strength * _met(dice, "glare", count), neutral)
    layers = _light(dice, layers, strength * _met(dice, "light", count))
    layers = _curves(dice, layers, strength * _met(dice, "curves", count), neutral)
    layers = _saturation(dice, layers, strength * _met(dice, "saturation", count), neutral)
    image, lighter, darker = layers.clamp(0, 1).unbind(1)
    seen = torch.maximum((lighter - image).abs(), (darker - image).abs()).amax(1, keepdim=True)
    return image, torch.where(change > 0, seen, change)


def _met(dice: Dice, part: str, count: int) -> Tensor:
    return dice.send(dice.chance(_SHARES[part], count)).float()


def _wide(values: Tensor) -> Tensor:
    """Shapes (B,) or (B, C) for use beside (B, 3, C, H, W)."""
    return each(values)[:, None]


def _own(dice: Dice, count: int, spread: float, neutral: Tensor) -> Tensor:
    """Gives (B, 3): a number alike in all channels and some of each channel's own; none of that where neutral."""
    apart = torch.where(neutral[:, None], 0.0, dice.uniform(0, 1, count)[:, None] * dice.normal(count, 3))
    return spread * (dice.normal(count)[:, None] + 0.7 * apart)


def _glare(dice: Dice, layers: Tensor, strength: Tensor, neutral: Tensor) -> Tensor:
    """Adds stray light in linear light: from the lamp, the lid or the paper's other side."""
    count = len(layers)
    tint = 1 - 0.5 * dice.uniform(0, 1, count)[:, None] * dice.send(torch.tensor([0.1, 0.35, 0.8]))
    tint = torch.where(neutral[:, None], 1.0, tint * (1 + 0.1 * dice.normal(count, 3))).clamp(0, 1)
    share = (0.35 * strength * dice.uniform(0.1, 1, count))[:, None]
    linear = layers.clamp_min(1e-4).pow(_GAMMA)
    return (linear * _wide(1 - share) + _wide(share * tint)).pow(1 / _GAMMA)


def _light(dice: Dice, layers: Tensor, strength: Tensor) -> Tensor:
    """Lights the print from one side, or lets light in at a corner."""
    count, size = len(layers), (layers.shape[-2], layers.shape[-1])
    field = _falling_off(dice, count, size) * (1 + 0.25 * smooth_noise(dice, count, size, cells=3))
    gain = torch.exp(each(strength * dice.uniform(-0.9, 0.6, count)) * field)
    return layers * gain[:, None]


def _falling_off(dice: Dice, count: int, size: Size) -> Tensor:
    """Gives (B, 1, H, W), about 0 on one side and 1 on the other, straight or round."""
    y, x = coordinates(size, dice.device)
    angle = each(dice.uniform(0, 2 * math.pi, count))
    straight = 0.5 + 0.35 * (x * angle.cos() + y * angle.sin())
    distance = (x - 1.1 * angle.cos()).square() + (y - 1.1 * angle.sin()).square()
    rounded = torch.exp(-distance / each(dice.uniform(0.4, 2.5, count)))
    return torch.where(each(dice.send(dice.chance(0.5, count))), straight, rounded)


def _curves(dice: Dice, layers: Tensor, strength: Tensor, neutral: Tensor) -> Tensor:
    """Puts each channel through a random monotone curve between a black and a white of its own."""
    count = len(layers)
    rough = strength[:, None, None]
    shared, own = dice.normal(count, 1, _KNOTS - 1), dice.normal(count, 3, _KNOTS - 1)
    steps = torch.exp(rough * (0.6 * shared + torch.where(neutral[:, None, None], 0.0, 0.25 * own)))
    steps = steps * torch.exp(-_own(dice, count, 0.35, neutral)[..., None] * rough * _ramp(dice.device))
    rise = torch.cat([torch.zeros_like(steps[..., :1]), steps.cumsum(-1)], -1)
    rise = rise / rise[..., -1:]  # (B, 3, K), from 0 to 1
    ends = [dice.uniform(-0.1, 0.1, count)[:, None] + _own(dice, count, spread, neutral) for spread in (0.07, 0.08)]
    black = (strength[:, None] * ends[0]).clamp(-0.12, 0.3)
    white = (1 - strength[:, None] * ends[1]).clamp(0.6, 1.15)
    values = black[..., None] + (white - black)[..., None] * rise
    values = torch.where(strength[:, None, None] > 0, values, torch.linspace(0, 1, _KNOTS, device=dice.device))
    place = layers.clamp(0, 1) * (_KNOTS - 1)
    result = each(values[..., 0])[:, None].expand_as(layers)
    for knot in range(_KNOTS - 1):
        step = each(values[..., knot + 1] - values[..., knot])[:, None]
        result = torch.addcmul(result, (place - knot).clamp(0, 1), step)
    return result


def _ramp(device: torch.device) -> Tensor:
    return torch.linspace(-1, 1, _KNOTS - 1, device=device)


def _saturation(dice: Dice, layers: Tensor, strength: Tensor, neutral: Tensor) -> Tensor:
    """Weakens or strengthens colour, and shifts its zero: a wrong white balance."""
    count = len(layers)
    luma = (layers * dice.send(torch.tensor([0.299, 0.587, 0.114]))[:, None, None]).sum(2, keepdim=True)
    factor = 1 - strength * dice.uniform(-0.25, 0.9, count)
    shift = torch.where(neutral[:, None], 0.0, 0.08 * dice.normal(count, 3)) * strength[:, None]
    return luma + (layers - luma) * _wide(factor) + _wide(shift - shift.mean(1, keepdim=True))
