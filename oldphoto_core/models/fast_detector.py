"""The scratch detector for restoring alone: batch norm folded, the finest levels computed in bands of rows.

A band of rows stays in the cache, and of what the finest levels hold between their layers only a band exists at a time:
less than half of the memory that the network itself takes. Answers equal the network's within rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.detector import (
    FOLD,
    HAT_SIDES_PX,
    SURROUNDINGS_PX,
    ScratchDetector,
    against_surroundings,
    pad_to_multiple,
    top_hats,
)
from oldphoto_core.models.encoder import InvertedResidual

_BAND_BYTES = 4 << 20
"""About what the widest layer of a band holds for each thread."""
_LEAST_ROWS = 8
_SEEN_PIXELS = 500_000
"""Top-hats and contrast are computed for twice so many pixels of the photo at once, and a margin that they see into."""
_SEEN_REACH_PX = max(SURROUNDINGS_PX) // 2 + max(HAT_SIDES_PX)


class FastDetector(ScratchDetector):
    """A detector folded, with the same methods; inputs and outputs are float32. It cannot be trained."""

    def __init__(self, detector: ScratchDetector, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        detector = _folded(copy.deepcopy(detector)).requires_grad_(False).eval()
        detector.to(dtype=dtype, memory_format=torch.channels_last)
        self.dtype = dtype
        self.total_stride, self.reach_px = detector.total_stride, detector.reach_px
        self.stem = detector.encoder.stem
        self.levels = nn.ModuleList(
            nn.Sequential(*(_BandedBottleneck(block) for block in level)) for level in detector.encoder.levels
        )
        self.folded = detector.folded
        self.ups = nn.ModuleList(_Pointwise(layer) for layer in detector.ups)
        self.merges, self.head = detector.merges, detector.head

    def at_one_scale(self, image: Tensor) -> Tensor:
        padded, (height, width) = pad_to_multiple(image, self.total_stride)
        x = self.stem(padded.to(self.dtype, memory_format=torch.channels_last))
        levels = []
        for level in self.levels:
            x = level(x)
            levels.append(x)
        x = levels.pop()
        for place in reversed(range(1, len(self.ups))):
            upwards = F.interpolate(self.ups[place](x), scale_factor=2, mode="nearest")
            x = self.merges[place](torch.cat([upwards, levels.pop()], dim=1))
        folded = self._folded_features(padded)
        return self._finest(self.ups[0](x), levels.pop(), folded)[..., :height, :width]

    def _folded_features(self, image: Tensor) -> Tensor:
        """Gives what comes of the photo's own pixels (B, C, H / 2, W / 2), of an image (B, 3, H, W)."""
        height, width = image.shape[2] // FOLD, image.shape[3] // FOLD
        layer, answer = self.folded[0], None
        for first, last in _spans(height, max(_LEAST_ROWS, _SEEN_PIXELS // image.shape[3])):
            start = max(0, FOLD * (first - 1) - _SEEN_REACH_PX)
            shown = image[:, :, start : FOLD * (last + 1) + _SEEN_REACH_PX]
            seen = torch.cat([shown, top_hats(shown), against_surroundings(shown)], dim=1)
            for top, bottom in _bands(last - first, FOLD**2 * seen.shape[1] * width * seen.element_size()):
                top, bottom = top + first, bottom + first
                above, below = min(top, 1), min(height - bottom, 1)
                rows = seen[:, :, FOLD * (top - above) - start : FOLD * (bottom + below) - start]
                rows = F.pixel_unshuffle(rows, FOLD).to(self.dtype, memory_format=torch.channels_last)
                rows = F.relu_(F.conv2d(F.pad(rows, (1, 1, 1 - above, 1 - below)), layer.weight, layer.bias))
                answer = _empty(rows, height) if answer is None else answer
                answer[:, :, top:bottom] = rows
        assert answer is not None
        return answer

    def _finest(self, deeper: Tensor, encoded: Tensor, folded: Tensor) -> Tensor:
        """Gives logits (B, 1, H, W) float32 of the three features that meet at half the photo's sides."""
        count, _, height, width = encoded.shape
        channels = deeper.shape[1] + encoded.shape[1] + folded.shape[1]
        logits = encoded.new_empty(count, 1, FOLD * height, FOLD * width, dtype=torch.float32)
        merge = self.merges[0][0]
        for top, bottom in _bands(height, channels * width * encoded.element_size()):
            first, last = max(top - 2, 0), min(bottom + 2, height)
            rows = deeper[:, :, first // 2 : -(-last // 2)].repeat_interleave(2, dim=2)
            rows = rows[:, :, first % 2 : first % 2 + last - first].repeat_interleave(2, dim=3)
            x = torch.cat([rows, encoded[:, :, first:last], folded[:, :, first:last]], dim=1)
            # rows of the merge that the head needs: one more on each side, where the photo has any
            start, end = max(top - 1, 0), min(bottom + 1, height)
            above, below = int(start == first), int(end == last)  # the photo's own edge: nothing beyond
            x = F.relu_(F.conv2d(F.pad(x, (1, 1, above, below)), merge.weight, merge.bias))
            above, below = int(start == top), int(end == bottom)
            x = F.conv2d(F.pad(x, (1, 1, above, below)), self.head.weight, self.head.bias)
            logits[:, :, FOLD * top : FOLD * bottom] = F.pixel_shuffle(x, FOLD).float()
        return logits


class _BandedBottleneck(nn.Module):
    """An inverted residual over bands of rows, (B, C, H, W) channels-last -> the same at its stride."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        convolutions = [layer for layer in block.layers if isinstance(layer, nn.Conv2d)]
        self.adds = block.adds
        self.widen = _Pointwise(convolutions[0]) if len(convolutions) == 3 else None
        self.mix, narrow = convolutions[-2:]
        self.narrow = _Pointwise(narrow)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.mix.kernel_size[0], self.mix.stride[0]
        spare = max(kernel - stride, 0)
        before, after = spare // 2, spare - spare // 2
        height, width = x.shape[2:]
        answer = None
        for top, bottom in _bands(height // stride, stride * self.mix.in_channels * width * x.element_size()):
            first, last = top * stride - before, (bottom - 1) * stride - before + kernel
            rows = x[:, :, max(first, 0) : min(last, height)]
            if self.widen is not None:
                rows = self.widen(rows).clamp_(0, 6)
            rows = F.pad(rows, (before, after, max(-first, 0), max(last - height, 0)))
            rows = F.conv2d(rows, self.mix.weight, self.mix.bias, stride, 0, 1, self.mix.groups).clamp_(0, 6)
            rows = self.narrow(rows)
            if self.adds:
                rows += x[:, :, top:bottom]
            if answer is None:
                if bottom == height // stride:  # all in one band
                    return rows
                answer = _empty(rows, height // stride)
            answer[:, :, top:bottom] = rows
        assert answer is not None
        return answer


class _Pointwise(nn.Module):
    """A 1x1 convolution as a matrix product on channels-last memory."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.matrix = layer.weight[:, :, 0, 0].detach().contiguous()
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.matrix, self.bias).permute(0, 3, 1, 2)


def _bands(height: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Gives first row and end of each band of so many bytes a row."""
    return _spans(height, max(_LEAST_ROWS, _BAND_BYTES * torch.get_num_threads() // row_bytes))


def _spans(height: int, band: int) -> Iterator[tuple[int, int]]:
    for top in range(0, height, band):
        yield top, min(top + band, height)


def _empty(rows: Tensor, height: int) -> Tensor:
    count, channels, _, width = rows.shape
    return rows.new_empty(count, height, width, channels).permute(0, 3, 1, 2)


def _folded(detector: ScratchDetector) -> ScratchDetector:
    """Folds each batch norm into the convolution before it."""
    for module in detector.modules():
        if isinstance(module, nn.Sequential):
            for place, (layer, norm) in enumerate(zip(list(module), list(module)[1:], strict=False)):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[place] = nn.utils.fuse_conv_bn_eval(layer, norm)
                    module[place + 1] = nn.Identity()
    return detector
