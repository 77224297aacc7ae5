"""Deep image prior (Ulyanov, Vedaldi and Lempitsky, CVPR 2018): a network is fitted to one damaged photo, from noise.

It has seen no other photo. What a convolutional network draws first is what is like a picture; marks that are left out
of the loss are filled with it, and where it stops in time it has not drawn the grain yet.
The hourglass is the authors': strided convolutions down, a 1x1 convolution past each scale, nearest-neighbour up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oldphoto_core.evaluation.baselines import MASK_GROWTH_PX, Image, Mask
from oldphoto_core.evaluation.comparison.prior_method import PriorSettings

INPUT_RANGE = 0.1
"""The fixed noise is uniform in [0, 0.1]."""

OnStep = Callable[[int, Callable[[], Image]], None]
"""Called after each step with its number, from 1, and a function that gives the average of the pictures so far."""


class Hourglass(nn.Module):
    """The authors' `skip` network: noise (B, input_channels, H, W) to a picture (B, 3, H, W) in [0, 1].

    H and W are multiples of 2 ** scales, and larger than that.
    """

    def __init__(self, *, input_channels: int, width: int, skip: int, scales: int) -> None:
        super().__init__()
        self.body = _Scale(input_channels, width, skip, scales)
        self.to_colour = nn.Conv2d(width, 3, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """Gives the picture."""
        return torch.sigmoid(self.to_colour(self.body(noise)))


class _Scale(nn.Module):
    """One scale and all narrower ones within it: (B, channels, H, W) to (B, width, H, W)."""

    def __init__(self, channels: int, width: int, skip: int, scales_left: int) -> None:
        super().__init__()
        self.past = _convolution(channels, skip, kernel=1)
        within: list[nn.Module] = [_convolution(channels, width, stride=2), _convolution(width, width)]
        if scales_left > 1:
            within.append(_Scale(width, width, skip, scales_left - 1))
        self.within = nn.Sequential(*within, nn.Upsample(scale_factor=2, mode="nearest"))
        self.joined = nn.Sequential(
            nn.BatchNorm2d(skip + width), _convolution(skip + width, width), _convolution(width, width, kernel=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.joined(torch.cat([self.past(features), self.within(features)], dim=1))


def _convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    padding = "reflect" if kernel > 1 else "zeros"
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode=padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


def fit_prior(
    image: Image, mask: Mask, settings: PriorSettings, *, device: str = "cpu", on_step: OnStep | None = None
) -> Image:
    """Gives the picture that a network draws which was fitted to the unmasked pixels of `image`.

    The loss is the mean squared error over unmasked pixels; the mask is grown by a pixel first, as for the other
    methods. All pixels come from the network, masked or not. The same arguments give the same pixels on the same
    machine with the same number of threads; elsewhere sums are rounded otherwise, and a fit grows such differences.

    Args:
        image: (H, W, 3) uint8 sRGB.
        mask: (H, W), damaged above 0.5. What lies there is never looked at.
        settings: of the network and of the fit.
        device: of PyTorch, or `auto`.
        on_step: sees the average as it grows.
    """
    from oldphoto_core.restoration.restorer import choose_device

    place = choose_device(device)
    height, width = image.shape[:2]
    known = np.asarray(cv2.dilate((np.asarray(mask) > 0.5).astype(np.uint8), _GROWTH)) == 0
    pixels = np.where(known[..., None], image, 0).astype(np.float32) / 255
    bottom, right = (_to_multiple(side, 2**settings.scales) - side for side in (height, width))
    edges = (0, right, 0, bottom)
    target = functional.pad(torch.from_numpy(pixels).permute(2, 0, 1)[None], edges).to(place)
    weight = functional.pad(torch.from_numpy(known)[None, None].float(), edges).to(place)
    weight = weight / (3 * weight.sum().clamp(min=1))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = Hourglass(
            input_channels=settings.input_channels, width=settings.width, skip=settings.skip, scales=settings.scales
        ).to(place, memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(settings.seed)
    noise = INPUT_RANGE * torch.rand(1, settings.input_channels, *target.shape[-2:], generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    average: Tensor | None = None
    for step in range(1, settings.steps + 1):
        shaken = noise + settings.input_noise * torch.randn(noise.shape, generator=generator)
        drawn = network(shaken.to(place, memory_format=torch.channels_last))
        loss = (weight * (drawn - target) ** 2).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        picture = drawn.detach()
        average = picture if average is None else torch.lerp(picture, average, settings.averaging)
        if on_step is not None:
            on_step(step, partial(_levels, average, height, width))
    assert average is not None, "there is at least one step"
    return _levels(average, height, width)


_GROWTH = np.ones((2 * MASK_GROWTH_PX + 1,) * 2, np.uint8)


def _to_multiple(side: int, multiple: int) -> int:
    """Gives the least multiple that is no less than the side, and two at least: reflection wants two pixels."""
    return max(2, -(-side // multiple)) * multiple


def _levels(picture: Tensor, height: int, width: int) -> Image:
    levels = (picture[0, :, :height, :width].permute(1, 2, 0) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.cpu().numpy())
