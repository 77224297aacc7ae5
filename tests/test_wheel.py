"""What an installed oldphoto contains: the three packages with their data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Set
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Set[str]:
    """The names of the files in a wheel built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("oldphoto-*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_only_the_three_packages_are_installed(wheel: Set[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"flows", "oldphoto_core", "storage"}


def test_every_module_and_data_file_of_the_tree_is_installed(wheel: Set[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "flows", "oldphoto_core", "storage"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    assert {name for name in tracked if name and (ROOT / name).exists()} <= wheel


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("oldphoto_core/releases/", ".safetensors"),
        ("oldphoto_core/releases/", "card.json"),
        ("storage/reports/", ".html"),
        ("storage/catalog/migrations/versions/", ".py"),
    ],
)
def test_data_that_a_run_needs_is_installed(wheel: Set[str], start: str, end: str) -> None:
    assert [name for name in wheel if name.startswith(start) and name.endswith(end)]
