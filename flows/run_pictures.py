"""A few of a run's photos, before and after, small enough to travel inside a web page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from flows.settings import Settings
from oldphoto_core.images import open_image
from oldphoto_core.previews import preview_of
from storage.catalog.catalogue import Catalogue
from storage.errors import ObjectNotFound
from storage.objects import ObjectStore, SourceStore

SIDE_PX = 320
MOST_MEGAPIXELS = 60.0
"""Larger masters are not decoded for a look."""


@dataclass(frozen=True)
class RunPicture:
    """One photo.

    Attributes:
        data_url: a JPEG, the master on the left, restored on the right.
    """

    source_key: str
    data_url: str


def before_and_after(catalogue: Catalogue, settings: Settings, run_id: str, *, limit: int) -> Iterator[RunPicture]:
    """The run's photos that changed most, and can be read."""
    store = ObjectStore(settings.derivatives_url, settings.store_options(settings.derivatives_url, "derivatives"))
    shown = 0
    candidates = catalogue.most_changed(run_id, limit=4 * limit, most_megapixels=MOST_MEGAPIXELS)
    for source_url, source_key, preview_key in candidates:
        if shown == limit:
            return
        try:
            sources = SourceStore(source_url, settings.store_options(source_url, "sources"))
            with sources.open_whole(source_key) as whole, open_image(whole.file, source_key) as photo:
                before = preview_of(photo.scan, icc_profile=photo.icc_profile)
            after = store.read_bytes(preview_key)
        except ObjectNotFound:
            continue
        shown += 1
        yield RunPicture(source_key, f"data:image/jpeg;base64,{base64.b64encode(side_by_side(before, after)).decode()}")


def side_by_side(before: bytes, after: bytes) -> bytes:
    """Two JPEGs of one photo in one, each at most 320 pixels a side."""
    from PIL import Image

    halves = []
    for data in (before, after):
        with Image.open(io.BytesIO(data)) as opened:
            half = opened.convert("RGB")
        half.thumbnail((SIDE_PX, SIDE_PX))
        halves.append(half)
    gap = 8
    sheet = Image.new("RGB", (sum(half.width for half in halves) + gap, max(half.height for half in halves)), "white")
    sheet.paste(halves[0], (0, 0))
    sheet.paste(halves[1], (halves[0].width + gap, 0))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=85)
    return out.getvalue()
