"""What a run keeps on disk: checkpoints to resume from, and weights to use.

A checkpoint is tensors, numbers and strings alone, and is read with `weights_only`, so that opening one runs no code.
Weights to use are safetensors. Both are written beside their place and moved onto it, so that a kill leaves the old.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.schedule import ema_decay

CHECKPOINT = "checkpoint.pt"
WEIGHTS = {"best": "best.safetensors", "last": "last.safetensors"}


class WeightAverage:
    """Exponential moving average of networks' weights; what is judged and exported."""

    def __init__(self, networks: Mapping[str, nn.Module]):
        self.networks = {name: copy.deepcopy(n).eval().requires_grad_(False) for name, n in networks.items()}
        self._pairs = [
            (averaged, current)
            for name in networks
            for averaged, current in zip(
                self.networks[name].state_dict().values(), networks[name].state_dict().values(), strict=True
            )
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the average towards the current weights by 1 - `ema_decay(step)`."""
        floats = [(a, c) for a, c in self._pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [c for _, c in floats], 1 - ema_decay(step))
        for averaged, current in self._pairs:
            if not averaged.is_floating_point():
                averaged.copy_(current)


@dataclass
class Checkpoint:
    """All that a run needs to go on."""

    stage: str
    settings: dict[str, Any]
    """What must be the same for a resumed run to mean anything: seed, preset, sizes, weights of losses."""
    step: int = 0
    elapsed_s: float = 0.0
    best_score: float | None = None
    best_step: int | None = None
    networks: dict[str, Any] = field(default_factory=dict)
    averages: dict[str, Any] = field(default_factory=dict)
    critics: dict[str, Any] = field(default_factory=dict)
    optimisers: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the checkpoint in one move."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        content["settings"] = json.dumps(self.settings, sort_keys=True)
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    @classmethod
    def load(cls, path: Path, device: torch.device | str) -> Checkpoint:
        """Reads a checkpoint.

        Raises:
            TrainingError: the file is not a checkpoint of ours, or is damaged.
        """
        try:
            content = torch.load(path, map_location=device, weights_only=True)
            return cls(**{**content, "settings": json.loads(content["settings"])})
        except Exception as error:
            raise TrainingError(
                f"{path} cannot be read as a checkpoint ({type(error).__name__}); train with --fresh to start over"
            ) from error

    def require_same(self, stage: str, settings: Mapping[str, Any], path: Path) -> None:
        """Refuses to resume a run that was started with other settings.

        Raises:
            TrainingError: naming the settings that differ.
        """
        settings = json.loads(json.dumps(settings))
        names = sorted({*settings, *self.settings})
        changed = [
            f"{n} was {self.settings.get(n)}, is {settings.get(n)}"
            for n in names
            if self.settings.get(n) != settings.get(n)
        ]
        if self.stage != stage:
            changed.insert(0, f"stage was {self.stage}, is {stage}")
        if changed:
            raise TrainingError(
                f"{path} was made with other settings ({'; '.join(changed)}); give the same, "
                "another --run, or --fresh to start over"
            )


def save_weights(path: Path, networks: Mapping[str, nn.Module], notes: Mapping[str, Any]) -> None:
    """Writes networks to one safetensors file, each tensor as `<network>.<name>`, the notes as its metadata."""
    from safetensors.torch import save_file

    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    metadata = {"notes": json.dumps(dict(notes), sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))


def load_weights(path: Path, networks: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Loads the named networks out of a file of `save_weights` and gives its notes.

    Raises:
        TrainingError: the file is missing, or holds other networks than these.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise TrainingError(f"no trained weights at {path}; train that stage first")
    with safe_open(path, framework="pt") as opened:
        keys = list(opened.keys())
        notes = json.loads((opened.metadata() or {}).get("notes", "{}"))
        for name, network in networks.items():
            state = {k.removeprefix(f"{name}."): opened.get_tensor(k) for k in keys if k.startswith(f"{name}.")}
            try:
                network.load_state_dict(state)
            except RuntimeError as error:
                raise TrainingError(f"{path} holds another {name} than this preset's: {error}") from error
    return notes


def load_release_weights(folder: Path, networks: Mapping[str, nn.Module]) -> None:
    """Loads the named networks from a release's folder, to train on from there.

    Raises:
        TrainingError: the folder holds no such network, or one of other sizes.
    """
    from safetensors.torch import load_file

    for name, network in networks.items():
        path = folder / f"{name}.safetensors"
        if not path.is_file():
            raise TrainingError(f"{path} is missing: expected a release with a {name}; give another --start")
        try:
            network.load_state_dict({key: tensor.float() for key, tensor in load_file(path).items()})
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise TrainingError(f"{path} is of other sizes than this preset's {name}: {first}") from error


def write_atomically(path: Path, write: Callable[[str], object]) -> None:
    """Calls `write` with a temporary name beside the path, then moves the result onto the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes JSON in one move; dataclasses as their fields."""
    text = json.dumps(content, indent=1, sort_keys=True, default=_as_json)
    write_atomically(path, lambda temporary: Path(temporary).write_text(text + "\n", encoding="utf-8"))


def _as_json(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)
