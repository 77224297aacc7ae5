"""Snapshots: which photos a training run may see now, and what earlier ones saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.label_queries import latest_label_id
from storage.catalog.split_queries import EXCLUDED, decide_splits
from storage.catalog.statements import chunks, insert, one_at_a_time, photo_ids
from storage.catalog.tables import (
    collection,
    dataset_snapshot,
    dataset_snapshot_label,
    dataset_snapshot_photo,
    label,
    photo,
    photo_split,
    source_object,
)
from storage.errors import RecordRefused
from storage.records import EventRecord, SnapshotRecord, SnapshotRow, SourceRef


def choose_snapshot(connection: Connection, most_unlabelled: int) -> list[SnapshotRow]:
    """See ``Catalogue.choose_snapshot``."""
    p = photo.c
    labelled = sa.select(p.id).select_from(photo.join(label, label.c.id == latest_label_id())).where(_may_train())
    with_label = set(connection.scalars(labelled))
    excluded = sa.select(photo_split.c.photo_id).where(photo_split.c.split == EXCLUDED)
    unlabelled = (
        sa.select(p.id)
        .where(_may_train(), latest_label_id().is_(None), p.id.not_in(excluded))
        .order_by(sa.func.substr(p.sha256, 33), p.sha256)  # another part of the hash than the one that splits
        .limit(most_unlabelled)
    )
    splits = decide_splits(connection, with_label | set(connection.scalars(unlabelled)))
    rows: list[SnapshotRow] = []
    for chunk in chunks(sorted(one for one, split in splits.items() if split != EXCLUDED)):
        sources = _sources(connection, chunk)
        found = (
            sa.select(p.id, p.sha256, label.c.mask_key, label.c.mask_sha256, label.c.disagreement_key)
            .select_from(photo.outerjoin(label, label.c.id == latest_label_id()))
            .where(p.id.in_(chunk))
        )
        for photo_id, sha256, mask_key, mask_sha256, disagreement_key in connection.execute(found):
            rows.append(
                SnapshotRow(
                    photo_sha256=sha256,
                    collection_url=sources[photo_id][0].collection_url,
                    source_key=sources[photo_id][0].key,
                    split=splits[photo_id],  # type: ignore[arg-type]
                    role="labelled" if mask_key is not None else "unlabelled",
                    label_mask_key=mask_key,
                    label_mask_sha256=mask_sha256,
                    disagreement_key=disagreement_key,
                )
            )
    return sorted(rows, key=lambda row: row.photo_sha256)


def decide_label_splits(connection: Connection) -> None:
    """See ``Catalogue.decide_label_splits``."""
    labelled = sa.select(photo.c.id).select_from(photo.join(label, label.c.id == latest_label_id()))
    undecided = photo.c.id.not_in(sa.select(photo_split.c.photo_id))
    decide_splits(connection, list(connection.scalars(labelled.where(_may_train(), undecided))))


def record_snapshot(connection: Connection, snapshot: SnapshotRecord, events: Sequence[EventRecord]) -> bool:
    """See ``Catalogue.record_snapshot``."""
    one_at_a_time(connection, "snapshot")
    if _snapshot_id(connection, snapshot.sha256) is not None:
        return False
    ids = photo_ids(connection, (row.photo_sha256 for row in snapshot.rows))
    labels = _label_ids(connection, ids.values())
    added = insert(connection, dataset_snapshot).values(
        sha256=snapshot.sha256, manifest_key=snapshot.key, photo_count=snapshot.photo_count,
        label_count=snapshot.label_count, created_at=snapshot.created_at or utc_now(),
        rows_sha256=snapshot.rows_sha256, written_with=snapshot.written_with,
    )  # fmt: skip
    snapshot_id = connection.execute(added.returning(dataset_snapshot.c.id)).scalar_one()
    photos = []
    for row in snapshot.rows:
        if row.photo_sha256 not in ids:
            raise RecordRefused(f"a snapshot with the photo {row.photo_sha256}, which is not recorded")
        label_id = labels.get((ids[row.photo_sha256], row.label_mask_sha256 or ""))
        if row.role == "labelled" and label_id is None:
            raise RecordRefused(f"a snapshot with a label of {row.photo_sha256} that is not recorded")
        photos.append(
            {"snapshot_id": snapshot_id, "photo_id": ids[row.photo_sha256], "split": row.split, "role": row.role,
             "label_id": label_id, "source_url": row.collection_url, "source_key": row.source_key,
             "label_mask_key": row.label_mask_key, "label_mask_sha256": row.label_mask_sha256,
             "disagreement_key": row.disagreement_key}
        )  # fmt: skip
    if photos:
        connection.execute(sa.insert(dataset_snapshot_photo), photos)
    with_labels = [{"snapshot_id": snapshot_id, "label_id": row["label_id"]} for row in photos if row["label_id"]]
    if with_labels:
        connection.execute(sa.insert(dataset_snapshot_label), with_labels)
    record_events(connection, events)
    return True


def get_snapshot(connection: Connection, sha256: str) -> SnapshotRecord | None:
    """See ``Catalogue.get_snapshot``."""
    d, x = dataset_snapshot.c, dataset_snapshot_photo.c
    known = connection.execute(sa.select(dataset_snapshot).where(d.sha256 == sha256)).mappings().one_or_none()
    if known is None:
        return None
    found = connection.execute(
        sa.select(
            photo.c.sha256.label("photo_sha256"), x.source_url.label("collection_url"), x.source_key, x.split, x.role,
            x.label_mask_key, x.label_mask_sha256, x.disagreement_key,
        )
        .select_from(dataset_snapshot_photo.join(photo, photo.c.id == x.photo_id))
        .where(x.snapshot_id == known["id"])
    )  # fmt: skip
    rows = sorted((SnapshotRow(**row) for row in found.mappings()), key=lambda row: row.photo_sha256)
    return _record(known, tuple(rows))


def snapshots(connection: Connection) -> list[SnapshotRecord]:
    """See ``Catalogue.snapshots``."""
    found = connection.execute(sa.select(dataset_snapshot).order_by(dataset_snapshot.c.id)).mappings()
    return [_record(known, ()) for known in found]


def usable_sources(connection: Connection, photos: Collection[str]) -> dict[str, tuple[SourceRef, ...]]:
    """See ``Catalogue.usable_sources``."""
    found: dict[str, tuple[SourceRef, ...]] = {}
    for chunk in chunks(sorted(set(photos))):
        known = sa.select(photo.c.id, photo.c.sha256).where(photo.c.sha256.in_(chunk), photo.c.state == "open")
        hashes = dict(connection.execute(known).tuples().all())
        found |= {hashes[photo_id]: tuple(refs) for photo_id, refs in _sources(connection, list(hashes)).items()}
    return found


def _may_train() -> sa.ColumnElement[bool]:
    """On photo: neither held nor withdrawn, with an object to read, and compared with the others: until then nobody
    knows whose near-duplicate it is."""
    o = source_object.c
    objects = sa.select(o.id).select_from(source_object.join(collection)).where(o.photo_id == photo.c.id, _readable())
    compared = photo.c.near_checked_at.is_not(None)
    return sa.and_(photo.c.state == "open", compared, objects.correlate(photo).exists())


def _readable() -> sa.ColumnElement[bool]:
    """On source_object joined with collection."""
    return sa.and_(source_object.c.status == "registered", collection.c.state == "open")


def _sources(connection: Connection, photos: Sequence[int]) -> dict[int, list[SourceRef]]:
    """Where the photos' bytes can be read now, oldest first, by photo id."""
    o, c = source_object.c, collection.c
    statement = (
        sa.select(o.photo_id, c.id, c.url, o.key, c.browse_folder)
        .select_from(source_object.join(collection))
        .where(o.photo_id.in_(photos), _readable())
        .order_by(o.id)
    )
    found: dict[int, list[SourceRef]] = {}
    for photo_id, id_, url, key, folder in connection.execute(statement):
        ref = SourceRef(collection_id=id_, collection_url=url, key=key, browse_folder=folder)
        found.setdefault(photo_id, []).append(ref)
    return found


def _label_ids(connection: Connection, photos: Collection[int]) -> dict[tuple[int, str], int]:
    """Id of each label of these photos, by photo id and the mask's SHA-256."""
    found: dict[tuple[int, str], int] = {}
    for chunk in chunks(sorted(photos)):
        rows = connection.execute(
            sa.select(label.c.photo_id, label.c.mask_sha256, label.c.id).where(label.c.photo_id.in_(chunk))
        )
        found.update(((photo_id, mask_sha256), id_) for photo_id, mask_sha256, id_ in rows)
    return found


def _snapshot_id(connection: Connection, sha256: str) -> int | None:
    return connection.scalar(sa.select(dataset_snapshot.c.id).where(dataset_snapshot.c.sha256 == sha256))


def _record(known: sa.RowMapping, rows: tuple[SnapshotRow, ...]) -> SnapshotRecord:
    return SnapshotRecord(
        sha256=known["sha256"], key=known["manifest_key"], photo_count=known["photo_count"],
        label_count=known["label_count"], rows_sha256=known["rows_sha256"], written_with=known["written_with"],
        created_at=known["created_at"], rows=rows,
    )  # fmt: skip
