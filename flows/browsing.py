"""The home's `browse/`: restorations where a person looks for the photo they know."""

from __future__ import annotations

from collections.abc import Iterable

from flows.settings import Settings
from storage.browse import place_in_browse
from storage.catalog.catalogue import Catalogue
from storage.catalog.collection_queries import KnownCollection
from storage.keys import browse_path
from storage.local_files import key_to_name
from storage.objects import ObjectStore
from storage.records import RestorationRecord, SourceRef


def show_restored(settings: Settings, sources: Iterable[SourceRef], record: RestorationRecord) -> None:
    """Shows a restoration under each of its photo's source paths."""
    assert record.output_format is not None
    assert record.restored_key is not None
    for source in sources:
        path = browse_path(source.key, record.output_format, browse_folder=source.browse_folder)
        _place(settings, path, record.restored_key)


def complete_browse(settings: Settings, catalogue: Catalogue, collections: Iterable[KnownCollection]) -> int:
    """Shows restorations under paths that are not there yet: photos moved, copied, or restored just before a crash.

    Gives the number of paths that were made.
    """
    made = 0
    for collection in collections:
        for placed in catalogue.placed_restorations(collection.id):
            path = browse_path(placed.key, placed.output_format, browse_folder=placed.browse_folder)
            if not (settings.layout.home / key_to_name(path)).exists():
                _place(settings, path, placed.restored_key)
                made += 1
    return made


def show_again(settings: Settings, catalogue: Catalogue, *, since: str) -> int:
    """Shows what became its photo's latest restoration again since then, as a release came back into use.

    Gives the number of paths.
    """
    shown = 0
    for collection in catalogue.collections():
        for placed in catalogue.placed_restorations(collection.id):
            if placed.taken_up_at is not None and placed.taken_up_at >= since:
                path = browse_path(placed.key, placed.output_format, browse_folder=placed.browse_folder)
                _place(settings, path, placed.restored_key)
                shown += 1
    return shown


def show_photo(settings: Settings, catalogue: Catalogue, photo_sha256: str) -> int:
    """Shows a photo's latest restoration under each of its paths; gives their number."""
    placed = catalogue.placed_restorations(photo_sha256=photo_sha256)
    for one in placed:
        path = browse_path(one.key, one.output_format, browse_folder=one.browse_folder)
        _place(settings, path, one.restored_key)
    return len(placed)


def _place(settings: Settings, path: str, restored_key: str) -> None:
    store = ObjectStore(settings.derivatives_url, settings.store_options(settings.derivatives_url, "derivatives"))
    place_in_browse(settings.layout.home, path, store.local_path(restored_key) or store.read_bytes(restored_key))
