"""Simulates a night of 1,000,000 photos on 64 GPU workers, from measured costs and an assumed speed of the GPUs.

    python -m tests.benchmarks.night_simulation [--plot docs/night-simulation.png]
    python -m tests.benchmarks.night_simulation --validate WALL_1_S WALL_2_S    # of the runs named in VALIDATION

No GPU was measured: seconds a photo are swept. What the flow, Prefect, Dask and the catalogue take was measured on two
shared cores by `tests.benchmarks.orchestration`, so a machine of its own for each would do better. Sizes of photos and
the store's bandwidth are assumed too. Tables are Markdown.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.night_simulation_model import Night, Outcome, bounds, simulate

MEASURED = {
    "submit_s": 0.045, "result_s": 0.011, "claim_s": 0.004, "record_task_s": 0.008, "record_photo_s": 0.0007,
    "catalogue_s": 0.0004, "task_s": 0.030, "worker_task_s": 0.090,
}  # fmt: skip
"""On SQLite: `--null work` at 8, 64 and 256 photos a task, rounded. `task_s`, and with it `worker_task_s`, is an
assumed split of what a task waits: what of it is Prefect's server, one after the other, was not measured apart."""

GPU_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
MEGAPIXELS = (2, 6, 12, 24)
READ_MB_A_MEGAPIXEL = 3.0
"""An 8-bit colour TIFF, not compressed."""
WRITTEN_MB_A_MEGAPIXEL = 3.0
"""Assumed: a lossless restoration and difference, mask and preview."""

VALIDATION = "tests.benchmarks.orchestration --photos 800 --null model --model-s 0.05 --database sqlite --batch-size 16"
"""With `--workers 1` and `--workers 2`."""
_HOST_S = 0.007
"""Reading, decoding, encoding and writing a photo of 64 x 64, of a worker's own time: nothing overlaps it there."""

BASE = Night(photos=1_000_000, workers=64, batch=8, gpu_s=1.0, once_s=60.0, **MEASURED)


def sweep(night: Night) -> str:
    """Hours and what saturates, by seconds a photo on a GPU and by photos a task."""
    choices = [
        ("8", {}),
        ("64", {"batch": 64}),
        ("256", {"batch": 256}),
        ("64, 4 flow runs", {"batch": 64, "flows": 4}),
    ]
    lines = [f"| GPU, s a photo | GPUs alone, h | {' | '.join(f'{name}, h' for name, _ in choices)} |"]
    lines.append("|" + "--:|" * (2 + len(choices)))
    for gpu_s in GPU_S:
        cells = [f"{night.photos * gpu_s / night.workers / 3600:.2f}"]
        for _, changes in choices:
            outcome = simulate(replace(night, gpu_s=gpu_s, **changes))
            cells.append(told(outcome))
        lines.append(f"| {gpu_s:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def told(outcome: Outcome) -> str:
    """Hours, and the busiest resource."""
    return f"{outcome.seconds / 3600:.2f} ({outcome.bound_by} {100 * outcome.busy[outcome.bound_by]:.0f} %)"


def sizes(night: Night, gpu_s: float, bandwidths_mb_s: tuple[float, ...] = (1_250, 12_500)) -> str:
    """Hours by size of photo and bandwidth of the store."""
    lines = [
        "| Megapixels | MB a photo | " + " | ".join(f"{b * 8 / 1000:.0f} Gbit/s, h" for b in bandwidths_mb_s) + " |"
    ]
    lines.append("|" + "--:|" * (2 + len(bandwidths_mb_s)))
    for megapixels in MEGAPIXELS:
        read, written = READ_MB_A_MEGAPIXEL * megapixels, WRITTEN_MB_A_MEGAPIXEL * megapixels
        cells = []
        for bandwidth in bandwidths_mb_s:
            outcome = simulate(
                replace(night, gpu_s=gpu_s, read_mb=read, written_mb=written, store_mb_s=bandwidth, worker_mb_s=300)
            )
            cells.append(told(outcome))
        lines.append(f"| {megapixels} | {read + written:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def saturation(night: Night) -> str:
    """The quickest GPU that each serial resource still keeps up with, by the formula."""
    lines = [
        "| Photos a task | Flow, photos/s | Prefect, photos/s | Catalogue, photos/s | GPUs wait below, s a photo |"
    ]
    lines.append("|" + "--:|" * 5)
    for batch in (8, 16, 64, 256):
        found = bounds(replace(night, batch=batch))
        rates = [found["flow process"], found["Prefect and scheduler"], found["catalogue"]]
        limit_s = night.workers / min(rates) - night.worker_task_s / batch
        lines.append(f"| {batch} | {' | '.join(f'{rate:,.0f}' for rate in rates)} | {limit_s:.2f} |")
    return "\n".join(lines)


def validate(measured_s: list[float]) -> str:
    """Predicted against measured, for one worker and two on the machine that costs were measured on."""
    lines = ["| Workers | Predicted, s | Measured, s | Off by |", "|--:|--:|--:|--:|"]
    for workers, found_s in enumerate(measured_s, 1):
        night = replace(
            BASE, photos=800, workers=workers, batch=16, gpu_s=0.05, host_s=_HOST_S, overlap=False, once_s=3.5
        )
        predicted_s = simulate(night).seconds
        lines.append(f"| {workers} | {predicted_s:.1f} | {found_s:.1f} | {100 * (predicted_s / found_s - 1):+.0f} % |")
    return "\n".join(lines)


def plot(night: Night, path: Path) -> None:
    """Photos a second over the speed of a GPU, by photos a task: straight where GPUs bound, flat where they wait."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.5))
    speeds = [night.workers / gpu_s for gpu_s in GPU_S]
    axes.plot(speeds, speeds, "--", color="#888888", label="64 GPUs alone")
    styles = [("8 photos a task", {}, "o-", "#b5442e"), ("64", {"batch": 64}, "s-", "#d99a2b"),
              ("256", {"batch": 256}, "^-", "#3b5b7a"),
              ("64, four flow runs", {"batch": 64, "flows": 4}, "d-", "#4d8b57")]  # fmt: skip
    for label, changes, style, colour in styles:
        few = replace(night, photos=max(night.photos // 5, 20_000))
        rates = []
        for gpu_s in GPU_S:
            outcome = simulate(replace(few, gpu_s=gpu_s, once_s=0.0, **changes))
            rates.append(few.photos / outcome.seconds)
        axes.plot(speeds, rates, style, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(speeds, [f"{gpu_s:g} s" for gpu_s in GPU_S])
    axes.minorticks_off()
    axes.set_yticks([30, 100, 300, 1000], ["30", "100", "300", "1,000"])
    axes.set_xlabel("a photo on one GPU (assumed: no GPU was measured)")
    axes.set_ylabel("photos a second, 64 workers (simulated)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=BASE.photos)
    parser.add_argument("--workers", type=int, default=BASE.workers)
    parser.add_argument("--validate", type=float, nargs=2, metavar=("WALL_1_S", "WALL_2_S"))
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    night = replace(BASE, photos=given.photos, workers=given.workers)
    if given.validate:
        print(validate(given.validate))
        return 0
    print(saturation(night) + "\n\n" + sweep(night) + "\n\n" + sizes(replace(night, batch=64), 0.5))
    if given.plot:
        plot(night, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
