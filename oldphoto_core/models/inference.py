"""Copies of the networks for restoring alone: the same weights and answers, folded and cut for a CPU's cache.

What training needs and restoring does not is taken out: batch norm, layer norm's factors, the blocks' scales and the
look's condition are folded into the convolutions beside them; 1x1 convolutions are matrix products on channels-last
memory; a block runs over bands of rows that stay in the cache. Answers equal the network's within float rounding.

In bfloat16 only products are: what is added up over the depth of a network, both linear paths of the VAEs, the
attention and the look stay float32, so that less is lost than under autocast.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.models.blocks import GatedBlock
from oldphoto_core.models.detector import ScratchDetector
from oldphoto_core.models.fast_detector import FastDetector
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.translation import GatedTranslation
from oldphoto_core.models.vae import LinearPathVAE

BAND_BYTES = 4 << 20
"""About what a band of a block's input holds for each thread. Half of it is as fast on a quiet core with 32 MB of
shared cache; but threads wait for each other at the end of each step, and on a busy machine long."""


def inference_copy(module: nn.Module, *, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Gives a copy of a detector or restoration network for restoring on a CPU.

    Args:
        module: in evaluation mode; it is not changed. What is not of the `archive` kind is given back as it is.
        dtype: of products: float32, or bfloat16.

    Returns:
        A module with the same methods, whose inputs and outputs are float32 whatever the dtype. It cannot be trained.
    """
    if isinstance(module, ScratchDetector):
        return FastDetector(module, dtype)
    if not isinstance(module, RestorationNetwork) or not isinstance(module.translation, GatedTranslation):
        return module
    network = copy.deepcopy(module)
    for part in (network.vae_x, network.vae_y, network.translation):
        exact = (part.to_latent, part.from_latent, part.decoder_out) if isinstance(part, LinearPathVAE) else ()
        _replace(part, dtype, keep=exact)
    return network.requires_grad_(False).eval()


def carries_bfloat16(module: nn.Module) -> bool:
    """Whether `inference_copy` can give this network in bfloat16."""
    if isinstance(module, RestorationNetwork):
        return isinstance(module.translation, GatedTranslation)
    return isinstance(module, ScratchDetector)


def _replace(parent: nn.Module, dtype: torch.dtype, *, keep: tuple[nn.Module, ...]) -> None:
    """Puts the fast form in the place of each block and convolution below, those to keep apart."""
    for name, child in parent.named_children():
        if isinstance(child, GatedBlock):
            setattr(parent, name, BandedBlock(child, dtype))
        elif isinstance(child, nn.Conv2d) and child not in keep:
            setattr(parent, name, _fast_convolution(child, dtype))
        elif child not in keep:
            _replace(child, dtype, keep=keep)


class BandedBlock(nn.Module):
    """A gated block folded, (B, C, H, W) float32 -> the same, over bands of rows; see `GatedBlock`."""

    def __init__(self, block: GatedBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.eps = block.norm_mix.eps
        self.film = block.film
        norm, self.widen, self.widen_bias = block.norm_mix, _matrix(block.widen), block.widen.bias
        self.norm_weight, self.norm_bias = norm.weight, norm.bias
        self.mix = block.mix.to(dtype=dtype, memory_format=torch.channels_last)
        self.narrow, self.narrow_bias = _scaled(block.narrow, block.mix_scale, dtype)
        feed, bias = _normed(_matrix(block.feed_in), block.feed_in.bias, block.norm_feed.weight, block.norm_feed.bias)
        self.left, self.right = (half.to(dtype).contiguous() for half in feed.chunk(2))
        self.left_bias, self.right_bias = (half.to(dtype).contiguous() for half in bias.chunk(2))
        self.out, self.out_bias = _scaled(block.feed_out, block.feed_scale, dtype)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        rows = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C): a view where channels-last
        result = torch.empty_like(rows)
        height, row_bytes = rows.shape[1], rows[0, 0].numel() * rows.element_size()
        band = max(8, BAND_BYTES * torch.get_num_threads() // row_bytes)
        for number in range(len(rows)):  # each photo has a condition of its own
            widen = self._widen(None if condition is None else condition[number])
            for top in range(0, height, band):
                bottom = min(top + band, height)
                above, below = min(top, 1), min(height - bottom, 1)  # the depthwise convolution's reach
                piece = rows[number : number + 1, top - above : bottom + below]
                result[number, top:bottom] = self._band(piece, above, below, *widen)[0]
        return result.permute(0, 3, 1, 2)

    def _widen(self, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Gives the first 1x1 convolution with norm and condition (D,) folded in."""
        weight, bias = self.norm_weight, self.norm_bias
        if self.film is not None and condition is not None:
            scale, shift = self.film(condition).chunk(2)
            weight, bias = weight * (1 + scale), bias * (1 + scale) + shift
        matrix, offset = _normed(self.widen, self.widen_bias, weight, bias)
        return matrix.to(self.dtype), offset.to(self.dtype)

    def _band(self, x: Tensor, above: int, below: int, widen: Tensor, widen_bias: Tensor) -> Tensor:
        """Gives the block's answer for a band (1, h, W, C), less the rows above and below that it was shown."""
        channels, height = x.shape[3], x.shape[1]
        y = F.linear(self._normalised(x), widen, widen_bias)  # (1, h, W, 2C)
        y = self.mix(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[:, above : height - below]
        y = F.linear(y[..., :channels] * y[..., channels:], self.narrow, self.narrow_bias)
        x = x[:, above : height - below] + y
        y = self._normalised(x)
        y = F.linear(y, self.left, self.left_bias).mul_(F.linear(y, self.right, self.right_bias))
        return x.add_(F.linear(y, self.out, self.out_bias))

    def _normalised(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (x.shape[3],), eps=self.eps).to(self.dtype)


class PointwiseConvolution(nn.Module):
    """A 1x1 convolution as a matrix product, (B, C, H, W) -> (B, D, H, W) float32, channels-last."""

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.matrix = _matrix(layer).to(dtype).contiguous()
        self.bias = None if layer.bias is None else layer.bias.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1).to(self.matrix.dtype)
        return F.linear(rows, self.matrix, self.bias).permute(0, 3, 1, 2).float()


class CastConvolution(nn.Module):
    """A convolution computed in another dtype, float32 in and out."""

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer.to(dtype=dtype, memory_format=torch.channels_last)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.to(self.dtype)).float()


def _fast_convolution(layer: nn.Conv2d, dtype: torch.dtype) -> nn.Module:
    if layer.kernel_size == (1, 1) and layer.stride == (1, 1) and layer.groups == 1:
        return PointwiseConvolution(layer, dtype)
    return layer if dtype == torch.float32 else CastConvolution(layer, dtype)


def _matrix(layer: nn.Conv2d) -> Tensor:
    """Gives the weights (D, C) of a 1x1 convolution."""
    return layer.weight[:, :, 0, 0].detach()


def _normed(matrix: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Folds a norm's factors into the product after it: matrix @ (weight * y + bias) + offset."""
    return matrix * weight, offset + matrix @ bias


def _scaled(layer: nn.Conv2d, scale: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Folds a block's scale (1, C, 1, 1) into the 1x1 convolution before it."""
    factor = scale.flatten()
    return (_matrix(layer) * factor[:, None]).to(dtype).contiguous(), (layer.bias * factor).to(dtype)
