"""What is loaded when. Who may import whom is held by import-linter (`make lint`; contracts in pyproject.toml)."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "dask", "distributed", "prefect", "prefect_dask"}
"""What takes seconds to load; a run with nothing to do, and `--help`, load none of it."""


@pytest.mark.parametrize("module", ["oldphoto_core", "storage", "flows.cli.app"])
def test_importing_a_package_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("oldphoto"), "--help"],
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert (done.returncode, loaded & HEAVY) == (0, set()), done.stdout
    assert "typer" in loaded


@pytest.mark.parametrize(
    ("module", "wanted"),
    [("cv2", {"opencv-python-headless"}), ("PIL", {"pillow"}), ("torch", {"torch"})],
)
def test_a_library_comes_from_one_distribution_alone(module: str, wanted: set[str]) -> None:
    assert {name.lower() for name in packages_distributions()[module]} == wanted
