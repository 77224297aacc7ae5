"""What a retraining computes on."""

from __future__ import annotations

from flows.settings import Settings


def training_device(settings: Settings) -> str:
    """The device of the settings; `auto` is a GPU where there is one."""
    if settings.training_device != "auto":
        return settings.training_device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(settings: Settings) -> str:
    """What it was computed on, as its maker calls it."""
    import torch

    device = torch.device(training_device(settings))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return f"{settings.training_gpus} × {name}" if settings.training_gpus > 1 else name
