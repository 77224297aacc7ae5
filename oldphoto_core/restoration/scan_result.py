"""What came of a scan, or of each page of one: rows that may be read again while they are written into files."""

from __future__ import annotations

from dataclasses import dataclass

from oldphoto_core.restoration.fidelity import RestorationReport
from oldphoto_core.row_spool import RowSpool
from oldphoto_core.scan import Scan


@dataclass(frozen=True)
class ScanResult:
    """A restored scan; close it when its files are written.

    Attributes:
        image: of the scan's shape and dtype; the scan itself where it was left alone.
        mask: (H, W) uint8, 255 where it was mended, else 0.
        found: (H, W) uint8, 255 times the probability of structured damage, the mask that was given, or both joined.
        report: what was done.
        spools: where the rows lie.
        pages: where several were restored, what came of each; `image`, `mask` and `found` are then all of them below
            each other.
    """

    image: Scan
    mask: Scan
    found: Scan
    report: RestorationReport
    spools: tuple[RowSpool, ...] = ()
    pages: tuple[ScanResult, ...] = ()

    @property
    def held_bytes(self) -> int:
        """What of it is held in memory."""
        return sum(spool.held_bytes for spool in self.spools) + sum(page.held_bytes for page in self.pages)

    @property
    def pixels(self) -> int:
        """How many were restored; what only fills up the narrower pages is none."""
        return sum(page.pixels for page in self.pages) or self.image.shape[0] * self.image.shape[1]

    def close(self) -> None:
        """Lets go of the rows."""
        for spool in self.spools:
            spool.close()
        for page in self.pages:
            page.close()
