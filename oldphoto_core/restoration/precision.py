"""The precision in which a machine restores fastest.

On a CPU, bfloat16 is used where a short probe finds it clearly faster: some processors have instructions for it, most
only imitate it. The answer is kept in the user's cache folder, by processor, version of PyTorch and release.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from oldphoto_core.errors import ConfigError
from oldphoto_core.machine import processor
from oldphoto_core.models.inference import carries_bfloat16, inference_copy
from oldphoto_core.models.look import whole_window
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.releases.bundle import LoadedRelease

log = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]

CLEARLY_FASTER = 1.15
"""How many times as fast bfloat16 must be on a CPU to be taken."""
_PROBE_PX = 256
_PROBES = 3


def prepare_release(
    release: LoadedRelease,
    *,
    device: torch.device,
    precision: PrecisionChoice = "auto",
    cache_folder: Path | None = None,
) -> tuple[LoadedRelease, Precision]:
    """Gives a release as its device computes it fastest, and the precision of that.

    On a CPU the networks become copies for restoring alone, which take and give float32 and want no autocast; on a
    GPU they stay as they are, for autocast.

    Args:
        release: on the device.
        device: where it computes.
        precision: `auto`: bfloat16 on a GPU; on a CPU what `choose_cpu_precision` finds.
        cache_folder: see `choose_cpu_precision`.

    Raises:
        ConfigError: the precision is not known, or bfloat16 is asked for on a CPU of networks that have no such copy.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"unknown precision {precision!r}; expected auto, float32 or bfloat16")
    if device.type != "cpu":
        return release, "float32" if precision == "float32" else "bfloat16"
    carried = carries_bfloat16(release.detector) and carries_bfloat16(release.network)
    if precision == "bfloat16" and not carried:
        raise ConfigError(
            f"release {release.card.name}: networks of preset {release.card.preset!r} are computed in float32 on a "
            "CPU; set precision to auto or float32"
        )
    chosen: Precision = "float32" if precision == "auto" else precision
    if precision == "auto" and carried:
        chosen = choose_cpu_precision(
            release.detector, release.network, weights_hash=release.card.weights_hash, cache_folder=cache_folder
        )
    dtype = getattr(torch, chosen)
    return replace(
        release,
        detector=inference_copy(release.detector, dtype=dtype),
        network=inference_copy(release.network, dtype=dtype),
    ), chosen


def choose_cpu_precision(
    detector: nn.Module, network: RestorationNetwork, *, weights_hash: str, cache_folder: Path | None = None
) -> Precision:
    """Gives the precision in which this machine's CPU restores faster, float32 where there is little in it.

    The first call for a processor, PyTorch and release takes about a second; later ones read the answer. A cache that
    is broken or cannot be written costs that second again, and is no error.

    Args:
        detector, network: of the release, in float32.
        weights_hash: of the release.
        cache_folder: where answers are kept; None: `oldphoto` in the user's cache folder.
    """
    known = [*processor(), torch.__version__, weights_hash]
    name = f"precision-{hashlib.sha256(json.dumps(known).encode()).hexdigest()[:24]}.json"
    folder = cache_folder or user_cache_folder()
    found = None if folder is None else _remembered(folder / name)
    if found is not None:
        return found
    seconds = probe_seconds(detector, network)
    chosen: Precision = "bfloat16" if seconds["float32"] > CLEARLY_FASTER * seconds["bfloat16"] else "float32"
    log.info("precision %s: a probe took %s s", chosen, seconds)
    if folder is not None:
        _remember(folder / name, {"precision": chosen, "seconds": seconds, "processor": known[0], "torch": known[-2]})
    return chosen


@torch.inference_mode()
def probe_seconds(detector: nn.Module, network: RestorationNetwork) -> dict[Precision, float]:
    """Gives the least seconds that a small tile took in each precision, tried in turns; infinite where it fails.

    On one thread and by that thread's own clock, so that other work on the machine hardly counts.
    """
    names: tuple[Precision, ...] = ("float32", "bfloat16")
    best: dict[Precision, float] = dict.fromkeys(names, float("inf"))
    image = torch.linspace(-1, 1, _PROBE_PX).expand(1, 3, _PROBE_PX, _PROBE_PX)
    image = image.contiguous(memory_format=torch.channels_last)
    mask = torch.zeros(1, 1, _PROBE_PX, _PROBE_PX)
    mask[:, :, _PROBE_PX // 2, ::2] = 1.0
    glance = network.glance(image, mask)
    copies = {
        name: [inference_copy(module, dtype=getattr(torch, name)) for module in (detector, network)] for name in names
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(1 + _PROBES):  # the first one warms up; the least of all counts
            for name, (detect, restore) in copies.items():
                began = time.thread_time()
                try:
                    detect(image)
                    restore.restore(image, mask, glance, whole_window(1))
                except RuntimeError as error:  # a processor, or a build, without bfloat16
                    log.info("precision %s does not work here: %s", name, error)
                    continue
                best[name] = min(best[name], time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return best


def user_cache_folder() -> Path | None:
    """Gives the folder for what can be found again at some cost; None where the user has no home."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "oldphoto"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "oldphoto"


def _remembered(path: Path) -> Precision | None:
    try:
        found = json.loads(path.read_bytes())["precision"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found in ("float32", "bfloat16") else None


def _remember(path: Path, what: dict[str, object]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(what) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        log.info("the precision chosen is not remembered: %s", error)
