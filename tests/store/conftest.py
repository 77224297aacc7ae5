"""A real catalogue for each test: on SQLite, on PostgreSQL, or on both, as a test asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.objects import ObjectStore
from tests.store.postgres import NIGHTLY, PostgresServer, postgres_server
from tests.store.s3_servers import bucket, moto, rclone, s3

__all__ = ["bucket", "moto", "postgres_server", "rclone", "s3"]


@pytest.fixture(scope="session")
def empty_catalogue_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated catalogue that nobody writes to: migrating takes half a second, copying nothing."""
    path = tmp_path_factory.mktemp("empty") / "catalogue.db"
    Catalogue.open(path).close()
    return path


@pytest.fixture
def catalogue_path(tmp_path: Path, empty_catalogue_path: Path) -> Path:
    """A new, migrated SQLite catalogue's file."""
    path = tmp_path / "home" / "catalogue.db"
    path.parent.mkdir()
    shutil.copyfile(empty_catalogue_path, path)
    return path


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a new, migrated PostgreSQL catalogue, a copy of a template, as its owner."""
    with postgres_server.catalogue() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(request: pytest.FixtureRequest) -> str:
    """URL of a new, migrated catalogue; a test that asks for it runs once on each database.

    On PostgreSQL as a login that is a member of `oldphoto_writer` alone: so all tests show that a writer's rights do.
    """
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('catalogue_path')}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgres@", f"{NIGHTLY}@")


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    """An open, empty catalogue, on each database."""
    with Catalogue.open(catalogue_url) as opened:
        yield opened


@pytest.fixture
def manifests(tmp_path: Path) -> ObjectStore:
    """A store of manifests in a folder."""
    return ObjectStore(tmp_path / "manifests")
