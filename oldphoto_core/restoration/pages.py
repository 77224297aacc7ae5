"""A photo as it was opened, restored: where it has several pages, each by itself, as a photo of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oldphoto_core.errors import ConfigError
from oldphoto_core.image_types import OpenedImage
from oldphoto_core.restoration.page_report import combined_report
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.restoration.scan_result import ScanResult
from oldphoto_core.row_spool import HELD_BYTES
from oldphoto_core.scan import Scan
from oldphoto_core.stacked_scan import cut_by_page, stack_masks, stack_pictures

if TYPE_CHECKING:
    from oldphoto_core.restoration.restorer import Restorer


_LEAST_HELD_BYTES = 1 << 20
"""Rows of a page up to so many bytes stay in memory however many pages there are, since a process may open only so many
files."""


def held_bytes_of_each(pages: int) -> int:
    """Gives up to what size the rows of one of so many pages stay in memory."""
    return max(HELD_BYTES // pages, _LEAST_HELD_BYTES)


def restore_image(
    restorer: Restorer, image: OpenedImage, wanted: Wanted, *, mask: Scan | None = None, join: bool = False
) -> ScanResult:
    """Restores an image; its rows are put down as they come.

    Each page has a detection, a look and a tone of its own, and comes back as it was where nothing was to mend in it.

    Args:
        restorer: with the networks.
        image: opened.
        wanted: what is asked for.
        mask: (H, W) uint8 of `image.scan`, 255 where damaged; None: detected.
        join: the mask is joined with the detected one; else it stands in its place.

    Raises:
        ConfigError: the mask is of another size.
    """
    if not image.pages:
        return restorer.restore_scan(image.scan, wanted, mask=mask, join=join, icc_profile=image.icc_profile)
    masks: tuple[Scan | None, ...] = (None,) * len(image.pages)
    if mask is not None:
        if mask.shape != image.scan.shape[:2]:
            found = f"expected {image.scan.shape[:2]}, found {mask.shape}"
            raise ConfigError(f"the mask must be of the height and width of all pages below each other: {found}")
        masks = cut_by_page(mask, [page.scan for page in image.pages])
    done: list[ScanResult] = []
    try:
        for page, painted in zip(image.pages, masks, strict=True):
            done.append(
                restorer.restore_scan(
                    page.scan,
                    wanted,
                    mask=painted,
                    join=join,
                    icc_profile=page.icc_profile,
                    held_bytes=held_bytes_of_each(len(image.pages)),
                )
            )
    except BaseException:
        for one in done:
            one.close()
        raise
    report = combined_report([one.report for one in done], [one.pixels for one in done])
    restored, _ = stack_pictures([one.image for one in done], [page.icc_profile for page in image.pages])
    return ScanResult(
        image=image.scan if report.left_alone else restored,
        mask=stack_masks([one.mask for one in done]),
        found=stack_masks([one.found for one in done]),
        report=report,
        pages=tuple(done),
    )
