"""An archive of a million photos as rows of the catalogue's tables: made up, always the same, shaped as archives are.

Photos come in nights of 5,000, collection after collection. The first release restores each in its own night, the
second restores all of them again later. One in 200 has a label, one in a hundred a second name, one in five a sidecar
file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from storage.keys import WorkParameters, derivative_keys, derivative_prefix, work_hash
from storage.records import source_object_id

COLLECTIONS = 10
NIGHT = 5_000
"""Photos that arrive in a night, and that a run restores."""
BATCH = 500
"""Photos that one ingestion event tells of."""
FIELDS = ("title", "creator", "date")

WEIGHTS = ("a" * 64, "b" * 64)
RELEASES = ("archive-aaaaaaaa", "archive-bbbbbbbb")
PARAMETERS = tuple(WorkParameters(weights_hash=weights) for weights in WEIGHTS)
"""Of the retired release and of the active one."""

Rows = Iterator[tuple[Any, ...]]


def sha(text: str) -> str:
    """A SHA-256 by name."""
    return hashlib.sha256(text.encode()).hexdigest()


def photo_sha256(number: int) -> str:
    """SHA-256 of a photo; they are numbered from 0, and its row's id is one more."""
    return sha(f"photo {number}")


@lru_cache(maxsize=1000)
def _night(night: int, hour: int, year: int) -> datetime:
    return datetime(year, 1, 1, hour) + timedelta(days=night)


def _at(night: int, hour: int, second: int, year: int = 2025) -> str:
    return (_night(night, hour, year) + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Archive:
    """How many photos there are; everything else follows."""

    photos: int

    def collection_of(self, number: int) -> int:
        """Id of the collection in which a photo lies."""
        return 1 + number * COLLECTIONS // self.photos

    def collection_url(self, collection_id: int) -> str:
        """URL of a collection."""
        return f"s3://archive/collection-{collection_id:02}"

    def key_of(self, number: int) -> str:
        """Key of a photo: in half of the collections file names are unique, in the others a camera counted."""
        folder = f"{1880 + number // NIGHT % 70}/album-{number // BATCH:05}"
        is_unique = self.collection_of(number) % 2
        return f"{folder}/inv-{number:07}.tif" if is_unique else f"{folder}/IMG_{number % 10_000:04}.jpg"

    def mask_of(self, number: int) -> str | None:
        """SHA-256 of the mask of a photo's label."""
        return sha(f"mask {number}") if number % 200 == 5 else None

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
        """(table, columns, rows), in an order that foreign keys allow."""
        for name, columns, rows in _TABLES:
            yield name, tuple(columns.split()), rows(self)


def _collections(archive: Archive) -> Rows:
    for id_ in range(1, COLLECTIONS + 1):
        folder = "" if id_ == 1 else f"collection-{id_:02}"
        yield (
            id_,
            archive.collection_url(id_),
            folder,
            1,
            "[]",
            "full",
            "correct",
            1.0,
            "auto",
            "2025-01-01T00:00:00Z",
        )


def _releases(archive: Archive) -> Rows:
    for id_, (name, weights) in enumerate(zip(RELEASES, WEIGHTS, strict=True), start=1):
        status = "active" if name == RELEASES[-1] else "retired"
        parent = id_ - 1 or None
        yield (id_, name, weights, "archive", "", parent, status, "{}", "{}", f"202{4 + id_}-01-01T00:00:00Z")


def _runs(archive: Archive) -> Rows:
    number = 0
    for year, release in zip((2025, 2026), RELEASES, strict=True):
        for night in range(-(-archive.photos // NIGHT)):
            number += 1
            collection = archive.collection_of(night * NIGHT)
            yield (f"run-{year}-{night:04}", number, "run", f"night {night}", collection, release, "full", "correct",
                   1.0, "{}", "finished", "{}", _at(night, 22, 0, year), _at(night, 23, NIGHT, year))  # fmt: skip


def _photos(archive: Archive) -> Rows:
    for i in range(archive.photos):
        seen = _at(i // NIGHT, 22, i % NIGHT)
        height, width = 3000 + i % 1000, 4000 + i % 500
        yield (i + 1, photo_sha256(i), 20_000_000 + i, "TIFF", height, width, 3, 8, "RGB", "Adobe RGB (1998)", 600.0,
               600.0, 1, '{"make": "Phase One", "model": "iXG 100MP"}', sha(f"look {i}")[:16], seen,
               None if i >= archive.photos - 100 else seen)  # fmt: skip


def _listings(archive: Archive) -> Rows:
    for night in range(-(-archive.photos // NIGHT)):
        collection = archive.collection_of(night * NIGHT)
        yield (night + 1, collection, f"run-2025-{night:04}", "c" * 64, "finished", NIGHT, _at(night, 22, 0),
               _at(night, 22, NIGHT))  # fmt: skip


def _objects(archive: Archive) -> Rows:
    """A photo's own object has the photo's id; then come second names, moves, sidecars, and what was set aside."""
    for i in range(archive.photos):
        yield _object(archive, i + 1, i, archive.key_of(i), i + 1)
    id_ = archive.photos
    for i in range(archive.photos):
        key = archive.key_of(i)
        if i % 5 == 1:
            id_ += 1
            yield _object(archive, id_, i, f"{key}.json", None, "ignored", "sidecar")
        if i % 50 == 2:
            id_ += 1
            yield _object(archive, id_, i, f"{key[: key.rindex('/')]}/Thumbs-{i}.db", None, "ignored", "Thumbs*.db")
        if i % 100 == 3:
            id_ += 1
            yield _object(archive, id_, i, f"copies/{key}", i + 1)
        if i % 500 == 4:
            id_ += 1
            yield _object(archive, id_, i, f"incoming/{key}", i + 1, "missing")
        if i % 1000 == 6:
            id_ += 1
            yield _object(archive, id_, i, f"{key}.part", None, "quarantined", "truncated")


def _object(
    archive: Archive, id_: int, number: int, key: str, photo_id: int | None, status: str = "registered",
    reason: str | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    seen = _at(number // NIGHT, 22, number % NIGHT)
    detail = f"{key}: cut off after {number} bytes; copy it again" if status == "quarantined" else None
    return (id_, archive.collection_of(number), key, photo_id, status, reason, detail, 20_000_000 + number, seen,
            f'"{sha(key)[:32]}"', None, seen, _at(archive.photos // NIGHT, 22, 0), number // NIGHT + 1)  # fmt: skip


def _labels(archive: Archive) -> Rows:
    """Every second label is newer than the photo's restorations."""
    for id_, i in enumerate(range(5, archive.photos, 200), start=1):
        at = _at(i // NIGHT, 9, 0, 2025 if id_ % 2 else 2028)
        yield (id_, i + 1, f"labels/{archive.mask_of(i)}.png", archive.mask_of(i), "Ada", "napari", 0.02, at)


def _restorations(archive: Archive) -> Rows:
    """Two a photo, but for one in 1,000 that waits; the next one has four."""
    id_ = 0
    for year, which in ((2025, 0), (2026, 1)):
        for i in range(archive.photos):
            if i % 1000 == 3:
                continue
            id_ += 1
            yield _restoration(archive, id_, i, which, year, PARAMETERS[which])
            if i % 1000 == 4:
                id_ += 1
                yield _restoration(
                    archive, id_, i, which, year, WorkParameters(weights_hash=WEIGHTS[which], strength=0.5)
                )


def _restoration(
    archive: Archive, id_: int, number: int, which: int, year: int, parameters: WorkParameters
) -> tuple[Any, ...]:
    mask = archive.mask_of(number) if which and number % 400 == 5 else None
    if mask is not None:
        parameters = parameters.with_label(mask)
    elif which and number % 50 == 7:  # done once more by the old release, in another way
        which, parameters = 0, WorkParameters(weights_hash=WEIGHTS[0], mode="scratches")
    done, result = _work_hash(parameters), sha(f"restored {id_}")
    is_failed = number % (200 if which else 100) == 8
    outcome = "failed" if is_failed else "unchanged" if number % 40 == 9 else "restored"
    names: tuple[str | None, ...] = (None,) * 11
    if not is_failed:
        prefix = derivative_prefix(
            photo_sha256(number), release=RELEASES[which], work_hash=done, restored_sha256=result
        )
        keys = derivative_keys(prefix, "tif")
        names = (keys.restored, result, keys.mask, sha(f"made {id_}"), keys.found, sha(f"f {id_}"), keys.difference,
                 sha(f"d {id_}"), keys.preview, sha(f"p {id_}"), keys.provenance)  # fmt: skip
    night = number // NIGHT
    return (id_, number + 1, done, RELEASES[which], parameters.weights_hash, parameters.mode, "correct",
            parameters.mending, parameters.strength, "label" if mask else "detected", mask,
            int(parameters.mask_joined), "tif", 1, outcome, "out of memory" if is_failed else None, *names,
            number % 997 / 9970, 0.02, 0.03,
            '{"tiles": 12, "scale": 2.0, "damage": "scratches"}', 1.5, 12.0, "cpu", "float32", "0.1.0",
            f"run-{year}-{night:04}", _at(night, 23, number % NIGHT, year))  # fmt: skip


_work_hash = lru_cache(maxsize=16)(work_hash)


def _snapshots(archive: Archive) -> Rows:
    count = archive.photos // 200
    for id_ in (1, 2):
        yield (id_, sha(f"snapshot {id_}"), f"snapshots/{id_}.parquet", count, count, f"202{4 + id_}-01-01T00:00:00Z")


def _snapshot_labels(archive: Archive) -> Rows:
    for snapshot in (1, 2):
        for label in range(1, archive.photos // 200 + 1):
            if snapshot == 2 or label % 5 == 0:
                yield snapshot, label


def _training_runs(archive: Archive) -> Rows:
    for id_ in (1, 2):
        for stage in ("detector", "translation"):
            at = f"202{4 + id_}-01-01T00:00:00Z"
            yield (f"{stage}-{id_}", stage, "{}", id_, "finished", "{}", at, at)


def _release_runs(archive: Archive) -> Rows:
    yield from ((id_, f"{stage}-{id_}") for id_ in (1, 2) for stage in ("detector", "translation"))


def _near_duplicates(archive: Archive) -> Rows:
    for i in range(0, archive.photos - 1, 100):
        yield i + 1, i + 2, i // 100 % 9, _at(i // NIGHT, 22, i % NIGHT)


def _sidecars(archive: Archive) -> Rows:
    objects = ((row[0], row[5]) for row in _objects(archive))
    ids = (id_ for id_, reason in objects if reason == "sidecar")
    for number, (id_, i) in enumerate(zip(ids, range(1, archive.photos, 5), strict=True), start=1):
        yield number, id_, "json", sha(f"sidecar {i}"), '"1"', _at(i // NIGHT, 22, i % NIGHT)


def _metadata(archive: Archive) -> Rows:
    for number, i in enumerate(range(1, archive.photos, 5), start=1):
        for field, value in zip(FIELDS, metadata_of(i), strict=True):
            yield i + 1, number, field, 0, value


def metadata_of(number: int) -> tuple[str, str, str]:
    """Title, creator and date of a photo that has a sidecar file."""
    return f"View {number} of the harbour", f"Studio {number // 5 % 1000}", f"{1880 + number % 70}-{1 + number % 12:02}"


def _events(archive: Archive) -> Rows:
    """An ingestion for 500 photos, and a restoration for every second restoration."""
    id_ = 0
    for start in range(0, archive.photos, BATCH):
        id_ += 1
        at = _at(start // NIGHT, 22, start % NIGHT + BATCH)
        yield (id_, f"ingestion/{start}", "ingestion", at, 1, "success", '{"count": 500}',
               f"run-2025-{start // NIGHT:04}", None)  # fmt: skip
    for row in _sampled(archive):
        id_ += 1
        is_failed = row[14] == "failed"
        detail = f'{{"outcome": "{row[14]}", "release": "{row[3]}", "work_hash": "{row[2]}"}}'
        uid = f"restoration/{photo_sha256(row[1] - 1)}/{row[2]}/{row[-2]}"
        yield (id_, uid, "restoration", row[-1], 1, "failure" if is_failed else "success", detail, row[-2], row[15])


def _event_objects(archive: Archive) -> Rows:
    id_ = 0
    for start in range(0, archive.photos, BATCH):
        id_ += 1
        for i in range(start, min(start + BATCH, archive.photos)):
            url = archive.collection_url(archive.collection_of(i))
            yield id_, "source_object", source_object_id(url, archive.key_of(i)), "source"
            yield id_, "photo", photo_sha256(i), "outcome"
    for row in _sampled(archive):
        id_ += 1
        yield id_, "photo", photo_sha256(row[1] - 1), "source"
        if row[16] is not None:
            yield id_, "derivative", row[16], "outcome"


def _sampled(archive: Archive) -> Rows:
    return (row for row in _restorations(archive) if row[0] % 2)


_TABLES = (
    ("agent", "id name type first_seen_at", lambda archive: iter([(1, "oldphoto 0.1.0", "software", _at(0, 0, 0))])),
    ("collection", "id url browse_folder is_recursive ignore_patterns mode tone strength output_format created_at",
     _collections),
    ("model_release", "id name weights_hash preset url parent_id status metrics card registered_at", _releases),
    ("run", "id number kind title collection_id release mode tone strength machine status totals started_at "
            "finished_at",
     _runs),
    ("photo", "id sha256 size_bytes format height width channels bit_depth source_mode icc_profile_name dpi_x dpi_y "
              "orientation capture perceptual_hash first_seen_at near_checked_at", _photos),
    ("listing", "id collection_id run_id policy_hash status objects_seen started_at finished_at", _listings),
    ("source_object", "id collection_id key photo_id status reason detail size_bytes modified_at etag version_id "
                      "first_seen_at last_seen_at listing_id", _objects),
    ("label", "id photo_id mask_key mask_sha256 author tool coverage labelled_at", _labels),
    ("restoration", "id photo_id work_hash release weights_hash mode tone mending strength mask_source "
                    "supplied_mask_sha256 mask_joined output_format pixel_version outcome error restored_key "
                    "restored_sha256 mask_key mask_sha256 found_key found_sha256 difference_key difference_sha256 "
                    "preview_key preview_sha256 provenance_key mask_coverage change_outside_mask mean_change report "
                    "seconds megapixels device precision code_version run_id finished_at", _restorations),
    ("dataset_snapshot", "id sha256 manifest_key photo_count label_count created_at", _snapshots),
    ("dataset_snapshot_label", "snapshot_id label_id", _snapshot_labels),
    ("training_run", "id stage configuration snapshot_id status metrics started_at finished_at", _training_runs),
    ("model_release_run", "release_id training_run_id", _release_runs),
    ("near_duplicate", "photo_id other_photo_id distance found_at", _near_duplicates),
    ("sidecar", "id source_object_id format sha256 etag read_at", _sidecars),
    ("object_metadata", "source_object_id sidecar_id field position value", _metadata),
    ("event", "id uid type at agent_id outcome detail run_id note", _events),
    ("event_object", "event_id object_type object_id role", _event_objects),
)  # fmt: skip
