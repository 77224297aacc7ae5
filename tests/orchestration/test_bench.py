"""`oldphoto bench` measures, at sizes that say nothing, and tells what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flows.benchmarking.photos import STRIP_PX, damage_of, size_for, strips, write_photo
from oldphoto_core.images import decode_image
from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.releases.bundle import save_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the archive's shape at toy sizes."""
    torch.manual_seed(0)
    sizes, folder = preset("tiny"), tmp_path_factory.mktemp("release")
    save_release(folder, sizes=sizes, detector=build_detector(sizes), network=build_restoration(sizes), card={})
    return folder


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli.app", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_every_row_is_told_as_json(release: Path, tmp_path: Path) -> None:
    """Model and end to end by size and batch, the paper's shape beside it, and a picture."""
    picture = tmp_path / "rate.png"
    done = bench(
        "--sizes", "0.01,0.02", "--batch", "1,2", "--preset", "archive,paper", "--repeats", 1, "--release", release,
        "--paper-px", 64, "--paper-widths", 4, "--plot", picture, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["machine"]["cores"] >= 1 and len(found["machine"]["load_before"]) == 3
    rows = [row for row in found["rows"] if row["what"] != "presets"]
    assert [(row["what"], row["batch"]) for row in rows] == 2 * [
        ("model", 1), ("end-to-end", 1), ("model", 2), ("end-to-end", 2),
    ]  # fmt: skip
    for row in rows:
        assert row["cold_s"] > 0 and row["warm_s"] > 0 and row["peak_mb"] > 100
        pixels = row["batch"] * row["height"] * row["width"]
        assert row["megapixels_per_s"] == pytest.approx(pixels / 1e6 / row["warm_s"], rel=0.2)
    file_to_file, model = rows[1], rows[0]
    assert file_to_file["cold_s"] > file_to_file["warm_s"]  # it starts Python and loads all there is
    assert file_to_file["format"] == "jpg" and model["precision"] in ("float32", "bfloat16")
    archive, paper = (row for row in found["rows"] if row["what"] == "presets")
    assert (archive["preset"], paper["preset"], archive["height"]) == ("archive", "paper", 64)
    assert archive["times_paper"] == pytest.approx(paper["warm_s"] / archive["warm_s"], rel=0.2, abs=0.1)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("size", "format"), [(0.02, "jpg"), pytest.param(12.2, "tif", marks=pytest.mark.slow)])
def test_a_batch_is_measured_as_a_worker_restores_it(release: Path, size: float, format: str) -> None:
    """Three photos, each distinct, with all that is written of them."""
    arguments = ["--batch", 3, "--what", "worker", "--repeats", 0, "--release", release, "--json"]
    done = bench("--sizes", size, *arguments)
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["rows"]
    assert (row["what"], row["batch"], row["format"]) == ("worker", 3, format)
    assert row["megapixels_per_s"] == pytest.approx(3 * row["megapixels"] / row["cold_s"], rel=0.01)


def test_a_table_is_shown_and_the_first_time_is_enough(release: Path) -> None:
    done = bench("--sizes", 0.01, "--what", "model", "--repeats", 0, "--release", release, "--precision", "float32")
    assert done.returncode == 0, done.stderr
    assert "| What | Preset |" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| model | archive |")]
    assert "float32" in row and row.split(" | ")[7] == ""  # never measured again


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--sizes", "two"], "expected numbers"),
        (["--sizes", "0"], "expected numbers"),
        (["--batch", "1.5"], "expected numbers"),
        (["--what", "gpu"], "found 'gpu'"),
        (["--preset", "archive,mine"], "found 'mine'"),
        (["--precision", "float16"], "expected auto"),
        (["--plot", "rate.jpg"], "ends in .png"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], word: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2 and word in done.stderr


def test_a_row_that_fails_is_told_and_not_left_out(tmp_path: Path) -> None:
    done = bench("--sizes", 0.01, "--what", "model", "--release", tmp_path)
    assert done.returncode == 1 and "measuring model at" in done.stderr and str(tmp_path) in done.stderr


@pytest.mark.parametrize("megapixels", [0.3, 2, 24, 100, 200])
def test_photos_are_of_about_the_size_and_never_more(megapixels: float) -> None:
    height, width = size_for(megapixels)
    assert 0.99 * megapixels < height * width / 1e6 <= megapixels
    assert width / height == pytest.approx(4 / 3, rel=0.01)


@pytest.mark.parametrize("megapixels", [0.05, 12.5])
def test_photos_are_the_same_every_time_and_read_back_as_they_were_drawn(tmp_path: Path, megapixels: float) -> None:
    path = write_photo(tmp_path, megapixels)
    data = path.read_bytes()
    assert write_photo(tmp_path, megapixels).read_bytes() == data
    decoded = decode_image(data, path.name).pixels
    height, width = size_for(megapixels)
    assert decoded.shape == (height, width, 3)
    drawn = np.concatenate(list(strips(height, width, top_level=np.iinfo(decoded.dtype).max)))
    if path.suffix == ".tif":
        assert decoded.dtype == np.uint16 and height > STRIP_PX and np.array_equal(decoded, drawn)
    else:
        assert np.abs(decoded.astype(int) - drawn.astype(int)).mean() < 3


def test_photos_are_scratched_here_and_there() -> None:
    share = damage_of(1200, 1600).mean()
    assert 0.002 < share < 0.05
