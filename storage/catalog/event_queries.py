"""Events: what happened, by whom, to what. Append-only, in PREMIS terms."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.statements import chunks, insert, json_text
from storage.catalog.tables import agent, event, event_object
from storage.keys import sha256_hex
from storage.records import EventRecord


def record_events(connection: Connection, events: Sequence[EventRecord]) -> int:
    """Appends those events that are not there yet and gives their number."""
    by_uid = {_uid(record): record for record in events}
    for known in chunks(list(by_uid)):
        for (uid,) in connection.execute(sa.select(event.c.uid).where(event.c.uid.in_(known))):
            del by_uid[uid]
    if not by_uid:
        return 0
    agent_ids = {
        pair: _agent_id(connection, *pair) for pair in {(record.agent, record.agent_type) for record in by_uid.values()}
    }
    now = connection.scalar(sa.select(utc_now()))
    connection.execute(
        sa.insert(event),
        [
            {
                "uid": uid,
                "type": record.type,
                "at": record.at or now,
                "agent_id": agent_ids[record.agent, record.agent_type],
                "outcome": record.outcome,
                "detail": json_text(record.detail),
            }
            for uid, record in by_uid.items()
        ],
    )
    ids: dict[str, int] = {}
    for part in chunks(list(by_uid)):
        ids.update((uid, id_) for uid, id_ in connection.execute(
            sa.select(event.c.uid, event.c.id).where(event.c.uid.in_(part))
        ))  # fmt: skip
    links = [
        {"event_id": ids[uid], "object_type": type_, "object_id": id_, "role": role}
        for uid, record in by_uid.items()
        for type_, id_, role in dict.fromkeys(record.objects)
    ]
    if links:
        connection.execute(sa.insert(event_object), links)
    return len(by_uid)


def _uid(record: EventRecord) -> str:
    """The event's identity: given, or from its fields where it carries a time, or new."""
    if record.uid is not None:
        return record.uid
    if record.at is None:
        return uuid.uuid4().hex
    return sha256_hex(json_text(asdict(record)).encode("utf-8", "surrogatepass"))[:32]


def _agent_id(connection: Connection, name: str, agent_type: str) -> int:
    statement = insert(connection, agent).values(name=name, type=agent_type, first_seen_at=utc_now())
    connection.execute(statement.on_conflict_do_nothing())
    return connection.execute(
        sa.select(agent.c.id).where(agent.c.name == name, agent.c.type == agent_type)
    ).scalar_one()
