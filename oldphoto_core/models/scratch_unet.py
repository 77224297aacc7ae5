"""The scratch detector: a U-Net that gives each pixel's logit of structured damage (stage 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of a detector.

    Attributes:
        kind: `folded` (archive, colour) or `plain` (the authors', grey).
        widths: channels from the finest level down, each at half the resolution of the one before.
        depth: convolutions at each level on the way down (archive).
        contrast: also show it luma and colour against their surroundings (archive).
    """

    kind: str
    widths: tuple[int, ...]
    depth: int = 2
    contrast: bool = False

    def as_in(self, weights: Mapping[str, Tensor]) -> DetectorConfig:
        """Gives the sizes of a folded detector that these weights are of; any other kind as it is.

        Releases of before the fifth level, and of before the contrast, are still to be loaded.
        """
        if self.kind != "folded" or "stem.0.weight" not in weights:
            return self
        downs = sorted(int(name.split(".")[1]) for name in weights if name.startswith("downs.") and ".0.weight" in name)
        levels = ["stem.0.weight", *(f"downs.{level}.0.weight" for level in dict.fromkeys(downs))]
        return replace(
            self,
            widths=tuple(len(weights[name]) for name in levels),
            contrast=weights["stem.0.weight"].shape[1] > FOLD**2 * (3 + 2 * len(HAT_SIDES_PX)),
        )


FOLD = 2
"""Pixels a side that are folded into one place at the finest level (archive)."""
HAT_SIDES_PX = (5, 11)
"""Sides of the squares of the top-hats: bright or dark structures narrower than this stand out."""
SURROUNDINGS_PX = (31, 95)
"""Sides of the squares that a pixel's surroundings are taken from, for luma; the larger one for colour too."""
LEAST_DEVIATION = 0.05
"""Added to the luma's deviation in a square: 6 levels of 255, so that noise in flat places is not blown up."""


def against_surroundings(image: Tensor) -> Tensor:
    """Gives luma less its mean, over its deviation, in each square, and red and blue less luma less their mean.

    A faded print's scratches stand out from their surroundings as far as a fresh one's do, in deviations; and a
    scratch is not toned with the print, so that its colour differs from all around it.

    Args:
        image: (B, 3, H, W) in [-1, 1].

    Returns:
        (B, 4, H, W) about in [-3, 3].
    """
    luma = _luma(image)
    found = []
    for side in SURROUNDINGS_PX:
        mean, square = _square_mean(luma, side), _square_mean(luma.square(), side)
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        found.append((luma - mean) / (deviation + LEAST_DEVIATION))
    colour = image[:, ::2] - luma
    found.append(4 * (colour - _square_mean(colour, SURROUNDINGS_PX[-1])))
    return torch.cat(found, dim=1).clamp(-3, 3)


def _luma(image: Tensor) -> Tensor:
    weights = image.new_tensor([0.299, 0.587, 0.114])
    return (image * weights[:, None, None]).sum(dim=1, keepdim=True).contiguous()


def _square_mean(x: Tensor, side: int) -> Tensor:
    """Gives the mean of (B, C, H, W) over a square around each pixel, the edge repeated outside."""
    if x.device.type == "cpu" and x.dtype == torch.float32 and not x.requires_grad:
        import cv2

        means = torch.empty_like(x, memory_format=torch.contiguous_format)
        for plane, answer in zip(x.flatten(0, 1), means.flatten(0, 1), strict=True):
            cv2.blur(plane.contiguous().numpy(), (side, side), dst=answer.numpy(), borderType=cv2.BORDER_REPLICATE)
        return means
    reach = side // 2
    down = F.avg_pool2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), (side, 1), stride=1)
    return F.avg_pool2d(F.pad(down, (reach, reach, 0, 0), mode="replicate"), (1, side), stride=1)


def top_hats(image: Tensor) -> Tensor:
    """Gives white and black top-hats of the luma at each side, (B, 4, H, W), of an image (B, 3, H, W) in [-1, 1].

    They hold what is narrower than the square and brighter, or darker, than all around it: on held-out synthetic
    damage the larger of the two alone, with nothing learned, has an AUC of 0.72. A small network that is given them
    need not spend its first thousand steps on finding them.
    """
    luma = _luma(image)
    if luma.device.type == "cpu" and luma.dtype == torch.float32 and not luma.requires_grad:
        return _top_hats_on_a_cpu(luma)
    hats = []
    for side in HAT_SIDES_PX:
        widest = _spread(luma, side)
        opened, closed = _spread(-_spread(-luma, side), side), -_spread(-widest, side)
        hats += [luma - opened, closed - luma]
    return 4 * torch.cat(hats, dim=1)


def _top_hats_on_a_cpu(luma: Tensor) -> Tensor:
    """Gives the same numbers as pooling does, twenty times as fast: OpenCV's morphology of (B, 1, H, W) float32."""
    import cv2

    hats = luma.new_empty(len(luma), 2 * len(HAT_SIDES_PX), *luma.shape[2:])
    for photo, answer in zip(luma[:, 0].numpy(), hats.numpy(), strict=True):
        for place, side in enumerate(HAT_SIDES_PX):
            square = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
            cv2.morphologyEx(photo, cv2.MORPH_TOPHAT, square, dst=answer[2 * place])
            cv2.morphologyEx(photo, cv2.MORPH_BLACKHAT, square, dst=answer[2 * place + 1])
    return hats.mul_(4)


def _spread(x: Tensor, side: int) -> Tensor:
    """Gives the largest value within a square: along rows, then along columns, a tenth of the work of both at once."""
    down = F.max_pool2d(x, (side, 1), stride=1, padding=(side // 2, 0))
    return F.max_pool2d(down, (1, side), stride=1, padding=(0, side // 2))


class FoldedScratchUNet(nn.Module):
    """A compact U-Net in colour; about 1.7 M weights in `archive`.

    Each square of 2x2 pixels is folded into the channels of one place and unfolded at the end: a scratch of one pixel
    keeps its place, and no convolution runs at full resolution, where a few channels cost most. Besides the colours it
    is given top-hats of the luma. Batch norm is, once trained, a fixed factor and offset a channel: no statistic is
    taken over the photo, so that tiles see what the whole photo would. Its lowest level has a place for each 32x32
    pixels: a torn border or a strip of tape is known by its surroundings, not by its edge.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths, depth = config.widths, config.depth
        lowest = len(widths) - 1
        self.total_stride = FOLD * 2**lowest
        in_cells = sum(2**level * (depth + (level < lowest)) for level in range(lowest + 1)) + 1  # and the head
        at_full = max(HAT_SIDES_PX) - 1  # an opening
        if config.contrast:
            at_full = max(at_full, SURROUNDINGS_PX[-1] // 2)
        self.reach_px: int | None = at_full + FOLD * in_cells + self.total_stride - 1
        self.contrast = config.contrast
        shown = 3 + 2 * len(HAT_SIDES_PX) + (len(SURROUNDINGS_PX) + 2 if config.contrast else 0)
        folded = FOLD**2 * shown
        self.stem = _stack(folded, widths[0], depth)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 2, stride=2), *_stack(b, b, depth))
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.merges = nn.ModuleList(_stack(2 * a, a, 1) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], FOLD**2, 3, padding=1)
        nn.init.constant_(self.head.bias, -3.0)  # damage is rare: start from "intact"

    def forward(self, image: Tensor) -> Tensor:
        """Gives logits (B, 1, H, W) float32 of an image (B, 3, H, W) in [-1, 1], any height and width."""
        padded, (height, width) = pad_to_multiple(image, self.total_stride)
        shown = [padded, top_hats(padded)]
        if self.contrast:
            shown.append(against_surroundings(padded))
        seen = torch.cat(shown, dim=1).to(self.head.weight.dtype)
        levels = [self.stem(F.pixel_unshuffle(seen, FOLD))]
        for down in self.downs:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up, merge in zip(reversed(self.ups), reversed(self.merges), strict=True):
            x = merge(torch.cat([levels.pop(), F.interpolate(up(x), scale_factor=2, mode="nearest")], dim=1))
        return F.pixel_shuffle(self.head(x), FOLD)[..., :height, :width].float()


def _stack(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    """Gives `depth` times a 3x3 convolution, batch norm and ReLU."""
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [
            nn.Conv2d(inputs if k == 0 else outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class PlainScratchUNet(nn.Module):
    """The authors' detector: a U-Net of depth 4, 64 to 1024 channels, one grey channel in; about 31 M weights."""

    total_stride = 16
    reach_px: int | None = None  # instance norm sees the whole photo

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths = config.widths
        self.first = _double_conv(1, widths[0])
        self.downs = nn.ModuleList(_double_conv(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.merges = nn.ModuleList(_double_conv(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Gives logits (B, 1, H, W) of an image (B, 3, H, W) in [-1, 1]; the colour is averaged to grey."""
        weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        padded, (height, width) = pad_to_multiple((image * weights).sum(dim=1, keepdim=True), self.total_stride)
        levels = [self.first(padded)]
        for down in self.downs:
            levels.append(down(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up, merge in zip(reversed(self.ups), reversed(self.merges), strict=True):
            x = merge(torch.cat([levels.pop(), up(x)], dim=1))
        return self.head(x)[..., :height, :width].float()


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect"),
        nn.InstanceNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, padding_mode="reflect"),
        nn.InstanceNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )


def pad_to_multiple(image: Tensor, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Pads (B, C, H, W) below and to the right, repeating the edge, to multiples; gives it and (H, W)."""
    height, width = image.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below or right:
        image = F.pad(image, (0, right, 0, below), mode="replicate")
    return image, (height, width)


def build_detector_network(config: DetectorConfig) -> nn.Module:
    """Gives a fresh detector of the given kind and sizes."""
    return FoldedScratchUNet(config) if config.kind == "folded" else PlainScratchUNet(config)
