"""The public way to restore a photo: one array in, one array, its mask and a report out; or a scan, strip by strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.errors import ConfigError
from oldphoto_core.machine import usable_cores, use_large_pages
from oldphoto_core.releases.bundle import LoadedRelease, load_release
from oldphoto_core.releases.card import ReleaseCard, find_release
from oldphoto_core.releases.uncertainty import require_uncertainty
from oldphoto_core.restoration.fidelity import RestorationReport
from oldphoto_core.restoration.fine_scratches import FROM_SCALE, fine_tiles
from oldphoto_core.restoration.mask import Mending
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.pixels import checked, checked_mask
from oldphoto_core.restoration.precision import PrecisionChoice
from oldphoto_core.restoration.repair import Mode, ToneChoice
from oldphoto_core.restoration.scale import snapshot_scale
from oldphoto_core.restoration.scan_restoration import ScanRestoration, Wanted
from oldphoto_core.restoration.scan_result import ScanResult
from oldphoto_core.restoration.uncertainty import uncertainty_rows
from oldphoto_core.row_spool import HELD_BYTES, RowSpool
from oldphoto_core.scan import ArrayScan, Scan

__all__ = ["Mending", "Mode", "RestorationResult", "Restorer", "ToneChoice"]

TILE_PX = {"cpu": 2048, "cuda": 2048}
"""Side of a tile's core, at most, where none is asked for."""

MOST_PHOTOS_AT_ONCE = 8
"""Each holds a tile's worth of a GPU's memory."""
_EMPTY_ROWS = 256
"""Of a mask of nothing that are written at once."""


@dataclass(frozen=True)
class RestorationResult:
    """A restored photo.

    Attributes:
        image: of the input's shape and dtype.
        mask: (H, W) float32, 1 where it was mended, else 0.
        found: (H, W) float32 in [0, 1], the probability of structured damage, or the mask that was given.
        report: what was done.
        uncertainty: where it was asked for, (H, W) float32, the error to expect of each pixel in levels of 255.
    """

    image: np.ndarray
    mask: np.ndarray
    found: np.ndarray
    report: RestorationReport
    uncertainty: np.ndarray | None = None


class Restorer:
    """Detects damage and restores photos with one release on one device."""

    def __init__(
        self,
        release: LoadedRelease,
        *,
        device: torch.device,
        tile_px: int | None = None,
        precision: PrecisionChoice = "float32",
    ) -> None:
        self.release = release
        self.device = device
        self.tile_px = TILE_PX.get(device.type, TILE_PX["cpu"]) if tile_px is None else tile_px
        self._networks = Networks(release, device=device, precision=precision)

    @classmethod
    def from_release(
        cls,
        name_or_path: str | Path = "default",
        *,
        device: str = "auto",
        tile_px: int | None = None,
        precision: PrecisionChoice = "auto",
        search: Sequence[Path] = (),
    ) -> Restorer:
        """Loads a release.

        Args:
            name_or_path: `default`, a release's name, or a folder with a card.
            device: `auto` (CUDA where there is one, else the CPU), `cpu`, `cuda`, `cuda:1`...
            tile_px: side of a tile's core at most; None: 2048.
            precision: of products; `auto`: bfloat16 on a GPU, on a CPU whichever a probe finds faster.
            search: folders that releases' names are looked up in.

        Raises:
            ReleaseError: there is no such release, or its files were altered.
            ConfigError: the device is not there, or cannot compute the release in this precision.
        """
        use_large_pages()
        chosen = choose_device(device)
        release = load_release(find_release(name_or_path, search=search), device=chosen)
        return cls(release, device=chosen, tile_px=tile_px, precision=precision)

    @property
    def card(self) -> ReleaseCard:
        """The card of the release in use."""
        return self.release.card

    @property
    def precision(self) -> str:
        """The precision that products are computed in."""
        return self._networks.precision

    @property
    def reach_px(self) -> int | None:
        """How far a pixel may change the restoration of another; None: any distance."""
        return self._networks.reach_px

    @property
    def stride(self) -> int:
        """Tiles start and end at multiples of so many pixels."""
        return self._networks.stride

    def fine_rows_px(self, height: int, width: int, scale: int) -> int:
        """Gives the rows of a scan that are held at most while its fine scratches are looked for; 0 where none are."""
        if scale < FROM_SCALE or self._networks.detector_reach_px is None:
            return 0
        rows = fine_tiles(height, width, self._networks, scale=scale)
        return max(row[0].read[2] - row[0].read[0] for row in rows)

    @property
    def photos_at_once(self) -> int:
        """How many photos are best restored at once, each in a thread.

        On a CPU one takes all cores. Beside a GPU most of a photo's time is a processor's: values to sRGB and back,
        carrying up, measuring; so there are as many as keep the GPU busy.
        """
        if self.device.type == "cpu":
            return 1
        return max(2, min(MOST_PHOTOS_AT_ONCE, usable_cores() // max(1, torch.cuda.device_count())))

    def scale_of(self, scan: Scan) -> int:
        """Gives the scale that a scan is repaired at where none is asked for: scan pixels a side for a working one."""
        return snapshot_scale(scan)

    def detect(self, image: np.ndarray, *, icc_profile: bytes | None = None, scale: int | None = None) -> np.ndarray:
        """Gives the probability of structured damage, (H, W) float32 in [0, 1], at full resolution.

        Args:
            image: (H, W, 3) or (H, W), uint8 or uint16.
            icc_profile: what describes its values; None: sRGB.
            scale: see `restore`.
        """
        begun = self._begin(image, None, Wanted(), icc_profile, scale)
        return np.concatenate([rows for _, rows in begun.found_rows()])

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        mode: Mode = "full",
        strength: float = 1.0,
        tone: ToneChoice = "correct",
        *,
        mending: Mending = "normal",
        join: bool = False,
        icc_profile: bytes | None = None,
        scale: int | None = None,
        uncertainty: bool = False,
    ) -> RestorationResult:
        """Restores a photo.

        Args:
            image: (H, W, 3) or (H, W), uint8 or uint16; at least 32 x 32. It is not written to.
            mask: (H, W), 1 where damaged (bool, or float in [0, 1]); None: detected.
            join: what is detected is mended beside the mask; else the mask stands in its place.
            mode: `full` restores everything; `scratches` leaves each pixel outside the mask bit for bit.
            strength: 0 gives the input back, 1 the whole restoration.
            tone: `correct` undoes fading and the cast of colour prints, and leaves a toned monochrome print its hue;
                `neutral` takes that out too; `keep` keeps the print's tone. `scratches` always keeps it.
            mending: how much of what is found is mended: `sure`, what leaves no doubt; `normal`, and what is likely;
                `everything`, lost pieces too, whatever lies around them. A given mask is mended as it is.
            icc_profile: what describes the image's values, and then the result's; None: sRGB.
            scale: pixels a side for one pixel of a snapshot: it is repaired at 1/scale, and the repair is carried up;
                1: the photo as it is; None: estimated, and always 1 up to 2,048 pixels a side.
            uncertainty: also gives the error to expect of each pixel; see `oldphoto_core.models.uncertainty`.

        Raises:
            ConfigError: an argument cannot be right.
            ReleaseError: uncertainty was asked for, and the release has no head.
        """
        if uncertainty:
            require_uncertainty(self.card)
        wanted = Wanted(mode=mode, strength=strength, tone=tone, mending=mending)
        begun = self._begin(image, mask, wanted, icc_profile, scale, join=join)
        result = np.empty_like(image)
        mended, found = np.empty(image.shape[:2], np.float32), np.empty(image.shape[:2], np.float32)
        for part in begun.rows():
            rows = slice(part.top, part.top + len(part.after))
            result[rows], mended[rows], found[rows] = part.after, part.mask, part.found
        report = begun.report()
        if report.left_alone:
            result = image.copy()
            mended[:] = 0
        expected = self._uncertainty(image, result, found, icc_profile, report.working_scale) if uncertainty else None
        return RestorationResult(image=result, mask=mended, found=found, report=report, uncertainty=expected)

    def _uncertainty(
        self, before: np.ndarray, after: np.ndarray, mask: np.ndarray, icc_profile: bytes | None, scale: int
    ) -> np.ndarray:
        scans = [ArrayScan(pixels) for pixels in (before, after, np.rint(mask * 255).astype(np.uint8))]
        colour = WorkingColour.of(icc_profile, channels=1 if before.ndim == 2 else 3)
        rows = uncertainty_rows(self.release, *scans, colour, scale=scale, device=self.device)
        return np.concatenate([part for _, part in rows])

    def restore_scan(
        self,
        scan: Scan,
        wanted: Wanted,
        *,
        mask: Scan | None = None,
        join: bool = False,
        icc_profile: bytes | None = None,
        scale: int | None = None,
        held_bytes: int = HELD_BYTES,
    ) -> ScanResult:
        """Restores a scan of any size, and puts the result down as it comes; see `begin`.

        Up to `held_bytes` the restored rows stay in memory.
        """
        begun = self.begin(scan, wanted, mask=mask, join=join, icc_profile=icc_profile, scale=scale)
        image = RowSpool(scan.shape, scan.dtype, held_bytes=held_bytes)
        mended = RowSpool(scan.shape[:2], np.uint8, held_bytes=held_bytes)
        found = RowSpool(scan.shape[:2], np.uint8, held_bytes=held_bytes)
        spools = (image, mended, found)
        try:
            for part in begun.rows():
                image.append(part.after)
                mended.append(np.rint(part.mask * 255).astype(np.uint8))
                found.append(np.rint(part.found * 255).astype(np.uint8))
            report = begun.report()
        except BaseException:
            for spool in spools:
                spool.close()
            raise
        if report.left_alone:
            image.close()
            mended.close()
            mended = RowSpool(scan.shape[:2], np.uint8, held_bytes=held_bytes)
            for top in range(0, scan.shape[0], _EMPTY_ROWS):
                mended.append(np.zeros((min(_EMPTY_ROWS, scan.shape[0] - top), scan.shape[1]), np.uint8))
            spools = (image, mended, found)
        return ScanResult(
            image=scan if report.left_alone else image,
            mask=mended,
            found=found,
            report=report,
            spools=spools,
        )

    def detect_scan(self, scan: Scan, *, icc_profile: bytes | None = None, scale: int | None = None) -> RowSpool:
        """Gives (H, W) uint8 rows, 255 times the probability of structured damage, of a scan of any size.

        Args:
            scan: where its rows come from.
            icc_profile, scale: see `restore`.
        """
        found = RowSpool(scan.shape[:2], np.uint8)
        for _, rows in self.begin(scan, Wanted(), icc_profile=icc_profile, scale=scale).found_rows():
            found.append(np.rint(rows * 255).astype(np.uint8))
        return found

    def begin(
        self,
        scan: Scan,
        wanted: Wanted,
        *,
        mask: Scan | None = None,
        join: bool = False,
        icc_profile: bytes | None = None,
        scale: int | None = None,
    ) -> ScanRestoration:
        """Begins to restore a scan of any size, which is then read and given back a strip at a time.

        Args:
            scan: where its rows come from.
            wanted: what is asked for.
            mask: (H, W) uint8, 255 where damaged; None: detected.
            join, icc_profile, scale: as in `restore`.

        Raises:
            ConfigError: the mask is of another size.
        """
        if mask is not None and mask.shape != scan.shape[:2]:
            found = f"expected {scan.shape[:2]}, found {mask.shape}"
            raise ConfigError(f"the mask must be of the photo's height and width: {found}")
        return ScanRestoration(
            scan,
            self._networks,
            wanted,
            tile_px=self.tile_px,
            mask=mask,
            join=join,
            colour=WorkingColour.of(icc_profile, channels=1 if len(scan.shape) == 2 else 3),
            scale=scale,
        )

    def _begin(
        self,
        image: np.ndarray,
        mask: np.ndarray | None,
        wanted: Wanted,
        icc: bytes | None,
        scale: int | None,
        *,
        join: bool = False,
    ) -> ScanRestoration:
        scan = ArrayScan(checked(image))
        codes = None if mask is None else np.rint(checked_mask(mask, image.shape[:2]) * 255).astype(np.uint8)
        given = None if codes is None else ArrayScan(codes)
        return self.begin(scan, wanted, mask=given, join=join, icc_profile=icc, scale=scale)


def choose_device(device: str) -> torch.device:
    """Gives the device of this name; `auto` is CUDA where there is one.

    Raises:
        ConfigError: there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"unknown device {device!r}; expected auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r} was asked for, but PyTorch sees no CUDA here; use auto or cpu")
    return chosen
