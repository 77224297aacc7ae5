"""Records for tests, with everything that does not matter filled in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from storage.catalog import Catalogue
from storage.catalog.listing_queries import Gone
from storage.keys import WorkParameters, derivative_keys, derivative_prefix, work_hash
from storage.records import (
    CollectionRecord,
    LabelRecord,
    PhotoRecord,
    ReleaseRecord,
    RestorationRecord,
    RunRecord,
    SourceObjectRecord,
)

WEIGHTS = "a" * 64
RELEASE = ReleaseRecord(name="archive-aaaaaaaa", weights_hash=WEIGHTS, preset="archive")
PARAMETERS = WorkParameters(weights_hash=WEIGHTS)
WORK = work_hash(PARAMETERS)


def sha(text: object) -> str:
    """A SHA-256 by name."""
    return hashlib.sha256(str(text).encode()).hexdigest()


def photo(name: object, **changes: Any) -> PhotoRecord:
    """A photo by name."""
    record = PhotoRecord(
        sha256=sha(name), size_bytes=1000, format="JPEG", height=300, width=400, channels=3, bit_depth=8
    )
    return replace(record, **changes)


def seen(key: str, name: object | None = None, **changes: Any) -> SourceObjectRecord:
    """A registered object at ``key`` that holds the photo called ``name`` (the key where None)."""
    record = SourceObjectRecord(
        key=key, status="registered", size_bytes=1000, photo_sha256=sha(key if name is None else name), etag="e1"
    )
    return replace(record, **changes)


def restored(name: object, parameters: WorkParameters = PARAMETERS, **changes: Any) -> RestorationRecord:
    """A finished restoration of the photo called ``name``."""
    done, result = work_hash(parameters), sha(f"restored {name} {parameters}")
    prefix = derivative_prefix(sha(name), release=RELEASE.name, work_hash=done, restored_sha256=result)
    keys = derivative_keys(prefix, "png")
    record = RestorationRecord(
        photo_sha256=sha(name), work_hash=done, release=RELEASE.name, weights_hash=parameters.weights_hash,
        outcome="restored", mode=parameters.mode, tone=parameters.tone, mending=parameters.mending,
        strength=parameters.strength, output_format="png", restored_key=keys.restored, restored_sha256=result,
        mask_key=keys.mask, mask_sha256=sha("mask"), found_key=keys.found, found_sha256=sha("found"),
        preview_key=keys.preview, preview_sha256=sha("preview"), provenance_key=keys.provenance, mask_coverage=0.01,
        change_outside_mask=0.02, mean_change=0.03, seconds=1.5, megapixels=0.12, device="cpu", precision="float32",
        code_version="0.1.0",
    )  # fmt: skip
    return replace(record, **changes)


def failed(name: object, error: str = "out of memory") -> RestorationRecord:
    """A failed attempt at the photo called ``name``."""
    return RestorationRecord(
        photo_sha256=sha(name), work_hash=WORK, release=RELEASE.name, weights_hash=WEIGHTS, outcome="failed",
        error=error,
    )  # fmt: skip


def label(name: object, mask: str = "mask 1", **changes: Any) -> LabelRecord:
    """A label for the photo called ``name``."""
    record = LabelRecord(
        photo_sha256=sha(name), mask_key=f"{mask}.png", mask_sha256=sha(mask), author="Ada", tool="napari", coverage=0.1
    )
    return replace(record, **changes)


def with_photos(catalogue: Catalogue, *keys: str, url: str = "file:///scans") -> int:
    """Registers the release, a collection and one photo a key; gives the collection's id."""
    catalogue.register_release(RELEASE)
    collection_id = catalogue.upsert_collection(CollectionRecord(url=url))
    catalogue.record_objects(collection_id, [seen(key) for key in keys], [photo(key) for key in keys])
    return collection_id


def whole_look(catalogue: Catalogue, collection_id: int, keys: Sequence[str], *, unlisted: Sequence[str] = ()) -> Gone:
    """A whole look at the collection's source that sees these keys, all as they were, and what it finds gone."""
    run_id = f"look {secrets.token_hex(4)}"
    catalogue.start_run(RunRecord(run_id=run_id, kind="ingest"))
    look = catalogue.begin_listing(collection_id, run_id, "policy", resume=False, ttl_s=60)
    catalogue.record_page(collection_id, look.id, run_id, seen_keys=keys, objects_seen=len(keys))
    gone = catalogue.mark_missing(collection_id, look.id, unlisted_prefixes=unlisted)
    catalogue.end_listing(look.id)
    catalogue.release_all_leases(holder=run_id)
    return gone


def rows(catalogue: Catalogue | Path | str, sql: str) -> list[tuple[Any, ...]]:
    """What people would see who ask the catalogue, its file or its URL in SQL."""
    if not isinstance(catalogue, Catalogue):
        with Catalogue.open(catalogue, create=False) as opened:
            return rows(opened, sql)
    with catalogue.connected() as connection:
        as_it_is = sql.replace("%", "%%") if connection.dialect.name == "postgresql" else sql
        return [tuple(row) for row in connection.exec_driver_sql(as_it_is)]
