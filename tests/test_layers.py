"""What is loaded when, and what is declared. Who may import whom is held by import-linter (`make lint`)."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "dask", "distributed", "prefect", "prefect_dask"}
"""What takes seconds to load; a run with nothing to do, and `--help`, load none of it."""

OPTIONAL = {"torchvision"}
"""Used when at hand, and said in the log when not."""

ROOT = Path(__file__).parents[1]


def _imported(package: str) -> Iterator[str]:
    """Gives the top-level name of every import in a package's files, lazy ones included."""
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]


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
    assert (done.returncode, loaded & (HEAVY | {"numpy", "PIL", "cv2", "sqlalchemy"})) == (0, set()), done.stdout
    assert "typer" in loaded


@pytest.mark.parametrize(
    ("module", "wanted"),
    [("cv2", {"opencv-python-headless"}), ("PIL", {"pillow"}), ("torch", {"torch"})],
)
def test_a_library_comes_from_one_distribution_alone(module: str, wanted: set[str]) -> None:
    assert {name.lower() for name in packages_distributions()[module]} == wanted


@pytest.mark.parametrize("package", ["flows", "oldphoto_core", "storage"])
def test_every_import_is_declared_in_pyproject(package: str) -> None:
    lines = [line for line in distribution("oldphoto").requires or () if "extra == 'test'" not in line]
    declared = {re.match(r"[\w.-]+", line)[0].lower() for line in lines}
    ours = {"flows", "oldphoto_core", "storage"}
    foreign = set(_imported(package)) - sys.stdlib_module_names - ours - OPTIONAL
    owners = packages_distributions()
    undeclared = {name for name in foreign if not declared & {owner.lower() for owner in owners.get(name, [])}}
    assert undeclared == set()
