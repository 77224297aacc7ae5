"""VGG features for eq. 6, used only where torchvision and its weights are already on the machine."""

from __future__ import annotations

import logging

import torch
from torch import nn

from oldphoto_core.training.losses import l1

_LOG = logging.getLogger(__name__)

LAYERS = (1, 6, 11, 20, 29)
"""VGG-19's first activation at each resolution."""


class VggFeatures(nn.Module):
    """Mean absolute difference of VGG-19 features, summed over five layers with the usual growing weights."""

    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        self.layers = layers[: LAYERS[-1] + 1].eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, restored: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Gives eq. 6's VGG part for images (B, 3, H, W) in [-1, 1]."""
        a, b = (((x + 1) / 2 - self.mean) / self.deviation for x in (restored, target))
        total = restored.new_zeros(())
        weights = iter(self.weights)
        for number, layer in enumerate(self.layers):
            a, b = layer(a), layer(b)
            if number in LAYERS:
                total = total + next(weights) * l1(a, b.detach())
        return total


def load_vgg(device: torch.device) -> VggFeatures | None:
    """Gives VGG-19's features, or None, logged, where torchvision or its weights are missing. Downloads nothing."""
    try:
        from torchvision.models import VGG19_Weights, vgg19
    except ImportError:
        _LOG.info("feature matching uses the discriminator alone: torchvision is not installed")
        return None
    import os

    file = os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(VGG19_Weights.DEFAULT.url))
    if not os.path.exists(file):
        _LOG.info("feature matching uses the discriminator alone: VGG-19's weights are not at %s", file)
        return None
    network = vgg19()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return VggFeatures(network.features).to(device)
