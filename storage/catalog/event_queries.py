"""Events: what happened, by whom, to what. Append-only, in PREMIS terms."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.statements import chunks, insert, json_text
from storage.catalog.tables import agent, event, event_object
from storage.keys import sha256_hex
from storage.records import EventRecord


def record_events(connection: Connection, events: Sequence[EventRecord]) -> int:
    """Appends those events that are not there yet and gives their number. They are numbered in the order given."""
    by_uid = {_uid(record): record for record in events}
    for known in chunks(list(by_uid)):
        for (uid,) in connection.execute(sa.select(event.c.uid).where(event.c.uid.in_(known))):
            del by_uid[uid]
    if not by_uid:
        return 0
    agents = sorted({(record.agent, record.agent_type) for record in by_uid.values()})  # one order for all writers
    agent_ids = {pair: _agent_id(connection, *pair) for pair in agents}
    now = connection.scalar(sa.select(utc_now()))
    statement = insert(connection, event).on_conflict_do_nothing(index_elements=["uid"])
    inserted = connection.execute(
        statement.returning(event.c.uid, event.c.id),
        [
            {
                "uid": uid,
                "type": record.type,
                "at": record.at or now,
                "agent_id": agent_ids[record.agent, record.agent_type],
                "outcome": record.outcome,
                "detail": json_text(record.detail),
                "run_id": record.run_id,
                "note": record.note,
            }
            for uid, record in by_uid.items()
        ],
    )
    ids = dict(inserted.tuples().all())  # without those that another writer was quicker with
    links = [
        {"event_id": id_, "object_type": type_, "object_id": object_id, "role": role}
        for uid, id_ in ids.items()
        for type_, object_id, role in dict.fromkeys(by_uid[uid].objects)
    ]
    if links:
        connection.execute(sa.insert(event_object), links)
    return len(ids)


def identified(events: Sequence[EventRecord]) -> list[EventRecord]:
    """The events with an identity each, so that recording them again after a lost connection adds nothing."""
    return [replace(record, uid=_uid(record)) for record in events]


def _uid(record: EventRecord) -> str:
    """The event's identity: given, or from its fields where it carries a time, or new."""
    if record.uid is not None:
        return record.uid
    if record.at is None:
        return uuid.uuid4().hex
    return sha256_hex(json_text(asdict(record)).encode("utf-8", "surrogatepass"))[:32]


def _agent_id(connection: Connection, name: str, agent_type: str) -> int:
    """The agent's id. Looked for first: agents are append-only, and their triggers let no known one be inserted."""
    its_id = sa.select(agent.c.id).where(agent.c.name == name, agent.c.type == agent_type)
    known = connection.scalar(its_id)
    if known is not None:
        return known
    statement = insert(connection, agent).values(name=name, type=agent_type, first_seen_at=utc_now())
    connection.execute(statement.on_conflict_do_nothing(index_elements=["name", "type"]))
    return connection.execute(its_id).scalar_one()
