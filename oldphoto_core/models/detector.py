"""The scratch detector: a U-shaped network that gives each pixel's logit of structured damage (stage 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.encoder import STAGES, Encoder


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of a detector.

    Attributes:
        kind: `pretrained` (archive, colour) or `plain` (the authors', grey).
        widths: channels from the finest level down, each at half the resolution of the one before.
        stages: of the encoder (archive); 6 reach 1/32 of the sides.
    """

    kind: str
    widths: tuple[int, ...]
    stages: int = len(STAGES)


FOLD = 2
"""Pixels a side that are folded into one place at the finest level (archive)."""
HAT_SIDES_PX = (5, 11)
"""Sides of the squares of the top-hats: bright or dark structures narrower than this stand out."""
SURROUNDINGS_PX = (31, 95)
"""Sides of the squares that a pixel's surroundings are taken from, for luma; the larger one for colour too."""
SHOWN_CHANNELS = 3 + 2 * len(HAT_SIDES_PX) + len(SURROUNDINGS_PX) + 2
"""Colours, top-hats, and luma and colour against their surroundings."""
COARSE = 3
"""Pixels a side that are averaged for the second scale at which a photo is looked at (archive)."""
LARGEST_LOGIT = 8.0
"""Of one look, either way, once trained."""
ALLOWED_ALONE = 3.0
"""The logit is that of the look at the photo as it is, less this at most: a speck cannot be seen at a third."""
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
        mean, square = square_mean(luma, side), square_mean(luma.square(), side)
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        found.append((luma - mean) / (deviation + LEAST_DEVIATION))
    colour = image[:, ::2] - luma
    found.append(4 * (colour - square_mean(colour, SURROUNDINGS_PX[-1])))
    return torch.cat(found, dim=1).clamp(-3, 3)


def _luma(image: Tensor) -> Tensor:
    weights = image.new_tensor([0.299, 0.587, 0.114])
    return (image * weights[:, None, None]).sum(dim=1, keepdim=True).contiguous()


def square_mean(x: Tensor, side: int) -> Tensor:
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


class ScratchDetector(nn.Module):
    """An encoder that starts from ImageNet weights, the photo's own pixels beside it, and a light decoder.

    The encoder knows hair, lace and leaves; what it loses, a scratch of one pixel, comes from the full resolution: each
    square of 2x2 pixels of colours, top-hats and contrast is folded into the channels of one place, beside the
    encoder's finest features, and the answer is unfolded from there. No convolution of the decoder runs at full
    resolution. Its deepest level has a place for each 32x32 pixels: a torn border is known by its surroundings.

    A photo is looked at twice by the same weights, as it is and averaged over squares of `COARSE` pixels a side, and
    the logits are joined: a missing piece as wide as a face has, at the second scale, the size of a flake.
    """

    coarse = COARSE

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        widths = config.widths
        self.encoder = Encoder(config.stages)
        channels = list(self.encoder.channels)
        assert len(widths) == len(channels) - 1, (widths, channels)
        self.total_stride = FOLD * 2 ** len(widths)
        self.folded = _convolution(FOLD**2 * SHOWN_CHANNELS, widths[0])
        channels[0] += widths[0]
        below = [*widths[1:], channels[-1]]
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(widths, below, strict=True))
        self.merges = nn.ModuleList(_convolution(a + c, a) for a, c in zip(widths, channels, strict=False))
        self.head = nn.Conv2d(widths[0], FOLD**2, 3, padding=1)
        nn.init.constant_(self.head.bias, -3.0)  # damage is rare: start from "intact"
        at_full = max(max(HAT_SIDES_PX) - 1, SURROUNDINGS_PX[-1] // 2)
        decoded = sum(FOLD * 2**level for level in range(len(widths))) + FOLD  # 3x3 at each level, and the head
        self.reach_px: int | None = decoded + max(self.encoder.reach_px, at_full + FOLD) + self.total_stride

    def forward(self, image: Tensor) -> Tensor:
        """Gives logits (B, 1, H, W) float32 of an image (B, 3, H, W) in [-1, 1], any height and width."""
        height, width = image.shape[-2:]
        squares = F.avg_pool2d(pad_to_multiple(image, self.coarse)[0], self.coarse)
        fine, coarse = self.at_one_scale(image), self.at_one_scale(squares)
        if not self.training:  # as where both are kept in 8 bits
            fine, coarse = (logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) for logits in (fine, coarse))
        coarse = F.interpolate(coarse, scale_factor=float(self.coarse), mode="bilinear", align_corners=False)
        return torch.maximum((fine + coarse[..., :height, :width]) / 2, fine - ALLOWED_ALONE)

    def at_one_scale(self, image: Tensor) -> Tensor:
        """Gives the same of one look. Where a photo is cut into tiles, both looks are joined afterwards."""
        padded, (height, width) = pad_to_multiple(image, self.total_stride)
        seen = torch.cat([padded, top_hats(padded), against_surroundings(padded)], dim=1)
        dtype = self.head.weight.dtype
        levels = self.encoder(padded.to(dtype))
        levels[0] = torch.cat([levels[0], self.folded(F.pixel_unshuffle(seen.to(dtype), FOLD))], dim=1)
        x = levels.pop()
        for up, merge in zip(reversed(self.ups), reversed(self.merges), strict=True):
            x = merge(torch.cat([F.interpolate(up(x), scale_factor=2, mode="nearest"), levels.pop()], dim=1))
        return F.pixel_shuffle(self.head(x), FOLD)[..., :height, :width].float()


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class PlainScratchUNet(nn.Module):
    """The authors' detector: a U-Net of depth 4, 64 to 1024 channels, one grey channel in; about 31 M weights."""

    total_stride = 16
    reach_px: int | None = None  # instance norm sees the whole photo
    coarse = 1

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

    def at_one_scale(self, image: Tensor) -> Tensor:
        """Gives the same: it looks once."""
        return self(image)


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
    return ScratchDetector(config) if config.kind == "pretrained" else PlainScratchUNet(config)
