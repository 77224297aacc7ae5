"""Objects of collections and the photos found in them: what is known, and what a look at a source adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks, insert, json_text, one_at_a_time, photo_ids
from storage.catalog.tables import collection, photo, source_object
from storage.errors import RecordRefused
from storage.records import (
    UNREADABLE,
    EventRecord,
    KnownObject,
    PhotoRecord,
    SourceObjectRecord,
    source_object_id,
)

AGENT = "oldphoto"


def known_objects(
    connection: Connection, collection_id: int, keys: Sequence[str] | None = None
) -> dict[str, KnownObject]:
    """See ``Catalogue.known_objects``."""
    o = source_object.c
    statement = (
        sa.select(o.key, o.size_bytes, o.modified_at, o.etag, o.version_id, photo.c.sha256, o.status, o.reason)
        .select_from(source_object.outerjoin(photo, photo.c.id == o.photo_id))
        .where(o.collection_id == collection_id)
    )
    parts = [statement] if keys is None else [statement.where(o.key.in_(chunk)) for chunk in chunks(keys)]
    return {
        key: KnownObject(
            size_bytes=size_bytes, modified_at=modified_at, etag=etag, version_id=version_id, photo_sha256=sha256,
            status=status, reason=reason,
        )
        for part in parts
        for key, size_bytes, modified_at, etag, version_id, sha256, status, reason in connection.execute(part)
    }  # fmt: skip


def record_objects(
    connection: Connection,
    collection_id: int,
    objects: Sequence[SourceObjectRecord],
    photos: Sequence[PhotoRecord],
    events: Sequence[EventRecord],
    listing_id: int | None = None,
    run_id: str | None = None,
) -> int:
    """See ``Catalogue.record_objects``; ``listing_id`` is the look that saw these objects."""
    one_at_a_time(connection, f"objects of collection {collection_id}")
    new_photos = _record_photos(connection, photos)
    objects = sorted({record.key: record for record in objects}.values(), key=lambda record: record.key)
    before = known_objects(connection, collection_id, [record.key for record in objects])
    objects = [_with_known_photo(record, before.get(record.key)) for record in objects]
    ids = photo_ids(connection, (record.photo_sha256 for record in objects if record.photo_sha256))
    now = connection.scalar(sa.select(utc_now()))
    rows = []
    for record in objects:
        if record.photo_sha256 and record.photo_sha256 not in ids:
            raise RecordRefused(
                f"object {record.key!r} names the photo {record.photo_sha256}, which is not recorded; hand both in"
            )
        rows.append(
            {
                "collection_id": collection_id,
                "key": record.key,
                "photo_id": ids[record.photo_sha256] if record.photo_sha256 else None,
                "status": record.status,
                "reason": record.reason,
                "detail": record.detail,
                "size_bytes": record.size_bytes,
                "modified_at": record.modified_at,
                "etag": record.etag,
                "version_id": record.version_id,
                "first_seen_at": now,
                "last_seen_at": now,
                "listing_id": listing_id,
            }
        )
    if rows:
        statement = insert(connection, source_object)
        kept = ("collection_id", "key", "first_seen_at")
        changes: dict[str, Any] = {name: statement.excluded[name] for name in rows[0] if name not in kept}
        changes["listing_id"] = _later(source_object.c.listing_id, statement.excluded.listing_id)
        connection.execute(statement.on_conflict_do_update(index_elements=["collection_id", "key"], set_=changes), rows)
    record_events(connection, [*_changes(connection, collection_id, objects, before, run_id), *events])
    return new_photos


def _with_known_photo(record: SourceObjectRecord, known: KnownObject | None) -> SourceObjectRecord:
    """The record, with the photo known before where nobody read the object and it is as it was.

    Without it, the withdrawal of a collection would not find the photos of which a pattern now ignores the objects.
    """
    is_unread = record.status == "ignored" or record.reason == UNREADABLE
    if known is None or not is_unread or record.photo_sha256 is not None:
        return record
    ours, theirs = (known.etag, record.etag) if known.etag and record.etag else (known.modified_at, record.modified_at)
    is_same = known.size_bytes == record.size_bytes and ours is not None and ours == theirs
    return replace(record, photo_sha256=known.photo_sha256) if is_same else record


def _later(ours: sa.ColumnElement[int], given: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The later of two looks: of two at once, the earlier must not undo what the later one saw."""
    return sa.case((sa.func.coalesce(ours, 0) > sa.func.coalesce(given, 0), ours), else_=given)


def _record_photos(connection: Connection, photos: Sequence[PhotoRecord]) -> int:
    unique = {record.sha256: record for record in photos}
    known = photo_ids(connection, unique)
    new = [record for sha256, record in unique.items() if sha256 not in known]
    if not new:
        return 0
    now = connection.scalar(sa.select(utc_now()))
    rows: list[dict[str, Any]] = [
        {
            **{name: getattr(record, name) for name in _PHOTO_COLUMNS},
            "capture": json_text(record.capture),
            "first_seen_at": now,
        }
        for record in new
    ]
    if connection.dialect.name == "postgresql":
        # Numbered as they were listed, inserted in one order by all writers, so that no two wait for each other.
        sequence = sa.func.nextval(sa.func.pg_get_serial_sequence("photo", "id"))
        ids = connection.scalars(sa.select(sequence).select_from(sa.func.generate_series(1, len(rows))))
        rows = [{"id": id_, **row} for id_, row in zip(sorted(ids), rows, strict=True)]
        rows.sort(key=lambda row: row["sha256"])
    connection.execute(insert(connection, photo).on_conflict_do_nothing(index_elements=["sha256"]), rows)
    return len(new)


_PHOTO_COLUMNS = (
    "sha256", "size_bytes", "format", "height", "width", "channels", "bit_depth", "source_mode", "icc_profile_name",
    "dpi_x", "dpi_y", "orientation", "perceptual_hash",
)  # fmt: skip


def _changes(
    connection: Connection,
    collection_id: int,
    objects: Sequence[SourceObjectRecord],
    before: dict[str, KnownObject],
    run_id: str | None,
) -> list[EventRecord]:
    """Events for what only the catalogue can see: another content at a known key, and objects that came back."""
    url = connection.execute(sa.select(collection.c.url).where(collection.c.id == collection_id)).scalar_one()
    events = []
    for record in objects:
        known = before.get(record.key)
        if known is None:
            continue
        previous = known.photo_sha256
        other_content = previous is not None and previous != record.photo_sha256
        if not (other_content or (known.status == "missing" and record.status != "missing")):
            continue
        links = [("source_object", source_object_id(url, record.key), "source")]
        if record.photo_sha256:
            links.append(("photo", record.photo_sha256, "outcome"))
        if other_content and previous is not None:
            links.append(("photo", previous, "previous"))
        change = "content" if other_content else "reappeared"
        versions = {
            name: [getattr(known, name), getattr(record, name)]
            for name in ("size_bytes", "etag", "version_id", "modified_at")
            if getattr(known, name) != getattr(record, name)
        }
        sizes = f"{known.size_bytes} bytes before, {record.size_bytes} now"
        note = f"other content: {sizes}" if other_content else "it is back"
        events.append(
            EventRecord(
                type="ingestion", agent=AGENT, objects=tuple(links), run_id=run_id, note=f"{record.key}: {note}",
                detail={"change": change, "status": record.status, "before_and_after": versions},
            )
        )  # fmt: skip
    return events


def object_counts(connection: Connection, collection_id: int | None) -> dict[str, int]:
    """See ``Catalogue.object_counts``."""
    counts = dict.fromkeys(("registered", "quarantined", "ignored", "missing"), 0)
    statement = sa.select(source_object.c.status, sa.func.count()).group_by(source_object.c.status)
    counts.update((status, count) for status, count in connection.execute(_within(statement, collection_id)))
    return counts


def quarantined(connection: Connection, collection_id: int | None, limit: int | None = None) -> list[tuple[str, str]]:
    """See ``Catalogue.quarantined``."""
    o = source_object.c
    statement = sa.select(o.key, o.reason).where(o.status == "quarantined").order_by(o.key).limit(limit)
    return [(key, reason) for key, reason in connection.execute(_within(statement, collection_id))]


def quarantined_by_reason(connection: Connection, collection_id: int | None) -> dict[str, int]:
    """See ``Catalogue.quarantined_by_reason``."""
    o = source_object.c
    statement = sa.select(o.reason, sa.func.count()).where(o.status == "quarantined").group_by(o.reason)
    return dict(connection.execute(_within(statement.order_by(o.reason), collection_id)).tuples().all())


def ignored_by_pattern(connection: Connection, collection_id: int | None) -> dict[str, int]:
    """See ``Catalogue.ignored_by_pattern``."""
    o = source_object.c
    statement = sa.select(o.reason, sa.func.count()).where(o.status == "ignored").group_by(o.reason).order_by(o.reason)
    return dict(connection.execute(_within(statement, collection_id)).tuples().all())


def _within(statement: sa.Select[Any], collection_id: int | None) -> sa.Select[Any]:
    return statement if collection_id is None else statement.where(source_object.c.collection_id == collection_id)
