"""A restored archive that audits' tests may damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows.audit_summary import AuditSummary
from storage.queries import read_only_query
from storage.urls import canonical_url
from tests.orchestration.archives import make_photos

PHOTOS = 6
FILES = 6
"""Of a restoration."""


@dataclass
class Archive:
    """A source of photos and one more copy, restored."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "scans"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def audit(self, **given: Any) -> AuditSummary:
        from flows.audit import audit

        return audit(home=str(self.home), settings=self.settings, **given)

    def restore(self) -> Any:
        from flows.restore import restore

        return restore(home=str(self.home), settings=self.settings).restore

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return read_only_query(self.home / "catalogue.db", sql).rows

    def derivative(self, name: str, source_key: str = "photo-000.png") -> Path:
        """The file of this name (`restored`, `mask`…) of a photo's restoration."""
        [(key,)] = self.ask(
            f"SELECT r.{name}_key FROM restoration r JOIN source_object o ON o.photo_id = r.photo_id "
            f"WHERE o.key = '{source_key}'"
        )
        return self.home / "derivatives" / str(key)

    def events(self) -> list[tuple[Any, ...]]:
        """Outcomes of the latest audit's fixity checks."""
        return self.ask(
            "SELECT outcome FROM event WHERE type = 'fixity check' AND run_id = "
            "(SELECT id FROM run WHERE kind = 'audit' ORDER BY number DESC LIMIT 1) ORDER BY id"
        )


@pytest.fixture(scope="session")
def restored_archive(
    prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Archive:
    """The archive that each test gets a copy of."""
    from flows.run import run

    settings = {"release": str(release_folder), "scheduler": dask_scheduler}
    made = Archive(tmp_path_factory.mktemp("audited"), settings)
    first, *_ = make_photos(made.source, PHOTOS)
    shutil.copyfile(first, made.source / "copy.png")
    run(str(made.source), home=str(made.home), settings=settings)
    return made


@pytest.fixture
def audited(restored_archive: Archive, tmp_path: Path) -> Archive:
    """A restored archive that the test may damage."""
    shutil.copytree(restored_archive.folder, tmp_path / "archive")
    copy = Archive(tmp_path / "archive", restored_archive.settings)
    with closing(sqlite3.connect(copy.home / "catalogue.db")) as connection, connection:
        connection.execute("UPDATE collection SET url = ?", [canonical_url(copy.source)])
    return copy


def flip(path: Path, *, keep_time: bool = True) -> None:
    """Changes one bit in the middle, as a disk does, which keeps size and time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
