"""The rows of `oldphoto bench`: what is asked of the processes that measure, and what their answers come to."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.benchmarking.photos import size_for, write_photo
from flows.errors import FlowsError
from oldphoto_core.machine import processor, usable_cores

FROM_FILES = frozenset({"end-to-end", "worker"})
"""What is measured from file to file."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        sizes: of photos, in megapixels.
        batches: photos at a time.
        what: `model`, `end-to-end`, `worker`.
        presets: `archive` (the release), and `paper` beside it at `paper_px`.
        repeats: how often each is measured again when warm; 0: the first time alone.
        release, device, precision: as the commands take them; the precision is the model's alone.
        paper_px: height and width at which `paper` is compared: its memory grows with the square of the pixels.
        paper_widths: channels throughout, in place of the authors', for trying the command out.
        work_path: where photos are written while measuring; None: the system's folder for such files.
    """

    sizes: tuple[float, ...]
    batches: tuple[int, ...] = (1,)
    what: tuple[str, ...] = ("model", "end-to-end")
    presets: tuple[str, ...] = ("archive",)
    repeats: int = 2
    release: str = "default"
    device: str = "auto"
    precision: str = "auto"
    paper_px: int = 512
    paper_widths: int | None = None
    work_path: Path | None = None


def measured(plan: Plan) -> Iterator[dict[str, Any]]:
    """Gives each row as it is measured; see `docs/performance.md` for what its fields mean.

    Raises:
        FlowsError: a row's process failed; its last words are told.
    """
    with tempfile.TemporaryDirectory(prefix="oldphoto-bench-", dir=plan.work_path) as folder:
        for megapixels in plan.sizes:
            height, width = size_for(megapixels)
            source = write_photo(Path(folder), megapixels) if set(plan.what) & FROM_FILES else None
            for batch in plan.batches:
                for what in plan.what:
                    found = _ask(plan, what, size=(height, width), batch=batch, source=source)
                    pixels = found.get("tile", (height, width))
                    yield _row(found, what, "archive", pixels, batch, source if what in FROM_FILES else None)
            if source is not None:
                source.unlink()
    if "paper" in plan.presets:
        side = (plan.paper_px, plan.paper_px)
        found = _ask(plan, "presets", size=side, batch=1, source=None)
        for name in ("archive", "paper"):
            row = _row({**found, "cold_s": None, "warm_s": found[f"{name}_s"]}, "presets", name, found["tile"], 1, None)
            if name == "archive":
                row["peak_mb"] = found["archive_peak_mb"]
            else:
                row |= {"precision": "float32" if found["device"] == "cpu" else "bfloat16", "release": "random weights"}
            yield {**row, "times_paper": round(found["ratio"], 1) if name == "archive" else 1.0}


def machine() -> dict[str, Any]:
    """Gives what the figures were measured on, and when."""
    return {
        "date": datetime.date.today().isoformat(),
        "system": platform.system(),
        "python": platform.python_version(),
        "processor": processor()[0],
        "cores": usable_cores(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def _ask(plan: Plan, what: str, *, size: tuple[int, int], batch: int, source: Path | None) -> dict[str, Any]:
    wanted = {
        "what": what, "size": size, "batch": batch, "source": None if source is None else str(source),
        "repeats": plan.repeats, "release": plan.release, "device": plan.device, "precision": plan.precision,
        "paper_widths": plan.paper_widths, "started": time.time(),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "flows.benchmarking.child", json.dumps(wanted)], capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise FlowsError(f"measuring {what} at {size[1]} x {size[0]} pixels failed: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _row(
    found: dict[str, Any], what: str, preset: str, pixels: tuple[int, int], batch: int, source: Path | None
) -> dict[str, Any]:
    height, width = pixels
    megapixels = batch * height * width / 1e6
    warm_s = statistics.median(found["warm_s"]) if found["warm_s"] else None
    cold_s = found["cold_s"]
    best_s = warm_s or cold_s
    return {
        "what": what,
        "preset": preset,
        "release": found.get("release"),
        "height": height,
        "width": width,
        "megapixels": round(height * width / 1e6, 3),
        "batch": batch,
        "format": None if source is None else source.suffix.lstrip("."),
        "device": found.get("device"),
        "precision": found.get("precision"),
        "threads": found.get("threads"),
        "cold_s": None if cold_s is None else round(cold_s, 3),
        "warm_s": None if warm_s is None else round(warm_s, 3),
        "warm_spread_s": [round(seconds, 3) for seconds in (min(found["warm_s"]), max(found["warm_s"]))]
        if found["warm_s"]
        else None,
        "megapixels_per_s": round(megapixels / best_s, 4),
        "cold_megapixels_per_s": None if cold_s is None else round(megapixels / cold_s, 4),
        "peak_mb": found["peak_mb"],
        "gpu_peak_mb": found["gpu_peak_mb"],
    }
