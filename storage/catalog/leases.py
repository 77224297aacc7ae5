"""Leases on the database's clock keep two runs at once from restoring the same photo."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.restoration_queries import finished_work
from storage.catalog.statements import chunks, insert
from storage.catalog.tables import lease
from storage.records import PhotoWork


def work_lease_name(photo_sha256: str, work_hash: str) -> str:
    """Name of the lease on one work."""
    return f"restoration/{photo_sha256}/{work_hash}"


def acquire(connection: Connection, names: Sequence[str], holder: str, ttl_s: int) -> set[str]:
    """See ``Catalogue.acquire_lease``. A lease of one's own is prolonged, one that expired is taken over."""
    if not names:
        return set()
    statement = insert(connection, lease).values(acquired_at=utc_now(), expires_at=utc_now(ttl_s))
    free = sa.or_(lease.c.expires_at <= utc_now(), lease.c.holder == holder)
    changes = {name: statement.excluded[name] for name in ("holder", "acquired_at", "expires_at")}
    statement = statement.on_conflict_do_update(index_elements=["name"], set_=changes, where=free)
    # In one order everywhere, so that two writers cannot wait for each other.
    rows = [{"name": name, "holder": holder} for name in sorted(set(names))]
    return set(connection.execute(statement.returning(lease.c.name), rows).scalars())


def renew(connection: Connection, names: Sequence[str], holder: str, ttl_s: int) -> set[str]:
    """See ``Catalogue.renew_lease``. One that ran out but that nobody took is held on."""
    kept: set[str] = set()
    for held in chunks(_held(connection, names, holder)):
        connection.execute(sa.update(lease).where(lease.c.name.in_(held)).values(expires_at=utc_now(ttl_s)))
        kept.update(held)
    return kept


def release(connection: Connection, names: Sequence[str], holder: str) -> None:
    """See ``Catalogue.release_lease``."""
    for held in chunks(_held(connection, names, holder)):
        connection.execute(sa.delete(lease).where(lease.c.name.in_(held)))


def release_all(connection: Connection, holder: str) -> int:
    """See ``Catalogue.release_all_leases``."""
    own = sa.select(lease.c.name).where(lease.c.holder == holder).order_by(lease.c.name).with_for_update()
    held = list(connection.execute(own).scalars())
    for chunk in chunks(held):
        connection.execute(sa.delete(lease).where(lease.c.name.in_(chunk)))
    return len(held)


def holder_of(connection: Connection, name: str) -> str | None:
    """See ``Catalogue.lease_holder``."""
    return connection.scalar(sa.select(lease.c.holder).where(lease.c.name == name, lease.c.expires_at > utc_now()))


def _held(connection: Connection, names: Sequence[str], holder: str) -> list[str]:
    """Those of the names that the holder has, locked in the order in which everybody takes them."""
    held: list[str] = []
    for chunk in chunks(sorted(set(names))):
        own = sa.select(lease.c.name).where(lease.c.name.in_(chunk), lease.c.holder == holder)
        held += connection.execute(own.order_by(lease.c.name).with_for_update()).scalars()
    return held


def claim_work(connection: Connection, works: Sequence[PhotoWork], holder: str, ttl_s: int) -> list[PhotoWork]:
    """See ``Catalogue.claim_work``.

    Leases first, then a look at what is done: whoever held a work before us recorded it before the lease ended.
    """
    names = {work_lease_name(work.photo_sha256, work.work_hash): work for work in works}
    taken = acquire(connection, list(names), holder, ttl_s)
    done = finished_work(connection, [(names[name].photo_sha256, names[name].work_hash) for name in taken])
    finished = [name for name in taken if (names[name].photo_sha256, names[name].work_hash) in done]
    release(connection, finished, holder)
    return [work for name, work in names.items() if name in taken and name not in set(finished)]
