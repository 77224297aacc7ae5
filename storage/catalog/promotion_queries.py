"""Promotion, rejection and rollback of releases: one at a time, each an event, and nothing is ever taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.release_queries import make_active
from storage.catalog.statements import chunks, json_text, one_at_a_time
from storage.catalog.tables import agent, collection, event, event_object, model_release, photo, source_object
from storage.errors import PromotionConflict, RecordRefused, ReleaseRejected
from storage.records import EventRecord

_stale = sa.table("restoration_stale", sa.column("photo_sha256", sa.Text))


def promote_release(
    connection: Connection, name: str, expected_active: str | None, force: bool, done: EventRecord
) -> None:
    """See ``Catalogue.promote_release``."""
    one_at_a_time(connection, "release")
    if _is_recorded(connection, done):
        return
    found = _release(connection, name)
    _require_active(connection, expected_active, f"{name} was not promoted")
    if name == expected_active:
        raise RecordRefused(f"release {name} is active already; nothing to promote")
    if found.rejected_reason is not None and not force:
        raise ReleaseRejected(
            f"release {name} was rejected: {found.rejected_reason}; to promote it all the same, say why "
            "(`oldphoto releases promote --force REASON`)"
        )
    make_active(connection, name)
    record_events(connection, [done])


def rollback_release(
    connection: Connection, to: str | None, expected_active: str | None, done: EventRecord
) -> tuple[str, str]:
    """See ``Catalogue.rollback_release``."""
    one_at_a_time(connection, "release")
    if _is_recorded(connection, done):
        return _rolled_back(connection, done)
    active = _active(connection)
    if active is None:
        raise RecordRefused("no release is active, so there is none to roll back from")
    if expected_active is not None:
        _require_active(connection, expected_active, "nothing was rolled back")
    target = to if to is not None else _before(connection, active)
    if target is None:
        raise RecordRefused(f"no release was active before {active}; name one (`oldphoto releases rollback --to NAME`)")
    found = _release(connection, target)
    if target == active:
        raise RecordRefused(f"release {target} is active already; nothing to roll back")
    if found.status == "candidate":
        raise RecordRefused(f"release {target} never was active; promote it (`oldphoto releases promote {target}`)")
    make_active(connection, target)
    links = (("model_release", target, "outcome"), ("model_release", active, "previous"))
    detail = {"kind": "rollback", "from": active, "to": target}
    record_events(connection, [replace(done, objects=links, detail=detail)])
    return active, target


def release_before(connection: Connection, name: str) -> str | None:
    """See ``Catalogue.release_before``."""
    return _before(connection, name)


def reject_release(
    connection: Connection, name: str, reason: str, verdict: Mapping[str, Any] | None, done: EventRecord
) -> None:
    """See ``Catalogue.reject_release``."""
    one_at_a_time(connection, "release")
    if _is_recorded(connection, done):
        return
    if _release(connection, name).status == "active":
        raise RecordRefused(f"release {name} is active and cannot be rejected; roll back first")
    changes: dict[str, Any] = {"rejected_reason": reason, "rejected_at": utc_now()}
    if verdict is not None:
        changes["verdict"] = json_text(verdict)
    connection.execute(sa.update(model_release).where(model_release.c.name == name).values(**changes))
    record_events(connection, [done])


def record_verdict(connection: Connection, name: str, verdict: Mapping[str, Any]) -> None:
    """See ``Catalogue.record_verdict``."""
    _release(connection, name)
    changes = {"verdict": json_text(verdict)}
    connection.execute(sa.update(model_release).where(model_release.c.name == name).values(**changes))


def stale_photos(connection: Connection, photos: Sequence[str]) -> set[str]:
    """See ``Catalogue.stale_photos``."""
    stale: set[str] = set()
    for chunk in chunks(sorted(set(photos))):
        found = sa.select(_stale.c.photo_sha256).where(_stale.c.photo_sha256.in_(chunk))
        stale.update(connection.execute(found).scalars())
    return stale


def count_stale(connection: Connection) -> int:
    """See ``Catalogue.count_stale``."""
    o = source_object.c
    objects = (
        sa.select(o.id)
        .select_from(source_object.join(collection))
        .where(o.photo_id == photo.c.id, o.status == "registered", collection.c.state == "open")
        .correlate(photo)
    )
    stale = (
        sa.select(sa.func.count())
        .select_from(photo.join(_stale, _stale.c.photo_sha256 == photo.c.sha256))
        .where(photo.c.state == "open", objects.exists())
    )
    return connection.scalar(stale) or 0


def _release(connection: Connection, name: str) -> sa.Row[Any]:
    found = connection.execute(sa.select(model_release).where(model_release.c.name == name)).one_or_none()
    if found is None:
        raise RecordRefused(f"no release {name!r} in the catalogue; `oldphoto releases list` shows those there are")
    return found


def _active(connection: Connection) -> str | None:
    return connection.scalar(sa.select(model_release.c.name).where(model_release.c.status == "active"))


def _require_active(connection: Connection, expected: str | None, what: str) -> None:
    """Raises PromotionConflict where another release is active than the one that was to be replaced."""
    active = _active(connection)
    if active == expected:
        return
    a, e = agent.c, event.c
    made = _promotions(active).with_only_columns(a.name, e.at).join(agent, a.id == e.agent_id)
    by = connection.execute(made).first()
    told = f" ({by[0]} made it active at {by[1]})" if by is not None else ""
    raise PromotionConflict(
        f"{what}: {active or 'no release'} is active now{told}, not {expected or 'none'} as when this began; compare "
        "again and then repeat it",
        active=active,
    )


def _before(connection: Connection, active: str) -> str | None:
    """The release that the active one took over from when it was last promoted; a rollback is no promotion."""
    e, x = event.c, event_object.c
    for event_id, detail in connection.execute(_promotions(active).with_only_columns(e.id, e.detail)).all():
        if json.loads(detail).get("kind") == "rollback":
            continue
        previous = sa.select(x.object_id).where(
            x.event_id == event_id, x.object_type == "model_release", x.role == "previous"
        )
        return connection.scalar(previous)
    return None


def _promotions(name: str | None) -> sa.Select[Any]:
    """Events that made the release active, latest first."""
    e, x = event.c, event_object.c
    return (
        sa.select(e.id)
        .select_from(event.join(event_object, x.event_id == e.id))
        .where(x.object_id == name, x.object_type == "model_release", x.role == "outcome", e.type == "promotion")
        .where(e.outcome == "success")
        .order_by(e.id.desc())
    )


def _is_recorded(connection: Connection, done: EventRecord) -> bool:
    """Whether this very call came through before, and only its answer was lost."""
    return connection.scalar(sa.select(event.c.id).where(event.c.uid == done.uid)) is not None


def _rolled_back(connection: Connection, done: EventRecord) -> tuple[str, str]:
    detail = json.loads(connection.execute(sa.select(event.c.detail).where(event.c.uid == done.uid)).scalar_one())
    return detail["from"], detail["to"]
