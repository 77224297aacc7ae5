"""Lens, scanner and file: blur, resizing, sharpening halo and sensor noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oldphoto_core.degradation.dice import Dice, each


def gaussian_blur(image: Tensor, sigma: Tensor, *, reach: int | None = None) -> Tensor:
    """Blurs each picture with its own Gaussian, edges replicated.

    Args:
        image: (B, C, H, W).
        sigma: (B,) in pixels, or (B, 2) down and across.
        reach: taps either side; three standard deviations of `MAX_SIGMA` unless told.
    """
    batch, channels, height, width = image.shape
    sigma = sigma[:, None].expand(-1, 2) if sigma.ndim == 1 else sigma
    reach = min(reach or 6, height - 1, width - 1)
    steps = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp_min(0.05)[..., None]).square())
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(channels, 0)  # (B*C, 2, K)
    flat = F.pad(image.reshape(1, batch * channels, height, width), (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, 0, :, None], groups=batch * channels)
    flat = F.conv2d(flat, kernel[:, None, 1, None, :], groups=batch * channels)
    return flat.reshape(batch, channels, height, width)


def lens_blur(dice: Dice, image: Tensor, severity: Tensor) -> Tensor:
    """Softens as an old lens or a short movement does: Gaussian, sometimes much longer one way than the other."""
    count = len(image)
    base = dice.uniform(0.25, 0.8, count) + dice.send(severity) * dice.uniform(0, 2.4, count)
    moved = dice.send(dice.chance(0.2, count)).float()
    ratio = torch.exp(dice.normal(count, 2) * (0.1 + 0.5 * moved)[:, None])
    return gaussian_blur(image, (base[:, None] * ratio).clamp(0.2, 4))


def scanner_blur(dice: Dice, layers: Tensor) -> Tensor:
    """Softens image and opacity alike as a scanner's lens does."""
    return gaussian_blur(layers, dice.uniform(0.3, 1.1, len(layers)), reach=3)


def rescale(dice: Dice, layers: Tensor, *, groups: int = 2) -> Tensor:
    """Scales down by 1/2 to 1, differently each way, and back, as scans that were resized on their way.

    Samples share one of `groups` drawn scales a call, so that the batch stays one tensor a group.
    """
    height, width = layers.shape[-2:]
    group = torch.randperm(len(layers), generator=dice.parameters) % groups
    for number in range(groups):
        index = dice.indices(group == number)
        if len(index) == 0:
            continue
        factor = dice.uniform(0.45, 1, 2).cpu()
        if dice.chance(0.5, 1):
            factor[1] = factor[0]
        small = (max(int(height * factor[0]), 8), max(int(width * factor[1]), 8))
        down = ("bilinear", "bicubic", "area", "nearest")[int(dice.choice([4, 3, 3, 0.5], 1))]
        up = ("bilinear", "bicubic", "nearest")[int(dice.choice([4, 5, 0.3], 1))]
        part = _interpolate(layers[index], small, down)
        layers = layers.index_copy(0, index, _interpolate(part, (height, width), up).clamp(0, 1))
    return layers


def _interpolate(image: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    if mode in ("area", "nearest"):
        return F.interpolate(image, size=size, mode=mode)
    return F.interpolate(image, size=size, mode=mode, align_corners=False, antialias=True)


def sharpening_halo(dice: Dice, image: Tensor) -> Tensor:
    """Adds the halo of a scanner's or a person's unsharp mask."""
    count = len(image)
    soft = gaussian_blur(image, dice.uniform(0.6, 2.2, count))
    return (image + (image - soft) * each(dice.log_uniform(0.15, 1.5, count))).clamp(0, 1)


def sensor_noise(dice: Dice, image: Tensor, severity: Tensor) -> Tensor:
    """Adds a scanner's noise: mostly the same in all channels, Gaussian or in proportion, rarely salt and pepper."""
    count, _, height, width = image.shape
    std = each(dice.log_uniform(1, 5, count) + dice.send(severity).square() * dice.uniform(0, 25, count)) / 255
    chroma = each(dice.uniform(0, 0.6, count))
    noise = dice.field(count, 1, height, width)
    speckle = each(dice.send(dice.chance(0.25, count)).float())
    gain = std * (1 + speckle * (1.6 * image - 0.8))
    image = image + noise * gain
    coloured = dice.chance(0.6, count)
    if coloured.any():
        index = dice.indices(coloured)
        part = image[index] + dice.field(len(index), 3, height, width) * (gain * chroma)[index]
        image = image.index_copy(0, index, part)
    peppered = dice.chance(0.04, count)
    if peppered.any():
        index = dice.indices(peppered)
        draw = dice.field(len(index), 1, height, width)
        limit = 3.2 - 0.7 * each(dice.send(severity))[index]
        part = torch.where(draw > limit, 1.0, torch.where(draw < -limit, 0.0, image[index]))
        image = image.index_copy(0, index, part)
    return image.clamp(0, 1)
