"""Model releases: registered once under an immutable name, at most one of them active."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import insert, json_text, latest_at, one_at_a_time
from storage.catalog.tables import model_release, restoration
from storage.errors import RecordRefused, ReleaseConflict
from storage.records import EventRecord, ReleaseRecord, utc_text


def register_release(connection: Connection, release: ReleaseRecord, activate_if_first: bool, agent: str) -> str:
    """See ``Catalogue.register_release``."""
    one_at_a_time(connection, "release")
    m = model_release.c
    same = sa.or_(m.name == release.name, m.weights_hash == release.weights_hash)
    known = connection.execute(sa.select(m.name, m.weights_hash, m.status).where(same)).all()
    for name, weights_hash, status in known:
        if (name, weights_hash) == (release.name, release.weights_hash):
            return str(status)
    if known:
        raise ReleaseConflict(
            f"release {release.name} with weights {release.weights_hash} meets {known[0].name} with weights "
            f"{known[0].weights_hash}; a release's name is immutable, so export the new one under another"
        )
    first = not connection.scalar(sa.select(sa.func.count()).select_from(model_release))
    parent_id = None
    if release.parent is not None:
        parent_id = connection.scalar(sa.select(m.id).where(m.name == release.parent))
    statement = insert(connection, model_release).values(
        name=release.name, weights_hash=release.weights_hash, preset=release.preset, url=release.url,
        parent_id=parent_id, status="candidate", metrics=json_text(release.metrics), card=json_text(release.card),
        registered_at=utc_now(),
    )  # fmt: skip
    connection.execute(statement.on_conflict_do_nothing())
    if first and activate_if_first:
        activate_release(connection, release.name, agent, "software")
        return "active"
    return "candidate"


def activate_release(connection: Connection, name: str, agent: str, agent_type: str) -> None:
    """See ``Catalogue.activate_release``."""
    one_at_a_time(connection, "release")
    m = model_release.c
    status = connection.scalar(sa.select(m.status).where(m.name == name))
    if status is None:
        raise RecordRefused(f"no release {name!r} in the catalogue; register it first")
    if status == "active":
        return
    previous = make_active(connection, name)
    links = [("model_release", name, "outcome")] + ([("model_release", previous, "previous")] if previous else [])
    record_events(
        connection,
        [
            EventRecord(
                type="promotion",
                agent=agent,
                agent_type="person" if agent_type == "person" else "software",
                detail={"from": status, "to": "active"},
                objects=tuple(links),
            )
        ],
    )


def make_active(connection: Connection, name: str) -> str | None:
    """Makes the release active, retires the one before it and gives that one's name.

    What the release made before, and another one's restorations came after, is its photos' latest again.
    """
    m = model_release.c
    previous = connection.scalar(sa.select(m.name).where(m.status == "active"))
    connection.execute(
        sa.update(model_release).where(m.status == "active").values(status="retired", retired_at=utc_now())
    )
    connection.execute(
        sa.update(model_release).where(m.name == name).values(status="active", activated_at=utc_now(), retired_at=None)
    )
    take_up(connection, name)
    return previous


def take_up_active(connection: Connection, name: str) -> int:
    """See ``Catalogue.take_up_active``."""
    m = model_release.c
    since = connection.scalar(sa.select(m.activated_at).where(m.name == name, m.status == "active"))
    return 0 if since is None else take_up(connection, name, since=since)


def take_up(connection: Connection, name: str, *, since: str | None = None) -> int:
    """Makes what the release made its photos' latest where others came after it; gives the number of restorations.

    Args:
        since: looks only at what others made since then.
    """
    mine, other = restoration.alias("mine"), restoration.alias("other")
    done = ("restored", "unchanged")
    m = model_release.c
    others = connection.scalars(sa.select(m.name).where(m.name != name)).all()  # by name, so that an index finds theirs
    came_after = (
        sa.select(mine.c.id, latest_at(other.c).label("at"))
        .select_from(other.join(mine, mine.c.photo_id == other.c.photo_id))
        .where(other.c.release.in_(others), other.c.outcome.in_(done), other.c.deleted_at.is_(None))
        .where(mine.c.release == name, mine.c.outcome.in_(done), mine.c.deleted_at.is_(None))
        .where(latest_at(other.c) >= latest_at(mine.c))
    )
    if since is not None:
        came_after = came_after.where(other.c.finished_at >= since)
    newest = connection.scalar(sa.select(sa.func.max(came_after.subquery().c.at)))
    if newest is None:
        return 0
    # Later than all of them, though they be of this second, or by a worker whose clock is fast.
    after_all = utc_text(datetime.fromisoformat(newest) + timedelta(seconds=1))
    at = max(str(connection.scalar(sa.select(utc_now()))), after_all)
    ids = sa.select(came_after.subquery().c.id)
    return connection.execute(sa.update(restoration).where(restoration.c.id.in_(ids)).values(taken_up_at=at)).rowcount


def active_release(connection: Connection) -> ReleaseRecord | None:
    """See ``Catalogue.active_release``."""
    active = [release for release in releases(connection) if release.status == "active"]
    return active[0] if active else None


def releases(connection: Connection) -> list[ReleaseRecord]:
    """See ``Catalogue.releases``."""
    m, parent = model_release.c, model_release.alias("parent")
    statement = (
        sa.select(model_release, parent.c.name.label("parent"))
        .select_from(model_release.outerjoin(parent, parent.c.id == m.parent_id))
        .order_by(m.id)
    )
    return [
        ReleaseRecord(
            name=row.name, weights_hash=row.weights_hash, preset=row.preset, url=row.url, parent=row.parent,
            status=row.status, metrics=json.loads(row.metrics), card=json.loads(row.card),
            registered_at=row.registered_at, activated_at=row.activated_at, retired_at=row.retired_at,
            verdict=json.loads(row.verdict or "{}"), rejected_reason=row.rejected_reason,
        )
        for row in connection.execute(statement)
    ]  # fmt: skip
