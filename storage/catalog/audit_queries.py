"""What an audit compares with the stores: photos by id, with their masters and the restorations that stand.

Audits go through photos in rounds. How far the last one came is in its fixity checks, in the transaction that records
them, so that nothing but events is needed to go on, whether it was killed or ended at a limit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.audit_label_queries import LabelFileOnRecord, has_label, label_files
from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks
from storage.catalog.tables import collection, event, photo, restoration, run, source_object
from storage.records import EventRecord, SourceEntry

_DONE = ("restored", "unchanged")
_HASHED = ("restored", "mask", "found", "difference", "preview")


@dataclass(frozen=True, kw_only=True)
class AuditScope:
    """What an audit is about.

    Attributes:
        source_url: the collection it is asked for; None for all.
        collection_id: that collection's.
        readable: collections whose masters are read: not withdrawn ones, nor those whose store is away.
        derivatives: whether restorations are read; labels: whether masks that people painted are.
    """

    source_url: str | None
    collection_id: int | None
    readable: tuple[int, ...]
    derivatives: bool = True
    labels: bool = True


@dataclass(frozen=True, kw_only=True)
class AuditPlace:
    """How far the latest audit of a scope came.

    Attributes:
        photo_id: the last photo whose checks are on record.
        round_from: the photo behind which that round began.
        is_unfinished: whether the audit was stopped before its end.
    """

    photo_id: int
    round_from: int
    is_unfinished: bool


@dataclass(frozen=True, kw_only=True)
class MasterOnRecord:
    """A registered object.

    Attributes:
        entry: size, time and ETag as they were registered.
        is_open: whether its collection is neither held nor withdrawn.
    """

    object_id: int
    collection_id: int
    collection_url: str
    entry: SourceEntry
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class RestorationOnRecord:
    """A restoration whose files should be there.

    Attributes:
        objects: (name, key, SHA-256) of those that have a hash on record.
    """

    restoration_id: int
    release: str
    work_hash: str
    restored_key: str
    restored_sha256: str
    provenance_key: str
    objects: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class PhotoOnRecord:
    """A photo with all that an audit reads of it.

    Attributes:
        is_open: whether it is neither held nor withdrawn.
    """

    photo_id: int
    sha256: str
    is_open: bool
    masters: tuple[MasterOnRecord, ...] = ()
    restorations: tuple[RestorationOnRecord, ...] = ()
    labels: tuple[LabelFileOnRecord, ...] = ()


def photos_to_audit(
    connection: Connection, scope: AuditScope, after_id: int, through_id: int | None, limit: int
) -> list[PhotoOnRecord]:
    """See ``Catalogue.photos_to_audit``."""
    p = photo.c
    wanted = _in_range(scope, after_id, through_id)
    found = sa.select(p.id, p.sha256, p.state, _is_withdrawn()).where(wanted).order_by(p.id).limit(limit)
    rows = connection.execute(found).all()
    masters = _masters(connection, scope, [id_ for id_, *_ in rows])
    restorations: dict[int, list[RestorationOnRecord]] = {}
    if scope.derivatives:
        restorations = _restorations(connection, [id_ for id_, _, _, withdrawn in rows if not withdrawn])
    labels = label_files(connection, [id_ for id_, *_ in rows]) if scope.labels else {}
    return [
        PhotoOnRecord(
            photo_id=id_, sha256=sha256, is_open=state == "open", masters=tuple(masters.get(id_, ())),
            restorations=tuple(restorations.get(id_, ())), labels=tuple(labels.get(id_, ())),
        )
        for id_, sha256, state, _ in rows
    ]  # fmt: skip


def count_photos_to_audit(connection: Connection, scope: AuditScope, after_id: int, through_id: int | None) -> int:
    """See ``Catalogue.count_photos_to_audit``."""
    count = sa.select(sa.func.count()).select_from(photo).where(_in_range(scope, after_id, through_id))
    return connection.scalar(count) or 0


def count_masters(connection: Connection, collection_id: int) -> int:
    """See ``Catalogue.count_masters``."""
    o = source_object.c
    count = sa.select(sa.func.count()).select_from(source_object)
    return connection.scalar(count.where(o.collection_id == collection_id, o.status == "registered")) or 0


def audit_place(connection: Connection, source_url: str | None) -> AuditPlace | None:
    """See ``Catalogue.audit_place``."""
    r, e = run.c, event.c
    checks = sa.select(e.id).where(e.run_id == r.id, e.type == "fixity check").correlate(run)
    latest = connection.execute(
        sa.select(r.id, r.status)
        .where(r.kind == "audit", r.source_url.is_not_distinct_from(source_url), checks.exists())
        .order_by(r.number.desc())
        .limit(1)
    ).first()
    if latest is None:
        return None
    of_run = sa.select(e.detail).where(e.run_id == latest.id, e.type == "fixity check")
    detail = json.loads(connection.execute(of_run.order_by(e.id.desc()).limit(1)).scalar_one())
    return AuditPlace(
        photo_id=detail["through_photo"], round_from=detail["round_from"], is_unfinished=latest.status != "finished"
    )


def still_on_record(
    connection: Connection, masters: Collection[tuple[int, int]], restorations: Collection[tuple[int, str]]
) -> tuple[set[int], set[int]]:
    """See ``Catalogue.still_on_record``."""
    o, r = source_object.c, restoration.c
    there: set[int] = set()
    for part in chunks(dict(masters).items()):
        statement = (
            sa.select(o.id, o.photo_id)
            .select_from(source_object.join(collection))
            .where(o.id.in_([id_ for id_, _ in part]), o.status == "registered", collection.c.state != "withdrawn")
        )
        there |= {id_ for id_, photo_id in connection.execute(statement) if (id_, photo_id) in part}
    standing: set[int] = set()
    for with_keys in chunks(dict(restorations).items()):
        found = (
            sa.select(r.id, r.restored_key)
            .select_from(restoration.join(photo))
            .where(r.id.in_([id_ for id_, _ in with_keys]), _stands(), ~_is_withdrawn())
        )
        standing |= {id_ for id_, key in connection.execute(found) if (id_, key) in with_keys}
    return there, standing


def record_audit(connection: Connection, events: Sequence[EventRecord], damaged: Sequence[tuple[int, str]]) -> None:
    """See ``Catalogue.record_audit``."""
    r = restoration.c
    for restoration_id, restored_key in damaged:
        is_it = sa.and_(r.id == restoration_id, r.restored_key == restored_key, r.deleted_at.is_(None))
        connection.execute(sa.update(restoration).where(is_it).values(deleted_at=utc_now()))
    record_events(connection, events)


def _in_range(scope: AuditScope, after_id: int, through_id: int | None) -> sa.ColumnElement[bool]:
    """On photo: one of these ids, with anything to audit."""
    o, r = source_object.c, restoration.c
    masters = sa.select(o.id).where(o.photo_id == photo.c.id, _is_read(scope)).correlate(photo).exists()
    kept = []
    if scope.derivatives:
        standing = sa.select(r.id).where(r.photo_id == photo.c.id, _stands()).correlate(photo).exists()
        kept.append(sa.and_(standing, ~_is_withdrawn()))
    if scope.labels:
        kept.append(has_label())
    here = sa.select(o.id).where(o.photo_id == photo.c.id, o.collection_id == scope.collection_id)
    if scope.collection_id is not None:
        kept = [sa.and_(one, here.correlate(photo).exists()) for one in kept]
    wanted = sa.and_(photo.c.id > after_id, sa.or_(masters, *kept))
    return wanted if through_id is None else sa.and_(photo.c.id <= through_id, wanted)


def _is_read(scope: AuditScope) -> sa.ColumnElement[bool]:
    """On source_object: a master of the scope."""
    return sa.and_(source_object.c.status == "registered", source_object.c.collection_id.in_(scope.readable))


def _stands() -> sa.ColumnElement[bool]:
    """On restoration: made, and its files should be there."""
    return sa.and_(restoration.c.outcome.in_(_DONE), restoration.c.deleted_at.is_(None))


def _is_withdrawn() -> sa.ColumnElement[bool]:
    """On photo: withdrawn, or only in collections that are, so that its derivatives are deleted or about to be."""
    o, c = source_object.c, collection.c
    objects = sa.select(o.id).select_from(source_object.join(collection)).where(o.photo_id == photo.c.id)
    objects = objects.correlate(photo)
    left = objects.where(o.status == "registered", c.state == "open").exists()
    return sa.or_(photo.c.state == "withdrawn", sa.and_(objects.where(c.state == "withdrawn").exists(), ~left))


def _masters(connection: Connection, scope: AuditScope, photo_ids: Sequence[int]) -> dict[int, list[MasterOnRecord]]:
    o, c = source_object.c, collection.c
    found: dict[int, list[MasterOnRecord]] = {}
    for chunk in chunks(photo_ids):
        statement = (
            sa.select(
                o.photo_id, o.id, c.id.label("collection_id"), c.url, c.state, o.key, o.size_bytes, o.modified_at,
                o.etag, o.version_id,
            )
            .select_from(source_object.join(collection))
            .where(o.photo_id.in_(chunk), _is_read(scope))
            .order_by(o.id)
        )  # fmt: skip
        for row in connection.execute(statement):
            entry = SourceEntry(
                key=row.key, size_bytes=row.size_bytes, modified_at=row.modified_at, etag=row.etag,
                version_id=row.version_id,
            )  # fmt: skip
            master = MasterOnRecord(
                object_id=row.id, collection_id=row.collection_id, collection_url=row.url, entry=entry,
                is_open=row.state == "open",
            )  # fmt: skip
            found.setdefault(row.photo_id, []).append(master)
    return found


def _restorations(connection: Connection, photo_ids: Sequence[int]) -> dict[int, list[RestorationOnRecord]]:
    r = restoration.c
    found: dict[int, list[RestorationOnRecord]] = {}
    for chunk in chunks(photo_ids):
        statement = sa.select(restoration).where(r.photo_id.in_(chunk), _stands()).order_by(r.id)
        for row in connection.execute(statement).mappings():
            objects = ((name, row[f"{name}_key"], row[f"{name}_sha256"]) for name in _HASHED)
            on_record = RestorationOnRecord(
                restoration_id=row["id"], release=row["release"], work_hash=row["work_hash"],
                restored_key=row["restored_key"], restored_sha256=row["restored_sha256"],
                provenance_key=row["provenance_key"],
                objects=tuple(one for one in objects if one[1] is not None and one[2] is not None),
            )  # fmt: skip
            found.setdefault(row["photo_id"], []).append(on_record)
    return found
