"""All cases, in as many processes as are asked for; figures are kept as they come, so that a stopped run goes on."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.comparison.harm import Harm, measured_harm
from oldphoto_core.evaluation.comparison.measuring import Measurer
from oldphoto_core.evaluation.comparison.methods import all_methods
from oldphoto_core.evaluation.comparison.parts import FaceCache
from oldphoto_core.evaluation.comparison.real_cases import RealCase, real_cases
from oldphoto_core.evaluation.comparison.release_methods import LateRestorer, ReleaseChoice
from oldphoto_core.evaluation.comparison.rows import Row, RowStore
from oldphoto_core.evaluation.comparison.settings import Case, ComparisonSettings, Material, all_cases, find_material

PARQUET, PICTURES, FACES = "figures.parquet", "pictures", "faces.json"
SAVE_EVERY_S = 20.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        rows: of this run's cases, whether computed now or before.
        computed: rows that were computed now.
        shown: cases whose pictures were kept, with their folders.
        harm: what was found on photos with nothing wrong; None where that was left out.
    """

    settings: ComparisonSettings
    material: Material
    release: str
    code_version: str
    rows: list[Row]
    computed: int
    shown: list[tuple[Case, Path]]
    harm: Harm | None = None


def run_comparison(
    settings: ComparisonSettings,
    out: Path,
    *,
    release: ReleaseChoice | None,
    code_version: str,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Measures what has no row yet, and gives all rows.

    Args:
        settings: what to measure on what.
        out: folder for the Parquet and the pictures; what an earlier run left there is used.
        release: what is measured; None for the classical ways alone.
        code_version: part of every row's key.
        jobs: processes; each loads the release.
        progress: called with (cases done, cases in all).

    Raises:
        ConfigError: there are no photos, `jobs` is less than 1, or another table lies in the way.
    """
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}; expected at least 1")
    material = find_material(settings, faces=FaceCache(out / FACES))
    store = RowStore(out / PARQUET)
    work = _Work(settings, material, out, release, code_version)
    planner = work.measurer()
    cases = [*all_cases(settings, material), *real_cases(settings, material)]
    missing = [case for case in cases if not planner.is_done(case, store)]
    computed = 0
    saved_at = time.monotonic()
    tell = progress or (lambda done, total: None)
    total = len(cases) + bool(settings.harm_count and release)
    tell(len(cases) - len(missing), total)
    try:
        for number, rows in enumerate(_measured(work, planner, missing, store, jobs), start=1):
            computed += len(rows)
            store.add(rows)
            tell(len(cases) - len(missing) + number, total)
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                store.save()
                saved_at = time.monotonic()
        keys = [key for case in cases for key in planner.keys(case).values()]
        harm = None
        if settings.harm_count and release is not None:
            store.save()
            harm = measured_harm(settings, release, out, code_version)
            computed += sum(row.key not in store for row in harm.rows)
            store.add(harm.rows)
            keys += [row.key for row in harm.rows]
            tell(total, total)
    finally:
        store.save()
    folders = [(case, planner.picture_folder(case)) for case in cases if isinstance(case, Case) and case.shown]
    name = release.name if release else ""
    return Comparison(settings, material, name, code_version, store.rows(keys), computed, folders, harm)


@dataclass(frozen=True)
class _Work:
    """What a process needs to know."""

    settings: ComparisonSettings
    material: Material
    out: Path
    release: ReleaseChoice | None
    code_version: str

    def measurer(self) -> Measurer:
        """Gives a measurer; the release is not loaded before it is used."""
        restorer = LateRestorer(self.release) if self.release else None
        return Measurer(
            all_methods(
                restorer,
                prior=self.settings.prior_used,
                prior_device=self.settings.prior_device,
                baselines=self.settings.baselines,
            ),
            restorer,
            release=self.release.name if self.release else "",
            code_version=self.code_version,
            textures_dir=self.settings.textures_dir,
            textures_sha256=self.material.textures_sha256,
            pictures=self.out / PICTURES,
        )


def _measured(
    work: _Work, planner: Measurer, cases: Sequence[Case | RealCase], known: Collection[str], jobs: int
) -> Iterator[list[Row]]:
    """Yields the rows of each case, in whatever order they come."""
    if jobs == 1 or len(cases) < 2:
        yield from (planner.measure(case, known) for case in cases)
        return
    spawned = multiprocessing.get_context("spawn")
    waiting = iter(cases)
    with ProcessPoolExecutor(min(jobs, len(cases)), spawned, initializer=_begin, initargs=(work,)) as pool:
        running: set[Future[list[Row]]] = set()
        try:
            while True:
                for case in islice(waiting, 2 * jobs - len(running)):
                    had = {key for key in planner.keys(case).values() if key in known}
                    running.add(pool.submit(_measure, case, had))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        finally:
            for one in running:
                one.cancel()


_measurer: Measurer | None = None


def _begin(work: _Work) -> None:
    """Begins a process of one thread: the processes share the cores among them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    global _measurer
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # torch is loaded by now, and has read the environment
    _measurer = work.measurer()


def _measure(case: Case | RealCase, known: Collection[str]) -> list[Row]:
    assert _measurer is not None
    return _measurer.measure(case, known)
