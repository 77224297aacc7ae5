"""The map of uncertainty of a photo that was restored before, made on request from what the stores hold.

It needs the master, the mask and the restoration, and the release that made it; nothing is restored anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from flows.errors import SourceChanged, UsageError
from flows.release_store import kept_release
from flows.settings import Settings
from flows.states import find_meant
from oldphoto_core.image_types import OpenedImage
from oldphoto_core.images import DecodeLimits, open_image
from oldphoto_core.png_writing import write_png
from oldphoto_core.previews import read_mask_codes
from oldphoto_core.releases.uncertainty import require_uncertainty
from oldphoto_core.scan import ArrayScan
from storage.catalog.catalogue import Catalogue
from storage.objects import ObjectStore, SourceStore
from storage.provenance import read_provenance, restoration_of
from storage.records import RestorationRecord

if TYPE_CHECKING:
    from oldphoto_core.restoration.uncertainty import Restored


@dataclass(frozen=True)
class ExpectedError:
    """What a map is of.

    Attributes:
        source_path: of the master, where it lies in a folder.
    """

    source_key: str
    source_path: Path | None
    release: str


def write_expected_error(settings: Settings, catalogue: Catalogue, what: str, out: IO[bytes]) -> ExpectedError:
    """Writes the map of a photo's latest restoration as a grey PNG of 16 bits, 256 to a level of 255.

    Args:
        what: the photo: its path in its source, its file's name, or its SHA-256 or the start of it.

    Raises:
        UsageError: the words mean no photo or several, or it was not restored.
        SourceChanged: the master is another one now.
        oldphoto_core.errors.ReleaseError: the release that restored it has no uncertainty head.
    """
    meant = find_meant(catalogue, what)
    item = catalogue.reviewable(meant.id) if meant.kind == "photo" else None
    if item is None or item.source_url is None or item.source_key is None:
        raise UsageError(f"{meant.name} has no restoration to look at; name a photo that is restored")
    card = kept_release(settings, item.release)
    require_uncertainty(card)
    url = settings.derivatives_url
    derivatives = ObjectStore(url, settings.store_options(url, "derivatives"))
    provenance_key = f"{item.restored_key.rpartition('/')[0]}/provenance.json"
    record = restoration_of(read_provenance(derivatives.read_bytes(provenance_key)), provenance_key=provenance_key)
    sources = SourceStore(item.source_url, settings.store_options(item.source_url, "sources"))
    with ExitStack() as files:
        before = files.enter_context(_opened(sources, item.source_key, settings, expected=item.photo_sha256))
        after = files.enter_context(
            _opened(derivatives, item.restored_key, settings, expected=str(record.restored_sha256))
        )
        found_key = str(record.found_key or record.mask_key)  # before there was a `found.png` the mask was that
        found = read_mask_codes(derivatives.read_bytes(found_key), before.scan.shape, found_key)

        from oldphoto_core.releases.bundle import load_release
        from oldphoto_core.restoration.restorer import choose_device
        from oldphoto_core.restoration.uncertainty import uncertainty_of

        device = choose_device(settings.device)
        pages = _pages(before, after, found, record)
        write_png(out, uncertainty_of(load_release(card, device=device), pages, device=device, files=files))
    return ExpectedError(item.source_key, sources.local_path(item.source_key), item.release)


@contextmanager
def _opened(store: SourceStore, key: str, settings: Settings, *, expected: str) -> Iterator[OpenedImage]:
    limits = DecodeLimits(max_pixels=int(settings.max_megapixels * 1e6))
    with store.open_whole(key) as whole:
        if whole.sha256 != expected:
            raise SourceChanged(
                f"{store.object_url(key)} is not what was restored: expected SHA-256 {expected[:12]}…, found "
                f"{whole.sha256[:12]}…; ingest and restore it again"
            )
        with open_image(whole.file, key, limits, hashed=False) as image:
            yield image
            whole.check_unchanged()


def _pages(
    before: OpenedImage, after: OpenedImage, found: np.ndarray, record: RestorationRecord
) -> Sequence[Restored]:
    """The pages before and after, each with its part of what was found; that lies over all of them, from top to end."""
    from oldphoto_core.restoration.uncertainty import Restored

    reports = record.report.get("pages") or [record.report]
    pages, top = [], 0
    for page, done, report in zip(before.pages or (before,), after.pages or (after,), reports, strict=True):
        height, width = page.scan.shape[:2]
        covered = ArrayScan(np.ascontiguousarray(found[top : top + height, :width]))
        pages.append(Restored(page.scan, done.scan, covered, page.icc_profile, int(report.get("working_scale", 1))))
        top += height
    return pages
