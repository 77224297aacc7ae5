"""Writing and loading a release's networks: safetensors in half precision, never pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from oldphoto_core.errors import ReleaseError
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import Preset, build_detector, build_restoration, preset
from oldphoto_core.releases.card import CARD_NAME, CARD_VERSION, ReleaseCard, read_card, weights_hash

PARTS = ("detector", "mender", "vae_x", "vae_y", "translation", "look")
"""The networks of a release; `look` is missing where the preset has none, `mender` where none was trained."""


@dataclass(frozen=True)
class LoadedRelease:
    """A release's networks, in evaluation mode on one device.

    Attributes:
        card: the card they came with.
        detector: image (B, 3, H, W) in [-1, 1] -> logits (B, 1, H, W).
        network: VAEs, translation, look and mender.
    """

    card: ReleaseCard
    detector: nn.Module
    network: RestorationNetwork


def save_release(
    folder: Path, *, sizes: Preset, detector: nn.Module, network: RestorationNetwork, card: Mapping[str, Any]
) -> ReleaseCard:
    """Writes networks and card into a folder, the card last, and gives the card as it can be read again.

    Args:
        folder: made if need be; weights there are replaced.
        sizes: the preset the networks were built with.
        detector: the scratch detector.
        network: VAEs, translation, look and mender.
        card: what is known: data, steps, time, hardware, `metrics`, and the `operating` point, which is part of the
            release's hash. Name, hash and files are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    sizes_by_part: dict[str, int] = {}
    for part, module in _parts(detector, network).items():
        tensors = {name: _stored(tensor, f"{part}: {name}") for name, tensor in module.state_dict().items()}
        data = save(tensors)
        write_whole(folder / f"{part}.safetensors", data)
        files[f"{part}.safetensors"] = hashlib.sha256(data).hexdigest()
        sizes_by_part[part] = sum(tensor.numel() for tensor in tensors.values())
    digest = weights_hash(files, card.get("operating"), fills=network.fills)
    whole = {
        "card_version": CARD_VERSION,
        "name": f"{sizes.name}-{digest[:8]}",
        "preset": sizes.name,
        "fills": network.fills,
        "weights_hash": digest,
        "files": files,
        "weights": sizes_by_part,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{key: value for key, value in card.items() if key != "fills"},
    }
    write_whole(folder / CARD_NAME, (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode())
    return read_card(folder)


def load_release(card: ReleaseCard, *, device: torch.device | str = "cpu") -> LoadedRelease:
    """Loads a release's networks, after its files have been compared with the card.

    Raises:
        ReleaseError: a file is missing or altered, or does not fit the preset, or the card asks for what is not known.
    """
    card.verify()
    sizes = preset(card.preset)
    network = build_restoration(sizes)
    network.fills = bool(card.card.get("fills", False))
    if "mender.safetensors" not in card.files:  # damaged places are filled, and nothing is added
        network.mender = None
    path = card.folder / "detector.safetensors"
    try:
        detector = build_detector(sizes)
        for part, module in _parts(detector, network).items():
            path = card.folder / f"{part}.safetensors"
            module.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    except (RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ReleaseError(f"release {card.name}: {path} does not fit preset {card.preset!r}: {first}") from None
    for module in (detector, network):
        module.to(device=device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return LoadedRelease(card=card, detector=detector, network=network)


def _parts(detector: nn.Module, network: RestorationNetwork) -> dict[str, nn.Module]:
    parts = {"detector": detector, **{name: getattr(network, name) for name in PARTS[1:]}}
    return {name: module for name, module in parts.items() if module is not None}


def _stored(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """Gives kernels in half precision, and vectors (offsets, factors, statistics) in single, which costs nothing.

    A kernel that half precision has no room for stays in single too.
    """
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        raise ReleaseError(f"{name} holds infinities or what is no number; expected trained weights, train again")
    half = tensor.to(torch.float16)
    return tensor.float() if tensor.dim() < 2 or not torch.isfinite(half).all() else half


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under another name and moves it into place, so that no half file is ever seen."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
