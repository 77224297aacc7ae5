"""A real SQLite catalogue for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalogue


@pytest.fixture(scope="session")
def empty_catalogue_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated catalogue that nobody writes to: migrating takes half a second, copying nothing."""
    path = tmp_path_factory.mktemp("empty") / "catalogue.db"
    Catalogue.open(path).close()
    return path


@pytest.fixture
def catalogue_path(tmp_path: Path, empty_catalogue_path: Path) -> Path:
    """A new, migrated catalogue's file."""
    path = tmp_path / "home" / "catalogue.db"
    path.parent.mkdir()
    shutil.copyfile(empty_catalogue_path, path)
    return path


@pytest.fixture
def catalogue(catalogue_path: Path) -> Iterator[Catalogue]:
    """An open, empty catalogue."""
    with Catalogue.open(catalogue_path) as opened:
        yield opened
