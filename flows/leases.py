"""What this run holds: photos, so that no other run restores them meanwhile, and its look at a source.

Leases stand in the catalogue, on its clock, and are renewed while the run lives. A run that was killed cannot end its
leases; on the same machine the next run finds its lock file free and ends them at once, elsewhere they run out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from flows.file_locks import FileLock
from flows.interrupts import let_go
from storage.catalog.catalogue import Catalogue
from storage.catalog.leases import work_lease_name
from storage.errors import CatalogueError
from storage.records import PhotoWork

logger = logging.getLogger(__name__)


class WorkLeases:
    """The leases of one run; use it in a `with`."""

    def __init__(self, catalogue: Catalogue, *, holder: str, ttl_s: int, locks_folder: Path) -> None:
        self._catalogue = catalogue
        self._holder = holder
        self._ttl_s = ttl_s
        self._locks_folder = locks_folder
        self._held: set[str] = set()
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="oldphoto-leases", daemon=True)

    def __enter__(self) -> WorkLeases:
        self._locks_folder.mkdir(parents=True, exist_ok=True)
        end_leases_of_the_dead(self._catalogue, self._locks_folder)
        self._lock = FileLock(self._lock_path)
        self._lock.take()
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        let_go(error)
        self._ending.set()
        self._renewing.join(timeout=5)
        try:
            self._catalogue.release_all_leases(holder=self._holder)
        except CatalogueError as problem:
            logger.warning("leases were not ended and will run out: %s", problem)
        self._lock_path.unlink(missing_ok=True)
        self._lock.close()

    @property
    def _lock_path(self) -> Path:
        return self._locks_folder / f"{self._holder}.lock"

    def claim(self, works: Sequence[PhotoWork]) -> list[PhotoWork]:
        """Those of the works that are undone and that no other run holds; they are ours now."""
        claimed = self._catalogue.claim_work(works, holder=self._holder, ttl_s=self._ttl_s)
        with self._guard:
            self._held.update(work_lease_name(work.photo_sha256, work.work_hash) for work in claimed)
        return claimed

    def hold(self, name: str) -> None:
        """Keeps a lease alive that the catalogue gave to this run by other means."""
        with self._guard:
            self._held.add(name)

    def give_back(self, works: Sequence[PhotoWork]) -> None:
        """Ends the leases of works that are on record."""
        names = {work_lease_name(work.photo_sha256, work.work_hash) for work in works}
        with self._guard:
            self._held -= names
        self._catalogue.release_lease(sorted(names), holder=self._holder)

    def _renew(self) -> None:
        while not self._ending.wait(self._ttl_s / 3):
            with self._guard:
                names = sorted(self._held)
            try:
                if names:
                    self._catalogue.renew_lease(names, holder=self._holder, ttl_s=self._ttl_s)
            except CatalogueError as problem:  # the next one may come off; two results for a photo are no harm
                logger.warning("leases were not renewed: %s", problem)


def end_leases_of_the_dead(catalogue: Catalogue, locks_folder: Path) -> None:
    """Ends the leases of runs of this home that are no more: nobody holds their lock file."""
    for path in sorted(locks_folder.glob("*.lock")):
        with FileLock(path) as lock:
            if lock.take():
                catalogue.release_all_leases(holder=path.stem)
                path.unlink(missing_ok=True)
