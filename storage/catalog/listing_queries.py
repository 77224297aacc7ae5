"""Looks at a source: begun, gone on with after a crash, recorded page by page, and what they show to be gone.

Every object carries the id of the last look that saw it. A look that was whole knows what is gone without a list of
keys: all that an earlier look saw last. A look whose run died is gone on with at its cursor by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.ingest_queries import record_objects
from storage.catalog.leases import acquire
from storage.catalog.statements import chunks, one_at_a_time
from storage.catalog.tables import collection, lease, listing, photo, source_object
from storage.errors import RecordRefused
from storage.records import EventRecord, PhotoRecord, SourceObjectRecord, source_object_id

RESUMED_WITHIN_S = 12 * 3600
"""A look that began longer ago is begun anew: what came to its first pages since then should not wait any longer."""

_PART = 1000
"""Objects marked missing in one transaction."""


@dataclass(frozen=True, kw_only=True)
class OpenListing:
    """A look at a source that goes on.

    Attributes:
        cursor: what was recorded last by the run that died; None at the source's beginning.
        objects_seen: what was listed up to the cursor.
    """

    id: int
    cursor: str | None = None
    objects_seen: int = 0


@dataclass(frozen=True, kw_only=True)
class Gone:
    """What a whole look found to be no more: objects newly missing, and those of them that lie elsewhere now."""

    missing: int = 0
    moved: int = 0


def lease_name(listing_id: int) -> str:
    """Name of the lease that says that a look's run is alive."""
    return f"listing/{listing_id}"


def begin_listing(
    connection: Connection, collection_id: int, run_id: str, policy_hash: str, resume: bool, ttl_s: int
) -> OpenListing:
    """See ``Catalogue.begin_listing``."""
    one_at_a_time(connection, f"listings of collection {collection_id}")
    x = listing.c
    mine = sa.and_(x.collection_id == collection_id, x.status == "running")
    unfinished = connection.execute(
        sa.select(x.id, x.run_id, x.policy_hash, x.cursor, x.objects_seen, x.started_at)
        .where(mine, ~sa.exists().where(lease.c.name == _lease_name_of(x.id), lease.c.expires_at > utc_now(),
                                        lease.c.holder != run_id))
        .order_by(x.id)
    ).all()  # fmt: skip
    newest = connection.scalar(sa.select(sa.func.max(x.id)).where(x.collection_id == collection_id))
    oldest_start = connection.scalar(sa.select(utc_now(-RESUMED_WITHIN_S)))
    found: OpenListing | None = None
    for row in unfinished:
        goes_on = row.run_id == run_id or (
            resume and row.cursor is not None and row.policy_hash == policy_hash and row.started_at >= oldest_start
        )
        if goes_on and row.id == newest:
            found = OpenListing(id=row.id, cursor=row.cursor, objects_seen=row.objects_seen)
            connection.execute(sa.update(listing).where(x.id == row.id).values(run_id=run_id))
        else:
            end_listing(connection, row.id, "abandoned")
    if found is None:
        values = {
            "collection_id": collection_id, "run_id": run_id, "policy_hash": policy_hash, "status": "running",
            "objects_seen": 0, "started_at": utc_now(),
        }  # fmt: skip
        found = OpenListing(id=connection.execute(sa.insert(listing).values(**values).returning(x.id)).scalar_one())
    acquire(connection, [lease_name(found.id)], run_id, ttl_s)
    return found


def _lease_name_of(listing_id: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    return sa.literal("listing/") + sa.cast(listing_id, sa.Text)


def record_page(
    connection: Connection,
    collection_id: int,
    listing_id: int,
    run_id: str,
    seen_keys: Sequence[str],
    objects: Sequence[SourceObjectRecord],
    photos: Sequence[PhotoRecord],
    events: Sequence[EventRecord],
    cursor: str | None,
    objects_seen: int | None,
) -> int:
    """See ``Catalogue.record_page``."""
    new_photos = record_objects(connection, collection_id, objects, photos, events, listing_id, run_id)
    o = source_object.c
    now = connection.scalar(sa.select(utc_now()))
    for chunk in chunks(seen_keys):
        connection.execute(
            sa.update(source_object)
            .where(o.collection_id == collection_id, o.key.in_(chunk))
            .values(last_seen_at=now, listing_id=_at_least(listing_id))
        )
    progress = {"objects_seen": objects_seen, "cursor": cursor} if objects_seen is not None else {"run_id": run_id}
    ours = sa.and_(listing.c.id == listing_id, listing.c.run_id == run_id, listing.c.status == "running")
    if not connection.execute(sa.update(listing).where(ours).values(**progress)).rowcount:
        raise RecordRefused(f"look {listing_id} at the source was taken over by another run; let that one finish")
    return new_photos


def _at_least(listing_id: int) -> sa.ColumnElement[int]:
    """This look, or a later one that saw the object too: of two at once, the earlier must not undo the later."""
    own = source_object.c.listing_id
    return sa.case((own > listing_id, own), else_=listing_id)


def end_listing(connection: Connection, listing_id: int, status: str) -> None:
    """See ``Catalogue.end_listing``."""
    ended = {"status": status, "finished_at": utc_now()}
    connection.execute(sa.update(listing).where(listing.c.id == listing_id).values(**ended))


def mark_missing_part(
    connection: Connection,
    collection_id: int,
    listing_id: int,
    unlisted_prefixes: Sequence[str],
    after_id: int,
    agent: str,
    run_id: str | None,
) -> tuple[int | None, Gone]:
    """The next objects that this whole look did not see, marked missing; gives where to go on, None at the end.

    An object that a run beside this one saw after this look began is not gone, although this look passed its place
    before it came.
    """
    one_at_a_time(connection, f"objects of collection {collection_id}")
    o = source_object.c
    began_at = connection.execute(sa.select(listing.c.started_at).where(listing.c.id == listing_id)).scalar_one()
    unseen = sa.and_(sa.or_(o.listing_id.is_(None), o.listing_id < listing_id), o.last_seen_at <= began_at)
    statement = (
        sa.select(o.id, o.key, o.photo_id)
        .where(o.collection_id == collection_id, o.status != "missing", unseen, o.id > after_id)
        .order_by(o.id)
        .limit(_PART)
    )
    rows = connection.execute(statement).all()
    below = tuple(prefix.rstrip("/") + "/" for prefix in unlisted_prefixes)
    gone = [row for row in rows if not row.key.startswith(below) and row.key not in unlisted_prefixes]
    for part in chunks(gone):
        connection.execute(sa.update(source_object).where(o.id.in_([row.id for row in part])).values(status="missing"))
    moved: list[EventRecord] = []
    if gone:
        url = connection.execute(sa.select(collection.c.url).where(collection.c.id == collection_id)).scalar_one()
        moved = _moves(connection, collection_id, listing_id, began_at, [(row.photo_id, row.key) for row in gone],
                       url=url, agent=agent, run_id=run_id)  # fmt: skip
        links = tuple(("source_object", source_object_id(url, row.key), "missing") for row in gone)
        note = f"{len(gone)} objects are not there any more, such as {gone[0].key}"
        detail = {"change": "missing", "count": len(gone)}
        missing = EventRecord(
            type="validation", agent=agent, outcome="warning", detail=detail, objects=links, run_id=run_id, note=note
        )
        record_events(connection, [missing, *moved])
    return (rows[-1].id if len(rows) == _PART else None), Gone(missing=len(gone), moved=len(moved))


def _moves(
    connection: Connection,
    collection_id: int,
    listing_id: int,
    began_at: str,
    gone: Sequence[tuple[int | None, str]],
    *,
    url: str,
    agent: str,
    run_id: str | None,
) -> list[EventRecord]:
    """An event for each photo that went from one key and came to another in the same look."""
    o = source_object.c
    came: dict[int, list[str]] = {}
    sha256_of: dict[int, str] = {}
    for part in chunks(sorted({photo_id for photo_id, _ in gone if photo_id is not None})):
        statement = (
            sa.select(o.photo_id, o.key, photo.c.sha256)
            .select_from(source_object.join(photo, photo.c.id == o.photo_id))
            .where(o.collection_id == collection_id, o.photo_id.in_(part), o.status == "registered",
                   o.listing_id >= listing_id, o.first_seen_at >= began_at)
            .order_by(o.photo_id, o.id.desc())
        )  # fmt: skip
        for photo_id, key, sha256 in connection.execute(statement):
            came.setdefault(photo_id, []).append(key)
            sha256_of[photo_id] = sha256
    events = []
    for photo_id, key in gone:
        if photo_id is None or not came.get(photo_id):
            continue
        now_at = came[photo_id].pop()
        events.append(
            EventRecord(
                type="ingestion",
                agent=agent,
                detail={"change": "moved", "from": key, "to": now_at},
                objects=(
                    ("source_object", source_object_id(url, key), "previous"),
                    ("source_object", source_object_id(url, now_at), "source"),
                    ("photo", sha256_of[photo_id], "outcome"),
                ),
                run_id=run_id,
                note=f"moved from {key} to {now_at}",
            )
        )
    return events
