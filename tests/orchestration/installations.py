"""An installation whose commands run as processes: a folder of photos, a home, and what the commands are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from PIL import Image

from tests.orchestration.accounts import assert_accounted, catalogue_at, restorations
from tests.orchestration.archives import make_photos, picture
from tests.orchestration.processes import Command, start_oldphoto, wait_for

BAD_SIZE = (73, 97)
"""(height, width) of the photo that is bad for workers; no other has it."""
BAD_WORKER_SIZE = f"{BAD_SIZE[1]}x{BAD_SIZE[0]}"
BAD_PHOTO = "photo-bad.png"


@dataclass
class Installation:
    """Its catalogue is SQLite and its derivatives lie in the home, unless the environment says otherwise."""

    folder: Path
    environment: dict[str, str]
    logs: list[Path] = field(default_factory=list)

    @property
    def scans(self) -> Path:
        return self.folder / "scans"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def ask(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of a question to the catalogue."""
        return catalogue_at(self.environment.get("OLDPHOTO_CATALOGUE_URL") or self.home / "catalogue.db")(sql)

    def start(self, *arguments: str | Path, **environment: str) -> Command:
        """Begins a command, such as `run`, on this home."""
        self.logs.append(self.folder / f"said-{len(self.logs)}.log")
        return start_oldphoto(
            *arguments, "--home", self.home, log_path=self.logs[-1], environment=self.environment | environment
        )

    def start_run(self, **environment: str) -> Command:
        """`oldphoto run` over its scans."""
        return self.start("run", self.scans, **environment)

    def run(self, **environment: str) -> CompletedProcess[str]:
        """The same, to its end."""
        return self.start_run(**environment).end()

    def done(self) -> int:
        """Photos restored so far."""
        return restorations(self.ask)

    def wait_for_done(self, command: Command, count: int = 1) -> None:
        """Waits until so many photos are on record, and the command is still at work."""
        wait_for(lambda: self.done() >= count or command.process.poll() is not None, f"{count} restorations")
        assert command.process.poll() is None, command.log_path.read_text()

    def stored(self) -> list[str]:
        """Keys of everything below the derivatives."""
        below = self.home / "derivatives"
        return [path.relative_to(below).as_posix() for path in below.rglob("*") if path.is_file()]

    def assert_accounted(self, *, failed: Collection[str] = ()) -> dict[str, str]:
        """Every file is on record once, and done, except these; gives outcome by key."""
        keys = [path.relative_to(self.scans).as_posix() for path in self.scans.rglob("*") if path.is_file()]
        return assert_accounted(self.ask, keys=keys, stored=self.stored(), failed=failed)


def install(folder: Path, *, photos: int, **environment: str) -> Installation:
    """An installation with so many small photos to restore."""
    made = Installation(folder, environment)
    make_photos(made.scans, photos)
    return made


def add_bad_photo(installation: Installation) -> None:
    """One photo more: the one that workers do not survive."""
    Image.fromarray(picture(99, height=BAD_SIZE[0], width=BAD_SIZE[1])).save(installation.scans / BAD_PHOTO)


def summary(done: CompletedProcess[str]) -> dict[str, int]:
    """The table that a run ends with: counts by name."""
    rows = [[cell.strip() for cell in line.split("│")] for line in done.stdout.splitlines() if line.startswith("│")]
    return {cells[1]: int(cells[2].replace(",", "")) for cells in rows}
