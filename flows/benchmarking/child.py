"""One row, measured in this process: `python -m flows.benchmarking.child`, a JSON object in, one line of JSON out."""

from __future__ import annotations

import contextlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LARGEST_TILE_PX = 2048
"""Height and width of what the model alone is given at most: larger photos come to it in tiles."""


def peak_mb() -> float:
    """Gives the most memory that this process has held, in MB of 10^6 bytes.

    Linux's `ru_maxrss` would count the parent's too, which was there before this program was loaded.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Gives the figures of a row; `wanted` is what `flows.benchmarking.rows` asks for."""
    kinds: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "model": _model,
        "end-to-end": _end_to_end,
        "worker": _worker,
        "presets": _presets,
    }
    return {**kinds[wanted["what"]](wanted), "peak_mb": round(peak_mb(), 1), "gpu_peak_mb": _gpu_peak_mb()}


def _end_to_end(wanted: dict[str, Any]) -> dict[str, Any]:
    """`restore-file` on the photo, as often as the batch says: first from the start of the process, then again."""
    from flows.cli.files import restore_file

    source = Path(wanted["source"])
    ending = ".tif" if source.suffix == ".tif" else ".png"  # lossless, as the policy `auto` has it
    targets = [source.with_name(f"restored-{number}{ending}") for number in range(wanted["batch"])]

    def restore() -> None:
        for target in targets:
            restore_file(source, target, release=wanted["release"], device=wanted["device"], overwrite=True)

    restore()
    cold_s = time.time() - wanted["started"]
    return {"cold_s": cold_s, "warm_s": [_seconds(restore) for _ in range(wanted["repeats"])]}


def _worker(wanted: dict[str, Any]) -> dict[str, Any]:
    from flows.benchmarking.worker import measure_worker

    return measure_worker(wanted)


def _model(wanted: dict[str, Any]) -> dict[str, Any]:
    """Detector, look and restoration of a batch of tiles that are in memory, on the device they are needed on."""
    run, about = _archive(wanted)
    with _inference():
        cold_s = _seconds(run)
        return {**about, "cold_s": cold_s, "warm_s": [_seconds(run) for _ in range(wanted["repeats"])]}


def _presets(wanted: dict[str, Any]) -> dict[str, Any]:
    """The release and the `paper` preset with plain attention, by turns on the same tile; the release warms up once."""
    run, about = _archive(wanted)
    plain = _paper(wanted)
    archive_s, paper_s = [], []
    with _inference():
        run()
        archive_mb = peak_mb()
        for _ in range(max(1, wanted["repeats"])):
            archive_s.append(_seconds(run))
            paper_s.append(_seconds(plain))
    ratio = statistics.median(paper_s) / statistics.median(archive_s)
    found = {"archive_s": archive_s, "paper_s": paper_s, "archive_peak_mb": round(archive_mb, 1), "ratio": ratio}
    return {**about, **found}


def _archive(wanted: dict[str, Any]) -> tuple[Callable[[], object], dict[str, Any]]:
    """Gives what runs a release's networks on a batch once, and what they are."""
    import torch

    from oldphoto_core.machine import use_large_pages
    from oldphoto_core.models.look import whole_window
    from oldphoto_core.releases.bundle import load_release
    from oldphoto_core.releases.card import find_release
    from oldphoto_core.restoration.precision import prepare_release

    use_large_pages()
    device = _device(wanted["device"])
    loaded = load_release(find_release(wanted["release"]), device=device)
    release, precision = prepare_release(loaded, device=device, precision=wanted["precision"])
    image, mask = _tile(wanted, device)
    window = whole_window(len(image), device)
    autocast = device.type != "cpu" and precision == "bfloat16"

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            release.detector(image)
            release.network.restore(image, mask, release.network.glance(image, mask), window)
        _wait_for(device)

    return run, {**_about(device, image), "precision": precision, "release": release.card.name}


def _paper(wanted: dict[str, Any]) -> Callable[[], object]:
    """Gives what runs the authors' sizes once, with random weights and attention that holds every product (eq. 7)."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from oldphoto_core.models.look import whole_window
    from oldphoto_core.models.presets import build_detector, build_restoration, preset

    sizes = preset("paper") if wanted["paper_widths"] is None else _narrowed(preset("paper"), wanted["paper_widths"])
    device = _device(wanted["device"])
    torch.manual_seed(0)  # only this process's, and only weights that nobody looks at
    detector, network = (
        module.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        for module in (build_detector(sizes), build_restoration(sizes))
    )
    image, mask = _tile(wanted, device)
    autocast = device.type != "cpu"

    def run() -> None:
        with sdpa_kernel(SDPBackend.MATH), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            detector(image)
            network.restore(image, mask, None, whole_window(len(image), device))
        _wait_for(device)

    return run


def _narrowed(paper: Any, width: int) -> Any:
    """The authors' networks at a toy width, for trying the command out."""
    translation = replace(paper.translation, latent_channels=width, widths=(width,) * 4, inner=width)
    detector = replace(paper.detector, widths=(width,) * 5)
    return replace(
        paper, detector=detector, vae=replace(paper.vae, latent_channels=width, width=width), translation=translation
    )


def _tile(wanted: dict[str, Any], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives a batch of the top left of a photo (B, 3, H, W) in [-1, 1], and its scratches (B, 1, H, W)."""
    import numpy as np
    import torch

    from flows.benchmarking.photos import damage_of, strips

    height, width = (max(64, min(side, LARGEST_TILE_PX) // 16 * 16) for side in wanted["size"])
    pixels = np.concatenate(list(strips(height, width, top_level=255))).astype(np.float32)
    image = (torch.from_numpy(pixels) / 127.5 - 1).permute(2, 0, 1)[None].repeat(wanted["batch"], 1, 1, 1)
    mask = torch.from_numpy(damage_of(height, width)).float()[None, None].repeat(wanted["batch"], 1, 1, 1)
    return image.to(device).contiguous(memory_format=torch.channels_last), mask.to(device)


def _about(device: torch.device, image: torch.Tensor) -> dict[str, Any]:
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "tile": list(image.shape[2:])}


def _device(wanted: str) -> torch.device:
    import torch

    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted)


@contextlib.contextmanager
def _inference() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _gpu_peak_mb() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return round(torch.cuda.max_memory_allocated() / 1e6, 1)


def main() -> None:
    """Measures what the argument asks for; what commands print goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(json.loads(sys.argv[1]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
