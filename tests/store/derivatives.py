"""A real home with sources and real derivatives, whose restorations are recorded without networks having run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.browsing import complete_browse
from flows.settings import Settings
from storage.catalog import Catalogue
from storage.keys import derivative_keys, derivative_prefix, sha256_hex
from storage.objects import ObjectStore
from storage.records import CollectionRecord
from storage.urls import canonical_url
from tests.store.makers import PARAMETERS, RELEASE, photo, restored, seen, sha


class Home:
    """An installation.

    Attributes:
        settings: its stores are folders in the home, or what was given.
    """

    def __init__(self, catalogue: Catalogue, path: Path, **given: Any) -> None:
        path.mkdir(exist_ok=True)
        self.settings = Settings.load(path, catalogue_url=catalogue.url, **given)
        self.catalogue = catalogue
        url = self.settings.derivatives_url
        self.derivatives = ObjectStore(url, self.settings.store_options(url, "derivatives"))
        catalogue.register_release(RELEASE)

    def collect(self, url: str | Path, photos: Mapping[str, str]) -> int:
        """A collection of these keys, each with the photo of this name."""
        collection_id = self.catalogue.upsert_collection(CollectionRecord(url=canonical_url(url)))
        objects = [seen(key, name) for key, name in photos.items()]
        self.catalogue.record_objects(collection_id, objects, [photo(name) for name in dict.fromkeys(photos.values())])
        return collection_id

    def restore(self, name: str, *, extension: str = "png", take: int = 1, record: bool = True) -> bytes:
        """Writes the six objects of a restoration and records it; gives the restored bytes."""
        data = f"restored {name} {take} {extension}".encode()
        parameters = replace(PARAMETERS, strength=1 / take)
        result = restored(name, parameters)
        prefix = derivative_prefix(
            sha(name), release=RELEASE.name, work_hash=result.work_hash, restored_sha256=sha256_hex(data)
        )
        keys = derivative_keys(prefix, extension)
        for key in (keys.mask, keys.found, keys.difference, keys.preview, keys.provenance):
            self.derivatives.write_bytes_atomic(key, b"beside it")
        self.derivatives.write_bytes_atomic(keys.restored, data)
        if record:
            found = replace(
                result, restored_key=keys.restored, restored_sha256=sha256_hex(data), output_format=extension,
                finished_at=f"2026-01-{take:02d}T00:00:00Z", provenance_key=keys.provenance,
            )  # fmt: skip
            assert self.catalogue.record_restorations([found])
            complete_browse(self.settings, self.catalogue, self.catalogue.collections())
        return data

    def left_of(self, name: str) -> list[str]:
        """Keys of all objects below the photo's prefix."""
        prefix = f"{sha(name)[:2]}/{sha(name)}/"
        return [entry.key for entry in self.derivatives.list() if entry.key.startswith(prefix)]

    def shown(self) -> list[str]:
        """What lies in `browse/`."""
        browse = self.settings.layout.browse
        return sorted(str(path.relative_to(browse)) for path in browse.rglob("*") if path.is_file())
