"""What is to be published where, and what stands there by our account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.review_queries import is_cleared
from storage.catalog.statements import chunks, insert, latest_first
from storage.catalog.tables import collection, photo, publication, restoration, source_object
from storage.records import EventRecord

DONE = ("restored", "unchanged")


@dataclass(frozen=True, kw_only=True)
class Publishable:
    """An object and the latest restoration of its photo that may be shown, for the object's own path."""

    source_object_id: int
    key: str
    collection_id: int
    collection_url: str
    browse_folder: str
    photo_sha256: str
    restoration_id: int
    restored_key: str
    restored_sha256: str

    @property
    def extension(self) -> str:
        """Of the derivative: tif, png or jpg."""
        return self.restored_key.rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A copy that stands at a destination by our account.

    Attributes:
        id: of the row; 0 for one that is not recorded yet.
        wanted: what the object would have published now; None where it is gone, held, withdrawn, not restored, or
            where no restoration of it may be shown without a review.
    """

    id: int = 0
    destination: str
    key: str
    source_object_id: int
    restoration_id: int
    sha256: str
    size_bytes: int
    wanted: Publishable | None = None


def publishable(connection: Connection, collection_id: int | None, after_id: int, limit: int) -> list[Publishable]:
    """See ``Catalogue.publishable``."""
    statement = _publishable().where(source_object.c.id > after_id).order_by(source_object.c.id).limit(limit)
    if collection_id is not None:
        statement = statement.where(source_object.c.collection_id == collection_id)
    return [Publishable(**row) for row in connection.execute(statement).mappings()]


def keys_present(connection: Connection, collection_id: int, keys: Sequence[str]) -> set[str]:
    """See ``Catalogue.keys_present``."""
    o = source_object.c
    found: set[str] = set()
    for part in chunks(sorted(set(keys))):
        statement = sa.select(o.key).where(o.collection_id == collection_id, o.key.in_(part), o.status != "ignored")
        found.update(connection.scalars(statement))
    return found


def published(
    connection: Connection, destination: str, collection_id: int | None, after_id: int, limit: int
) -> list[Published]:
    """See ``Catalogue.published``."""
    p = publication.c
    statement = (
        sa.select(publication)
        .where(p.destination == destination, p.removed_at.is_(None), p.id > after_id)
        .order_by(p.id)
        .limit(limit)
    )
    if collection_id is not None:
        objects = sa.select(source_object.c.id).where(source_object.c.collection_id == collection_id)
        statement = statement.where(p.source_object_id.in_(objects))
    return _with_wanted(connection, connection.execute(statement).all())


def published_at(connection: Connection, destination: str, keys: Sequence[str]) -> dict[str, Published]:
    """See ``Catalogue.published_at``."""
    p = publication.c
    found: dict[str, Published] = {}
    for part in chunks(sorted(set(keys))):
        statement = sa.select(publication).where(
            p.destination == destination, p.key.in_(part), p.removed_at.is_(None)
        )
        found.update((one.key, one) for one in _with_wanted(connection, connection.execute(statement).all()))
    return found


def withdrawn_publications(connection: Connection, limit: int, without: Sequence[str]) -> list[Published]:
    """See ``Catalogue.withdrawn_publications``."""
    p = publication.c
    statement = (
        sa.select(publication)
        .select_from(
            publication.join(restoration, restoration.c.id == p.restoration_id)
            .join(photo, photo.c.id == restoration.c.photo_id)
            .join(source_object, source_object.c.id == p.source_object_id)
            .join(collection, collection.c.id == source_object.c.collection_id)
        )
        .where(
            p.removed_at.is_(None),
            p.destination.not_in(without),
            sa.or_(photo.c.state == "withdrawn", collection.c.state == "withdrawn"),
        )
        .order_by(p.destination, p.id)
        .limit(limit)
    )
    return [_published(row, None) for row in connection.execute(statement)]


def was_published_to(connection: Connection, destination: str) -> bool:
    """See ``Catalogue.was_published_to``."""
    statement = sa.select(publication.c.id).where(publication.c.destination == destination).limit(1)
    return connection.scalar(statement) is not None


def record_publications(
    connection: Connection, publications: Sequence[Published], events: Sequence[EventRecord]
) -> None:
    """See ``Catalogue.record_publications``."""
    if publications:
        names = ("destination", "key", "source_object_id", "restoration_id", "sha256", "size_bytes")
        statement = insert(connection, publication).values(published_at=utc_now(), removed_at=None)
        changes = {name: statement.excluded[name] for name in (*names[2:], "published_at", "removed_at")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["destination", "key"], set_=changes),
            [{name: getattr(one, name) for name in names} for one in sorted(publications, key=lambda one: one.key)],
        )
    record_events(connection, events)


def record_removals(connection: Connection, publication_ids: Sequence[int], events: Sequence[EventRecord]) -> None:
    """See ``Catalogue.record_removals``."""
    p = publication.c
    for part in chunks(sorted(publication_ids)):
        gone = sa.update(publication).where(p.id.in_(part), p.removed_at.is_(None))
        connection.execute(gone.values(removed_at=utc_now()))
    record_events(connection, events)


def _publishable() -> sa.Select[tuple[object, ...]]:
    """Columns are named as the fields of `Publishable`.

    Where the latest restoration waits for a review or was rejected, the latest one before it that may be shown stands.
    """
    r, o, c = restoration.c, source_object.c, collection.c
    latest = (
        sa.select(r.id)
        .where(r.photo_id == o.photo_id, r.outcome.in_(DONE), r.deleted_at.is_(None), is_cleared())
        .order_by(*latest_first(r))
        .limit(1)
        .correlate(source_object)
        .scalar_subquery()
    )
    return (
        sa.select(
            o.id.label("source_object_id"), o.key, o.collection_id, c.url.label("collection_url"), c.browse_folder,
            photo.c.sha256.label("photo_sha256"), r.id.label("restoration_id"), r.restored_key, r.restored_sha256,
        )
        .select_from(
            source_object.join(collection).join(photo, photo.c.id == o.photo_id).join(restoration, r.id == latest)
        )
        .where(o.status == "registered", c.state == "open", photo.c.state == "open")
    )  # fmt: skip


def _with_wanted(connection: Connection, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[Published]:
    wanted: dict[int, Publishable] = {}
    for part in chunks(sorted({row.source_object_id for row in rows})):
        statement = _publishable().where(source_object.c.id.in_(part))
        for found in connection.execute(statement).mappings():
            wanted[found["source_object_id"]] = Publishable(**found)
    return [_published(row, wanted.get(row.source_object_id)) for row in rows]


def _published(row: sa.Row[tuple[object, ...]], wanted: Publishable | None) -> Published:
    return Published(
        id=row.id, destination=row.destination, key=row.key, source_object_id=row.source_object_id,
        restoration_id=row.restoration_id, sha256=row.sha256, size_bytes=row.size_bytes, wanted=wanted,
    )  # fmt: skip
