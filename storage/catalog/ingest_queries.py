"""Collections, their objects, and the photos found in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks, insert, json_text, photo_ids
from storage.catalog.tables import STATES, collection, photo, source_object
from storage.errors import RecordRefused
from storage.keys import sha256_hex
from storage.records import (
    CollectionRecord,
    EventRecord,
    KnownObject,
    PhotoRecord,
    SourceObjectRecord,
    source_object_id,
)

AGENT = "oldphoto"
_seen = sa.table("seen_key", sa.column("key", sa.Text))


def upsert_collection(connection: Connection, record: CollectionRecord) -> int:
    """See ``Catalogue.upsert_collection``."""
    policy = {
        "is_recursive": int(record.recursive),
        "ignore_patterns": json_text(record.ignore_patterns),
        "mode": record.mode,
        "tone": record.tone,
        "strength": record.strength,
        "output_format": record.output_format,
    }
    known = connection.scalar(sa.select(collection.c.id).where(collection.c.url == record.url))
    if known is None:
        others = connection.scalar(sa.select(sa.func.count()).select_from(collection))
        statement = insert(connection, collection).values(
            url=record.url, browse_folder=_browse_folder(record.url) if others else "", created_at=utc_now(), **policy
        )
        connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=policy))
        return connection.execute(sa.select(collection.c.id).where(collection.c.url == record.url)).scalar_one()
    connection.execute(sa.update(collection).where(collection.c.id == known).values(**policy))
    return known


def _browse_folder(url: str) -> str:
    """A folder that a person recognises and that no other collection has: ``scans-1a2b3c4d``."""
    name = re.sub(r"[^\w.-]+", "-", url.rstrip("/").rsplit("/", 1)[-1]).strip("-.")[:60] or "source"
    return f"{name}-{sha256_hex(url.encode())[:8]}"


def browse_folder(connection: Connection, collection_id: int) -> str:
    """See ``Catalogue.browse_folder``."""
    statement = sa.select(collection.c.browse_folder).where(collection.c.id == collection_id)
    return connection.execute(statement).scalar_one()


def known_objects(connection: Connection, collection_id: int) -> dict[str, KnownObject]:
    """See ``Catalogue.known_objects``."""
    o = source_object.c
    statement = (
        sa.select(o.key, o.size_bytes, o.modified_at, o.etag, o.version_id, photo.c.sha256, o.status, o.reason)
        .select_from(source_object.outerjoin(photo, photo.c.id == o.photo_id))
        .where(o.collection_id == collection_id)
    )
    return {
        key: KnownObject(
            size_bytes=size_bytes, modified_at=modified_at, etag=etag, version_id=version_id, photo_sha256=sha256,
            status=status, reason=reason,
        )
        for key, size_bytes, modified_at, etag, version_id, sha256, status, reason in connection.execute(statement)
    }  # fmt: skip


def record_objects(
    connection: Connection,
    collection_id: int,
    objects: Sequence[SourceObjectRecord],
    photos: Sequence[PhotoRecord],
    events: Sequence[EventRecord],
) -> int:
    """See ``Catalogue.record_objects``."""
    new_photos = _record_photos(connection, photos)
    objects = list({record.key: record for record in objects}.values())
    ids = photo_ids(connection, (record.photo_sha256 for record in objects if record.photo_sha256))
    before = _objects_before(connection, collection_id, [record.key for record in objects])
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
            }
        )
    if rows:
        statement = insert(connection, source_object)
        kept = ("collection_id", "key", "first_seen_at")
        changes = {name: statement.excluded[name] for name in rows[0] if name not in kept}
        connection.execute(statement.on_conflict_do_update(index_elements=["collection_id", "key"], set_=changes), rows)
    record_events(connection, [*_changes(connection, collection_id, objects, before), *events])
    return new_photos


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
    connection.execute(insert(connection, photo).on_conflict_do_nothing(index_elements=["sha256"]), rows)
    return len(new)


_PHOTO_COLUMNS = (
    "sha256", "size_bytes", "format", "height", "width", "channels", "bit_depth", "source_mode", "icc_profile_name",
    "dpi_x", "dpi_y", "orientation", "perceptual_hash",
)  # fmt: skip


def _objects_before(
    connection: Connection, collection_id: int, keys: Sequence[str]
) -> dict[str, tuple[str, str | None]]:
    """Status and photo of the objects as they were, by key."""
    o = source_object.c
    found: dict[str, tuple[str, str | None]] = {}
    for chunk in chunks(keys):
        statement = (
            sa.select(o.key, o.status, photo.c.sha256)
            .select_from(source_object.outerjoin(photo, photo.c.id == o.photo_id))
            .where(o.collection_id == collection_id, o.key.in_(chunk))
        )
        found.update((key, (status, sha256)) for key, status, sha256 in connection.execute(statement))
    return found


def _changes(
    connection: Connection,
    collection_id: int,
    objects: Sequence[SourceObjectRecord],
    before: dict[str, tuple[str, str | None]],
) -> list[EventRecord]:
    """Events for what only the catalogue can see: another content at a known key, and objects that came back."""
    url = connection.execute(sa.select(collection.c.url).where(collection.c.id == collection_id)).scalar_one()
    events = []
    for record in objects:
        status, previous = before.get(record.key, ("", None))
        other_content = previous is not None and previous != record.photo_sha256
        if not (other_content or (status == "missing" and record.status != "missing")):
            continue
        links = [("source_object", source_object_id(url, record.key), "source")]
        if record.photo_sha256:
            links.append(("photo", record.photo_sha256, "outcome"))
        if other_content and previous is not None:
            links.append(("photo", previous, "previous"))
        detail = {"change": "content" if other_content else "reappeared", "status": record.status}
        events.append(EventRecord(type="ingestion", agent=AGENT, detail=detail, objects=tuple(links)))
    return events


def mark_missing(
    connection: Connection, collection_id: int, seen_keys: Iterable[str], unlisted_prefixes: Sequence[str], agent: str
) -> int:
    """See ``Catalogue.mark_missing``."""
    o = source_object.c
    unlisted = tuple(prefix.rstrip("/") + "/" for prefix in unlisted_prefixes)
    unlisted_keys = set(unlisted_prefixes)
    connection.exec_driver_sql("CREATE TEMPORARY TABLE seen_key (key TEXT PRIMARY KEY)")
    try:
        for chunk in chunks(seen_keys, 10_000):
            connection.execute(insert(connection, _seen).on_conflict_do_nothing(), [{"key": key} for key in chunk])
        seen = o.key.in_(sa.select(_seen.c.key))
        here = sa.and_(o.collection_id == collection_id, o.status != "missing")
        now = connection.scalar(sa.select(utc_now()))
        connection.execute(sa.update(source_object).where(here, seen, o.last_seen_at != now).values(last_seen_at=now))
        gone = [
            (id_, key)
            for id_, key in connection.execute(sa.select(o.id, o.key).where(here, ~seen).order_by(o.id))
            if not key.startswith(unlisted) and key not in unlisted_keys
        ]
    finally:
        connection.exec_driver_sql("DROP TABLE seen_key")
    for part in chunks(gone):
        connection.execute(sa.update(source_object).where(o.id.in_([id_ for id_, _ in part])).values(status="missing"))
    if gone:
        url = connection.execute(sa.select(collection.c.url).where(collection.c.id == collection_id)).scalar_one()
        missing = tuple(("source_object", source_object_id(url, key), "missing") for _, key in gone)
        detail = {"change": "missing", "count": len(gone)}
        record_events(
            connection,
            [EventRecord(type="validation", agent=agent, outcome="warning", detail=detail, objects=missing)],
        )
    return len(gone)


def object_counts(connection: Connection, collection_id: int | None) -> dict[str, int]:
    """See ``Catalogue.object_counts``."""
    counts = dict.fromkeys(("registered", "quarantined", "ignored", "missing"), 0)
    statement = sa.select(source_object.c.status, sa.func.count()).group_by(source_object.c.status)
    counts.update((status, count) for status, count in connection.execute(_within(statement, collection_id)))
    return counts


def quarantined(connection: Connection, collection_id: int | None) -> list[tuple[str, str]]:
    """See ``Catalogue.quarantined``."""
    o = source_object.c
    statement = sa.select(o.key, o.reason).where(o.status == "quarantined").order_by(o.key)
    return [(key, reason) for key, reason in connection.execute(_within(statement, collection_id))]


def ignored_by_pattern(connection: Connection, collection_id: int | None) -> dict[str, int]:
    """See ``Catalogue.ignored_by_pattern``."""
    o = source_object.c
    statement = sa.select(o.reason, sa.func.count()).where(o.status == "ignored").group_by(o.reason).order_by(o.reason)
    return dict(connection.execute(_within(statement, collection_id)).tuples().all())


def _within(statement: sa.Select[Any], collection_id: int | None) -> sa.Select[Any]:
    return statement if collection_id is None else statement.where(source_object.c.collection_id == collection_id)


def set_photo_state(connection: Connection, photo_sha256: str, state: str, by: str, reason: str) -> bool:
    """See ``Catalogue.set_photo_state``."""
    if state not in STATES:
        raise RecordRefused(f"photo state is {state!r}; expected one of {', '.join(STATES)}")
    explained = {"state_by": by, "state_reason": reason, "state_at": utc_now()}
    result = connection.execute(sa.update(photo).where(photo.c.sha256 == photo_sha256).values(state=state, **explained))
    if not result.rowcount:
        return False
    record_events(
        connection,
        [
            EventRecord(
                type="withdrawal" if state == "withdrawn" else "hold", agent=by, agent_type="person",
                detail={"state": state, "reason": reason}, objects=(("photo", photo_sha256, "source"),),
            )
        ],
    )  # fmt: skip
    return True
