"""The benchmarks of orchestration run, at sizes that say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import night_simulation, orchestration, workers
from tests.benchmarks.night_simulation_model import bounds, simulate
from tests.benchmarks.orchestration_archive import png_files


@pytest.mark.usefixtures("prefect_server")
def test_orchestration_is_measured_without_any_work(tmp_path: Path) -> None:
    """Workers give records that the catalogue takes, and every phase is told."""
    files = list(png_files(tmp_path / "scans", 6, height=64, width=64))
    row, phases = orchestration.measure("work", "sqlite", files, tmp_path, px=64, settings={"batch_size": 3})
    assert row["photos"] == 6 and row["tasks"] >= 2
    assert {"planning", "leases", "submitting", "recording", "browse links"} <= phases.flow_thread_s.keys()
    assert sum(phases.flow_thread_s.values()) <= row["wall_s"]
    assert "| records | sqlite | 6 |" in orchestration.table([(row, phases)])


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.slow
def test_two_workers_are_compared_with_one(tmp_path: Path) -> None:
    """Files are read and written, pixels stay, and the table has both."""
    files = list(png_files(tmp_path / "scans", 4, height=64, width=64))
    runs = workers.compare(files, tmp_path, px=64, repeats=1, settings={"batch_size": 1}, null="model")
    assert "| 2 | 4 |" in workers.table(runs)


@pytest.mark.parametrize("gpu_s", [0.05, 1.0])
def test_a_simulated_night_is_as_quick_as_its_narrowest_part(gpu_s: float) -> None:
    night = replace(night_simulation.BASE, photos=40_000, gpu_s=gpu_s, once_s=0.0)
    found = night.photos / simulate(night).seconds
    assert found == pytest.approx(min(bounds(night).values()), rel=0.1)
