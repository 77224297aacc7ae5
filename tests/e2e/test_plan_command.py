"""`oldphoto doctor --plan`: what a photo will take, told before it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from flows.cli.app import run_command
from flows.cli.plan import disk_for, memory_for
from oldphoto_core.restoration.plan import RestorationPlan

_MEASURE = """
import sys
from flows.benchmarking.child import peak_mb
from flows.cli.app import run_command
code = run_command(sys.argv[1:])
print("peak", round(peak_mb() * 1e6), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def scan_of(path: Path, height: int, width: int) -> Path:
    """A 16-bit colour TIFF with sharp squares of every size, written a strip at a time."""
    random = np.random.default_rng(0)
    strip = np.full((64, width), 30_000.0)
    for side in (1, 2, 4, 8, 16, 32, 64):
        squares = random.normal(0, 4_000, (64 // side, -(-width // side)))
        strip += squares.repeat(side, axis=0).repeat(side, axis=1)[:, :width]
    colour = np.repeat(strip.clip(0, 65_535).astype(np.uint16)[:, :, None], 3, axis=2)
    strips = (colour[: min(64, height - top)] for top in range(0, height, 64))
    tifffile.imwrite(path, strips, shape=(height, width, 3), dtype=np.uint16, photometric="rgb", rowsperstrip=64)
    return path


def told(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join(capfd.readouterr().out.split())


def test_a_small_photo_is_one_tile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "grandma.png"
    Image.fromarray(np.random.default_rng(0).integers(60, 200, (96, 130, 3)).astype(np.uint8)).save(photo)
    assert run_command(["doctor", "--plan", str(photo), "--home", str(tmp_path / "home")]) == 0
    said = told(capfd)
    assert "grandma.png: 130 x 96 pixels (width x height, 0.01248 megapixels), 8-bit RGB PNG" in said
    assert "decoded whole, 37 kB" in said
    assert "1 across x 1 down, of at most 160 x 96 pixels with their halo" in said
    assert re.search(r"about \d+ s on cpu in (bfloat16|float32), \d+ threads: networks \d+\.\d\d s a megapixel", said)
    assert not (tmp_path / "home").exists()


def test_a_large_scan_is_read_by_rows_in_tiles_of_the_side_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scan = scan_of(tmp_path / "scan.tif", 4_100, 4_000)
    assert run_command(["doctor", "--plan", str(scan), "--tile-px", "512", "--home", str(tmp_path / "home")]) == 0
    said = told(capfd)
    assert "4,000 x 4,100 pixels (width x height, 16.4 megapixels), 16-bit RGB TIFF, 98 MB" in said
    assert "a band of rows at a time" in said
    assert "as it is: its grain is that of a snapshot" in said
    assert "8 across x 9 down, of at most" in said


def test_pages_are_planned_one_by_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    album = tmp_path / "album.tif"
    random = np.random.default_rng(0)
    with tifffile.TiffWriter(album) as writer:
        for height, width in ((96, 130), (64, 64), (200, 120)):
            page = random.integers(60, 200, (height, width, 3)).astype(np.uint8)
            writer.write(page, photometric="rgb", metadata=None)
    assert run_command(["doctor", "--plan", str(album), "--home", str(tmp_path / "home")]) == 0
    said = told(capfd)
    assert "album.tif: 3 pages of 130 x 96, 64 x 64, 120 x 200 pixels (width x height, 0.04058 megapixels)" in said
    assert "decoded whole, 122 kB" in said
    assert "each page by itself, the largest 1 across x 1 down, of at most 128 x 224 pixels with their halo" in said
    assert re.search(r"about \d+ s on cpu", said)


def test_what_does_not_fit_is_bad_and_says_what_to_do() -> None:
    plan = RestorationPlan(
        height=10**6, width=10**6, scale=1, tile_rows=1, tile_columns=1, tile_px=(64, 64), computed_px=10**12,
        read_by_rows=True, peak_bytes=10**15, temporary_bytes=10**16,
    )  # fmt: skip
    memory, disk = memory_for(plan), disk_for(plan)
    assert (memory.verdict, disk.verdict) == ("bad", "bad")
    assert memory.detail.startswith("about 1000000 GB at its peak") and "set a smaller --tile-px" in memory.detail
    assert disk.detail.startswith("about 10000000 GB in ") and "set TMPDIR to another folder" in disk.detail


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(1_500, 2_000), (4_100, 4_000)])
def test_the_memory_it_tells_is_what_it_takes(
    tmp_path: Path, height: int, width: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Never more than it told, and at least half of it."""
    scan, home = scan_of(tmp_path / "scan.tif", height, width), str(tmp_path / "home")
    run = [sys.executable, "-c", _MEASURE]
    plan = subprocess.run([*run, "doctor", "--plan", str(scan), "--home", home], capture_output=True, text=True)
    [(number, unit)] = re.findall(r"about ([\d.]+) (GB|MB) at its peak", " ".join(plan.stdout.split()))
    planned = float(number) * {"GB": 1e9, "MB": 1e6}[unit]
    done = subprocess.run(
        [*run, "restore-file", str(scan), str(tmp_path / "out.tif"), "--home", home], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [peak] = re.findall(r"peak (\d+)", done.stderr)
    assert planned / 2 < int(peak) < planned * 1.02
