"""Measures how long a restoration takes and how much memory it holds, by size and mode.

    python -m tests.benchmarks.restoration [--release NAME] [--device cpu] [--megapixels 0.25 1 4 12]

Each size runs in a process of its own, so that its peak memory is its own. The table is Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

MODES = ("full", "scratches")


def measure(release: str, device: str, megapixels: float, repeats: int) -> dict[str, object]:
    """Restores one photo of that size a few times in each mode; the first, which warms up, does not count."""
    import numpy as np
    import skimage.data
    from PIL import Image

    from oldphoto_core import Restorer

    side = round((megapixels * 1e6) ** 0.5)
    photo = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((side, side), Image.Resampling.BICUBIC))
    began = time.perf_counter()
    restorer = Restorer.from_release(release, device=device)
    loaded_s = time.perf_counter() - began
    seconds: dict[str, float] = {}
    for mode in MODES:
        taken = [restorer.restore(photo, mode=mode).report for _ in range(repeats + 1)][1:]
        seconds[mode] = statistics.median(report.seconds for report in taken)
    held_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if restorer.device.type == "cuda":
        import torch

        held_mb = torch.cuda.max_memory_allocated(restorer.device) / 2**20
    return {
        "release": restorer.card.name,
        "device": taken[0].device,
        "precision": taken[0].precision,
        "tiles": taken[0].tiles,
        "loaded_s": loaded_s,
        "seconds": seconds,
        "held_mb": held_mb,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", default="default", help="a release's name or folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 4])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measure(given.release, given.device, given.one, given.repeats)))
        return 0

    for number, megapixels in enumerate(given.megapixels):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--one", str(megapixels)],
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            return done.returncode
        found = json.loads(done.stdout.splitlines()[-1])
        if number == 0:
            print(
                f"{found['release']} on {found['device']} ({found['precision']}, {os.cpu_count()} cores), "
                f"{platform.system()}, Python {platform.python_version()}, {datetime.date.today()}; "
                f"loaded in {found['loaded_s']:.1f} s\n"
            )
            columns = ["Megapixels", "Tiles", *(f"{mode}, s per megapixel" for mode in MODES), "Peak, MB"]
            print(f"| {' | '.join(columns)} |\n|{'--:|' * len(columns)}")
        rates = " | ".join(f"{found['seconds'][mode] / megapixels:.2f}" for mode in MODES)
        print(f"| {megapixels:g} | {found['tiles']} | {rates} | {found['held_mb']:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
