"""Run folders back into networks: what each stage starts from, and what a release is packed of."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.look import Look
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_detector, build_look, build_restoration, build_vae, preset
from oldphoto_core.training.checkpoint import WEIGHTS, load_weights

if TYPE_CHECKING:
    from oldphoto_core.releases.bundle import ReleaseCard

Which = str
"""`best` or `last`."""


def trained_look(run: Path, preset_name: str, *, which: Which = "best") -> Look | None:
    """Gives the look that a run trained; None for a preset without one."""
    look = build_look(preset(preset_name))
    if look is not None:
        load_weights(run / "look" / WEIGHTS[which], {"look": look})
    return look


def trained_detector(run: Path, preset_name: str, *, which: Which = "best") -> nn.Module | None:
    """Gives the detector that a run trained, or None where it has trained none."""
    path = run / "detector" / WEIGHTS[which]
    if not path.is_file():
        return None
    detector = build_detector(preset(preset_name))
    load_weights(path, {"detector": detector})
    return detector.eval().requires_grad_(False)


def trained_vae(run: Path, preset_name: str, name: str, *, which: Which = "last") -> nn.Module:
    """Gives `vae_x` or `vae_y` as its own stage left it."""
    vae = build_vae(preset(preset_name))
    load_weights(run / name / WEIGHTS[which], {name: vae})
    return vae


def before_translation(run: Path, preset_name: str) -> RestorationNetwork:
    """Gives the look and the VAEs that a run trained, with a fresh T: what stage 2 starts from."""
    network = build_restoration(preset(preset_name))
    network.vae_x = trained_vae(run, preset_name, "vae_x")
    network.vae_y = trained_vae(run, preset_name, "vae_y")
    network.look = trained_look(run, preset_name)
    return network


def trained_restoration(run: Path, preset_name: str, *, which: Which = "best") -> RestorationNetwork:
    """Gives the whole restoration network of a run: the mender, stage 2's T, look and G_Y, and VAE1 of stage 1."""
    network = build_restoration(preset(preset_name))
    network.vae_x = trained_vae(run, preset_name, "vae_x")
    parts: dict[str, nn.Module] = {"translation": network.translation, "vae_y": network.vae_y}
    if network.look is not None:
        parts["look"] = network.look
    load_weights(run / "translation" / WEIGHTS[which], parts)
    if network.mender is not None and (run / "mender" / WEIGHTS[which]).is_file():
        load_weights(run / "mender" / WEIGHTS[which], {"mender": network.mender})
    else:
        network.mender = None
    return network.eval()


def run_preset(run: Path) -> str:
    """Gives the preset that a run's stages were trained with.

    Raises:
        TrainingError: there is no stage in the folder, or its stages differ.
    """
    settings = [json.loads(file.read_text())["settings"] for file in sorted(run.glob("*/run.json"))]
    names = {s["preset"] for s in settings}
    if len(names) != 1:
        found = ", ".join(sorted(names)) or "none"
        raise TrainingError(f"{run} holds stages of {len(names)} presets ({found}); exactly one is needed")
    return names.pop()


def training_notes(run: Path, *, which: Which = "best") -> dict[str, Any]:
    """Gives, for each stage, its settings, the step its weights are of, and their figures: for the release's card."""
    notes = {}
    for folder in sorted(p.parent for p in run.glob(f"*/{WEIGHTS[which]}")):
        notes[folder.name] = load_weights(folder / WEIGHTS[which], {})
        notes[folder.name]["elapsed_s"] = load_weights(folder / WEIGHTS["last"], {}).get("elapsed_s")
    return notes


def export_release(
    run: Path, out: Path, *, which: Which = "best", card: Mapping[str, Any] | None = None
) -> ReleaseCard:
    """Packs a finished run as a release folder.

    Args:
        run: folder with the stages `detector`, `vae_x`, `vae_y`, `translation`, `look` where the preset has one, and
            `mender` if it was trained.
        out: folder to write.
        which: the best checkpoint, or the last.
        card: further words for the release's card: data, hardware, figures.

    Raises:
        TrainingError: a stage is missing.
    """
    from oldphoto_core.releases.bundle import save_release

    name = run_preset(run)
    detector = trained_detector(run, name, which=which)
    if detector is None:
        raise TrainingError(f"{run} has no trained detector; run `oldphoto train detector --run {run}` first")
    network = trained_restoration(run, name, which=which)
    notes = {"training": training_notes(run, which=which), **(card or {})}
    return save_release(out, sizes=preset(name), detector=detector, network=network, card=notes)


def keep_by_name(pack: Callable[[Path], ReleaseCard], releases: Path) -> ReleaseCard:
    """Packs a release into a folder of its own name, which only its weights decide.

    A release that is already there has the same weights, and is left as it is.

    Args:
        pack: packs it into the folder that it is given.
        releases: where releases are kept, a folder each; made if need be.
    """
    from oldphoto_core.releases.card import find_release

    releases.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=releases) as packing:
        name = pack(Path(packing) / "release").name
        if not (releases / name).exists():
            os.replace(Path(packing) / "release", releases / name)
    return find_release(releases / name)
