"""What a person held or withdrew: saying so, finding what was meant, and what of it is still to be deleted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.tables import STATES, collection, photo, restoration, source_object
from storage.errors import RecordRefused
from storage.records import EventRecord, source_object_id

DONE = ("restored", "unchanged")
_HASH_START = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, kw_only=True)
class CalledPhoto:
    """A photo that a person may mean, with one of its objects."""

    sha256: str
    state: str
    source_url: str | None
    key: str | None


@dataclass(frozen=True, kw_only=True)
class DueDeletion:
    """A withdrawn photo whose derivatives are to be deleted.

    Attributes:
        explanation: who withdrew it and why.
        restoration_ids: rows whose files are not noted as deleted.
        places: (key, browse folder) of its objects.
    """

    photo_id: int
    sha256: str
    explanation: str
    restoration_ids: tuple[int, ...]
    places: tuple[tuple[str, str], ...]


def photo_places(connection: Connection, photo_sha256: str) -> list[str]:
    """See ``Catalogue.photo_places``."""
    o = source_object.c
    statement = (
        sa.select(collection.c.url, o.key)
        .select_from(source_object.join(collection).join(photo, photo.c.id == o.photo_id))
        .where(photo.c.sha256 == photo_sha256, o.status == "registered")
        .order_by(collection.c.id, o.key)
    )
    return [source_object_id(url, key) for url, key in connection.execute(statement)]


def photos_called(connection: Connection, what: str, limit: int) -> list[CalledPhoto]:
    """See ``Catalogue.photos_called``."""
    o, p = source_object.c, photo.c
    wanted: sa.ColumnElement[bool] = o.key == what
    if _HASH_START.fullmatch(start := what.lower()):
        wanted = sa.or_(wanted, sa.and_(p.sha256 >= start, p.sha256 < f"{start}g"))
    found = _called(connection, wanted, limit)
    if found:
        return found
    has_name = sa.and_(o.name == what.rsplit("/", 1)[-1], o.key.endswith(f"/{what}", autoescape=True))
    named = _called(connection, has_name, limit)
    return [one for one in named if (one.key or "").endswith(f"/{what}")]  # SQLite's LIKE takes either letter case


def _called(connection: Connection, wanted: sa.ColumnElement[bool], limit: int) -> list[CalledPhoto]:
    """A row a photo: its first object that fits."""
    o, p = source_object.c, photo.c
    statement = (
        sa.select(p.sha256, p.state, collection.c.url, o.key)
        .select_from(photo.outerjoin(source_object, o.photo_id == p.id).outerjoin(collection))
        .where(wanted)
        .order_by(p.id, sa.case((o.status == "registered", 0), else_=1), o.id)
        .limit(10 * limit)
    )
    found: dict[str, CalledPhoto] = {}
    for sha256, state, url, key in connection.execute(statement):
        found.setdefault(sha256, CalledPhoto(sha256=sha256, state=state, source_url=url, key=key))
    return list(found.values())[:limit]


def state_event(state: str, kind: str, object_id: str, by: str, reason: str) -> EventRecord:
    """The event of a photo or a collection that is held, withdrawn or opened again.

    Raises:
        RecordRefused: no such state.
    """
    if state not in STATES:
        raise RecordRefused(f"state is {state!r}; expected one of {', '.join(STATES)}")
    done = {"open": "reopened", "held": "held", "withdrawn": "withdrawn"}[state]
    return EventRecord(
        type="withdrawal" if state == "withdrawn" else "hold", agent=by, agent_type="person",
        detail={"state": state, "reason": reason}, objects=((kind, object_id, "source"),),
        note=f"{kind} {done}: {reason}",
    )  # fmt: skip


def set_photo_state(
    connection: Connection, photo_sha256: str, state: str, by: str, reason: str, events: Sequence[EventRecord]
) -> bool:
    """See ``Catalogue.set_photo_state``."""
    explained = {"state": state, "state_by": by, "state_reason": reason, "state_at": utc_now()}
    changed = connection.execute(sa.update(photo).where(photo.c.sha256 == photo_sha256).values(**explained)).rowcount
    if changed:
        record_events(connection, events)
    return bool(changed)


def set_collection_state(
    connection: Connection, url: str, state: str, by: str, reason: str, events: Sequence[EventRecord]
) -> bool:
    """See ``Catalogue.set_collection_state``."""
    explained = {"state": state, "state_by": by, "state_reason": reason, "state_at": utc_now()}
    changed = connection.execute(sa.update(collection).where(collection.c.url == url).values(**explained)).rowcount
    if changed:
        record_events(connection, events)
    return bool(changed)


def due_deletions(connection: Connection, after_id: int, limit: int, recent_s: int) -> list[DueDeletion]:
    """See ``Catalogue.due_deletions``."""
    p, r, o, c = photo.c, restoration.c, source_object.c, collection.c
    since = utc_now(-recent_s)
    not_deleted = sa.select(r.id).where(r.photo_id == p.id, r.outcome.in_(DONE), r.deleted_at.is_(None))
    not_deleted = not_deleted.correlate(photo)
    objects = sa.select(o.id).select_from(source_object.join(collection)).where(o.photo_id == p.id).correlate(photo)
    in_withdrawn = sa.select(o.photo_id).select_from(source_object.join(collection)).where(c.state == "withdrawn")
    left_elsewhere = objects.where(o.status == "registered", c.state == "open").exists()
    withdrawn_lately = objects.where(c.state == "withdrawn", c.state_at >= since).exists()
    statement = (
        sa.select(p.id, p.sha256, p.state, p.state_by, p.state_reason)
        .where(
            p.id > after_id,
            sa.or_(
                sa.and_(p.state == "withdrawn", sa.or_(not_deleted.exists(), p.state_at >= since)),
                sa.and_(p.id.in_(in_withdrawn), ~left_elsewhere, sa.or_(not_deleted.exists(), withdrawn_lately)),
            ),
        )
        .order_by(p.id)
        .limit(limit)
    )
    due = []
    for photo_id, sha256, state, by, reason in connection.execute(statement).all():
        rows = sa.select(r.id).where(r.photo_id == photo_id, r.outcome.in_(DONE), r.deleted_at.is_(None)).order_by(r.id)
        places = (
            sa.select(o.key, c.browse_folder, c.state, c.state_by, c.state_reason)
            .select_from(source_object.join(collection))
            .where(o.photo_id == photo_id)
            .order_by(o.id)
        )
        found = connection.execute(places).all()
        if state != "withdrawn":
            by, reason = next((place[3], place[4]) for place in found if place[2] == "withdrawn")
        due.append(
            DueDeletion(
                photo_id=photo_id, sha256=sha256, explanation=f"withdrawn by {by}: {reason}",
                restoration_ids=tuple(connection.scalars(rows)),
                places=tuple((place[0], place[1]) for place in found),
            )
        )  # fmt: skip
    return due


def is_withdrawn(connection: Connection, photo_id: int) -> bool:
    """See ``Catalogue.is_withdrawn``."""
    o, c = source_object.c, collection.c
    state = connection.scalar(sa.select(photo.c.state).where(photo.c.id == photo_id))
    places = sa.select(o.status, c.state).select_from(source_object.join(collection)).where(o.photo_id == photo_id)
    found = [tuple(place) for place in connection.execute(places)]
    in_withdrawn = any(of_collection == "withdrawn" for _, of_collection in found)
    return state == "withdrawn" or (in_withdrawn and ("registered", "open") not in found)


def record_deletion(
    connection: Connection, photo_id: int, restoration_ids: Sequence[int], events: Sequence[EventRecord]
) -> None:
    """See ``Catalogue.record_deletion``."""
    if restoration_ids:
        r = restoration.c
        rows = sa.update(restoration).where(r.photo_id == photo_id, r.id.in_(restoration_ids), r.deleted_at.is_(None))
        connection.execute(rows.values(deleted_at=utc_now()))
    record_events(connection, events)


def withdrawn_places(
    connection: Connection, after_id: int, limit: int, recent_s: int
) -> list[tuple[int, str, str]]:
    """See ``Catalogue.withdrawn_places``."""
    o, c = source_object.c, collection.c
    statement = (
        sa.select(o.id, o.key, c.browse_folder)
        .select_from(source_object.join(collection))
        .where(c.state == "withdrawn", c.state_at >= utc_now(-recent_s), o.photo_id.is_not(None), o.id > after_id)
        .order_by(o.id)
        .limit(limit)
    )
    return [(id_, key, folder) for id_, key, folder in connection.execute(statement)]
