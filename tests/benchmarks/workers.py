"""Measures what a second Dask worker brings to a job that computing bounds.

    python -m tests.benchmarks.workers [--photos 24] [--px 512] [--batch-size 2] [--repeats 3]

The real flow with the release `default` on the CPU, one torch thread a worker, on SQLite. One worker and two take
turns, and the first of a pair changes from pair to pair, so that a machine that slows down is unkind to both. The ratio
compares whole runs, from the flow's start to its end; start-up is told beside it. The table is Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.benchmarks.orchestration import measure
from tests.benchmarks.orchestration_archive import png_files

TARGET = 1.7
"""How many times as quick two workers should be."""


def compare(
    files: list[tuple[Path, str]], folder: Path, *, px: int, repeats: int, settings: dict[str, Any], null: Any = "none"
) -> dict[int, list[dict[str, Any]]]:
    """Runs by number of workers, each restoring all files into a catalogue of its own."""
    import flows.runners

    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for number in range(repeats):
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            # A worker has the cores of its share: told that there are as many as workers, each takes one.
            with patch.object(flows.runners, "usable_cores", lambda count=workers: count):
                row, phases = measure(
                    null, "sqlite", files, folder, px=px, settings=settings | {"workers": workers}
                )  # fmt: skip
            row |= {"start_s": phases.flow_thread_s["starting workers"], "load": os.getloadavg()[0]}
            print(
                f"{workers} worker{'s' if workers > 1 else ''}: {row['wall_s']:.1f} s, of it starting workers "
                f"{row['start_s']:.1f} s; {row['tasks']} tasks; load {row['load']:.1f}",
                flush=True,
            )
            runs[workers].append(row)
    return runs


def table(runs: dict[int, list[dict[str, Any]]]) -> str:
    """Medians and their ratio."""
    lines = ["| Workers | Photos | Tasks | Median, s | Quickest, s | Slowest, s |", "|" + "--:|" * 6]
    for workers, rows in runs.items():
        taken = [row["wall_s"] for row in rows]
        lines.append(
            f"| {workers} | {rows[0]['photos']} | {rows[0]['tasks']} | {statistics.median(taken):.1f} "
            f"| {min(taken):.1f} | {max(taken):.1f} |"
        )
    one, two = (statistics.median(row["wall_s"] for row in runs[workers]) for workers in (1, 2))
    return "\n".join([*lines, "", f"Two workers are {one / two:.2f} times as quick as one; target {TARGET:g}."])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--px", type=int, default=512, help="side of a photo")
    parser.add_argument("--batch-size", type=int, default=2, help="photos a task")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)

    from flows.embedded_prefect import embedded_prefect

    print(
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {datetime.date.today()}; "
        f"load {os.getloadavg()[0]:.1f}; photos of {given.px} x {given.px}\n"
    )
    with tempfile.TemporaryDirectory() as name, embedded_prefect(Path(name) / "prefect"):
        folder = Path(name)
        files = list(png_files(folder / "scans", given.photos, height=given.px, width=given.px))
        settings = {"batch_size": given.batch_size}
        runs = compare(files, folder, px=given.px, repeats=given.repeats, settings=settings)
    print("\n" + table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
