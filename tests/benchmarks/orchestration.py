"""Measures what a restoration run costs a photo beside the model: planning, leases, tasks, rows and links.

    python -m tests.benchmarks.orchestration [--photos 20000] [--database sqlite postgresql] [--null work model]
    python -m tests.benchmarks.orchestration --photos 5000 --profile /tmp/flow.prof

The real flow in this process on an embedded Prefect server, a real Dask cluster, SQLite or PostgreSQL (`fsync` on).
With `--null work` the workers give valid records back at once, with `--null model` they read, decode, encode and write
five objects a photo, and only the networks are left out. Photos are real PNGs, registered without being read. Every run
has a catalogue and a home of its own. Tables are Markdown: wall-clock time from the flow's start to its end over the
photos.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import datetime
import os
import platform
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.orchestration_archive import png_files, register
from tests.benchmarks.orchestration_null import DEVICES, Null, nothing_done
from tests.benchmarks.orchestration_phases import PHASES, Phases, watched

DATABASES = ("sqlite", "postgresql")
TARGET_MS = 5.0
"""Most that orchestration may take a photo, over 20,000 of them."""


@contextlib.contextmanager
def catalogue_url(database: str, folder: Path) -> Iterator[str]:
    """URL of an empty catalogue; PostgreSQL's waits for its disk, as one in production does."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'catalogue.db'}"
        return
    from tests.store.postgres import running_postgres

    with running_postgres() as server:
        server.execute("ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()")
        with server.catalogue() as url:
            yield url


def restored(settings: dict[str, Any], home: Path, phases: Phases, profile: cProfile.Profile | None) -> dict[str, Any]:
    """Runs the flow once; gives its seconds, and what it counted."""
    from flows.restore import restore

    began, cpu = time.perf_counter(), time.process_time()
    with phases.counted():
        if profile:
            profile.enable()
        summary = restore(home=str(home), settings=settings)
        if profile:
            profile.disable()
    wall_s = time.perf_counter() - began
    done = summary.restore
    assert done is not None and not done.failed, done
    return {
        "wall_s": wall_s,
        "cpu_s": time.process_time() - cpu,
        "photos": done.restored + done.unchanged,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(
    null: Null,
    database: str,
    files: list[tuple[Path, str]],
    folder: Path,
    *,
    px: int,
    settings: dict[str, Any],
    model_s: float = 0.0,
    profile: cProfile.Profile | None = None,
) -> tuple[dict[str, Any], Phases]:
    """Registers the files in a new catalogue and restores them all."""
    from storage.catalog import Catalogue

    with tempfile.TemporaryDirectory(dir=folder) as home, catalogue_url(database, Path(home)) as url:
        with Catalogue.open(url) as catalogue:
            register(catalogue, folder / "scans", files, height=px, width=px)
        with nothing_done(null, model_s=model_s), watched() as phases:
            row = restored(settings | {"catalogue_url": url, "device": "cpu"}, Path(home), phases, profile)
        with Catalogue.open(url) as catalogue:
            devices = {record.device for record in catalogue.history(limit=10)}
        assert row["photos"] == len(files), row
        assert null == "none" or devices == {DEVICES[null]}, devices
        tasks = phases.calls["prefect_dask:DaskTaskRunner.submit"]
        return row | {"null": null, "database": database, "tasks": tasks}, phases


def table(results: list[tuple[dict[str, Any], Phases]]) -> str:
    """Milliseconds a photo, by run and phase of the thread that the flow runs in."""
    names = [*PHASES, "other"]
    lines = [
        f"| Nothing is done but | Catalogue | Photos | Tasks | Seconds | **ms a photo** | {' | '.join(names)} | CPU |"
    ]
    lines.append("|---|---|" + "--:|" * (5 + len(names)))
    for row, phases in results:
        spent = dict(phases.flow_thread_s)
        spent["other"] = row["wall_s"] - sum(spent.values())
        cells = " | ".join(f"{1000 * spent.get(name, 0.0) / row['photos']:.2f}" for name in names)
        what = {"work": "records", "model": "files", "none": "all, and the model"}[row["null"]]
        lines.append(
            f"| {what} | {row['database']} | {row['photos']:,} | {row['tasks']:,} | {row['wall_s']:.1f} "
            f"| **{1000 * row['wall_s'] / row['photos']:.2f}** | {cells} | {1000 * row['cpu_s'] / row['photos']:.2f} |"
        )
    return "\n".join(lines)


def call_table(row: dict[str, Any], phases: Phases) -> str:
    """The wrapped calls of a run, the dearest first."""
    lines = ["| Call | Calls | Seconds | ms a call |", "|---|--:|--:|--:|"]
    for name, seconds in phases.call_s.most_common():
        calls = phases.calls[name]
        short = name.partition(":")[2]
        lines.append(f"| `{short}` | {calls:,} | {seconds:.2f} | {1000 * seconds / calls:.2f} |")
    threads = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases.other_threads_s.items())
    return "\n".join(
        [*lines, "", f"In other threads than the flow's: {threads or 'nothing'}. Peak {row['peak_mb']:.0f} MB."]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--px", type=int, default=64, help="side of a photo")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--null", nargs="+", choices=("work", "model"), default=["work", "model"])
    parser.add_argument("--workers", type=int, help="Dask workers; by default as many as a run takes here")
    parser.add_argument("--batch-size", type=int, help="photos a task; by default the setting's")
    parser.add_argument("--model-s", type=float, default=0.0, help="seconds that the null model sleeps a photo")
    parser.add_argument("--profile", type=Path, help="where cProfile's figures of the flow's thread go; slows it down")
    parser.add_argument("--work", type=Path, help="folder for photos and homes; by default a temporary one")
    given = parser.parse_args(arguments)

    from flows.embedded_prefect import embedded_prefect

    settings = {"workers": given.workers, "batch_size": given.batch_size}
    settings = {name: value for name, value in settings.items() if value is not None}
    profile = cProfile.Profile() if given.profile else None
    print(
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {datetime.date.today()}; "
        f"load {os.getloadavg()[0]:.1f}; photos of {given.px} x {given.px}; {settings or 'settings as they come'}\n"
    )
    with tempfile.TemporaryDirectory(dir=given.work) as name, embedded_prefect(Path(name) / "prefect"):
        folder = Path(name)
        files = list(png_files(folder / "scans", given.photos, height=given.px, width=given.px))
        results = []
        for null in given.null:
            for database in given.database:
                results.append(
                    measure(
                        null, database, files, folder, px=given.px, settings=settings, model_s=given.model_s,
                        profile=profile,
                    )
                )  # fmt: skip
                print(call_table(*results[-1]) + "\n", flush=True)
        print(table(results))
    if profile:
        profile.dump_stats(given.profile)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(40)
    worst = max((1000 * row["wall_s"] / row["photos"] for row, _ in results if row["null"] == "work"), default=0.0)
    print(
        f"\nTarget: at most {TARGET_MS:g} ms a photo over 20,000 with nothing done; the worst here is {worst:.2f} ms."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
